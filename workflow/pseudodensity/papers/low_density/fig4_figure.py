"""Figure 4: hardness along alpha, and precision against the hardness that is reached.

``inputs``: ``table``, the CSV of `fig4`. ``settings``: ``extractors``: name of a metric -> whose features
judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.refusal import refusal_of, told_of_beta
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    intervals,
    legend_above,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["MARKERS", "curve", "fig4_figure"]

MARKERS = "os^Dv"


def fig4_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Left: hardness by strength. Right: precision at the same hardness, beta as a curve of its own."""
    table = pd.read_csv(inputs["table"])
    plain = table[table["method"].eq("low_density") & table["loss"].isna()].iloc[[0]]
    reals = table[table["method"].eq("held_out")]
    guided = table[table["loss"].notna()]
    curves = {
        loss.replace("_", " "): pd.concat([plain, own[own["beta"].eq(0)]])
        for loss, own in guided.groupby("loss", sort=False)
    }
    with_beta = guided[guided["beta"].gt(0)]
    with theme():
        figure = Figure(figsize=(7.2, 3.3))
        left, right = figure.subplots(1, 2)
        entries = []
        for number, (name, own) in enumerate(curves.items()):
            colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
            curve(
                left,
                own.assign(alpha=own["alpha"].fillna(0)),
                "alpha",
                "median_hardness",
                colour,
                marker,
            )
            curve(right, own, "median_hardness", "precision", colour, marker)
            entries.append(entry(name, colour, marker))
        if len(with_beta) and not refusal_of(with_beta["note"]):
            foot = guided[guided["loss"].eq(with_beta.iloc[0]["loss"]) & guided["beta"].eq(0)]
            foot = foot[foot["alpha"].eq(with_beta.iloc[0]["alpha"])]
            curve(right, pd.concat([foot, with_beta]), "median_hardness", "precision", BLACK, "P")
            entries.append(entry("with beta", BLACK, "P"))
        for _, line in reals.iterrows():
            left.axhline(line["median_hardness"], color=GREY, linestyle=":")
            right.plot(line["median_hardness"], line["precision"], "*", color=GREY, markersize=9)
            entries.append(entry("held-out reals", GREY, "*"))
        subtitle(left, "Hardness by strength")
        left.set(xlabel="alpha", ylabel="median hardness (nats)")
        subtitle(right, "Precision at that hardness")
        right.set(xlabel="median hardness (nats)", ylabel="precision")
        legend_above(figure, entries)
        return finish(
            figure, f"{_caption(table, settings)} {told_of_beta(with_beta['note'])}".rstrip()
        )


def curve(axes: Axes, own: pd.DataFrame, x: str, y: str, colour: str, marker: str) -> None:
    """A line through the points of a loss, with their intervals; along alpha they are put in order."""
    own = own.sort_values(x) if x == "alpha" else own
    axes.plot(own[x], own[y], color=colour, marker=marker, markersize=4)
    intervals(axes, own, x, y, colour)


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judged = ", ".join(f"{name} by {one}" for name, one in settings["extractors"].items())
    return (
        f"{block_title(first)}: n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, k = {first['k']:.0f}, training seed "
        f"{first['seed']}; {judged}. Bars: 95 % intervals over the repeats."
    )
