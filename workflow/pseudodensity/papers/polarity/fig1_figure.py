"""Figure 1, first row: precision and recall along truncation and along polarity, of one model.

Its other rows show samples of a class-conditional BigGAN, which is not here.

``inputs``: ``table``, the CSV of `fig3`. ``settings``: ``block``, whose lines are drawn; ``extractors``: name
of a metric -> whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.polarity.fig3 import of_truncation
from pseudodensity.report.drawing import (
    GREY,
    PALETTE,
    finish,
    intervals,
    legend_above,
    listed,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["fig1_figure"]

PANEL = 3.4  # inches
# Score -> colour and marker.
LOOKS = {"precision": (PALETTE[0], "o"), "recall": (PALETTE[3], "D")}


def fig1_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each dial. ValueError: the model has no line with precision and recall."""
    table = pd.read_csv(inputs["table"])
    points = table[table["block"].eq(settings["block"]) & table["precision"].notna()]
    if points.empty:
        raise ValueError(f"{inputs['table']} has no precision of {settings['block']}")
    truncated = of_truncation(points).assign(psi=lambda own: own["psi"].fillna(1.0))
    weighted = points[points["method"].eq("polarity")]
    with theme():
        figure = Figure(figsize=(2 * PANEL, PANEL))
        left, right = figure.subplots(1, 2, sharey=True)
        _lines(left, truncated, "psi")
        _lines(right, weighted, "polarity")
        subtitle(left, "Truncation", "ψ = 1 is the model")
        subtitle(right, "Polarity", "ρ = 0 is the model, drawn with replacement")
        left.set_xlabel("ψ")
        right.set_xlabel("ρ")
        right.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        left.set_ylabel("share of images")
        legend_above(
            figure,
            [
                Line2D([], [], color=colour, marker=marker, label=score)
                for score, (colour, marker) in LOOKS.items()
            ],
        )
        return finish(figure, _caption(points, settings))


def _lines(axes: Axes, points: pd.DataFrame, dial: str) -> None:
    points = points.sort_values(dial)
    for score, (colour, marker) in LOOKS.items():
        intervals(axes, points, dial, score, colour)
        axes.plot(points[dial], points[score], color=colour, marker=marker, markersize=4)


def _caption(points: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = points.iloc[0]
    return (
        f"{block_title(first)}. Bars: 95 % interval of the mean over {listed(points['repeats'])} repeats of "
        f"disjoint proposals. n = {listed(points['n'])} generated against n = {listed(points['n_real'])} real "
        f"images, k = {listed(points['k'])} neighbours in features of {settings['extractors']['manifold']}, "
        f"training seed {first['seed']}."
    )
