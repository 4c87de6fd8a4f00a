"""Laws of the look that all figures share: colours, intervals, grids of images, pages, files."""

import itertools
import subprocess
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from pseudodensity.report import drawing
from pseudodensity.report.drawing import (
    GREY,
    MARKERS,
    PALETTE,
    finish,
    interval_lines,
    intervals,
    legend_above,
    listed,
    method_styles,
    save,
    set_ranges,
    shades,
    show_images,
    theme,
    tile,
)
from pseudodensity.rng import numpy_generator

# Linear RGB as seen without one kind of cone (Machado et al. 2009, severity 1).
SIGHT = {
    "all cones": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def make_images(n, size=8):
    return numpy_generator(0, "images").integers(0, 256, (n, 3, size, size), dtype=np.uint8)


# ---------------------------------------------------------------- colours


def lab(colour, sight):
    """CIE Lab of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(sight) @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ seen / (0.9505, 1, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(palette, sight):
    pairs = itertools.combinations([lab(colour, sight) for colour in palette], 2)
    return min(np.linalg.norm(a - b) for a, b in pairs)


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_are_told_apart_by_every_kind_of_sight(sight):
    assert nearest(PALETTE, SIGHT[sight]) > 10


def test_the_usual_palette_would_fail_that_test():
    usual = sns.color_palette("tab10").as_hex()[: len(PALETTE)]
    assert min(nearest(usual, sight) for sight in SIGHT.values()) < 10


def test_sixty_unknown_methods_all_look_different():
    names = [f"method_{i}" for i in range(60)]
    looks = method_styles(names, {})
    assert list(looks) == names and looks["method_7"].title == "method 7"
    assert len({(look.colour, look.marker) for look in looks.values()}) == 60
    assert len({look.colour for look in list(looks.values())[: len(PALETTE)]}) == len(PALETTE)
    assert len(MARKERS) * len(PALETTE) >= 60


def test_a_method_looks_alike_in_every_figure():
    titles = {"plain": "plain model", "a": "A", "b": "B", "oracle": "oracle", "c": "C"}
    everything = method_styles(titles, titles, ["plain", "oracle"])
    one = method_styles(["new", "c", "plain"], titles, ["plain", "oracle"])
    assert one["c"] == everything["c"] and list(one) == ["plain", "c", "new"]
    assert list(everything) == ["plain", "a", "b", "c", "oracle"]
    assert everything["plain"].colour == "#000000" and everything["oracle"].colour == GREY
    assert one["new"].colour not in {look.colour for look in everything.values()}


def test_shades_darken_up_to_the_colour():
    found = shades(PALETTE[0], 4)
    brightness = [sum(to_rgb(colour)) for colour in found]
    assert found[-1] == PALETTE[0] and brightness == sorted(brightness, reverse=True)
    assert shades(PALETTE[0], 1) == [PALETTE[0]] and len(set(found)) == 4


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1000, 1000.0, np.nan], "1,000"),
        ([3, 2], "2 and 3"),
        ([0, 1, 2], "0, 1 and 2"),
        ([5, 1, 2, 3], "1 to 5"),
        ([pd.NA], "unknown"),
    ],
)
def test_counts_in_words(values, words):
    assert listed(values) == words


# ---------------------------------------------------------------- intervals


POINTS = pd.DataFrame(
    {
        "w": [0.1, 1.0, 10.0],
        "p": [0.4, 0.5, 0.7],
        "p_low": [0.3, 0.45, np.nan],
        "p_high": [0.6, 0.55, np.nan],
        "who": "a",
    }
)


def test_bars_go_from_low_to_high_and_a_missing_interval_has_none():
    axes = Figure().subplots()
    intervals(axes, POINTS, "w", "p", "red")
    (bars,) = axes.collections  # w has no interval
    ends = [segment[:, 1] for segment in bars.get_segments() if len(segment)]
    np.testing.assert_allclose(ends, [[0.3, 0.6], [0.45, 0.55]])


def test_bands_of_seaborn_are_the_intervals_of_the_table():
    axes = Figure().subplots()
    look = {"hue": "who", "palette": {"a": "red"}, "style": "who", "markers": {"a": "o"}}
    interval_lines(axes, POINTS, x="w", y="p", **look)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), POINTS[["w", "p"]])
    corners = axes.collections[0].get_paths()[0].vertices
    for w, low, high in ((0.1, 0.3, 0.6), (1.0, 0.45, 0.55)):
        found = corners[np.isclose(corners[:, 0], w), 1]
        assert (found.min(), found.max()) == pytest.approx((low, high))
    assert not np.isclose(corners[:, 0], 10.0).any()


def test_ranges_hold_the_values_and_are_never_short():
    axes = Figure().subplots()
    set_ranges(axes, [0.2, np.nan, 0.8], [0.5, 0.501])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < 0.2 and right > 0.8 and right - left < 0.7
    assert top - bottom == pytest.approx(0.08) and (top + bottom) / 2 == pytest.approx(0.5005)
    set_ranges(axes, [np.nan], [])
    assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


# ---------------------------------------------------------------- images


def test_tile_enlarges_without_blending():
    images = make_images(n=3, size=8)
    canvas = tile(images, columns=2)
    cell = 96 + 4
    assert canvas.shape == (2 * cell - 4, 2 * cell - 4, 3) and canvas.dtype == np.uint8
    second = canvas[:96, cell : cell + 96]
    assert (second[5::12, 5::12] == images[1].transpose(1, 2, 0)).all()
    assert len(np.unique(second.reshape(-1, 3), axis=0)) <= 64
    assert (canvas[96:100] == 255).all() and (canvas[cell:, cell:] == 255).all()


def test_tile_leaves_large_images_as_they_are():
    images = make_images(n=1, size=128)
    assert (tile(images, 1) == images[0].transpose(1, 2, 0)).all()


def test_words_stand_below_their_images_in_white():
    images = make_images(n=6, size=16)
    axes = Figure().subplots()
    show_images(axes, images, 3, list("abcdef"), [("up", "red"), ("down", "blue")])
    canvas = axes.images[0].get_array()
    assert [text.get_text() for text in axes.texts] == list("abcdef")
    for i, text in enumerate(axes.texts):
        x, y = (round(value) for value in text.get_position())
        assert (canvas[y : y + 10, x - 20 : x + 20] == 255).all()
        above = canvas[y - 12, x - 40 : x + 40]
        assert (above[::8] == images[i][:, -2].T[1:-1][: len(above[::8])]).any()
    assert [label.get_color() for label in axes.get_yticklabels()] == ["red", "blue"]


# ---------------------------------------------------------------- pages and files


def draw(caption="n = 3, k = 2"):
    with theme():
        figure = Figure(figsize=(4, 3))
        figure.subplots().plot([0, 1], [0, 1], label="line")
        return finish(figure, caption)


def test_a_long_caption_makes_the_page_higher_and_stays_on_it():
    short, long = draw(), draw("some words about n = 1,000 images " * 30)
    heights = [figure.get_figheight() for figure in (short, long)]
    assert 3 < heights[0] < 3.6 and heights[1] > heights[0] + 1
    inches = [f.axes[0].get_position().height * f.get_figheight() for f in (short, long)]
    assert inches[0] == pytest.approx(inches[1], rel=0.02)
    (caption,) = (text for text in long.texts if text.get_gid() == "caption")
    box = caption.get_window_extent(long.canvas.get_renderer())
    assert box.x0 > 0 and box.y0 > 0 and box.x1 < long.bbox.x1
    # No number is parted from its name.
    assert "n\u00a0=\u00a01,000" in caption.get_text()


def test_a_legend_over_the_panels_takes_nothing_from_them():
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot([0, 1])
    entries = [drawing.entry(f"a rather long name {i}", "red", "o") for i in range(4)]
    legend_above(figure, entries)
    finish(figure, "n = 1")
    assert axes.get_position().height * figure.get_figheight() > 2
    box = figure.legends[0].get_window_extent(figure.canvas.get_renderer())
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    assert box.y0 > axes.get_window_extent().y1


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, kind):
    figure = draw()
    save(figure, tmp_path / f"a.{kind}", tmp_path / f"b.{kind}")
    save(draw(), tmp_path / f"c.{kind}")
    first, *others = ((tmp_path / f"{name}.{kind}").read_bytes() for name in "abc")
    assert all(other == first for other in others)
    assert b"<dc:date>" not in first and b"Matplotlib v" not in first


def test_text_of_an_svg_is_text(tmp_path):
    save(draw("k = 2 neighbours"), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text().replace("\u00a0", " ")
    assert "k = 2 neighbours" in text and "<text" in text


def test_the_theme_ends_with_its_block():
    before = dict(matplotlib.rcParams)
    with theme():
        assert matplotlib.rcParams["svg.fonttype"] == "none"
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == PALETTE
    assert dict(matplotlib.rcParams) == before


def test_pyplot_keeps_no_figure():
    with theme():
        grid = sns.FacetGrid(pd.DataFrame({"a": [1, 2]}), col="a")
        finish(grid.figure, "n = 2")
    assert not plt.get_fignums()


def test_importing_the_look_needs_no_torch_and_changes_nothing():
    code = (
        "import sys, matplotlib; before = dict(matplotlib.rcParams); "
        "import pseudodensity.report.drawing; after = dict(matplotlib.rcParams); "
        "print('torch' in sys.modules, [k for k in before if before[k] != after[k]])"
    )
    path = str(Path(drawing.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False []"
