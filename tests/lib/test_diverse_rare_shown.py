"""The pictures of diverse rare samples: which rows they show, their boxes, and what their captions say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from pseudodensity.artifacts import save_npy
from pseudodensity.papers.diverse_rare.boxes import OUTSIDE, boxed
from pseudodensity.papers.diverse_rare.changed import changed, changed_pairs
from pseudodensity.papers.diverse_rare.drawn_figure import drawn_figure
from pseudodensity.papers.diverse_rare.drawn_table import drawn_table
from pseudodensity.papers.diverse_rare.likely_figure import likely_figure
from pseudodensity.papers.diverse_rare.measured.drawn_images import any_of, drawn_images
from pseudodensity.papers.diverse_rare.measured.searched_images import (
    rarest_first,
    searched_images,
    which_references,
)
from pseudodensity.papers.diverse_rare.shown_table import shown_table
from pseudodensity.papers.diverse_rare.variant_pairs_figure import variant_pairs_figure
from pseudodensity.papers.diverse_rare.variants_figure import variants_figure
from pseudodensity.papers.diverse_rare.weights_figure import weights_figure
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
NAN = math.nan
STAMP = {"kind": "made up"}
torch.set_num_threads(1)


# ------------------------------------------------------------------------------- which rows


def test_feasible_samples_come_first_by_falling_rarity_and_those_outside_last_of_their_kind():
    rarity = np.array([[1.0, 5, NAN, 3, 9, NAN], [2.0, 2, 4, NAN, 1, 0]])
    found = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    order = rarest_first(found, rarity)
    assert order.tolist() == [[1, 3, 0, 2, 4, 5], [2, 0, 1, 4, 5, 3]]


def test_likely_references_are_those_of_highest_density_and_first_ones_those_drawn_first():
    log_density = np.array([-3.0, -1, -2, -1])
    assert which_references(log_density, "likely", 0, 3).tolist() == [1, 3, 2]
    assert which_references(log_density, "first", 1, 2).tolist() == [1, 2]
    with pytest.raises(ValueError, match="references 3 to 4 are asked for, and 4") as error:
        which_references(log_density, "first", 3, 2)
    assert "\n" not in str(error.value)


def pool(folder: Path, name: str, greys, **columns) -> str:
    """A part of a pool whose images (n, 3, 4, 4) have one grey each."""
    (folder / name).mkdir()
    greys = np.asarray(greys, np.uint8)
    save_npy(folder / name / "images.npy", flat(greys, 4))
    described = {"density": np.ones(len(greys), np.float32), **columns}
    path = folder / name / "described.safetensors"
    save_tensors(path, described, STAMP, {"calls": 1, "facts": {}})
    return str(path)


def flat(greys, side: int = 16) -> np.ndarray:
    greys = np.asarray(greys, np.uint8)
    return np.broadcast_to(greys[..., None, None, None], (*greys.shape, 3, side, side)).copy()


@pytest.fixture
def searches(tmp_path) -> dict[str, object]:
    """Two searches around four references, two samples of each, the grey of a sample its row."""
    inputs: dict[str, object] = {"references": [pool(tmp_path, "plain", [100, 101, 102, 103])]}
    for i in range(2):
        start = 10 * i
        inputs[f"made_{i}"] = [
            pool(tmp_path, f"made{i}a", start + np.arange(3)),
            pool(tmp_path, f"made{i}b", start + np.arange(3, 8)),
        ]
        around = {
            "found": np.array([1, 1, 0, 1, 1, 1, 1, 1], np.float32),
            "step": np.arange(8, dtype=np.float32),
            "distance": np.arange(8.0) + i,
            "limit": np.full(8, 2.0),
            "log_density": -np.arange(8.0),
            "reference_log_density": np.repeat([-4.0, -1, -2, -3], 2),
            "judge_rarity": np.array([1.0, 2, 9, 3, NAN, 4, 5, 5]),
            "judge_reference_rarity": np.array([0.5, NAN, 0.7, 0.8]),
        }
        path = tmp_path / f"around{i}.safetensors"
        save_tensors(path, around, STAMP, {})
        inputs[f"around_{i}"] = str(path)
    return inputs


HOW = {"searches": 1, "samples": 2, "seed": 0, "start": 0}


def test_each_reference_is_kept_beside_its_own_samples_the_rarest_first(searches):
    settings = HOW | {"which": "first", "count": 3, "order": "rarest", "kept": 2}
    arrays, facts = searched_images(searches, settings)
    assert facts == {"of": 4}
    assert arrays["reference_images"][:, 0, 0, 0].tolist() == [100, 101, 102]
    # Of reference 1 the sample of rarity 9 was not feasible; of 2 the first one lies outside.
    assert arrays["sample"].tolist() == [[[1, 0], [3, 2], [5, 4]]]
    assert arrays["images"][0, :, :, 0, 0, 0].tolist() == arrays["sample"][0].tolist()
    assert arrays["found"].tolist() == [[[1, 1], [1, 0], [1, 1]]]
    assert arrays["nearness"][0, 1].tolist() == [1.5, 1.0]
    np.testing.assert_array_equal(arrays["reference_rarity"], [0.5, NAN, 0.7])


def test_searches_around_likely_references_show_the_first_sample_of_each(searches):
    settings = HOW | {"searches": 2, "which": "likely", "count": 2, "order": "drawn", "kept": 1}
    arrays, _ = searched_images(searches, settings)
    assert arrays["reference"].tolist() == [1, 2]
    assert arrays["reference_log_density"].tolist() == [-1, -2]
    assert arrays["sample"][:, :, 0].tolist() == [[2, 4], [2, 4]]
    assert arrays["images"][:, :, 0, 0, 0, 0].tolist() == [[2, 4], [12, 14]]


def test_drawn_images_are_any_of_those_that_a_method_takes_and_rarity_is_of_the_judge(tmp_path):
    # Real features 0, 1, 2 and 10 with k = 1: balls of radius 1 about 0, 1, 2, and of 8 about 10.
    save_npy(tmp_path / "real.npy", np.array([[0.0], [1], [2], [10]]))
    features = np.array([0.5, -3, 9, 30, 1, 1], np.float32)[:, None]
    described = pool(tmp_path, "plain", range(6), **{"features.judge": features})
    settings = {"point": {"method": "plain"}, "columns": [], "count": 4, "images": 4, "shown": 3}
    settings |= {"judge": "judge", "k": 1, "seed": 0}
    inputs = {"described": [described], "real": str(tmp_path / "real.npy")}
    arrays, facts = drawn_images(inputs, settings)
    rows = arrays["rows"]
    assert facts == {"unique": 3} and len(set(rows.tolist())) == 3 and rows.max() < 4
    assert arrays["images"][:, 0, 0, 0].tolist() == rows.tolist()
    expected = np.array([1.0, NAN, 8, NAN])[rows]
    np.testing.assert_allclose(arrays["rarity"], expected)
    with pytest.raises(ValueError, match="takes fewer than 5 of 4 proposals"):
        drawn_images(inputs, settings | {"images": 5})


def test_samples_of_a_repeat_are_drawn_from_all_of_it():
    rows = np.arange(50, 150)
    drawn = any_of(rows, 20, 3)
    assert len(set(drawn.tolist())) == 20 and set(drawn) <= set(rows) and drawn.max() > 100
    assert any_of(rows, 20, 3).tolist() == drawn.tolist() != any_of(rows, 20, 4).tolist()


# ------------------------------------------------------------------------------- boxes


def test_boxes_differ_in_colour_line_and_corner_and_hide_no_pixel_beside_the_corner():
    images = flat([50] * 4)
    outside, missed = np.array([0, 1, 0, 1], bool), np.array([0, 0, 1, 1], bool)
    made = boxed(images, outside, missed).transpose(0, 2, 3, 1)
    edge, side = 4, 96
    assert made.shape == (4, side + 2 * edge, side + 2 * edge, 3)
    assert (made[:, -edge - side // 2 : -edge, edge:-edge] == 50).all()
    red = np.round(np.array(to_rgb(OUTSIDE)) * 255)
    line = made[:, 1, edge:-edge]
    assert (line[0] == 255).all()
    assert (line[1] == red).all()
    share = [np.isclose(line[i], colour).all(-1).mean() for i, colour in ((2, 0), (3, red))]
    assert share[0] == pytest.approx(0.5, abs=0.1) and 0.5 < share[1] < 0.8
    corner = made[:, edge, edge]
    assert (corner[[1, 3]] == red).all() and (corner[[0, 2]] == 50).all()


# ------------------------------------------------------------------------------- attributes


NAMES, VALUES = ["hat", "hair", "pose"], [["no", "yes"], ["dark", "fair", "red"], ["front", "side"]]
SHARES = [np.array([0.95, 0.05]), np.array([0.6, 0.38, 0.02]), np.array([0.7, 0.3])]


def test_changes_are_named_rarest_first_and_the_new_value_says_whether_they_are_rare():
    assert changed([0, 0, 1], [0, 0, 1], NAMES, VALUES, SHARES) == []
    found = changed([0, 0, 0], [1, 2, 1], NAMES, VALUES, SHARES)
    assert found == [
        ("hair dark → red", True),
        ("hat no → yes", True),
        ("pose front → side", False),
    ]
    assert changed([1, 2, 0], [0, 1, 0], NAMES, VALUES, SHARES) == [
        ("hair red → fair", False),
        ("hat yes → no", False),
    ]


def test_a_value_of_a_tenth_is_rare_and_lengths_must_agree():
    shares = [np.array([0.9, 0.1]), np.array([0.89, 0.11])]
    found = changed([0, 0], [1, 1], ["a", "b"], [["0", "1"]] * 2, shares)
    assert found == [("a 0 → 1", True), ("b 0 → 1", False)]
    with pytest.raises(ValueError):
        changed([0], [1, 1], ["a", "b"], [["0", "1"]] * 2, shares)


@pytest.fixture
def attributes(tmp_path) -> str:
    """References of which none has a hat, and samples of which the odd ones have one."""
    sets = {"set_0": np.zeros((40, 3), int), "set_1": np.zeros((100, 3), int)}
    sets["set_1"][1::2, 0] = 1
    arrays = sets | {f"law_{j}": np.log(each) for j, each in enumerate(SHARES)}
    path = tmp_path / "attributes.safetensors"
    facts = {"names": NAMES, "values": VALUES, "sets": ["references", "search"]}
    save_tensors(path, arrays, STAMP, facts)
    return str(path)


def test_pairs_are_looked_up_in_their_own_sets(attributes):
    sets = ["references", "search"]
    found = changed_pairs(attributes, sets, np.array([0, 3]), np.array([8, 33]))
    assert found == [[], [("hat no → yes", True)]]
    with pytest.raises(ValueError, match="has attributes of references, search, none of pick"):
        changed_pairs(attributes, ["references", "pick"], np.array([0]), np.array([0]))


# ------------------------------------------------------------------------------- figures and tables

PANEL = {"block": "b", "model": "StyleGAN2", "dataset": "faces", "stands_for": "FFHQ", "seed": 3}
PANEL |= {"judge": "judge_cnn", "k": 3, "extractor": "backbone_cnn", "samples": 10, "steps": 50}


def searched(folder: Path, name: str, greys, rarity, found=None) -> str:
    """greys, rarity (s, r, v); references have greys 200, 201, ..."""
    greys, rarity = np.asarray(greys), np.asarray(rarity, float)
    count = greys.shape[1]
    arrays = {
        "images": flat(greys),
        "sample": greys.astype(np.int64),
        "rarity": rarity,
        "found": np.ones(greys.shape) if found is None else np.asarray(found, float),
        "step": np.full(greys.shape, 7.0),
        "log_density": np.full(greys.shape, -90.0),
        "nearness": np.full(greys.shape, 0.25),
        "reference_images": flat(200 + np.arange(count)),
        "reference": np.arange(count),
        "reference_rarity": np.arange(count) + 1.5,
        "reference_log_density": np.full(count, -60.0),
    }
    path = folder / f"{name}.safetensors"
    save_tensors(path, arrays, STAMP, {"of": 40})
    return str(path)


def greys_of(axes) -> list[list[int]]:
    """Greys in the middle of the images of a panel, line by line."""
    pixels = np.asarray(axes.images[0].get_array())
    side = 104  # and 4 from one to the next
    across = -(-pixels.shape[1] // (side + 4))
    ticks = axes.get_yticks()
    if len(ticks):
        down = [int(y) for y in ticks]
    else:
        down = list(range(side // 2, pixels.shape[0], side + 4))
    return [[int(pixels[y, side // 2 + x * (side + 4), 0]) for x in range(across)] for y in down]


def words(figure) -> str:
    text = " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))
    return text.replace("\u00a0", " ")


def has_all(told: str) -> bool:
    wanted = ["training seed 3", "k = 3", "judge_cnn", "backbone_cnn", "N = 10", "of 40 references"]
    return all(each in told for each in wanted)


def test_variants_stand_in_the_line_of_their_reference(tmp_path):
    greys, rarity = [[[1, 2, 3], [4, 5, 6]]], [[[9, 8, 7], [6, NAN, 5]]]
    path = searched(tmp_path, "a", greys, rarity, [[[1, 1, 1], [1, 1, 0]]])
    figure = variants_figure({"sets": [path]}, {"panels": [PANEL], "cell": 0.6})
    assert greys_of(figure.axes[0]) == [[200, 1, 2, 3], [201, 4, 5, 6]]
    below = [text.get_text() for text in figure.axes[0].texts][:8]
    assert below == ["1.5", "9", "8", "7", "2.5", "6", "outside", "5"]
    told = words(figure)
    assert (
        has_all(told) and "n = 2 of 40" in told and "StyleGAN2 on faces (stands for FFHQ)" in told
    )


def test_each_pair_says_what_became_of_its_rarity_and_which_attributes_changed(
    tmp_path, attributes
):
    path = searched(tmp_path, "a", [[[10], [11], [13]]], [[[9], [NAN], [7]]])
    inputs, settings = {"sets": [path]}, {"panels": [PANEL], "cell": 0.6, "across": 2}
    figure = variant_pairs_figure(inputs, settings)
    pairs = [axes for axes in figure.axes if axes.images]
    assert [greys_of(axes) for axes in pairs] == [[[200, 10]], [[201, 11]], [[202, 13]]]
    told = words(figure)
    assert "1.5 → 9, 0.25 d*" in told and "2.5 → outside, 0.25 d*" in told
    assert has_all(told) and "hat no" not in told and "bold" not in told
    settings |= {"attribute_sets": ["references", "search"]}
    figure = variant_pairs_figure(inputs | {"attributes": [attributes]}, settings)
    hats = [
        [text.get_text() for text in axes.texts if text.get_weight() == "bold"]
        for axes in figure.axes
    ]
    assert hats == [[], ["hat no → yes"], ["hat no → yes"], []]
    assert "bold where at most 10% of the data" in words(figure)


def test_likely_references_and_what_was_searched_stand_in_the_same_place(tmp_path):
    first = searched(tmp_path, "a", [[[1], [2], [3], [4]]], [[[4], [6], [NAN], [8]]])
    second = searched(tmp_path, "b", [[[7]]], [[[5]]], [[[0]]])
    other = PANEL | {"model": "StyleGAN3"}
    figure = likely_figure({"sets": [first, second]}, {"panels": [PANEL, other]})
    shown = [greys_of(axes) for axes in figure.axes]
    assert shown == [[[200, 201], [202, 203]], [[1, 2], [3, 4]], [[200]], [[7]]]
    told = words(figure)
    assert "mean rarity 6, 1 outside, 4 of 4 feasible" in told and "0 of 1 feasible" in told
    assert has_all(told) and "n = 4 of 40 and n = 1 of 40" in told and "2 models" in told


def test_weights_have_similarity_downwards_and_diversity_to_the_right(tmp_path):
    greys = np.arange(1, 13).reshape(6, 1, 2)
    path = searched(tmp_path, "a", greys, greys.astype(float))
    settings = {"panels": [PANEL], "similarity": [3.0, 30.0], "diversity": [0.0, 0.1, 1.0]}
    settings |= {"cells": [[0, 1, 2], [3, 4, 5]]}
    figure = weights_figure({"sets": [path]}, settings)
    shown = [greys_of(axes)[0] for axes in figure.axes]
    assert shown == [[200], [1, 2], [3, 4], [5, 6], [200], [7, 8], [9, 10], [11, 12]]
    told = words(figure)
    assert "λ1 = 30" in told and "λ2 = 0.1" in told and "mean rarity 5.5, 2 of 2 found" in told
    assert has_all(told)


def test_the_table_of_a_picture_has_a_line_for_each_sample(tmp_path):
    path = searched(tmp_path, "a", [[[1, 2], [4, 5]]], [[[9, 8], [6, NAN]]], [[[1, 1], [1, 0]]])
    settings = {"title": "Figure 1", "panels": [PANEL], "points": [["rare search"]]}
    frame = shown_table({"sets": [path]}, settings).frame
    assert frame["sample"].tolist() == [1, 2, 4, 5] and frame["reference"].tolist() == [0, 0, 1, 1]
    assert frame["found"].tolist() == [True, True, True, False]
    np.testing.assert_array_equal(frame["rarity"], [9, 8, 6, NAN])
    assert frame["reference_rarity"].tolist() == [1.5, 1.5, 2.5, 2.5]
    assert set(frame["nearness"]) == {0.25}


def test_methods_have_a_panel_each_with_boxes_around_what_lies_outside(tmp_path):
    sets = []
    for i, rarity in enumerate(([1.0, NAN, 3, 4], [NAN, NAN, 1, 2])):
        arrays = {"images": flat(10 * i + np.arange(4)), "rows": np.array([5, 6, 6, 7])}
        path = tmp_path / f"{i}.safetensors"
        save_tensors(path, arrays | {"rarity": np.array(rarity)}, STAMP, {"unique": 3})
        sets.append(str(path))
    panels = [PANEL | {"label": "plain"}, PANEL | {"label": "polarity 5"}]
    settings = {"title": "Figure 13", "panels": panels, "across": 2, "columns": 2, "cell": 2.0}
    figure = drawn_figure({"sets": sets}, settings | {"extractor": "backbone_cnn"})
    assert [greys_of(axes) for axes in figure.axes] == [
        [[0, 1], [2, 3]],
        [[10, 11], [12, 13]],
    ]
    edge = np.asarray(figure.axes[0].images[0].get_array())[1, :, 0]
    assert (edge[:104] == 255).all() and (edge[108:] == round(to_rgb(OUTSIDE)[0] * 255)).all()
    told = words(figure)
    assert "Plain" in told and "1 of 4 outside, 3 different images" in told
    assert all(each in told for each in ("n = 4", "k = 3", "judge_cnn", "training seed 3"))
    assert "Searched in features of backbone_cnn" in told
    table = drawn_table({"sets": sets}, settings)
    assert table.frame["outside"].sum() == 3 and len(table.frame) == 8
    assert table.summary.frame["share"].tolist() == [0.25, 0.5]


# ------------------------------------------------------------------------------- the plan


def planned(**given) -> Plan:
    overlay = {"papers": {"diverse_rare": given}}
    config = load_config(ROOT / "config/config.yaml", (), overlay)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def plan() -> Plan:
    small = [{"model": "stylegan2_ada", "dataset": "digits"}]
    weights = {"similarity": [3.0, 30.0], "diversity": [0.0, 0.002, 0.02]}
    return planned(small=small, table9=weights)


NAMES_OF = [f"fig{i}" for i in (1, 4, 5, 7, 10, 11, 12, 13, 14, 15, 16, 17)]


@pytest.mark.parametrize("name", NAMES_OF)
def test_every_picture_has_a_table_of_the_same_experiments(plan, name):
    table, figure = (known[f"diverse_rare/{name}"] for known in (plan.tables, plan.figures))
    assert table.missing is None is figure.missing
    assert table.inputs["sets"] == figure.inputs["sets"]
    # Of pairs the figure tells what changed.
    pairs = name in ("fig4", "fig12", "fig7", "fig16")
    assert set(figure.inputs) == {"sets"} | ({"attributes"} if pairs else set())


def settings_of(plan: Plan, name: str) -> list[dict]:
    return [a.spec["settings"] for a in plan.figures[f"diverse_rare/{name}"].inputs["sets"]]


@pytest.mark.parametrize(
    "names", [("fig1", "fig5", "fig11", "fig4", "fig12"), ("fig14", "fig7", "fig16")]
)
def test_figures_of_one_model_go_on_where_the_one_before_ends(plan, names):
    end = 0
    for name in names:
        (own,) = settings_of(plan, name)
        assert own["start"] == end and own["order"] == "rarest"
        assert own["kept"] == (1 if name in ("fig4", "fig12", "fig7", "fig16") else own["samples"])
        end += own["count"]


def test_cells_of_figure_10_are_the_searches_of_their_weights(plan):
    figure = plan.figures["diverse_rare/fig10"]
    (made,) = figure.inputs["sets"]
    points = [made.needs[f"made_{i}"][0].spec["point"] for i in range(6)]
    for similarity, line in zip(
        figure.settings["similarity"], figure.settings["cells"], strict=True
    ):
        for diversity, cell in zip(figure.settings["diversity"], line, strict=True):
            assert (points[cell]["similarity"], points[cell]["diversity"]) == (
                similarity,
                diversity,
            )


def test_pools_and_volumes_are_those_of_the_tables(plan):
    (first,) = plan.figures["diverse_rare/fig1"].inputs["sets"]
    made = plan.figures["diverse_rare/fig13"].inputs["sets"]
    kinds = ("references", "made_0", "references", "references")
    for own, kind in zip(made, kinds, strict=True):
        # Volumes go on in the same pool.
        assert own.needs["described"][0] is first.needs[kind][0]
    plain, search, *polarity = (a.spec["settings"] for a in made)
    assert search["images"] == 2500 == plain["images"]
    assert [own["point"]["polarity"] for own in polarity] == [1.0, 5.0]
    assert {own["count"] for own in polarity} == {40_000}
    replaced = [own["point"]["replacement"] for own in settings_of(plan, "fig15")]
    assert replaced == [False, False, True, True]


@pytest.fixture(scope="module")
def refused() -> Plan:
    shown = {"pairs": {"fig12": 400}, "variants": {"fig11": 400, "fig5": 300}}
    return planned(small=[], shown=shown | {"fig10": {"samples": 11}})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("fig14", "papers.diverse_rare.small names no model"),
        ("fig18", "papers.diverse_rare.small names 0 of the models"),
        ("fig12", "shown.fig12 asks for references 714 to 1113 of stylegan2, and 1000 are"),
        ("fig10", "shown.fig10 asks for 11 samples of a reference"),
    ],
)
def test_what_cannot_be_shown_says_why(refused, name, told):
    missing = refused.tables[f"diverse_rare/{name}"].missing
    assert told in missing and "\n" not in missing


def test_a_figure_of_the_second_small_model_needs_two(plan):
    assert "small names 1 of the models" in plan.figures["diverse_rare/fig18"].missing


def test_without_a_small_model_figure_17_has_the_main_one(refused):
    (own,) = settings_of(refused, "fig17")
    assert own["which"] == "likely" and own["count"] == 100
