"""Figure 3: precision against recall along polarity at some truncations, and along truncation alone.

``inputs``: ``table``, the CSV of `fig3`. ``settings``: ``extractors``: name of a metric -> whose features
judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.polarity.fig3 import of_truncation
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    intervals,
    legend_above,
    listed,
    set_ranges,
    shades,
    subtitle,
    theme,
)
from pseudodensity.report.titles import title_and_aside

__all__ = ["fig3_figure"]

PANEL, ACROSS = 2.9, 3  # inches, panels
TITLE_LETTERS = 24
POLARITY, TRUNCATION = PALETTE[0], PALETTE[3]


def fig3_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each model. ValueError: no line has precision and recall."""
    table = pd.read_csv(inputs["table"])
    points = table[table["precision"].notna() & table["recall"].notna()]
    if points.empty:
        raise ValueError(f"{inputs['table']} has no point with precision and recall")
    groups = list(points.groupby("block", sort=False))
    across = min(ACROSS, len(groups))
    down = -(-len(groups) // across)
    with theme():
        figure = Figure(figsize=(PANEL * max(2, across), PANEL * down))
        grid = np.ravel(figure.subplots(down, across, squeeze=False))
        for axes, (_, own) in zip(grid, groups, strict=False):
            _panel(axes, own)
        for axes in grid[len(groups) :]:
            axes.set_visible(False)
        for axes in grid[::across]:
            axes.set_ylabel("precision")
        legend_above(figure, _entries())
        return finish(figure, _caption(points, settings))


def _panel(axes: Axes, points: pd.DataFrame) -> None:
    title, aside = title_and_aside(points.iloc[0])
    subtitle(axes, title, aside, letters=TITLE_LETTERS)
    plain = points[points["method"].eq("plain")]
    truncated = of_truncation(points).assign(psi=lambda own: own["psi"].fillna(1.0))
    _line(axes, truncated.sort_values("psi"), TRUNCATION, "D")
    together = points[points["method"].eq("truncated_polarity")]
    levels = sorted(together["psi"].unique())
    colours = shades(POLARITY, len(levels) + 1)
    for psi, colour in zip(levels, colours, strict=False):
        at_zero = points[points["method"].eq("truncation") & points["psi"].eq(psi)]
        own = pd.concat([together[together["psi"].eq(psi)], at_zero.assign(polarity=0.0)])
        _line(axes, own.sort_values("polarity"), colour, "o")
    _line(axes, points[points["method"].eq("polarity")].sort_values("polarity"), colours[-1], "o")
    axes.plot(plain["recall"], plain["precision"], "*", color=BLACK, markersize=11, zorder=4)
    front = points[points["front_of_all"]].sort_values("recall")
    axes.plot(front["recall"], front["precision"], color=GREY, linewidth=0.8, linestyle=":")
    set_ranges(axes, points["recall"], points["precision"])
    axes.set_xlabel("recall")


def _line(axes: Axes, points: pd.DataFrame, colour: str, marker: str) -> None:
    intervals(axes, points, "recall", "precision", colour)
    axes.plot(
        points["recall"],
        points["precision"],
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=0.9,
    )


def _entries() -> list[Line2D]:
    return [
        entry("plain", BLACK, "*", 11),
        entry("truncation alone", TRUNCATION, "D"),
        entry("polarity", POLARITY, "o"),
        entry("polarity under truncation, lighter for a smaller ψ", shades(POLARITY, 2)[0], "o"),
        Line2D([], [], color=GREY, linestyle=":", label="front of all"),
    ]


def _caption(points: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = points.iloc[0]
    return (
        "A line is one truncation along polarity, or truncation alone. Bars: 95 % interval of the mean over "
        f"{listed(points['repeats'])} repeats of disjoint proposals. n = {listed(points['n'])} generated "
        f"against n = {listed(points['n_real'])} real images, k = {listed(points['k'])}, training seed "
        f"{first['seed']}, features of {settings['extractors']['manifold']}. Where the effective sample size of "
        "the table is small, few images are shown many times."
    )
