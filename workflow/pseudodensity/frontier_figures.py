"""Precision against recall of every method, one panel per model."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from .drawing import BLACK, BLUE, GREEN, ORANGE, crosses, page, place, precision_recall_axes, write
from .frontier_tables import pareto_front

__all__ = ["draw_frontiers", "draw_methods"]

PURPLE, YELLOW = "#CC79A7", "#E69F00"
METHODS = {
    # method: name, colour, marker
    "importance": ("importance sampling", BLUE, "o"),
    "truncation": ("truncation", ORANGE, "s"),
    "polarity": ("polarity sampling", GREEN, "^"),
    "drs": ("DRS", PURPLE, "D"),
    "dot": ("DOT", YELLOW, "v"),
}
TAUS = ("full", "left", "none")  # fill of the markers of the thresholds in rising order
LEFT, PANEL, GUTTER, HEAD, TITLE, FOOT, MARGIN = 0.75, 2.75, 0.8, 0.85, 0.45, 0.65, 0.2  # inches
LINE, COLUMNS, WRAP, ASIDE = 0.2, 4, 34, 3.6
MIN_SPAN = 0.08


def draw_frontiers(table: pd.DataFrame, path: str | Path, judges: Mapping[str, str]) -> None:
    """Draw one panel per block of the table, in order.

    Args:
        table: of `frontier_tables.frontier_table`.
        path: ``.svg`` or ``.png``.
        judges: role -> name of the network whose features judge.
    """
    blocks = [lines for _, lines in table.groupby("block", sort=False)]
    columns = min(COLUMNS, len(blocks))
    rows = -(-len(blocks) // columns)
    # Beside a single panel there is room for the legend.
    width = max(LEFT + columns * (PANEL + GUTTER) - GUTTER + MARGIN, LEFT + PANEL + ASIDE)
    caption = textwrap.wrap(_caption(table, judges), int(width * 13))
    pitch = TITLE + PANEL + FOOT
    head = HEAD if columns > 1 else 0
    height = head + rows * pitch + LINE * (len(caption) + 1)
    with page(path, width, height) as figure:
        _legend(figure, _entries(table), columns)
        for i, lines in enumerate(blocks):
            left = LEFT + i % columns * (PANEL + GUTTER)
            top = head + i // columns * pitch
            title = "\n".join(textwrap.wrap(_title(lines), WRAP))
            write(figure, left, top + TITLE - 0.06, title, fontsize=10, va="bottom", weight="bold")
            _panel(place(figure, left, top + TITLE, PANEL, PANEL), lines)
        bottom = head + rows * pitch
        write(figure, MARGIN, bottom, "\n".join(caption), fontsize=9, linespacing=1.35)


def draw_methods(table: pd.DataFrame, path: str | Path, judges: Mapping[str, str]) -> None:
    """Draw the frontier of one model beside the FID of every point (figure 6, appendix A.2).

    Arguments as `draw_frontiers`; the table holds one block.
    """
    points = table[table["repeats"].fillna(0) > 0]
    rows = _strips(points)
    aside = 3.9
    width = LEFT + PANEL + aside + PANEL + MARGIN + 0.3
    caption = textwrap.wrap(
        f"{_caption(table, judges)} Right: FID of every point by {judges['fid']} features, with the "
        "same intervals; the line is the plain model.",
        int(width * 13),
    )
    height = TITLE + 0.2 + PANEL + FOOT + LINE * (len(caption) + 1)
    with page(path, width, height) as figure:
        write(figure, LEFT, 0.12, _title(table), fontsize=10.5, weight="bold")
        _panel(place(figure, LEFT, TITLE + 0.2, PANEL, PANEL), table)
        left = LEFT + PANEL + aside
        _fid_strips(place(figure, left, TITLE + 0.2, PANEL, PANEL), rows, points)
        write(figure, MARGIN, TITLE + 0.2 + PANEL + FOOT, "\n".join(caption), fontsize=9)


def _strips(points: pd.DataFrame) -> list[tuple[str, str, str, str, pd.DataFrame]]:
    """Rows of the FID panel from above: name, colour, marker, its fill, and points."""
    return [
        ((name + words).replace(", per sample, ", ", per sample,\n"), colour, marker, fill, part)
        for method, (name, colour, marker) in METHODS.items()
        for words, fill, part in _series(points[points["method"].eq(method)], method)
    ]


def _fid_strips(axes: Axes, rows: list, points: pd.DataFrame) -> None:
    plain = points[points["method"].eq("plain")].iloc[0]
    axes.axvspan(plain["fid_low"], plain["fid_high"], color=BLACK, alpha=0.1, lw=0)
    axes.axvline(plain["fid"], color=BLACK, lw=1)
    for height, (_, colour, marker, fill, part) in enumerate(rows):
        bars = [part["fid"] - part["fid_low"], part["fid_high"] - part["fid"]]
        bars = [bar.clip(lower=0) for bar in bars]
        style = {"color": colour, "elinewidth": 0.8, "ms": 5, "fillstyle": fill}
        axes.errorbar(part["fid"], [-height] * len(part), xerr=bars, fmt=marker, **style)
    axes.set_xscale("log")
    axes.set_yticks([-i for i in range(len(rows))], [row[0] for row in rows], fontsize=9.5)
    axes.set_xlabel("FID ↓ (log scale)")
    axes.grid(axis="x", which="both", color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)
    # A few plain numbers instead of powers of ten.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")


def _title(lines: pd.DataFrame) -> str:
    first = lines.iloc[0]
    aside = f" (for {first['stands_for']})" if isinstance(first["stands_for"], str) else ""
    return f"{first['model']}, {first['dataset']}{aside}"


def _caption(table: pd.DataFrame, judges: Mapping[str, str]) -> str:
    points = table[table["repeats"].fillna(0) > 0]
    n, repeats = points["n"].max(), points["repeats"].max()
    reals = "/".join(f"{count:,}" for count in points["n_real"].unique())
    seeds = ", ".join(map(str, points["seed"].unique()))
    return (
        f"Each point: {n:,} generated against {reals} real images, mean of {repeats} disjoint "
        f"stretches of one pool of proposals per model; crosses: 95 % t-intervals over them, "
        f"which leave out the noise of training (training seed {seeds}). Where a method makes its "
        "own images there is one repeat, with the spread of the others. Precision and recall by "
        f"{judges['manifold']} features, k = {points['k'].max()} neighbours without self, border "
        "included; they depend on n. Thin dashed lines join the weights w of one threshold tau, "
        "solid lines the Pareto front of a method with the plain model; w, psi and the polarity of "
        "each point stand in the csv."
    ).replace(" = ", "\u00a0=\u00a0")


def _panel(axes: Axes, lines: pd.DataFrame) -> None:
    points = lines[lines["repeats"].fillna(0) > 0]
    plain = points[points["method"].eq("plain")]
    for method, (_, colour, marker) in METHODS.items():
        own = points[points["method"].eq(method)]
        if own.empty:
            continue
        crosses(axes, own, colour)
        _front(axes, pd.concat([own[own["front"]], plain]), colour)
        for _, fill, series in _series(own, method):
            style = {"color": colour, "marker": marker, "fillstyle": fill, "ms": 4.5, "mew": 0.9}
            line = {"ls": (0, (3, 2)), "lw": 0.6} if method == "importance" else {"ls": "none"}
            axes.plot(series["recall"], series["precision"], **style, **line, zorder=3)
    crosses(axes, plain, BLACK)
    axes.plot(plain["recall"], plain["precision"], "*", color=BLACK, ms=12, mec="white", zorder=5)
    _set_ranges(axes)
    precision_recall_axes(axes)


def _series(points: pd.DataFrame, method: str) -> list[tuple[str, str, pd.DataFrame]]:
    """What is told apart within a method: words, fill of the markers, and points."""
    if method == "importance":
        groups = points.sort_values("w").groupby("tau_percent")
        fills = zip(groups, TAUS, strict=False)
        return [(f", tau {tau:g} %", fill, part) for (tau, part), fill in fills]
    if method == "polarity":
        names = {False: (", without replacement", "full"), True: (", with replacement", "none")}
        return [(*names[bool(key)], part) for key, part in points.groupby("replacement")]
    if method in ("drs", "dot"):
        names = ("full", "none", "left")
        groups = points.groupby("setting", sort=False)
        return [(key[3:], fill, part) for (key, part), fill in zip(groups, names, strict=False)]
    return [("", "full", points)] if len(points) else []


def _front(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    points = points[pareto_front(points["precision"], points["recall"])].sort_values("recall")
    axes.plot(points["recall"], points["precision"], color=colour, lw=1.8, alpha=0.75, zorder=2)


def _set_ranges(axes: Axes) -> None:
    axes.margins(0.06)
    for limits, set_limits in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
        middle, half = sum(limits) / 2, max(limits[1] - limits[0], MIN_SPAN) / 2
        set_limits(middle - half, middle + half)
    axes.locator_params(nbins=5)


def _entries(table: pd.DataFrame) -> list[Line2D]:
    points = table[table["repeats"].fillna(0) > 0]
    entries = [Line2D([], [], ls="none", marker="*", ms=11, color=BLACK, label="plain model")]
    for method, (name, colour, marker) in METHODS.items():
        for words, fill, _ in _series(points[points["method"].eq(method)], method):
            style = {"color": colour, "marker": marker, "ls": "none", "ms": 5.5, "fillstyle": fill}
            entries.append(Line2D([], [], label=name + words, **style))
    return entries


def _legend(figure: Figure, entries: list[Line2D], columns: int) -> None:
    """Above the panels in two rows, or beside a single one."""
    width, height = figure.get_size_inches()
    if columns == 1:
        style = {
            "loc": "upper left",
            "bbox_to_anchor": ((LEFT + PANEL + 0.1) / width, 1 - 0.4 / height),
        }
    else:
        columns = -(-len(entries) // 2) if columns > 2 else 2
        style = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 - 0.05 / height)}
    figure.legend(handles=entries, ncols=columns, frameon=False, fontsize=10, **style)
