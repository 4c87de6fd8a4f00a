"""Precision against hardness: a panel for each method, with all the others behind it.

``inputs``: ``table``, the CSV of `rivals_table`. ``settings``: ``plain``, ``held_out``, ``control``:
titles of curves; ``extractors``: name of a metric -> whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    intervals,
    legend_above,
    set_ranges,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["rivals_figure"]

X, Y = "hard", "precision"
COLUMNS = 3
BEHIND = "0.8"


def rivals_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """One panel per curve; each begins at the plain sampler that it changes."""
    table = pd.read_csv(inputs["table"])
    references = (settings["plain"], settings["held_out"])
    titles = [title for title in table["curve"].unique() if title not in references]
    curves = {title: _curve(table, title, settings["plain"]) for title in titles}
    control = curves.get(settings["control"])
    shown = [title for title in titles if title != settings["control"]]
    reals = table[table["curve"].eq(settings["held_out"])]
    with theme():
        lines = -(-len(shown) // COLUMNS)
        figure = Figure(figsize=(7.2, 1.85 * lines + 0.3))
        panels = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False)
        for panel, title in zip(panels.flat, shown, strict=False):
            for other in shown:
                panel.plot(curves[other][X], curves[other][Y], color=BEHIND, linewidth=0.8)
            _draw(panel, control, BLACK, "--", 2.5)
            _draw(panel, curves[title], PALETTE[0], "-", 4.5)
            start = curves[title].iloc[0]
            panel.plot(start[X], start[Y], "*", color=BLACK, markersize=9)
            panel.plot(reals[X], reals[Y], "X", color=GREY, markersize=6)
            subtitle(panel, title, letters=24)
        for panel in panels.flat[len(shown) :]:
            panel.set_axis_off()
        set_ranges(panels[0, 0], table[X], table[Y], span=0.1, ticks=4)
        for panel in panels[:, 0]:
            panel.set_ylabel("precision")
        # Below the last panel of each column.
        for panel in panels.flat[: len(shown)][-COLUMNS:]:
            panel.set_xlabel("harder than 80 % of reals")
            panel.tick_params(labelbottom=True)
        entries = [
            entry("the method, stronger from the star on", PALETTE[0], "o"),
            entry("plain sampler", BLACK, "*"),
            entry(settings["control"], BLACK, "o", 4),
            entry("held-out reals", GREY, "X"),
        ]
        legend_above(figure, entries)
        return finish(figure, _caption(table, settings))


def _curve(table: pd.DataFrame, title: str, plain: str) -> pd.DataFrame:
    """The lines of a curve in order of strength, behind the plain sampler of the same steps; what names
    no steps has those without noise."""
    own = table[table["curve"].eq(title)]
    kind = own["step"].fillna("ddim").iloc[0]
    starts = table[table["curve"].eq(plain)]
    same = starts[starts["step"].eq(kind)]
    return pd.concat([(same if len(same) else starts).iloc[[0]], own])


def _draw(axes: Axes, curve: pd.DataFrame | None, colour: str, line: str, size: float) -> None:
    """A curve, whose first point is marked as the plain sampler."""
    if curve is not None:
        points = range(1, len(curve))
        look = {"color": colour, "linestyle": line, "marker": "o", "markersize": size}
        axes.plot(curve[X], curve[Y], markevery=points, **look)
        intervals(axes, curve, X, Y, colour)


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judges = settings["extractors"]
    return (
        f"{block_title(first)}: n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, k = {first['k']:.0f}, "
        f"training seed {first['seed']}; precision by {judges['manifold']}, hardness by {judges['hardness']}. Grey lines: the other methods. Bars: 95 % intervals over the "
        "repeats."
    )
