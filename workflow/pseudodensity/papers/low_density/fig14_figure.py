"""Figure 14: precision, and the share of images of their own class, by loss along the hardness that is reached.

``inputs``: ``table``, the CSV of `fig14`. ``settings``: ``extractors``: name of a metric -> whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.fig4_figure import MARKERS, curve
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    legend_above,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["fig14_figure"]

PANELS = {"precision": "precision", "own_class": "share of their own class"}
CONTROL = "random"


def fig14_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each score, a curve for each loss from the plain sampler on."""
    table = pd.read_csv(inputs["table"])
    plain = table[table["method"].eq("low_density") & table["loss"].isna()].iloc[[0]]
    reals = table[table["method"].eq("held_out")]
    guided = table[table["loss"].notna()]
    with theme():
        figure = Figure(figsize=(7.2, 3.3))
        panels, entries = figure.subplots(1, 2), []
        for number, (loss, own) in enumerate(guided.groupby("loss", sort=False)):
            colour, marker = _look(str(loss), number)
            for axes, score in zip(panels, PANELS, strict=True):
                curve(axes, pd.concat([plain, own]), "median_hardness", score, colour, marker)
            word = "random direction" if loss == CONTROL else str(loss).replace("_", " ")
            entries.append(entry(word, colour, marker))
        for axes, (score, word) in zip(panels, PANELS.items(), strict=True):
            axes.plot(plain["median_hardness"], plain[score], "*", color=BLACK, markersize=9)
            axes.plot(reals["median_hardness"], reals[score], "*", color=GREY, markersize=9)
            subtitle(axes, word[0].upper() + word[1:])
            axes.set(xlabel="median hardness (nats)", ylabel=word)
        entries.append(entry("plain sampler", BLACK, "*"))
        entries += [entry("held-out reals", GREY, "*")] * bool(len(reals))
        legend_above(figure, entries)
        return finish(figure, _caption(table, settings))


def _look(loss: str, number: int) -> tuple[str, str]:
    """Colour and marker of a loss; the control is grey."""
    if loss == CONTROL:
        return GREY, "X"
    return PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judged = ", ".join(f"{name} by {one}" for name, one in settings["extractors"].items())
    return (
        f"{block_title(first)}: each curve goes from the plain sampler along alpha, so that losses are compared where they "
        f"reach the same hardness; the random direction is one of the embedder's features. n = {first['n']:,.0f}, "
        f"{first['repeats']:.0f} repeats, k = {first['k']:.0f}, training seed {first['seed']}; {judged}. Bars: 95 % "
        "intervals over the repeats."
    )
