"""Latent reweighting on images: the latents that are accepted, where weights live, and its tables."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pseudodensity.artifacts import save_json
from pseudodensity.control.auxiliary.latent_space import LatentSpace, LatentWeight
from pseudodensity.control.move.latent_rs_ga import accepted_latents
from pseudodensity.generators.build import build_generator
from pseudodensity.papers.latent_reweighting.fig3_figure import precision_against_time
from pseudodensity.papers.latent_reweighting.table2 import table2
from pseudodensity.plan.code import ROOT
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.rng import normal

torch.set_num_threads(1)

REPORTED = ROOT.parents[1] / "config/reported/latent_reweighting.csv"
CONFIG = ROOT.parents[1] / "config"


class Right(nn.Module):
    """Weight 2 right of the origin, 0 left of it: E w = 1."""

    def forward(self, z):
        return 2.0 * (z[:, 0] > 0)


class Half(nn.Module):
    """Weight 1 everywhere."""

    def forward(self, z):
        return torch.ones(len(z))


class Tools:
    """Latents of rows, as a context has them."""

    seed = 0

    def latents(self, rows):
        return normal(self.seed, "latents", rows, (2,))


def weight(network: nn.Module, largest: float) -> LatentWeight:
    generator = nn.Identity()
    generator.w_space, generator.latent_shape = False, (2,)
    return LatentWeight(network, LatentSpace(generator, "w"), largest)


def test_accepted_latents_have_the_law_of_the_weights():
    found = accepted_latents(weight(Right(), 2.0), Tools(), range(4000))
    assert (found[:, 0] > 0).all()
    # Half of a normal law, and nothing changed in the other direction.
    assert found[:, 0].mean().item() == pytest.approx((2 / torch.pi) ** 0.5, abs=0.04)
    assert found[:, 1].mean().item() == pytest.approx(0, abs=0.06)
    assert found[:, 1].std().item() == pytest.approx(1, abs=0.04)


def test_a_latent_that_is_accepted_at_once_is_the_one_of_the_pool():
    plain = Tools().latents(range(500))
    found = accepted_latents(weight(Right(), 2.0), Tools(), range(500))
    right = plain[:, 0] > 0
    assert torch.equal(found[right], plain[right])
    # One in two is accepted of weights 1 where m = 2, and the others are other latents.
    same = (
        accepted_latents(weight(Half(), 2.0), Tools(), range(4000)) == Tools().latents(range(4000))
    ).all(1)
    assert same.double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_an_accepted_latent_does_not_depend_on_its_batch():
    tools, weights = Tools(), weight(Right(), 2.0)
    whole = accepted_latents(weights, tools, range(20))
    parts = [accepted_latents(weights, tools, range(i, i + 5)) for i in range(0, 20, 5)]
    assert torch.equal(torch.cat(parts), whole)


def test_weights_of_a_stylegan_live_in_w_and_others_in_z():
    torch.manual_seed(0)
    settings = {"z_dim": 8, "w_dim": 6, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
    generator = build_generator("stylegan2", 16, settings).eval()
    z = torch.randn(3, 8)
    in_w, in_z = LatentSpace(generator, "w"), LatentSpace(generator, "z")
    assert in_w.shape == (6,) and in_w.points(z).shape == (3, 6) and in_w.is_w
    assert in_z.shape == (8,) and torch.equal(in_z.points(z), z) and not in_z.is_w
    assert torch.equal(in_w.images(in_w.points(z)), generator(z))
    assert in_w.projection("exact") == "none" and in_z.projection("exact") == "none"
    wide = nn.Identity()
    wide.w_space, wide.latent_shape = False, (64,)
    assert LatentSpace(wide, "w").projection("exact") == "exact"


# ------------------------------------------------------------------------ tables

POINTS = [
    {"method": "plain"},
    {"method": "sir", "candidates": 10},
    {"method": "latent_rs_ga", "steps": 50},
    {"method": "mh", "chain": 10},
]


@pytest.fixture
def table(tmp_path):
    """Table 5 from made-up scores of two repeats."""
    rows, scores = [], []
    for number, point in enumerate(POINTS):
        names = {"pool": "p", "point": point, "label": point["method"]}
        facts = {"acceptance": 1.0, "generator_calls": 100 * 2 * (number + 1), "note": ""}
        repeats = [
            {"precision": 0.5 + 0.1 * r, "recall": 0.4, "emd": 3.0, "fid": 2.0} for r in range(2)
        ]
        scores.append(names | {"n": 100, "n_real": 500, "facts": facts, "repeats": repeats})
        block = {"block": "b", "model": "StyleGAN2", "dataset": "churches", "stands_for": None}
        of_paper = {"model": "StyleGAN2", "dataset": "LSUN-Church"}
        rows.append(block | {"seed": 0, "pool": "p", "point": point, "of_paper": of_paper})
    save_json(tmp_path / "scores.json", {"settings": {"k": 3}, "rows": scores})
    costs = [{"seconds": [2.0, None, 4.0]} for _ in POINTS]
    save_json(tmp_path / "costs.json", {"sampling": costs, "training": [], "device": "cpu"})
    inputs = {"scores": [tmp_path / "scores.json"], "costs": [tmp_path / "costs.json"]}
    labels = [[point["method"] for point in POINTS]]
    settings = {"rows": rows, "labels": labels, "target": "table5"}
    return table2(inputs | {"reported": REPORTED}, settings)


def test_a_line_has_scores_cost_and_what_the_paper_prints(table):
    plain, sir, both, mh = table.frame.to_dict("records")
    assert plain["precision"] == pytest.approx(0.55)
    # Of two values: the quantile of Student's law with one degree of freedom times half their distance.
    assert plain["precision_ci97"] == pytest.approx(np.tan(np.pi * 0.485) * 0.05, rel=1e-6)
    assert [line["calls"] for line in (plain, sir, both, mh)] == [1, 2, 3, 4]
    assert plain["ms"] == 3.0
    assert plain["paper_precision"] == pytest.approx(0.556) and plain["paper_ms"] == 11.7
    assert sir["paper_precision"] == pytest.approx(0.605) and sir["paper_ms"] == 130.0
    assert both["paper_recall"] == pytest.approx(0.341) and both["paper_emd"] == 22.6
    assert pd.isna(mh["paper_precision"]), "the paper has no MH-GAN"


def test_the_figure_is_drawn_from_the_table(table, tmp_path):
    table.frame.to_csv(tmp_path / "t.csv", index=False)
    look = {"metrics": {"manifold": "judge"}, "methods": {p["method"]: p["method"] for p in POINTS}}
    figure = precision_against_time({"table": tmp_path / "t.csv"}, look)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and "ms" in axes.get_xlabel()
    assert json.dumps(look)
    table.frame.assign(ms=np.nan).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(ValueError, match="no method with a precision and a time"):
        precision_against_time({"table": tmp_path / "none.csv"}, look)


# ------------------------------------------------------------------------ what judges Table 3

LABELLED = {"model": "convgan", "dataset": "digits", "judge": "digits_cnn", "reported": None}


def planned(labelled: list) -> Plan:
    """The plan of the default config with other labelled blocks."""
    changed = {"papers": {"latent_reweighting": {"images": {"labelled": labelled}}}}
    config = load_config(CONFIG / "config.yaml", [], changed)
    return Plan(config, ROOT.parent / "schemas", CONFIG / "papers")


def judged(plan: Plan, table: str) -> dict[str, set[str]]:
    """Metric -> extractors of its scores in a table."""
    found: dict[str, set[str]] = {}
    for made in plan.tables[f"latent_reweighting/{table}"].inputs["scores"]:
        found.setdefault(made.spec["metric"], set()).add(made.spec["extractor"])
    return found


def test_a_classifier_of_the_set_alone_judges_table_3_and_changes_nothing_else():
    plan = planned([LABELLED])
    metrics = ("manifold", "frechet", "earth_mover")
    assert judged(plan, "table2") == {name: {"judge_cnn"} for name in metrics}
    assert judged(plan, "table3") == {name: {"digits_cnn"} for name in metrics}
    looks = plan.figures["latent_reweighting/table3"].settings["metrics"]
    assert looks == {name: "digits_cnn" for name in metrics}
    (judge,) = [made for made in plan.artifacts.values() if made.slug == "digits_cnn"]
    assert judge.kind == "extractor" and judge.spec["trained_on"] == ["digits"]
    # No model, density or pool comes of it; what does is a column of the pool that was there, and realism.
    users = {made.kind for made in plan.artifacts.values() if judge in made.upstream()}
    assert users == {"features", "column", "experiment"}
    other = planned([LABELLED | {"judge": "judge_cnn"}])
    gone = [made for path, made in other.artifacts.items() if path not in plan.artifacts]
    assert {made.kind for made in gone} == {"scores", "experiment"}
    scores = [made for made in gone if made.kind == "scores"]
    assert {made.spec["extractor"] for made in scores} == {"judge_cnn"}
    table3 = {made.path for made in other.tables["latent_reweighting/table3"].inputs["scores"]}
    assert {made.path for made in scores} <= table3


def test_each_labelled_set_has_a_judge_of_its_own():
    church = {"model": "projectedgan", "dataset": "church", "judge": "judge_cnn", "reported": None}
    plan = planned([LABELLED, church])
    for made in plan.tables["latent_reweighting/table3"].inputs["scores"]:
        own = "digits_cnn" if "digits" in made.slug else "judge_cnn"
        assert made.spec["extractor"] == own, made.slug
    looks = plan.figures["latent_reweighting/table3"].settings["metrics"]
    assert set(looks.values()) == {"digits_cnn and judge_cnn"}
