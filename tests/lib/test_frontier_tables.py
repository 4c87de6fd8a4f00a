"""Points with intervals and fronts, the best settings by rule, and the combinations of Table 3."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pseudodensity.frontier_figures import draw_frontiers, draw_methods
from pseudodensity.frontier_runs import FrontierRuns
from pseudodensity.frontier_tables import frontier_table, pareto_front
from pseudodensity.runs import ConfigError, Plan
from pseudodensity.sweeps import frontier_points
from pseudodensity.tables_inference import best_point, table2, table3, write_table2, write_table3

ROOT = Path(__file__).parents[2]
JUDGES = {"manifold": "judge", "fid": "judge"}


def read(name):
    return yaml.safe_load((ROOT / name).read_text())


@pytest.fixture
def runs():
    return FrontierRuns(Plan(read("config/config.yaml"), read("config/papers/pseudo_density.yaml")))


def scored(point, precision, recall, fid=1.0, repeats=3, spread=0.0):
    """A measured point; the repeats lie symmetrically around its scores."""
    steps = spread * np.linspace(-1, 1, repeats) if repeats > 1 else np.zeros(repeats)
    facts = {"acceptance": 1.0, "acceptance_closed_form": 1.0, "ess": 9.0, "unique": 9, "n": 100}
    facts |= {"generator_calls": 10, "seconds_per_1000": 1.0, "note": ""}
    names = ("density", "coverage", "mean_density")
    lines = [
        {
            "precision": precision + s,
            "recall": recall + s,
            "fid": fid + s,
            **dict.fromkeys(names, 1.0),
        }
        for s in steps
    ]
    return {**point, **facts, "repeats": lines}


def plain(*scores, **options):
    return scored({"method": "plain"}, *scores, **options)


def importance(tau, w, *scores, **options):
    return scored({"method": "importance", "tau": tau, "w": w}, *scores, **options)


def found(points):
    return {"points": points, "n_real": 50, "k": 3, "calls": {"pool": 100, "set": 10}}


PANEL = {"block": "a-b", "model": "A", "dataset": "b", "stands_for": None, "seed": 0}
PANEL |= {"methods": None, "not_served": {"style": "needs a w space"}}


def test_the_front_is_what_nothing_beats():
    precision, recall = [0.5, 0.6, 0.7, 0.5, 0.6, np.nan], [0.9, 0.8, 0.3, 0.8, 0.8, 1.0]
    front = [True, True, True, False, True, False]
    assert pareto_front(precision, recall).tolist() == front


def test_intervals_come_from_repeats_and_a_single_repeat_borrows_them():
    truncation = {"method": "truncation", "family": "style", "psi": 0.7}
    points = [plain(0.5, 0.5, spread=0.1), importance(50, 3.0, 0.6, 0.4, spread=0.1)]
    points.append(scored(truncation, 0.7, 0.2, repeats=1))
    table = frontier_table([PANEL], [found(points)])
    assert table["method"].tolist() == ["plain", "importance", "truncation", "style"]
    # Repeats .4 .5 .6: standard deviation .1, t quantile 4.303 at 2 degrees of freedom.
    half = 4.3027 * 0.1 / np.sqrt(3)
    assert table["precision_high"][0] - 0.5 == pytest.approx(half, rel=1e-4)
    assert table["precision_low"][2] == pytest.approx(0.5) and "one repeat" in table["note"][2]
    assert table["note"][3] == "not served: needs a w space" and table["front"].isna()[3]
    assert table["pool_generator_calls"][0] == 110


def test_a_point_without_images_is_a_line_without_scores():
    dry = importance(80, 100.0, 0, 0, repeats=0)
    dry["note"] = "the pool holds images for 0 of 3 repeats"
    table = frontier_table([PANEL], [found([plain(0.5, 0.5), dry])])
    assert pd.isna(table["precision"][1]) and table["note"][1].startswith("the pool")
    assert not table["front"][1]


def test_the_best_point_keeps_its_share_of_the_other_metric():
    points = [
        plain(0.5, 0.5, 5.0),
        importance(50, 3.0, 0.6, 0.4, 4.0),
        importance(80, 9.0, 0.9, 0.1),
    ]
    points += [importance(20, 0.1, 0.4, 0.8, 9.0)]
    table = frontier_table([PANEL], [found(points)])
    assert best_point(table, "precision", 0.7)["tau_percent"] == 50
    assert best_point(table, "precision", 0.1)["tau_percent"] == 80
    assert best_point(table, "recall", 0.7)["tau_percent"] == 20
    assert best_point(table, "recall", 0.9)["method"] == "plain"
    assert best_point(table, "fid", 0.7)["tau_percent"] == 80  # FID 1


def test_tables_are_written_with_the_paper_beside(runs, tmp_path):
    reported = pd.read_csv(ROOT / "config/reported/pseudo_density.csv")
    grid = read("config/papers/pseudo_density.yaml")["fig4"]
    methods = ["style", "scale", "polarity", "drs", "dot"]
    extra = [{"method": "importance", "tau": 90, "w": 100.0}]
    points = frontier_points(grid, methods) + extra
    scores = found([scored(p, 0.5 + i / 100, 0.5 - i / 200) for i, p in enumerate(points)])
    rows = runs.table2_rows()
    table = table2(rows, [scores] * len(rows), 0.7)
    assert len(table) == 3 * len(rows) and table["choice_is_of_paper"].sum() == 18
    # Paper, Table 2.
    line = table[table["block"].eq("stylegan3-faces") & table["goal"].eq("fid")].iloc[0]
    assert (line["choice_tau_percent"], line["choice_w"]) == (50, 1.5)
    files = [tmp_path / f"table2.{kind}" for kind in ("csv", "md", "tex")]
    write_table2(table, *files, 0.7)
    rows = runs.table3_rows()
    table = table3(rows, [scores] * len(rows), reported)
    wanted = reported[reported["target"].eq("table3")]
    for metric in ("precision", "recall"):
        found_values = sorted(table[f"paper_{metric}"])
        assert found_values == sorted(wanted.loc[wanted["metric"].eq(metric), "value"])
    files += [tmp_path / f"table3.{kind}" for kind in ("csv", "md", "tex")]
    write_table3(table, *files[3:])
    for file in files:
        assert len(file.read_text()) > 500


def test_figures_are_drawn_the_same_each_time(tmp_path):
    kinds = frontier_points(
        read("config/papers/pseudo_density.yaml")["fig4"], ["style", "polarity"]
    )
    kinds += [{"method": "drs", "variant": "paper"}, {"method": "dot", "variant": "mended"}]
    points = [
        scored(p, 0.5 + i % 7 / 50, 0.5 - i / 200, 1 + i % 5, spread=0.01)
        for i, p in enumerate(kinds)
    ]
    panels = [PANEL | {"block": f"m{i}"} for i in range(5)]
    table = frontier_table(panels, [found(points)] * 5)
    for name in ("one.svg", "two.svg"):
        draw_frontiers(table, tmp_path / name, JUDGES)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    draw_methods(table[table["block"].eq("m0")], tmp_path / "three.svg", JUDGES)
    assert (
        b"FID" in (tmp_path / "three.svg").read_bytes() or (tmp_path / "three.svg").stat().st_size
    )


def external(**changes):
    config = read("config/config.yaml")
    model = {"title": "Mine", "architecture": "external", "latent_shape": [8]}
    source = {"file": __file__, "format": "torchscript", "sha256": None} | changes
    config["models"]["mine"] = model | {"pretraining": {"church": source}}
    return FrontierRuns(Plan(config, read("config/papers/pseudo_density.yaml")))


def test_an_external_generator_has_a_pool_and_a_frontier_of_its_own(runs):
    theirs = external()
    assert theirs.tasks["mine-church"].checkpoint.path == __file__
    assert "frontier/mine-church" in theirs.figures
    assert theirs.figure("fig4") == runs.figure("fig4")
    assert external(sha256="0" * 64).pools.keys() != theirs.pools.keys()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [({"file": "none.pt"}, "does not exist"), ({"format": "exported"}, "ends in .pt2")],
)
def test_a_wrong_file_is_refused_before_anything_runs(changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        external(**changes)


def test_a_method_that_a_model_cannot_serve_is_refused_before_anything_runs():
    config = read("config/config.yaml")
    config["frontier"]["methods"]["iddpm"] = ["drs"]
    with pytest.raises(ConfigError, match="drs is asked of iddpm.*needs a discriminator"):
        FrontierRuns(Plan(config, read("config/papers/pseudo_density.yaml")))
    config["frontier"]["methods"]["iddpm"] = []
    config["frontier"]["volumes"] = 10
    with pytest.raises(ConfigError, match="frontier.volumes is 10, fewer than frontier.images"):
        FrontierRuns(Plan(config, read("config/papers/pseudo_density.yaml")))
