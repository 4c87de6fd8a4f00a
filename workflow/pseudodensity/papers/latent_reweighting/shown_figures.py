"""Figures 4 to 9: samples with the probability that latentRS accepts them, and on their way up.

``inputs``: ``samples``, one experiment of `images.shown` per panel. ``settings``: ``panels``, see `shown_tables`;
``k`` and ``extractor`` of the realism; ``seed`` of the latents; `ascents` also ``first`` and ``count``, which
of the samples, ``step_size`` and ``shown``, how many climbed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.report.drawing import (
    BLACK,
    PALETTE,
    finish,
    legend_above,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.titles import title_and_aside

__all__ = ["acceptance", "ascents"]

CELL, NUMBERS, TITLE, CLOUD = (
    0.62,
    0.3,
    0.5,
    2.6,
)  # inches: image, room below, title, cloud of points
LINES = 3  # of images in a panel
GROUPS = 10  # of equal size, whose median realism is drawn


def acceptance(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Images from the least to the most accepted, and acceptance against realism, a row per model."""
    panels = list(zip(settings["panels"], inputs["samples"], strict=True))
    found = [load_arrays(path, ["acceptance", "realism", "rows", "images"]) for _, path in panels]
    columns = -(-len(found[0]["rows"]) // LINES)
    size = (columns * CELL + CLOUD, len(panels) * (TITLE + LINES * (CELL + NUMBERS)))
    with theme():
        figure = Figure(figsize=size)
        ratios = {"width_ratios": [columns * CELL, CLOUD]}
        places = figure.subplots(len(panels), 2, squeeze=False, gridspec_kw=ratios)
        for (left, right), (panel, _), arrays in zip(places, panels, found, strict=True):
            _ordered(left, panel, arrays, columns)
            _cloud(right, arrays)
        places[-1, 1].set_xlabel("acceptance (probability)")
        legend_above(
            figure,
            [
                Line2D([], [], linestyle="none", marker=".", color=PALETTE[0], label="an image"),
                Line2D([], [], color=BLACK, label=f"median of a {GROUPS}th of them"),
            ],
        )
        return finish(figure, _acceptance_caption(found[0], settings))


def _ordered(
    axes: Axes, panel: Mapping[str, Any], arrays: Mapping[str, np.ndarray], columns: int
) -> None:
    pairs = zip(*(arrays[name][arrays["rows"]] for name in ("acceptance", "realism")), strict=True)
    below = [f"{accepted:.2f}\n{realism:.2f}" for accepted, realism in pairs]
    show_images(axes, arrays["images"], columns, below)
    subtitle(axes, *title_and_aside(panel))


def _cloud(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    points = pd.DataFrame({name: arrays[name] for name in ("acceptance", "realism")})
    sns.scatterplot(
        points, x="acceptance", y="realism", s=5, alpha=0.25, linewidth=0, color=PALETTE[0], ax=axes
    )
    order = points.sort_values("acceptance", kind="stable").reset_index(drop=True)
    medians = order.groupby(order.index * GROUPS // len(order)).median()
    axes.plot(medians["acceptance"], medians["realism"], color=BLACK)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(0, points["realism"].quantile(0.995) * 1.05)
    axes.set_xlabel("")
    axes.set_ylabel("realism (radius / distance)")


def _acceptance_caption(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> str:
    return (
        f"{len(arrays['rows'])} of the first n = {len(arrays['acceptance']):,} samples of seed "
        f"{settings['seed']}, at equal distances in the order of their acceptance: the least accepted first. "
        f"Below each: its acceptance min(w / m, 1), and its realism. {_realism(settings)}"
    )


def ascents(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A line per sample from the start to the last step, a panel per model."""
    panels = list(zip(settings["panels"], inputs["samples"], strict=True))
    chosen = slice(settings["first"], settings["first"] + settings["count"])
    steps = len(panels[0][0]["steps"])
    across = 2 if len(panels) > 1 else 1
    down = -(-len(panels) // across)
    size = (across * (0.5 + steps * CELL), down * (TITLE + settings["count"] * (CELL + NUMBERS)))
    with theme():
        figure = Figure(figsize=size)
        places = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (panel, path) in zip(places, panels, strict=False):
            _paths(axes, panel, load_arrays(path, ["acceptance", "images"]), chosen)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        return finish(figure, _ascents_caption(settings))


def _paths(
    axes: Axes, panel: Mapping[str, Any], arrays: Mapping[str, np.ndarray], chosen: slice
) -> None:
    images = arrays["images"][:, chosen].swapaxes(0, 1)
    chances = arrays["acceptance"][:, chosen].T
    steps = panel["steps"]
    below = [
        f"{chance:.2f}" + (f"\n{count} steps" if row == len(chances) - 1 else "")
        for row, line in enumerate(chances)
        for chance, count in zip(line, steps, strict=True)
    ]
    show_images(axes, images.reshape(-1, *images.shape[2:]), len(steps), below)
    subtitle(axes, *title_and_aside(panel))


def _ascents_caption(settings: Mapping[str, Any]) -> str:
    first, count = settings["first"], settings["count"]
    return (
        f"Each line climbs the weight of one latent (latentGA, steps of {settings['step_size']:g}): samples "
        f"{first + 1} to {first + count} of seed {settings['seed']}, not selected. Below each: min(w / m, 1), "
        f"the probability that latentRS would accept it. The table ascents is of "
        f"n = {settings['shown']:,} that climbed, with their realism."
    )


def _realism(settings: Mapping[str, Any]) -> str:
    return f"Realism in features of {settings['extractor']}, k = {settings['k']}."
