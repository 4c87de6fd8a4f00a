"""How every figure looks: one seaborn theme, colours of methods, grids of images, captions, files.

A figure is drawn inside ``theme()``, closed by ``finish`` with the caption that says what it rests
on, and written by ``save``. Nothing here changes matplotlib for whoever imports it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pseudodensity.artifacts import atomic_path

__all__ = [
    "BLACK",
    "DENSITY",
    "GREY",
    "MARKERS",
    "PALETTE",
    "MethodStyle",
    "entry",
    "finish",
    "interval_lines",
    "intervals",
    "legend_above",
    "listed",
    "method_styles",
    "save",
    "set_ranges",
    "shades",
    "show_images",
    "subtitle",
    "theme",
    "tile",
    "title_room",
]

BLACK, GREY = "#000000", "#7f7f7f"
DENSITY = "pseudo density (1 = mean of real images)"
CELL_PIXELS = 96  # images are enlarged to about this size
CAPTION_SIZE, LINE_SPACING, MARGIN = 8.5, 1.35, 0.15  # points, lines, inches
TITLE_LETTER, TITLE_LINE = 0.092, 0.18  # inches, of the title of a panel


# Without grey, which marks references, and without pink and yellow, which are faint on white.
PALETTE = [sns.color_palette("colorblind").as_hex()[i] for i in (0, 1, 2, 3, 4, 9, 5)]
MARKERS = ("o", "s", "^", "D", "v", "p", "h", "<", ">")
CONTROL_MARKERS = ("X", "P", "d", "8", "H")

_STYLE = {
    "font.family": "DejaVu Sans",
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": "0.3",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.92",
    "xtick.bottom": True,
    "ytick.left": True,
    "xtick.color": "0.15",
    "ytick.color": "0.15",
    "legend.frameon": False,
    "legend.title_fontsize": 9,
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "savefig.facecolor": "white",
    # Text that can be searched and copied, and names of parts that are not drawn at random.
    "svg.fonttype": "none",
    "svg.hashsalt": "pseudodensity",
}


@contextmanager
def theme() -> Iterator[None]:
    """The project's look for what is drawn inside the block, and no longer."""
    look = sns.axes_style("whitegrid") | sns.plotting_context("paper", font_scale=1.1) | _STYLE
    look["axes.prop_cycle"] = matplotlib.cycler(color=PALETTE)
    with matplotlib.rc_context(look), plt.ioff():
        yield


# ------------------------------------------------------------------------------ colours


@dataclass(frozen=True)
class MethodStyle:
    """What a method is called in a figure, its colour (hexadecimal) and its marker."""

    title: str
    colour: str
    marker: str


def method_styles(
    found: Iterable[str], titles: Mapping[str, str], controls: Collection[str] = ()
) -> dict[str, MethodStyle]:
    """The look of every method, in one order for all figures.

    A method has the colour of its place in ``titles``, so that it looks alike in all figures of a
    run; one that is missing there comes after and is called by its own name. Where the palette is
    used up, colours come again with other markers. ``plain`` is a black star, controls are grey.

    Args:
        found: names of the methods that the figure shows.
        titles: name -> title of all methods, in order.
        controls: names of the methods that are references.

    Returns:
        name -> look of those found: plain, then the methods, then the controls.
    """
    found = list(dict.fromkeys(found))
    names = list(dict.fromkeys([*titles, *found]))
    treated = [n for n in names if n != "plain" and n not in controls]
    references = [n for n in names if n in controls and n != "plain"]
    looks = {"plain": (BLACK, "*")}
    for i, name in enumerate(treated):
        looks[name] = (PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)])
    for i, name in enumerate(references):
        looks[name] = (GREY, CONTROL_MARKERS[i % len(CONTROL_MARKERS)])
    return {
        name: MethodStyle(titles.get(name, name.replace("_", " ")), *look)
        for name, look in looks.items()
        if name in found
    }


def shades(colour: str, count: int) -> list[str]:
    """``count`` shades of a colour, from the lightest to the colour itself."""
    whiteness = np.linspace(0.55, 0, count) if count > 1 else [0.0]
    return [to_hex((1 - w) * np.array(to_rgb(colour)) + w) for w in whiteness]


def entry(label: str, colour: str, marker: str, size: float = 6.5) -> Line2D:
    """An entry of a legend: a marker without a line."""
    look = {"markersize": size, "markeredgecolor": "white", "markeredgewidth": 0.4}
    return Line2D([], [], linestyle="none", marker=marker, color=colour, label=label, **look)


def legend_above(figure: Figure, entries: Sequence[Line2D]) -> None:
    """A legend over the panels, in as many columns as the page is wide for. The page grows by its
    height, so that the panels keep theirs."""
    width, height = figure.get_size_inches()
    letters = max(len(str(item.get_label())) for item in entries)
    # A letter of this size is about .075 inches wide; mark and gaps take .6 inches.
    columns = max(1, min(len(entries), int(width / (0.075 * letters + 0.6))))
    figure.legend(handles=list(entries), loc="outside upper center", ncols=columns)
    figure.set_size_inches(width, height + 0.2 * -(-len(entries) // columns) + 0.1)


# ------------------------------------------------------------------------------ words


def listed(values: Iterable[float]) -> str:
    """Different counts of a column as words, such as ``1,000`` or ``500 and 1,000``; no value
    gives ``unknown``."""
    found = sorted({int(value) for value in values if not pd.isna(value)})
    words = [f"{value:,}" for value in found]
    if len(words) > 3:
        return f"{words[0]} to {words[-1]}"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "unknown"


# ------------------------------------------------------------------------------ axes


def intervals(axes: Axes, points: pd.DataFrame, x: str, y: str, colour: str) -> None:
    """Faint bars from ``<name>_low`` to ``<name>_high`` of the columns x and y. A column without
    these has none, nor has a point where they are missing."""

    def arms(name: str) -> np.ndarray | None:
        if f"{name}_low" not in points:
            return None
        low, high = (points[f"{name}_{end}"].astype(float) for end in ("low", "high"))
        return np.stack([points[name] - low, high - points[name]]).clip(min=0)

    look = {"linestyle": "none", "elinewidth": 0.7, "color": colour, "alpha": 0.35, "zorder": 1.5}
    axes.errorbar(points[x], points[y], xerr=arms(x), yerr=arms(y), **look)


def interval_lines(
    axes: Axes,
    points: pd.DataFrame,
    *,
    x: str,
    y: str,
    hue: str,
    palette: Mapping[str, str],
    style: str,
    markers: Mapping[str, str],
) -> None:
    """seaborn's line plot of a column y along x, with bands from ``<y>_low`` to ``<y>_high``.

    The table holds estimates and intervals, not the repeats. seaborn therefore gets each point as
    the three values low, estimate, high: their median is the estimate and their range the interval.
    """
    ends = [points.assign(**{y: points[f"{y}_{end}"]}) for end in ("low", "high")]
    sns.lineplot(
        pd.concat([points, *ends]).dropna(subset=[y]),
        x=x,
        y=y,
        hue=hue,
        palette=palette,
        style=style,
        markers=markers,
        dashes=False,
        estimator="median",
        errorbar=("pi", 100),
        linewidth=0.9,
        legend=False,
        ax=axes,
    )


def set_ranges(
    axes: Axes, x: Iterable[float], y: Iterable[float], span: float = 0.08, ticks: int = 6
) -> None:
    """Ranges that hold the values with some room, none shorter than ``span`` (noise would look
    large), and ticks at round numbers. Values that are missing do not count."""
    for values, axis, change in ((x, axes.xaxis, axes.set_xlim), (y, axes.yaxis, axes.set_ylim)):
        found = np.asarray([value for value in values if not pd.isna(value)], dtype=float)
        low, high = (found.min(), found.max()) if len(found) else (0.0, 1.0)
        middle, half = (low + high) / 2, max((high - low) * 0.56, span / 2)
        change(middle - half, middle + half)
        axis.set_major_locator(MaxNLocator(nbins=ticks, steps=[1, 2, 2.5, 5, 10]))


def subtitle(
    axes: Axes, title: str, below: str = "", colour: str = "0.3", letters: int | None = None
) -> None:
    """A bold title on the left, and a plain line in a colour between it and the axes.

    letters: of a line of the title, which is broken where it is longer; None for one line.
    """
    lines = [title] if letters is None else textwrap.wrap(title, letters)
    axes.set_title("\n".join(lines), pad=17 if below else 6)
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (0, 4)}
    axes.annotate(below, (0, 1), **place, va="bottom", fontsize=8.5, color=colour)


def title_room(title: str, width: float) -> tuple[int, float]:
    """Letters of a line of a `subtitle` in a width in inches, and inches of its lines after the first."""
    letters = int(width / TITLE_LETTER)
    return letters, TITLE_LINE * (len(textwrap.wrap(title, letters)) - 1)


# ------------------------------------------------------------------------------ images


def _cell(size: int, room: float) -> tuple[int, int, int, int]:
    """Pixels of a grid of images: the factor that enlarges them, the side of one, and the distance
    from one to the next across and down."""
    factor = max(1, round(CELL_PIXELS / size))
    side = size * factor
    gap = max(2, side // 24)
    return factor, side, side + gap, side + gap + round(room * side)


def tile(images: np.ndarray, columns: int, room: float = 0.0) -> np.ndarray:
    """Images side by side on white, enlarged by a whole factor (nearest neighbour).

    Args:
        images: uint8 (n, 3, R, R).
        columns: images per line; the last line may be shorter.
        room: white below each line of images, in sides of an image.

    Returns:
        uint8 (height, width, 3).
    """
    factor, side, across, down = _cell(images.shape[-1], room)
    gap, lines = across - side, -(-len(images) // columns)
    canvas = np.full((lines * down - gap, columns * across - gap, 3), 255, dtype=np.uint8)
    enlarged = images.transpose(0, 2, 3, 1).repeat(factor, axis=1).repeat(factor, axis=2)
    for i, image in enumerate(enlarged):
        top, left = i // columns * down, i % columns * across
        canvas[top : top + side, left : left + side] = image
    return canvas


def show_images(
    axes: Axes,
    images: np.ndarray,
    columns: int,
    below: Sequence[str] = (),
    rows: Sequence[tuple[str, str]] = (),
    heads: Sequence[str] = (),
) -> None:
    """A grid of images that fills the axes, with words below each and names of lines and columns.

    Args:
        images: uint8 (n, 3, R, R).
        columns: images per line.
        below: a text for each image, of one or more lines; none by default.
        rows: name of each line of images, and the colour of that name.
        heads: name of each column, above it.
    """
    words = max((text.count("\n") + 1 for text in below), default=0)
    room = 0.22 * words + 0.05 if words else 0.0
    _, side, across, down = _cell(images.shape[-1], room)
    axes.imshow(tile(images, columns, room), interpolation="auto", aspect="equal")
    axes.set_anchor("NW")
    axes.set_frame_on(False)
    axes.grid(False)
    for i, text in enumerate(below):
        x, y = i % columns * across + side / 2, i // columns * down + 1.04 * side
        # Names of files may hold dollars, which are no formulas.
        look = {"fontsize": 8, "linespacing": 1.15, "parse_math": False}
        axes.text(x, y, text, ha="center", va="top", **look)
    axes.set_xticks([i * across + side / 2 for i in range(len(heads))], heads)
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0, pad=3, labelsize=8.5)
    axes.set_yticks([i * down + side / 2 for i in range(len(rows))], [name for name, _ in rows])
    axes.tick_params(axis="y", length=0, pad=5, labelsize=9)
    for label, (_, colour) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(colour)


# ------------------------------------------------------------------------------ the page


def finish(figure: Figure, caption: str) -> Figure:
    """Lay the page out with the caption below, which makes the page higher, and return it.

    The layout is worked out once, so that every file of the figure shows the same. The figure no
    longer hangs on pyplot afterwards, whose windows and list of figures are left alone.
    """
    plt.close(figure)
    canvas = FigureCanvasAgg(figure)
    width, height = figure.get_size_inches()
    # No line breaks within "k = 3" or "80 %".
    caption = caption.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%")
    text = figure.text(0, 0, caption, fontsize=CAPTION_SIZE, gid="caption")
    length = text.get_window_extent(canvas.get_renderer()).width / figure.dpi
    letters = int(len(caption) * (width - 2 * MARGIN) / length * 0.97)
    lines = textwrap.wrap(caption, letters, break_on_hyphens=False)
    band = len(lines) * CAPTION_SIZE * LINE_SPACING / 72 + 2 * MARGIN
    figure.set_size_inches(width, height + band)
    share = band / (height + band)
    text.set(text="\n".join(lines), va="top", linespacing=LINE_SPACING, color="0.2")
    text.set_position((MARGIN / width, share * (1 - MARGIN / band)))
    figure.set_layout_engine("constrained", rect=(0, share, 1, 1 - share), h_pad=0.06, w_pad=0.06)
    # Ticks depend on the room and the room on the ticks: the second pass settles both.
    for _ in range(2):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def save(figure: Figure, *paths: str | Path) -> None:
    """Write a figure whole or not at all to each path, ``.svg`` or ``.png``.

    The same figure gives the same bytes: no date, no version, no random names.
    """
    for path in paths:
        kind = Path(path).suffix[1:]
        metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        with theme(), atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
