"""Guidance beside its rivals: which points there are, what the table makes of scores, and the figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudodensity.artifacts import save_json
from pseudodensity.papers.low_density.guided import Guided
from pseudodensity.papers.low_density.rivals import Rivals
from pseudodensity.papers.low_density.rivals_figure import rivals_figure
from pseudodensity.papers.low_density.rivals_table import rivals_table
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import PALETTE, save
from pseudodensity.report.table import write_table

ROOT = Path(__file__).parents[2]
TITLES = {"plain": "plain", "held_out": "held-out reals", "control": "random direction"}
RIVALS = [
    "autoguidance",
    "self-guided minority sampling",
    "discriminator guidance",
    "particle guidance",
    "density guidance",
    "CADS",
]


def planned(rivals=None, **more) -> Plan:
    given = {"papers": {"low_density": {"rivals": rivals or {}} | more}}
    config = load_config(ROOT / "config/config.yaml", [], given)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def asked(plan: Plan) -> Rivals:
    grid = plan.papers["low_density"]
    return Rivals(Guided(plan, grid), grid["rivals"])


# ------------------------------------------------------------------------------------ the plan


@pytest.fixture(scope="module")
def default() -> Plan:
    return planned()


def test_every_rival_has_three_strengths_beside_the_controls(default):
    curves = asked(default).curves()
    counts = {title: len(points) for title, points in curves.items()}
    expected = {"plain": 2, "held-out reals": 1, "low-density guidance": 3, "random direction": 3}
    expected |= {"importance sampling": 3} | dict.fromkeys(RIVALS, 3)
    assert counts == expected and list(counts) == list(expected)
    steps = {title: {p.get("step") for p in points} for title, points in curves.items()}
    assert steps["plain"] == {"ancestral", "ddim"} and steps["density guidance"] == {"ddim"}
    assert all(steps[title] == {"ancestral"} for title in RIVALS if title != "density guidance")


def test_rivals_have_the_sampler_of_the_paper():
    curves = asked(planned(sampler={"step": "ddim", "steps": 25})).curves()
    points = [point for own in curves.values() for point in own if "steps" in point]
    assert {(point["step"], point["steps"]) for point in points} == {("ddim", 25)}
    assert len(curves["plain"]) == 1


def test_rows_are_paired_where_they_share_their_latents_with_the_plain_sampler(default):
    rivals = asked(default)
    rows = rivals.rows(rivals.guided.checkpoint)
    paired = {row["curve"] for row in rows if row["paired"]}
    assert paired == {"low-density guidance", "random direction", *RIVALS}
    assert rivals.passes_per_image == 50


def test_guided_sets_are_those_of_figure_4(default):
    """No image is made twice: the pools of the table's alphas are those of the figure."""
    rivals = asked(default)
    table = {row["pool"] for row in rivals.rows(rivals.guided.checkpoint)}
    checkpoint, points = rivals.guided.checkpoint, rivals.guided.fig4()
    figure = {row["pool"] for row in rivals.guided.sets.rows(checkpoint, points)}
    assert len(table & figure) == 2 + 2 * 3


def test_the_targets_are_planned_and_a_value_that_is_none_is_refused(default):
    assert {"low_density/table_rivals"} <= set(default.tables)
    assert default.figures["low_density/fig_rivals"].files() == [
        "results/low_density/table_rivals.csv"
    ]
    wrong = {"methods": {"autoguidance": {"weight": [0.5]}}}
    with pytest.raises(ConfigError, match="weight has 0.5: give a number from 1") as raised:
        asked(planned(wrong)).curves()
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------------ the table

NAMES = {"model": "A", "dataset": "b", "stands_for": None, "block": "a-b", "seed": 0}
GUIDED = {"step": "ancestral", "steps": 50}
POINTS = {
    "plain": [{"method": "low_density", "loss": None}],
    "held-out reals": [{"method": "held_out"}],
    "low-density guidance": [{"method": "low_density", "loss": "contrastive"}],
    "random direction": [
        {"method": "low_density", "loss": "random", "alpha": a} for a in (0.1, 0.3)
    ],
    "importance sampling": [{"method": "importance", "tau": 50, "w": 0.1}],
    "autoguidance": [{"method": "autoguidance", "weight": w} for w in (1.5, 2.0)],
}
# Hardness and precision of two repeats: the control's precision is .9 - .01 H in one, .1 more in the other.
HARDNESS = {
    "plain": [(0.0, 0.0)],
    "held-out reals": [(-5.0, -5.0)],
    "low-density guidance": [(15.0, 25.0)],
    "random direction": [(10.0, 20.0), (40.0, 40.0)],
    "importance sampling": [(15.0, 15.0)],
    "autoguidance": [(-10.0, -10.0), (20.0, 20.0)],
}
BETTER = {"low-density guidance": 0.05, "autoguidance": 0.1}


def scores(hardness, repeat, better):
    precision = 0.7 - 0.01 * hardness + 0.1 * repeat + better
    found = {"precision": precision, "recall": 0.5, "median_hardness": hardness}
    found |= {"hardness": hardness + 1, "hard": 0.4 + 0.01 * hardness, "memorisation_tail": 0.2}
    return found | {"rare_coverage": 0.3, "mean_density": hardness}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rows, lines = [], []
    for curve, points in POINTS.items():
        for point, hardness in zip(points, HARDNESS[curve], strict=True):
            own = point["method"] not in ("held_out", "importance")
            point = point | (GUIDED if own else {})
            repeats = [scores(h, r, BETTER.get(curve, 0)) for r, h in enumerate(hardness)]
            facts = {"generator_calls": 0 if point["method"] == "held_out" else 200, "note": ""}
            facts |= (
                {"network_passes": 148}
                if own
                else {"generator_calls": facts["generator_calls"] * 3}
            )
            label = f"{curve} {len(rows)}"
            lines.append({"pool": "p", "point": point, "label": label, "facts": facts})
            lines[-1] |= {"n": 100, "n_real": 300, "repeats": repeats}
            paired = own and curve != "plain"
            rows.append(NAMES | {"pool": "p", "point": point, "curve": curve, "paired": paired})
    path = tmp_path_factory.mktemp("scores") / "scores.json"
    save_json(path, {"settings": {"k": 3}, "rows": lines})
    settings = {"rows": rows, "passes_per_image": 50} | TITLES
    return rivals_table({"scores": [path]}, settings)


def test_precision_is_compared_at_the_hardness_of_the_random_direction(table):
    frame = table.frame.set_index("setting")
    found = frame.loc["low-density guidance 2"]
    assert found["matched"] == pytest.approx(0.05)
    assert found["matched_low"] == pytest.approx(0.05) == found["matched_high"]
    # Less hard than the control ever is: nothing; at its hardness: what was added.
    assert frame["matched"].isna()["autoguidance 6"]
    assert frame.loc["autoguidance 7", "matched"] == pytest.approx(0.1)
    for curve in ("plain", "held-out reals", "random direction", "importance sampling"):
        assert frame[frame["curve"] == curve]["matched"].isna().all(), curve


def test_calls_are_passes_of_an_image_that_is_kept(table):
    calls = table.frame.set_index("curve")["network_calls"]
    assert calls["plain"] == 148 and np.isnan(calls["held-out reals"])
    # 600 images of 50 passes were drawn for 200.
    assert calls["importance sampling"] == 150


def test_the_table_is_written_and_says_what_its_intervals_are_over(table, tmp_path):
    write_table(table, *(tmp_path / f"t.{kind}" for kind in ("csv", "md", "tex")))
    text = (tmp_path / "t.md").read_text()
    assert "over the repeats" in text and "coverage of the rare" in text and "+0.050" in text
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(table.frame) == 8


# ------------------------------------------------------------------------------------ the figure


def test_each_panel_is_a_curve_from_its_plain_sampler_on(table, tmp_path):
    csv = tmp_path / "t.csv"
    table.frame.to_csv(csv, index=False)
    settings = {"extractors": {"manifold": "judge", "hardness": "judge"}} | TITLES
    figure = rivals_figure({"table": csv}, settings)
    panels = {
        axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")
    }
    assert set(panels) == {"low-density guidance", "importance sampling", "autoguidance"}
    plain = table.frame.iloc[0]
    for title, axes in panels.items():
        (own,) = (
            line.get_xydata()
            for line in axes.lines
            if (line.get_color(), line.get_linestyle()) == (PALETTE[0], "-")
        )
        assert own[0] == pytest.approx([plain["hard"], plain["precision"]])
        expected = table.frame[table.frame["curve"] == title][["hard", "precision"]].to_numpy()
        assert own[1:] == pytest.approx(expected)
    save(figure, tmp_path / "f.png")
    caption = next(text.get_text() for text in figure.texts if text.get_gid() == "caption")
    assert "n\u00a0=\u00a0100" in caption and "over the" in caption
