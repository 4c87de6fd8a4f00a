"""The pictures of low-density diffusion: what their arrays hold, and what is said where H' was refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.text import Text

from pseudodensity.artifacts import save_json
from pseudodensity.control.guide.low_density_sampling import FEW_PUSHES, NO_PUSH
from pseudodensity.papers.low_density.fig1_figure import fig1_figure
from pseudodensity.papers.low_density.fig3_figure import fig3_figure
from pseudodensity.papers.low_density.fig4_figure import fig4_figure
from pseudodensity.papers.low_density.fig10_figure import fig10_figure
from pseudodensity.papers.low_density.fig15 import fig15
from pseudodensity.papers.low_density.fig15_figure import fig15_figure
from pseudodensity.papers.low_density.pairs_figure import pairs_figure
from pseudodensity.papers.low_density.refusal import refusal_of, told_of_beta
from pseudodensity.papers.low_density.same_seeds_table import hardness_lines, same_seeds_table
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.table import write_table
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([math.nan, "", "one repeat"], ""),
        (
            [math.nan, f"beta 1 {NO_PUSH}: it is at chance"],
            "H' was refused, so that beta does nothing here: it is at chance.",
        ),
    ],
)
def test_a_caption_says_why_a_classifier_was_refused(notes, told):
    assert refusal_of(notes) == told_of_beta(notes) == told


def test_a_caption_says_in_how_few_steps_beta_pushed():
    notes = ["", f"beta 1 {FEW_PUSHES} 2 of 4 steps: it is at chance"]
    assert refusal_of(notes) == ""
    assert told_of_beta(notes) == "Beta 1 pushed in 2 of 4 steps: it is at chance."
    refused = [*notes, f"beta 2 {NO_PUSH}: it overfits"]
    assert told_of_beta(refused) == refusal_of(refused) != ""


# ------------------------------------------------------------------------------- what is measured


HARDNESS = np.array(
    [[[1.0, 3], [5, 7]], [[2.0, 6], [5, 15]]]
)  # (plain, guided), 2 classes, 2 images


def test_lines_are_means_and_changes_on_the_same_seeds():
    lines = list(hardness_lines(HARDNESS, ["plain", "guided"], [4, 9], limit=4.5))
    assert [(line["row"], line["class"], line["n"]) for line in lines] == [
        (row, label, n) for row in (0, 1) for label, n in (("all", 4), ("4", 2), ("9", 2))
    ]
    assert [line["hardness"] for line in lines] == [4, 2, 6, 7, 4, 10]
    assert [line["harder"] for line in lines] == [0.5, 0, 1, 0.75, 0.5, 1]
    assert all(math.isnan(line["change"]) for line in lines[:3])
    # Of class 4 the changes are 1 and 3: mean 2, standard error 1, Student's t of one degree 12.706.
    changed = lines[4]
    assert changed["change"] == 2
    assert changed["change_low"] == pytest.approx(2 - 12.706, abs=1e-3)
    assert changed["change_high"] == pytest.approx(2 + 12.706, abs=1e-3)


def test_nothing_is_compared_without_a_plain_row_and_what_was_chosen_has_no_interval():
    lines = list(hardness_lines(HARDNESS, ["dense", "sparse"], [4, 9], 4.5, chosen=[1]))
    assert all(math.isnan(line["change"]) for line in lines)
    assert [math.isnan(line["hardness_low"]) for line in lines] == [False] * 3 + [True] * 3


# ------------------------------------------------------------------------------- tables and figures

PANEL = {"block": "b", "model": "ADM", "dataset": "digits", "stands_for": None, "judge": "judge"}
ALONE = {"loss": "contrastive", "alpha": 0.3, "beta": 0}
BOTH = ALONE | {"beta": 0.5}
REFUSED = f"beta 0.5 {NO_PUSH}: it knows nothing"


def flat(values) -> np.ndarray:
    """Images (..., 3, 16, 16) of one grey each."""
    greys = np.asarray(values, np.uint8)
    return np.broadcast_to(greys[..., None, None, None], (*greys.shape, 3, 16, 16)).copy()


def experiment(folder, name, greys, hardness=None, **facts):
    arrays = {"images": flat(greys)}
    arrays["hardness"] = np.asarray(greys, float) if hardness is None else hardness
    path = folder / f"{name}.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, {"limit": 5.0, **facts})
    return path


def shown(figure, panel: int = 0) -> np.ndarray:
    """Greys (lines, columns) in the middle of the images of a panel."""
    pixels = np.asarray(figure.axes[panel].images[0].get_array())[..., 0]
    side = 16 * 6  # 96 pixels an image, 100 from one to the next
    across = -(-pixels.shape[1] // 100)
    down = [y for y in figure.axes[panel].get_yticks()] or [side / 2]
    columns = [int(100 * i + side / 2) for i in range(across)]
    return pixels[np.ix_([int(y) for y in down], columns)]


def words(figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def test_figure_3_has_alpha_downwards_and_beta_to_the_right_and_says_what_was_refused(tmp_path):
    greys = [[[10], [20]], [[30], [40]], [[50], [60]], [[70], [80]]]  # points, classes, one image
    path = experiment(tmp_path, "a", greys, notes=["", "", REFUSED, ""])
    settings = {"panels": [PANEL], "classes": [3, 8], "alpha": [0, 0.3], "beta": [0, 0.5]}
    settings |= {"loss": "contrastive", "cells": [[0, 2, 0], [1, 2, 3]]}
    figure = fig3_figure({"sets": [path]}, settings)
    assert shown(figure, 0).tolist() == [[10, 50, 10], [30, 50, 70]]
    assert shown(figure, 1).tolist() == [[20, 60, 20], [40, 60, 80]]
    heads = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert heads == ["β = 0", "β = 0.5\n(refused)", "random\ndirection"]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["α = 0", "α = 0.3"]
    assert "so that beta does nothing here: it knows nothing." in words(figure)


def test_figure_10_has_a_line_for_each_class_with_its_hardness(tmp_path):
    greys = [[[10], [20]], [[30], [40]], [[50], [60]]]
    path = experiment(tmp_path, "a", greys)
    settings = {"panels": [PANEL], "classes": [3, 8], "alpha": [0, 0.3]}
    settings |= {"losses": ["contrastive", "random"], "cells": [[0, 1], [0, 2]]}
    figure = fig10_figure({"sets": [path]}, settings)
    assert shown(figure, 0).tolist() == [[10, 30], [20, 40]]
    below = [text.get_text() for text in figure.axes[1].texts][:4]
    assert below == ["10", "50", "20", "60"]


@pytest.mark.parametrize("layout", ["beside", "above"])
def test_pairs_stand_in_the_same_place(tmp_path, layout):
    greys = np.arange(3 * 2 * 4).reshape(3, 2, 4) * 10  # samplers, classes, images
    path = experiment(tmp_path, "a", greys, notes=["", "", ""])
    settings = {"panels": [PANEL], "names": [["plain", "guided", "random direction"]]}
    settings |= {"classes": [3, 8], "guided": ALONE, "layout": layout}
    figure = pairs_figure({"sets": [path]}, settings)
    if layout == "beside":
        assert shown(figure, 0).tolist() == greys[0].tolist()
        assert [axes.get_title(loc="left") for axes in figure.axes][1] == "Guided"
    else:
        assert shown(figure, 1).tolist() == greys[[1, 0, 2], 1].tolist()
        lines = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert lines == ["guided", "plain", "random\ndirection"]
    assert "contrastive, α = 0.3" in words(figure).replace("\u00a0", " ")


def figure_1(folder):
    sets = [
        experiment(folder, "reals", [[[1, 2]], [[8, 9]]], chosen=[0, 1]),
        experiment(folder, "samplers", [[[3, 4]], [[7, 9]]], notes=["", REFUSED]),
    ]
    settings = {"title": "Figure 1", "panels": [PANEL | {"model": "real images"}, PANEL]}
    settings |= {"names": [["reals, high", "reals, low"], ["plain", "guided"]], "classes": [3]}
    settings |= {"points": [[None, None], [None, BOTH]], "guided": BOTH, "shown": 1}
    return {"sets": sets}, settings


def test_figure_1_shows_the_first_images_and_the_mean_of_all(tmp_path):
    figure = fig1_figure(*figure_1(tmp_path))
    assert shown(figure).tolist() == [[1], [8], [3], [7]]
    lines = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert lines[0] == "reals, high\nmean H 2" and lines[3] == "guided\nmean H 8"
    assert "H' was refused" in words(figure) and "β = 0.5" in words(figure).replace("\u00a0", " ")


def test_the_table_of_a_picture_has_strengths_notes_and_changes(tmp_path):
    table = same_seeds_table(*figure_1(tmp_path))
    frame = table.frame
    assert len(frame) == 4 * 2 and list(frame["class"].unique()) == ["all", "3"]
    guided = frame[frame["sampler"].eq("guided")].iloc[0]
    assert guided["change"] == 4.5 and guided["beta"] == 0.5 and guided["note"] == REFUSED
    assert frame["model"].tolist()[:4] == ["real images"] * 4 and guided["model"] == "ADM"
    assert any("H' was refused" in note for note in table.notes)
    assert frame.loc[frame["sampler"].eq("reals, low"), "hardness_low"].isna().all()


# ------------------------------------------------------------------------------- smoothing


def smoothing_rows(folder):
    points = [
        {"method": "low_density", "loss": None, "alpha": 0, "beta": 0},
        {"method": "held_out"},
        {"method": "class_smoothing", "smoothing": 0.5},
        {"method": "class_smoothing", "smoothing": 1.0},
    ]
    scores = [
        [{"precision": p - 0.01, "recall": p, "median_hardness": 9, "hard": p}]
        + [{"precision": p + 0.01, "recall": p, "median_hardness": 11, "hard": p}]
        for p in (0.8, 0.9, 0.6, 0.2)
    ]
    found = [
        {"pool": "p", "point": point, "label": point["method"], "n": 9, "n_real": 9}
        | {"facts": {}, "repeats": repeats}
        for point, repeats in zip(points, scores, strict=True)
    ]
    save_json(folder / "scores.json", {"settings": {"k": 3}, "rows": found})
    rows = [PANEL | {"seed": 0, "pool": "p", "point": point} for point in points]
    return {"scores": [folder / "scores.json"]}, {"rows": rows}


def test_figure_15_has_the_plain_sampler_at_no_smoothing(tmp_path):
    table = fig15(*smoothing_rows(tmp_path))
    frame = table.frame.set_index("setting")
    assert table.frame["smoothing"].tolist()[0] == 0
    assert math.isnan(frame.loc["held_out", "smoothing"])
    assert table.frame["smoothing"].tolist()[2:] == [0.5, 1]
    assert frame["precision"].tolist() == pytest.approx([0.8, 0.9, 0.6, 0.2])
    write_table(table, *(tmp_path / f"fig15.{end}" for end in ("csv", "md", "tex")))
    greys = np.arange(3 * 8).reshape(3, 8, 1)
    path = experiment(tmp_path, "a", greys)
    settings = {
        "classes": list(range(8)),
        "smoothing": [0.0, 0.5, 1.0],
        "extractors": {"manifold": "m"},
    }
    figure = fig15_figure({"samples": path, "table": tmp_path / "fig15.csv"}, settings)
    assert shown(figure).tolist() == greys[..., 0].tolist()
    curves = [line.get_xydata().tolist() for line in figure.axes[1].lines]
    assert [[0, 0.8], [0.5, 0.6], [1, 0.2]] in curves


# ------------------------------------------------------------------------------- the plan


def planned(**given):
    overlay = {"papers": {"low_density": {"shown": given}}}
    config = load_config(ROOT / "config/config.yaml", (), overlay)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planned()


NAMES = ("fig1", "fig3", "fig5", "fig6", "fig10", "fig15", "fig20", "fig21")


def test_every_picture_has_a_table(plan):
    for name in NAMES:
        for known in (plan.tables, plan.figures):
            assert known[f"low_density/{name}"].missing is None


def test_cells_of_figure_3_without_strength_are_the_plain_point(plan):
    target = plan.figures["low_density/fig3"]
    settings, (made,) = target.settings, target.inputs["sets"]
    asked = made.spec["settings"]["points"]
    plain = [
        cell
        for row, a in zip(settings["cells"], settings["alpha"], strict=True)
        if a == 0
        for cell in (row[0], row[-1])
    ]
    assert plain == [0, 0] and asked[0]["auxiliaries"] == []
    strengths = [
        [(asked[c]["alpha"], asked[c]["beta"]) for c in row[:-1]] for row in settings["cells"]
    ]
    assert strengths == [[(a, b) for b in settings["beta"]] for a in settings["alpha"]]
    assert {asked[row[-1]]["loss"] for row in settings["cells"][1:]} == {"random"}
    assert all(asked[row[-1]]["beta"] == 0 for row in settings["cells"])
    assert {"noisy_embedder", "real_classifier"} < set(made.needs)


def test_every_picture_of_guidance_has_its_random_direction_at_the_same_strengths(plan):
    for name in ("fig1", "fig5", "fig6", "fig20", "fig21"):
        *_, made = plan.figures[f"low_density/{name}"].inputs["sets"]
        plain, guided, control = made.spec["settings"]["points"]
        assert plain["auxiliaries"] == [] and guided["loss"] != "random" == control["loss"]
        assert {k: v for k, v in guided.items() if k != "loss"} == {
            k: v for k, v in control.items() if k != "loss"
        }


def test_a_figure_is_of_the_block_of_its_role():
    """The model of one role has no classes: what it stands for cannot be made, the rest can."""
    plan = planned(roles={"imagenet": {"model": "adm", "dataset": "bedroom"}})
    for name, role in {"fig5": "imagenet", "fig21": "imagenet", "fig6": "cifar10"}.items():
        missing = plan.figures[f"low_density/{name}"].missing
        if role == "cifar10":
            assert missing is None
        else:
            assert missing.startswith(
                "config: papers.low_density.shown.roles.imagenet names adm, but"
            )
            assert "\n" not in missing


@pytest.mark.parametrize(
    ("given", "name", "told"),
    [
        (
            {"guided": {"loss": "random"}},
            "fig5",
            "shown.guided.loss is 'random', which is its control",
        ),
        (
            {"fig1": {"gan": "stylegan2"}},
            "fig1",
            "shown.fig1.gan is 'stylegan2', which has no classes",
        ),
    ],
)
def test_what_cannot_be_shown_says_why(given, name, told):
    missing = planned(**given).tables[f"low_density/{name}"].missing
    assert told in missing and "\n" not in missing


def test_without_a_gan_figure_1_has_the_other_rows():
    target = planned(fig1={"gan": None}).figures["low_density/fig1"]
    assert len(target.inputs["sets"]) == 2 and len(target.settings["names"]) == 2


# ------------------------------------------------------------------------------- figure 4


@pytest.mark.parametrize("note", ["", REFUSED])
def test_figure_4_draws_beta_only_where_it_pushed(tmp_path, note):
    lines = [
        {"method": "low_density", "loss": None, "alpha": 0, "beta": 0},
        {"method": "held_out"},
        {"method": "low_density", **ALONE, "alpha": 0.3},
        {"method": "low_density", **BOTH, "alpha": 0.3, "note": note},
    ]
    common = PANEL | {"n": 9, "repeats": 2, "k": 3, "seed": 0, "precision": 0.5}
    frame = pd.DataFrame([common | line | {"median_hardness": i} for i, line in enumerate(lines)])
    frame.to_csv(tmp_path / "fig4.csv", index=False)
    figure = fig4_figure({"table": tmp_path / "fig4.csv"}, {"extractors": {"manifold": "m"}})
    said = words(figure)
    assert ("with beta" in said) == (not note)
    assert ("H' was refused, so that beta does nothing here: it knows nothing." in said) == bool(
        note
    )
