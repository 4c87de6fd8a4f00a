"""Figures 7 and 17: the distribution of hardness, AvgkNN and LOF in every set of images.

``inputs``: those of `fig7`, and ``table``, its CSV. ``settings``: as of `fig7`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.low_density.fig7 import MEASURES, measured_values
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    finish,
    legend_above,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["LOOKS", "fig7_figure"]

# Set -> colour and style of its line: controls are grey or dashed.
LOOKS = {
    "held_out": (GREY, "-"),
    "gan": (PALETTE[2], "-"),
    "plain": (BLACK, "-"),
    "guided": (PALETTE[0], "-"),
    "random": (PALETTE[1], "--"),
}
PANEL = (2.6, 2.4)  # inches
SHOWN = (0.005, 0.97)  # quantiles of all images between which the axes lie


def fig7_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A line of panels for each extractor, a panel for each measure, a curve for each set."""
    table = pd.read_csv(inputs["table"])
    extractors = settings["extractors"]
    with theme():
        figure = Figure(figsize=(PANEL[0] * len(MEASURES), PANEL[1] * len(extractors)))
        grid = figure.subplots(len(extractors), len(MEASURES), squeeze=False, sharey=True)
        for line, extractor, path in zip(grid, extractors, inputs["measured"], strict=True):
            for axes, (measure, values) in zip(line, measured_values(path).items(), strict=True):
                own = table[table["extractor"].eq(extractor) & table["measure"].eq(measure)]
                _curves(axes, values, own)
                axes.set_xlabel(MEASURES[measure])
            subtitle(line[0], extractor)
            line[0].set_ylabel("share of images")
        lines = [
            Line2D([], [], color=LOOKS[name][0], linestyle=LOOKS[name][1], label=title)
            for name, title in settings["titles"].items()
        ]
        legend_above(figure, lines)
        return finish(
            figure,
            f"{block_title(settings['names'])}: share of n = {table['n'].iloc[0]:,} images of each set that do not "
            "exceed a value; a curve further to the right is of sparser images. Dots and bars: medians with 95 % "
            f"intervals over images. Axes end at {100 * SHOWN[1]:.0f} % of all images. The extractors neither steer nor "
            "train what they judge; the random direction pushes as hard as the guided sampler.",
        )


def _curves(axes: Axes, values: Mapping[str, np.ndarray], table: pd.DataFrame) -> None:
    for name, own in values.items():
        colour, style = LOOKS[name]
        ordered = np.sort(own)
        shares = np.arange(1, len(own) + 1) / len(own)
        axes.plot(ordered, shares, color=colour, linestyle=style, linewidth=1.1)
        line = table[table["set"].eq(name)].iloc[0]
        ends = [[line["median"] - line["median_low"]], [line["median_high"] - line["median"]]]
        look = {"fmt": "o", "markersize": 3.5, "elinewidth": 1.8, "color": colour, "zorder": 3}
        axes.errorbar([line["median"]], [0.5], xerr=np.nan_to_num(ends), **look)
    low, high = np.quantile(np.concatenate(list(values.values())), SHOWN)
    axes.set_xlim(low - 0.02 * (high - low), high)
    axes.set_ylim(0, 1)
    axes.locator_params(axis="x", nbins=5)
