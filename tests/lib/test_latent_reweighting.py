"""Latent reweighting in the plane: laws and samplers of known answer, and all of it in small."""

import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.metrics.earth_mover import matched_cost
from pseudodensity.papers.latent_reweighting.claims import claims
from pseudodensity.papers.latent_reweighting.claims_planar import planar_lines
from pseudodensity.papers.latent_reweighting.planar.evaluation import Trial, open_tools
from pseudodensity.papers.latent_reweighting.planar.laws import LAWS
from pseudodensity.papers.latent_reweighting.planar.manifolds import Circle, Manifolds
from pseudodensity.papers.latent_reweighting.planar.methods import (
    METHODS,
    Proposals,
    TooFew,
    accepted,
)
from pseudodensity.papers.latent_reweighting.table1 import half_width
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.claims import claims_frame
from pseudodensity.rng import generator as stream_of
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)


# ---------------------------------------------------------------------------------- laws


@pytest.mark.parametrize("name", LAWS)
def test_reals_lie_on_their_law(name):
    law = LAWS[name]
    points = law.draw(4000, stream_of(0, name))
    assert points.shape == (4000, 2) and points.dtype == torch.float32
    assert torch.equal(points, law.draw(4000, stream_of(0, name)))
    # Three deviations from a centre: exp(-4.5); from a line: .0027.
    expected = {"gaussians": math.exp(-4.5), "swiss_roll": 0.0027}[name]
    assert law.is_off(points).mean() == pytest.approx(expected, abs=0.004)
    assert law.is_off(points + 0.2).mean() > 0.2
    assert 1.3 < points.abs().max() < 2.1


def test_the_match_costs_what_it_costs_by_hand():
    real, fake = np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 0.0]])
    assert matched_cost(real, fake) == pytest.approx(1.5)
    assert matched_cost(real, fake, 2) == pytest.approx(4.5)


def test_the_exact_ratio_of_the_manifolds_turns_the_proposal_into_them():
    """With a gap of 0 weighted proposals have the law of the reals; with a wide one, of the upper half."""
    for gap, lower in ((0.0, 0.5), (0.5, 0.0)):
        law, generator = Manifolds(0.02, gap), Circle(0.02)
        points = generator(torch.randn(40_000, 2, generator=stream_of(0)))
        ratio = law.log_ratio(points).exp().numpy()
        upper = points[:, 1].numpy() > 0
        assert ratio[upper].mean() == pytest.approx(1, abs=0.03)
        assert ratio[~upper].mean() == pytest.approx(2 * lower, abs=0.03)
        real = law.draw(40_000, stream_of(1)).numpy()
        first = np.histogram(points[upper, 0], 10, (-1, 1), weights=ratio[upper])[0] / 20_000
        second = np.histogram(real[real[:, 1] > 0, 0], 10, (-1, 1))[0] / 20_000
        assert np.abs(first - second).max() < 0.02


# ---------------------------------------------------------------------------------- samplers


def test_proposals_come_in_one_order_whoever_asks():
    once, twice = (Proposals(10, 100, 0, "latents", 1) for _ in range(2))
    twice.first(15)
    assert torch.equal(once.first(40), twice.first(40))
    assert torch.equal(once.first(40)[:7], Proposals(10, 100, 0, "latents", 1).first(7))
    with pytest.raises(TooFew):
        once.first(101)


def test_as_many_are_accepted_as_are_wanted():
    proposals = Proposals(1000, 100_000, 0, "x")
    kept, acceptance = accepted(
        lambda z: (z, torch.full((len(z),), math.log(0.05)).double()),
        1000,
        proposals,
        lambda: stream_of(0),
    )
    assert kept.shape == (1000, 2) and acceptance == pytest.approx(0.05, abs=0.005)
    nobody = (lambda z: (z, torch.full((len(z),), -math.inf).double()), 10, proposals)
    with pytest.raises(TooFew):
        accepted(*nobody, lambda: stream_of(0))


def test_half_of_the_papers_interval():
    # t of 9 degrees at 98.5 % is 2.574.
    values = np.arange(10.0)
    expected = 2.574 * values.std(ddof=1) / math.sqrt(10)
    assert half_width(values) == pytest.approx(expected, rel=1e-3)


# ---------------------------------------------------------------------------------- all in small


@pytest.fixture(scope="module")
def plan() -> Plan:
    overlay = [ROOT / "config/scales/smoke.yaml"]
    config = load_config(ROOT / "config/config.yaml", overlay, {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def made(plan, tmp_path_factory) -> dict[str, str]:
    """Path of each experiment of the tests' scale -> where it was made."""
    folder, found = tmp_path_factory.mktemp("experiments"), {}

    def make(artifact):
        if artifact.path in found:
            return
        for need in artifact.upstream():
            make(need)
        inputs = moved(artifact.inputs, found)
        module, _, name = artifact.spec["function"].partition(":")
        function = getattr(import_module(f"pseudodensity.{module}"), name)
        arrays, facts = function(inputs, artifact.spec["settings"])
        path = folder / f"{artifact.name}.safetensors"
        save_tensors(path, arrays, artifact.stamp, facts)
        found[artifact.path] = str(path)

    for name in ("table1", "fig2"):
        for artifact in plan.tables[f"latent_reweighting/{name}"].artifacts():
            make(artifact)
    return found


def moved(inputs: dict, found: dict) -> dict:
    return {
        name: [found.get(p, str(ROOT / p)) for p in path]
        if isinstance(path, list)
        else found.get(path, str(ROOT / path))
        for name, path in inputs.items()
    }


def show(plan, made, kind, name):
    target = (plan.tables if kind == "table" else plan.figures)[f"latent_reweighting/{name}"]
    module, _, function = target.function.partition(":")
    called = getattr(import_module(f"pseudodensity.{module}"), function)
    return called(moved(target.paths, made), target.settings)


def test_table1_has_every_method_with_all_that_is_measured(plan, made):
    frame = show(plan, made, "table", "table1").frame
    names = ["real", "oracle", *METHODS]
    assert set(frame["method"]) == set(names) and set(frame["dataset"]) == {"25 Gaussians"}
    by_name = frame.set_index("method")
    assert by_name[["w1", "squared", "off", "w1_ci97"]].notna().all(axis=None)
    assert by_name.loc["dot", "calls"] == 3 and by_name.loc["latent_rs", "calls"] == 1
    assert by_name.loc["sir", "acceptance"] == 0.5 and by_name.loc["mh", "calls"] == 4
    assert by_name.loc["drs", "calls"] >= 1 / by_name.loc["drs", "acceptance"] - 1e-9
    assert (
        by_name.loc["dot", "paper_emd"] == 0.035 and by_name.loc["latent_rs", "paper_emd"] == 0.036
    )
    assert (by_name.loc[list(METHODS), "cpu_ms"] >= 0).all()
    # Reals are nearer to reals than an untrained generator, and the oracle can only choose.
    assert by_name.loc["real", "w1"] < by_name.loc["oracle", "w1"] < by_name.loc["plain", "w1"]


def test_fig2_and_both_pictures_are_drawn(plan, made):
    frame = show(plan, made, "table", "fig2").frame.set_index("method")
    assert frame.loc["exact_ratio", "lower"] == 0
    assert frame.loc["real", "lower"] == pytest.approx(0.5, abs=0.2)
    assert len(show(plan, made, "figure", "fig2").axes) == 9
    panels = show(plan, made, "figure", "table1").axes
    assert {"data", "oracle", "latentRS"} <= {axes.get_title("left") for axes in panels}


def test_claims_say_who_is_below_whom_and_which_were_not_tested(plan, made):
    """As where a config has none of the image models: their tables are no inputs."""
    target = plan.tables["latent_reweighting/claims"]
    given = moved({name: target.paths[name] for name in ("catalogue", "evaluated")}, made)
    frame = claims(given, target.settings).frame
    assert frame["id"].unique().tolist() == [f"003-{number}" for number in range(1, 8)]
    planar, others = frame[frame["id"].eq("003-1")], frame[frame["id"].ne("003-1")]
    assert planar["claimed"].tolist() == ["falls"] * 5 + ["rises"]
    assert planar["verdict"].isin(["undecided", "up in these pairs", "down in these pairs"]).all()
    assert others["verdict"].str.startswith("not tested here").all()


def test_three_trainings_give_a_verdict():
    """Differences of -.1 with hardly any spread: below the rival, as the paper claims."""

    def training(shift):
        scores = {name: {"w1": np.full(4, 0.3 + shift)} for name in ("plain", "drs", "sir", "mh")}
        scores |= {"dot": {"w1": np.full(4, 0.1)}, "latent_rs": {"w1": np.full(4, 0.2 + 2 * shift)}}
        return {"scores": scores}

    lines = planar_lines({"gaussians": [training(s) for s in (0.0, 0.001, 0.002)]})
    catalogue = pd.read_csv(ROOT / "config/reported/claims.csv")
    frame = claims_frame(lines, catalogue)
    assert frame["effect"].iloc[0] == pytest.approx(-0.099)
    assert frame["verdict"].tolist()[:4] == ["holds"] * 4
    assert (
        frame["verdict"].iloc[4].startswith("not tested here")
        and frame["verdict"].iloc[5] == "holds"
    )


def test_the_same_setting_gives_the_same_set_and_all_start_from_the_same_latents(plan, made):
    evaluation = plan.tables["latent_reweighting/claims"].inputs["evaluated"][0]
    settings = evaluation.spec["settings"]
    tools, _ = open_tools(moved(evaluation.inputs, made), settings)
    trial = Trial(LAWS[settings["law"]], settings)
    for name, candidates in settings["methods"].items():
        first, second = (trial.drawn(tools, name, candidates[0], "test", 0) for _ in range(2))
        assert first.points.shape == (settings["count"], 2), name
        assert torch.equal(first.points, second.points), name
    # What moves nothing, or accepts all, is the plain generator.
    plain = trial.drawn(tools, "plain", {}, "test", 0).points
    still = {"steps": 3, "step_size": 0.0}
    everything = {"dot": still, "latent_ga": still, "obrs": {"acceptance": 1.0}, "sir": {"n": 1}}
    for name, setting in everything.items():
        assert torch.equal(trial.drawn(tools, name, setting, "test", 0).points, plain), name


def test_a_setting_that_accepts_too_little_is_left_out(plan, made):
    evaluation = plan.tables["latent_reweighting/claims"].inputs["evaluated"][0]
    settings = evaluation.spec["settings"]
    tools, _ = open_tools(moved(evaluation.inputs, made), settings)
    never = {"isotonic": 1e6, "logistic": 1e6}
    trial = Trial(LAWS[settings["law"]], settings)
    setting = {"calibration": "isotonic", "gamma": None}
    assert trial.validated(replace(tools, log_max=never), "drs", setting) is None
    assert trial.validated(tools, "plain", {}) > 0
