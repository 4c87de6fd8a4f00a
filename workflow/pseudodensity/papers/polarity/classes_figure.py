"""Precision against recall within each class, along polarity: a panel for each class.

``inputs``: ``table``, the CSV of `classes`. ``settings``: those of `classes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.classes import MEAN
from pseudodensity.report.drawing import (
    BLACK,
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

__all__ = ["classes_figure"]

ACROSS, PANEL = 4, 1.9  # panels, inches


def classes_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """The mean of the classes first; a star is the model itself, the circle the least polarity."""
    table = pd.read_csv(inputs["table"], dtype={"class": str})
    names = list(dict.fromkeys(table["class"]))
    down = -(-len(names) // ACROSS)
    with theme():
        figure = Figure(figsize=(ACROSS * PANEL, down * PANEL + 0.6))
        panels = figure.subplots(down, ACROSS, sharex=True, sharey=True, squeeze=False)
        for axes, name in zip(panels.flat, names, strict=False):
            own = table[table["class"].eq(name)]
            along = own[own["polarity"].notna()].sort_values("polarity")
            intervals(axes, along, "recall", "precision", PALETTE[0])
            axes.plot(along["recall"], along["precision"], ".-", color=PALETTE[0], markersize=5)
            least = along.iloc[0]
            axes.plot(least["recall"], least["precision"], "o", color=PALETTE[0], mfc="none")
            plain = own[own["polarity"].isna()]
            axes.plot(plain["recall"], plain["precision"], "*", color=BLACK, markersize=9)
            subtitle(axes, name if name == MEAN else f"class {name}")
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        set_ranges(panels[0, 0], table["recall"], table["precision"])
        for axes in panels[:, 0]:
            axes.set_ylabel("precision")
        for axes in panels.flat[: len(names)][-ACROSS:]:
            axes.set_xlabel("recall")
            axes.tick_params(labelbottom=True)
        legend_above(
            figure, [entry("the model", BLACK, "*", 9), entry("polarity", PALETTE[0], "o")]
        )
        return finish(figure, _caption(table, settings))


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    exponents = sorted(table["polarity"].dropna().unique())
    return (
        f"{block_title(settings['names'])}: a line goes from ρ = {exponents[0]:g}, the circle, to {exponents[-1]:g}. "
        f"n = {settings['count']:,} images of all classes, k = {settings['k']}, training seed {settings['seed']}, "
        f"features of {settings['extractor']}. Bars: 95 % intervals over the repeats."
    )
