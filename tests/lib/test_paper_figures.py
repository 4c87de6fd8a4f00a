"""Figures of the main paper: what they say and show, for any methods and with gaps in the table."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text

from pseudodensity.artifacts import ArtifactError, save_npy
from pseudodensity.papers.pseudo_density.likelihood_figure import likelihood
from pseudodensity.papers.pseudo_density.sample_figures import extremes, perturbation
from pseudodensity.papers.pseudo_density.table1_figure import samples_and_trade_off
from pseudodensity.report import density_figure, frontier_figures
from pseudodensity.report.density_figure import density_extremes
from pseudodensity.report.drawing import GREY, save
from pseudodensity.report.frontier_figures import (
    methods_of_one_model,
    precision_recall,
)
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

SETTINGS = {
    "methods": {
        "plain": "plain model",
        "importance": "importance sampling",
        "polarity": "polarity sampling",
        "drs": "DRS",
        "held_out": "held-out real images",
    },
    "controls": ["plain", "held_out"],
    "extractors": {"manifold": "the judge", "frechet": "the other judge"},
}


def words(figure):
    """All that is written on a figure, in order of the axes."""
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    return [text.get_text().replace("\u00a0", " ") for text in found]


def caption(figure):
    (text,) = (text for text in figure.texts if text.get_gid() == "caption")
    return text.get_text().replace("\u00a0", " ").replace("\n", " ")


def assert_tidy(figure):
    """Every text lies on the page, and none over another."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    unseen = {
        label
        for axes in figure.findobj(Axes)
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    drawn = [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t not in unseen]
    for text, box in drawn:
        inside = box.x0 > -1 and box.y0 > -1 and box.x1 < figure.bbox.x1 + 1
        assert inside and box.y1 < figure.bbox.y1 + 1, f"{text!r} is cut off"
    for (one, a), (other, b) in itertools.combinations(drawn, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 2 or down < 2, f"{one!r} lies over {other!r}"


# ---------------------------------------------------------------- frontiers


def line(block, method, precision, recall, **more):
    scores = {"precision": precision, "recall": recall, "fid": 5 + precision}
    known = {"block": block, "model": "ProjectedGAN", "stands_for": "FFHQ"}
    known |= {"dataset": "handwritten digits (scikit-learn)"}
    known |= {"seed": 0, "method": method, "setting": f"{method} setting"}
    known |= dict.fromkeys(["tau_percent", "w", "polarity", "replacement", "variant"])
    known |= {k: v for k, v in more.items() if k in known}
    for name, value in scores.items():
        known |= {name: value, f"{name}_low": value - 0.01, f"{name}_high": value + 0.01}
    known |= {"front": True, "n": 1000, "repeats": 3, "n_real": 5000, "k": 3}
    return known | {k: v for k, v in more.items() if k in known}


def lines_of(block):
    lines = [line(block, "plain", 0.55, 0.45), line(block, "held_out", 0.9, 0.88)]
    for tau, w in itertools.product((20, 80), (0.1, 3.0, 33.0)):
        step = np.log(w) / 20 * (tau / 50)
        place = (0.55 + step, 0.45 - step)
        lines.append(line(block, "importance", *place, tau_percent=tau, w=w, front=tau == 80))
    for replacement, polarity in itertools.product((False, True), (-0.1, 0.1)):
        more = {"polarity": polarity, "replacement": replacement, "front": False}
        lines.append(line(block, "polarity", 0.5 - polarity, 0.4 + polarity, **more))
    for variant in ("paper", "mended"):
        more = {"variant": variant, "setting": f"DRS, {variant} words"}
        lines.append(line(block, "drs", 0.58, 0.43, **more))
    return lines


def write(folder, lines, name="table.csv"):
    pd.DataFrame(lines).to_csv(folder / name, index=False)
    return {"table": str(folder / name)}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_frontier_has_a_panel_per_model_and_each_method_once_in_the_legend(tmp_path, count):
    blocks = [f"block{i}" for i in range(count)]
    table = [x for block in blocks for x in lines_of(block)]
    figure = precision_recall(write(tmp_path, table), SETTINGS)
    assert_tidy(figure)
    found = words(figure)
    for title in SETTINGS["methods"].values():
        assert found.count(title) == 1
    titles = [text.replace("\n", " ") for text in found]
    assert titles.count("ProjectedGAN on handwritten digits (scikit-learn)") == count
    assert found.count("stands for FFHQ") == count
    said = caption(figure)
    assert "n = 1,000 generated against 5,000 real" in said and "k = 3 neighbours" in said
    assert "training seeds: 0" in said and "features of the judge" in said
    assert "importance sampling: tau 20 % → tau 80 %" in said
    assert "polarity sampling: without replacement → with replacement" in said
    assert "DRS: mended words → paper words" in said


def test_a_front_joins_the_points_of_the_table_that_are_on_it(tmp_path):
    figure = precision_recall(write(tmp_path, lines_of("a")), SETTINGS)
    fronts = {
        drawn.get_gid(): drawn.get_xydata()
        for drawn in figure.axes[0].lines
        if str(drawn.get_gid()).startswith("front")
    }
    assert set(fronts) == {"front importance", "front polarity", "front drs"}
    steps = np.log([33.0, 3.0, 0.1]) / 20 * 1.6
    ours = np.stack([0.45 - steps, 0.55 + steps], axis=1)
    expected = np.insert(ours, 2, [0.45, 0.55], axis=0)  # the plain model is on it
    np.testing.assert_allclose(fronts["front importance"].astype(float), expected, atol=1e-6)
    # No point of polarity is on a front: the plain model is all that is left.
    assert len(fronts["front polarity"]) == 1


def test_a_front_leaves_out_a_plain_model_that_is_beaten(tmp_path):
    table = [line("a", "plain", 0.5, 0.4), line("a", "importance", 0.6, 0.45, w=3.0)]
    figure = precision_recall(write(tmp_path, table), SETTINGS)
    (front,) = (x for x in figure.axes[0].lines if x.get_gid() == "front importance")
    np.testing.assert_allclose(front.get_xydata().astype(float), [[0.45, 0.6]])


def test_references_do_not_set_the_scale_and_cover_no_point(tmp_path):
    figure = precision_recall(write(tmp_path, lines_of("a")), SETTINGS)
    axes = figure.axes[0]
    (inset,) = axes.child_axes
    assert axes.get_ylim()[1] < 0.9 and inset.get_ylim() == inset.get_xlim() == (0, 1.05)
    colours = {to_hex(c) for marks in inset.collections for c in marks.get_facecolors()}
    assert colours == {GREY, "#000000"}
    table = pd.DataFrame(lines_of("a"))
    own = table.loc[table["method"].ne("held_out"), ["recall", "precision"]]
    places = axes.transAxes.inverted().transform(axes.transData.transform(own))
    assert ((places > 0) & (places < 1)).all()
    corner = axes.transAxes.inverted().transform(inset.get_window_extent())
    assert not (places > corner[0]).all(axis=1).any()


def test_without_references_there_is_no_inset(tmp_path):
    table = [x for x in lines_of("a") if x["method"] != "held_out"]
    figure = precision_recall(write(tmp_path, table), SETTINGS)
    assert not figure.axes[0].child_axes and "reference" not in caption(figure)


def test_methods_and_gaps_that_nobody_foresaw_are_drawn(tmp_path):
    table = lines_of("a")
    table += [line("a", "brand_new", 0.5, 0.5, w=w) for w in (1.0, 2.0)]
    table.append({"block": "a", "method": "style", "setting": "style", "note": "not served"})
    table.append(line("a", "drs", 0.5, 0.4, variant="x") | {"precision_low": None, "fid": None})
    inputs = write(tmp_path, table)
    figure = precision_recall(inputs, SETTINGS)
    assert words(figure).count("brand new") == 1 and "style" not in words(figure)
    assert_tidy(methods_of_one_model(inputs, SETTINGS))


def test_a_table_without_a_measured_point_is_refused(tmp_path):
    inputs = write(tmp_path, [line("a", "plain", 0.5, 0.5) | {"precision": None}])
    with pytest.raises(ValueError, match="no point with precision and recall"):
        precision_recall(inputs, SETTINGS)


def test_figure_6_has_a_line_per_series_in_the_order_of_the_methods(tmp_path):
    inputs = write(tmp_path, lines_of("a"))
    figure = methods_of_one_model(inputs, SETTINGS)
    assert_tidy(figure)
    strips = figure.axes[1]
    assert [label.get_text() for label in strips.get_yticklabels()] == [
        "plain model",
        "importance sampling, tau 20 %",
        "importance sampling, tau 80 %",
        "polarity sampling, without replacement",
        "polarity sampling, with replacement",
        "DRS, mended words",
        "DRS, paper words",
        "held-out real images",
    ]
    assert strips.get_yticks().tolist() == [0, -1, -2, -3, -4, -5, -6, -7]
    marks = np.concatenate([marks.get_offsets() for marks in strips.collections])
    assert sorted(marks[marks[:, 1] == -2, 0]) == pytest.approx(
        sorted(5.55 + np.log([0.1, 3.0, 33.0]) / 20 * 1.6)
    )
    assert "features of the other judge" in caption(figure)
    with pytest.raises(ValueError, match="several blocks"):
        methods_of_one_model(write(tmp_path, lines_of("a") + lines_of("b")), SETTINGS)


def test_a_frontier_has_the_same_bytes_each_time(tmp_path):
    inputs = write(tmp_path, lines_of("a") + lines_of("b"))
    for name in "ab":
        paths = [tmp_path / f"{name}.{kind}" for kind in ("svg", "png")]
        save(precision_recall(inputs, SETTINGS), *paths)
    for kind in ("svg", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


# ---------------------------------------------------------------- likelihood


def likelihood_lines():
    lines = [line("a", "plain", 0.55, 0.45)]
    for by, tau, w in itertools.product(
        ("pseudo density", "log-likelihood"), (20, 80), (0.1, 3.0, 33.0)
    ):
        step = np.log(w) / 20 * (tau / 50) * (1 if by[0] == "p" else 0.5)
        more = {"tau_percent": tau, "w": w}
        lines.append(line("a", "importance", 0.55 + step, 0.45 - step, **more) | {"by": by})
    return lines


def test_figure_7_shows_both_weightings_and_each_dial(tmp_path):
    settings = SETTINGS | {"paper": "VQGAN on FFHQ"}
    table = [x | {"rank_correlation": 0.43} for x in likelihood_lines()]
    figure = likelihood(write(tmp_path, table), settings)
    assert_tidy(figure)
    found = words(figure)
    for name in ("plain model", "by pseudo density, tau 20 %", "by log-likelihood, tau 80 %"):
        assert found.count(name) == 1
    said = caption(figure)
    assert "n = 1,000 generated against 5,000" in said and "training seeds: 0" in said
    assert "k = 3 neighbours" in said and "features of the judge" in said and "0.43" in said
    assert "in place of VQGAN on FFHQ" in found
    _, _, precision, recall = figure.axes
    assert {len(x.get_xydata()) for x in precision.lines if len(x.get_xydata()) > 2} == {3}
    assert precision.get_xscale() == recall.get_xscale() == "log"
    assert "correlation" not in caption(likelihood(write(tmp_path, likelihood_lines()), settings))


# ---------------------------------------------------------------- table 1

PLACES = {  # role -> recall, precision
    "pretrained": (0.60, 0.60),
    "precision": (0.50, 0.70),
    "recall": (0.70, 0.55),
    "fid": (0.61, 0.60),
    "control": (0.60, 0.62),
    "control_fid": (0.60, 0.61),
    "oracle": (0.90, 0.90),
    "oracle_precision": (0.80, 0.95),
    "oracle_recall": (0.95, 0.85),
    "oracle_fid": (0.90, 0.90),
}
WEIGHTS = {"precision": 33.0, "recall": 0.03, "fid": 2.0}


def table1(*blocks, spread=0.01):
    lines = [
        {
            "block": block,
            "dataset": "churches",
            "stands_for": None,
            "model": "GAN",
            "role": role,
            "w": WEIGHTS.get(role, 1.0),
            "mean_pseudo_density": 1.25,
            "recall": recall,
            "recall_spread": spread,
            "precision": precision,
            "precision_spread": spread,
            "n_real": None if role.startswith("oracle") else 500,
            "n_fake": 400,
            "k": 3,
            "spread_of": "3 sampling repeats",
        }
        for block in blocks
        for role, (recall, precision) in PLACES.items()
    ]
    return pd.DataFrame(lines)


def make_images(n=12, size=8, name="images"):
    return numpy_generator(0, name).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def table1_inputs(folder, table, shown=12):
    blocks = list(table["block"].unique())
    table.to_csv(folder / "table1.csv", index=False)
    rows, images = [], []
    for block, setting, seed in itertools.product(
        blocks, ("pretrained", "precision", "recall", "control"), (3, 4)
    ):
        rows.append({"block": block, "setting": setting, "seed": seed})
        images.append(folder / f"{block}-{setting}-{seed}.npy")
        save_npy(images[-1], make_images(shown, name=f"{setting} {seed}"))
    for block in blocks:
        save_npy(folder / f"{block}.npy", make_images(40, name="real"))
    inputs = {"table": folder / "table1.csv", "images": images}
    inputs["real"] = [folder / f"{block}.npy" for block in blocks]
    return inputs, {"rows": rows, "real": blocks, "extractors": {"manifold": "the judge"}}


@pytest.mark.parametrize("count", [1, 3])
def test_table1_has_samples_and_a_trade_off_per_block(tmp_path, count):
    blocks = [f"block{i}" for i in range(count)]
    figure = samples_and_trade_off(*table1_inputs(tmp_path, table1(*blocks)))
    assert_tidy(figure)
    found = words(figure)
    assert found.count("GAN on churches") == count
    assert found.count("towards fidelity\nw = 33, density 1.25") == count
    assert found.count("control (w = 1)") == found.count("change of the oracle") == 1
    said = caption(figure)
    assert "n = 400 generated against 500 real images, k = 3, bars over 3 sampling" in said
    assert "training seeds: 3 and 4" in said and "features of the judge" in said


def test_table1_shows_the_first_samples_of_the_first_seed_under_real_images(tmp_path):
    figure = samples_and_trade_off(*table1_inputs(tmp_path, table1("b")))
    grid = figure.axes[0].images[0].get_array()
    cells = [grid[row * 100 + 6 : row * 100 + 96 : 12, 6:96:12] for row in range(4)]
    names = ("real", "precision 3", "pretrained 3", "recall 3")
    for cell, name in zip(cells, names, strict=True):
        first = make_images(40 if name == "real" else 12, name=name)[0]
        np.testing.assert_array_equal(cell, first.transpose(1, 2, 0))
    last = make_images(40, name="real")[39]
    np.testing.assert_array_equal(grid[6:96:12, 906:996:12], last.transpose(1, 2, 0))


def test_table1_draws_the_change_of_the_oracle_from_the_model(tmp_path):
    figure = samples_and_trade_off(*table1_inputs(tmp_path, table1("b")))
    stars = [x.get_xydata()[0] for x in figure.axes[1].lines if x.get_marker() == "*"]
    np.testing.assert_allclose(stars, [[0.5, 0.65], [0.65, 0.55], [0.6, 0.6]])


def test_table1_without_spreads_controls_or_oracle_and_with_few_images(tmp_path):
    table = table1("b", spread=np.nan).assign(stands_for="LSUN-Church")
    table = table[~table["role"].isin(["control_fid", "oracle_fid", "fid"])]
    figure = samples_and_trade_off(*table1_inputs(tmp_path, table, shown=3))
    assert "stands for LSUN-Church" in words(figure) and "control, FID" not in str(words(figure))
    bare = table[~table["role"].str.startswith("oracle")]
    samples_and_trade_off(*table1_inputs(tmp_path, bare, shown=3))


def test_table1_refuses_images_that_do_not_fit_the_rows(tmp_path):
    inputs, settings = table1_inputs(tmp_path, table1("b"))
    with pytest.raises(ValueError, match="7 files of images for 8 rows"):
        samples_and_trade_off(inputs | {"images": inputs["images"][1:]}, settings)


# ---------------------------------------------------------------- single samples

DENSITY = {"extractor": "the steering network", "k": 10, "seed": 5, "generations": 1000}
NAMES = {
    "model": "StyleGAN2",
    "dataset": "faces",
    "stands_for": "FFHQ",
    "paper": "StyleGAN2 on FFHQ",
}


def perturbed(folder, panels, columns=4):
    """Inputs of as many panels, whose images and densities differ."""
    rows, files, values = ("towards", "original", "away"), [], []
    lines = []
    for i, (block, objective) in enumerate(panels):
        density = numpy_generator(i, "density").random((3, 6)).astype(np.float32)
        images = make_images(18, 16, f"panel {i}").reshape(3, 6, 3, 16, 16)
        files.append(folder / f"{i}.safetensors")
        latents = np.zeros((3, 6, 2), np.float32)
        save_tensors(files[-1], {"latents": latents, "images": images, "density": density}, {})
        known = NAMES | {"block": block, "objective": objective}
        known |= {"steps": 3, "step_size": 0.05, "bound": 0.1}
        for r, sample in itertools.product(range(3), range(columns)):
            line = {**known, "row": rows[r], "sample": sample, "density": density[r, sample]}
            lines.append(line)
            values.append(f"{density[r, sample]:.3f}")
    pd.DataFrame(lines).to_csv(folder / "fig.csv", index=False)
    return {"table": folder / "fig.csv", "samples": files}, values


@pytest.mark.parametrize("count", [1, 3, 5])
def test_perturbed_samples_stand_above_their_densities(tmp_path, count):
    inputs, values = perturbed(tmp_path, [(f"b{i}", "density") for i in range(count)])
    figure = perturbation(inputs, DENSITY)
    assert_tidy(figure)
    found = words(figure)
    assert [t for t in found if t in set(values)] == values
    assert found.count("StyleGAN2 on faces") == count
    assert found.count("by pseudo density; stands for FFHQ") == count
    said = caption(figure)
    assert "StyleGAN2: 3 steps of 0.05, bound 0.1" in said and "n = 4 per panel" in said
    assert "seed 5" in said and "k = 10 neighbours" in said and "the steering network" in said
    images = make_images(18, 16, "panel 0").reshape(3, 6, 3, 16, 16)
    grid = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(grid[3:96:6, 3:96:6], images[0, 0].transpose(1, 2, 0))
    np.testing.assert_array_equal(grid[3:96:6, 103:196:6], images[0, 1].transpose(1, 2, 0))


def test_random_rows_are_named_so_and_other_objectives_too(tmp_path):
    inputs, _ = perturbed(tmp_path, [("a", "density"), ("a", "random"), ("a", "beauty")])
    found = words(perturbation(inputs, DENSITY))
    assert sum(text.startswith("random\n") for text in found) == 2
    assert "by random direction; stands for FFHQ" in found
    assert "by beauty; stands for FFHQ" in found


def test_samples_that_do_not_fit_the_table_are_refused_in_one_line(tmp_path):
    inputs, _ = perturbed(tmp_path, [("a", "density"), ("b", "density")])
    with pytest.raises(ValueError, match="2 panels and there are 1 files"):
        perturbation(inputs | {"samples": inputs["samples"][:1]}, DENSITY)
    short, _ = perturbed(tmp_path, [("a", "density")], columns=6)
    save_tensors(short["samples"][0], {"images": make_images(6, 16).reshape(3, 2, 3, 16, 16)}, {})
    with pytest.raises(ArtifactError, match="2 of 6 samples"):
        perturbation(short, DENSITY)
    short["samples"][0].write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="is damaged"):
        perturbation(short, DENSITY)
    short["samples"][0].unlink()
    with pytest.raises(ArtifactError, match="does not exist"):
        perturbation(short, DENSITY)


def test_figure_2_shows_both_ends_above_the_real_images(tmp_path):
    lines, files = [], []
    for i in range(2):
        files.append(tmp_path / f"{i}.safetensors")
        names = ("images", "real_images")
        save_tensors(files[-1], {n: make_images(4, 16, f"{n} {i}") for n in names}, {})
        for side, place in itertools.product(("generated", "real"), range(4)):
            density = 0.1 * (place + 1) + (side == "real") / 100 + i
            lines.append(NAMES | {"block": f"b{i}", "images": side, "density": density})
    pd.DataFrame(lines).to_csv(tmp_path / "fig2.csv", index=False)
    figure = extremes({"table": tmp_path / "fig2.csv", "samples": files}, DENSITY)
    assert_tidy(figure)
    least, most = figure.axes[:2]
    assert [text.get_text() for text in least.texts[:4]] == ["0.100", "0.200", "0.110", "0.210"]
    assert [text.get_text() for text in most.texts[:4]] == ["0.300", "0.400", "0.310", "0.410"]
    for axes, first in ((least, 0), (most, 2)):
        cell = axes.images[0].get_array()[3:96:6, 3:96:6]
        expected = make_images(4, 16, "images 0")[first].transpose(1, 2, 0)
        np.testing.assert_array_equal(cell, expected)
    said = caption(figure)
    assert "n = 1,000 generated ones (latents of seed 5)" in said and "k = 10" in said
    assert "the steering network" in said and "2 images of lowest" in said


# ---------------------------------------------------------------- densities of a data set


def table_of(density, names, copies=()):
    """A table as `density_table` gives it; the images at `copies` are copies of the first one."""
    table = pd.DataFrame({"file": names, "pseudo_density": density, "image": range(len(names))})
    facts = {"extractor": "the steering network", "k": 10, "n": 1, "threshold": 0.5}
    distance = np.where(np.isin(np.arange(len(names)), list(copies)), 0.25, np.nan)
    return table.assign(copy_distance=distance, **facts)


def test_density_extremes_show_the_extremes(monkeypatch):
    monkeypatch.setattr(density_figure, "COLUMNS", 4)
    monkeypatch.setattr(density_figure, "LINES", 1)
    names = [f"a-long-file-name-{i:02d}.png" for i in range(40)]
    table = table_of(np.linspace(0.1, 4, 40)[::-1], names, copies=[1, 38])
    figure = density_extremes(table, make_images(40))
    assert_tidy(figure)
    shown = [t.get_text().split("\n") for axes in figure.axes for t in axes.texts if t.get_text()]
    values = [value for value, _ in shown]
    assert values == ["0.100", "0.300", "0.400", "0.500", "4.00", "3.80", "3.70", "3.60"]
    assert shown[0][1] == "…-name-39.png"
    said = caption(figure)
    assert "38 images, 2 near-duplicates left out (up to 0.500" in said
    assert "k = 10" in said and "the steering network" in said and "n = 1" in said


def test_density_extremes_never_show_an_image_twice():
    figure = density_extremes(table_of(np.ones(5), list("abcde")), make_images(5))
    assert_tidy(figure)
    shown = [t.get_text()[-1] for axes in figure.axes for t in axes.texts if t.get_text()]
    assert shown == ["a", "b", "e", "d"]
    with pytest.raises(ValueError, match="4 images, and 5 lines"):
        density_extremes(table_of(np.ones(5), list("abcde")), make_images(4))


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    names = ["price_$5_and_$6.png", "$\\frac$.png"]
    figure = density_extremes(table_of([1.0, 2.0], names), make_images(2))
    save(figure, tmp_path / "dollar.png")
    assert "$\\frac$.png" in " ".join(words(figure))


# ---------------------------------------------------------------- what they cost


def test_figures_need_no_torch():
    folder = Path(frontier_figures.__file__).parents[1]
    papers = ["table1_figure", "sample_figures", "likelihood_figure"]
    names = ["report.frontier_figures", *(f"papers.pseudo_density.{name}" for name in papers)]
    imports = ", ".join(f"pseudodensity.{name}" for name in names)
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {imports}; print('torch' in sys.modules)"],
        env=os.environ | {"PYTHONPATH": str(folder.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
