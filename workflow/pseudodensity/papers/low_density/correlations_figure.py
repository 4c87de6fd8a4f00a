"""Figures 11 and 13: what likelihood and hardness have to do with density, and images along hardness.

``inputs`` and ``settings``: those of `fig11` and `fig13`, and ``table``, the CSV of each; of Figure 13 also
``pictures``, the experiment `along_hardness`, and ``quantiles``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.low_density.correlations import DENSITY, bits_of_sets
from pseudodensity.papers.low_density.fig7 import measured_values
from pseudodensity.papers.low_density.fig7_figure import LOOKS
from pseudodensity.report.drawing import (
    BLACK,
    finish,
    legend_above,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.titles import block_title

__all__ = ["fig11_figure", "fig13_figure"]

CLOUDS = ("held_out", "guided")  # sets whose images are dots
ENDS = (0.005, 0.98)  # quantiles between which axes lie: a few images are far off
MARKERS = {"avg_knn": "o", "lof": "s"}
CELL, TITLE = 0.52, 0.45  # inches


def fig11_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Likelihood against each measure of density, and the rank correlations of all sets."""
    table, values = pd.read_csv(inputs["table"]), measured_values(inputs["measured"])
    bits, _ = bits_of_sets(inputs, settings)
    with theme():
        figure = Figure(figsize=(8.4, 2.9))
        *clouds, right = figure.subplots(1, 3, gridspec_kw={"width_ratios": [1, 1, 1.1]})
        for axes, (measure, title) in zip(clouds, DENSITY.items(), strict=True):
            shown = {name: values[measure][name][: len(bits[name])] for name in CLOUDS}
            for name, own in shown.items():
                look = {"s": 6, "linewidth": 0, "alpha": 0.4, "color": LOOKS[name][0]}
                axes.scatter(own, bits[name], rasterized=True, **look)
            axes.set_xlim(*np.quantile(np.concatenate(list(shown.values())), ENDS))
            axes.set_ylim(*np.quantile(np.concatenate([bits[name] for name in CLOUDS]), ENDS))
            axes.set_xlabel(title)
            axes.locator_params(nbins=5)
        clouds[0].set_ylabel("bits per dimension")
        _correlations(right, table, settings["titles"])
        _legend(figure, {name: settings["titles"][name] for name in CLOUDS})
        return finish(
            figure,
            f"{block_title(settings['names'])}: variational bound from {_terms(settings)}, "
            f"n = {table['n'].iloc[0]:,} images of each set. Left: images; axes end at {100 * ENDS[1]:.0f} % of them. Right: "
            "Spearman's rank correlations of bits with both measures, 95 % intervals over images of one trained "
            "model. Were likelihood a measure of density, they would be near 1.",
        )


def _terms(settings: Mapping[str, Any]) -> str:
    return f"{'all ' * settings['all_terms']}{settings['terms']:,} terms"


def fig13_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Reals and plain images at quantiles of hardness, and the rank correlations of all sets."""
    table = pd.read_csv(inputs["table"])
    arrays = load_arrays(inputs["pictures"], ["images", "hardness"])
    _, lines, across = arrays["images"].shape[:3]
    width, right_width = across * CELL + 1.2, 2.9
    with theme():
        figure = Figure(figsize=(2 * width + right_width, max(lines * CELL + TITLE, 2.6)))
        ratios = {"width_ratios": [width, width, right_width]}
        *panels, right = figure.subplots(1, 3, gridspec_kw=ratios)
        shown = zip(
            panels, ("held_out", "plain"), arrays["images"], arrays["hardness"], strict=True
        )
        for axes, name, images, hardness in shown:
            names = [
                (f"{quantile:.0%}, {np.median(own):.0f} nats".replace("-", "\u2212"), BLACK)
                for quantile, own in zip(settings["quantiles"], hardness, strict=True)
            ]
            show_images(axes, images.reshape(-1, *images.shape[2:]), across, rows=names)
            subtitle(axes, settings["titles"][name])
        _correlations(right, table, settings["titles"])
        legend_above(figure, _entries())
        return finish(
            figure,
            f"{block_title(settings['names'])}. Left: images about some percentiles of hardness within their set, with "
            "their median in nats; at 0 % and 100 % the least and the hardest ones. None is picked. "
            "Right: Spearman's rank correlations of hardness with both measures, "
            f"n = {table['n'].iloc[0]:,} images of each set, 95 % intervals over images of one trained model. All in "
            f"features of {settings['extractor']}.",
        )


def _correlations(axes: Axes, table: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """A line for each set, from the top; a marker for each measure."""
    places = np.arange(len(titles))[::-1]
    for number, measure in enumerate(DENSITY):
        height = places + 0.14 * (1 - 2 * number)
        for place, name in zip(height, titles, strict=True):
            line = table[table["set"].eq(name)].iloc[0]
            low, high = (abs(line[f"{measure}_{end}"] - line[measure]) for end in ("low", "high"))
            look = {"color": LOOKS[name][0], "fmt": MARKERS[measure], "markersize": 4}
            axes.errorbar([line[measure]], [place], xerr=[[low], [high]], elinewidth=1, **look)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(places, [title.replace(", ", "\n") for title in titles.values()])
    axes.set_ylim(-0.6, len(titles) - 0.4)
    axes.set_xlim(-1, 1)
    axes.set_xlabel("rank correlation")
    axes.grid(visible=False, axis="y")


def _legend(figure: Figure, clouds: Mapping[str, str]) -> None:
    dots = [
        Line2D([], [], linestyle="none", marker=".", color=LOOKS[name][0], label=title)
        for name, title in clouds.items()
    ]
    legend_above(figure, [*dots, *_entries()])


def _entries() -> Sequence[Line2D]:
    return [
        Line2D(
            [], [], linestyle="none", marker=MARKERS[m], color=BLACK, label=f"with {title}", ms=5
        )
        for m, title in DENSITY.items()
    ]
