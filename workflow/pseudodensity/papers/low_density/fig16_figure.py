"""Figure 16: scores along the number of steps, and the first images of each sampler.

``inputs``: ``table``, the CSV of `fig16`; ``stored``, images of the rows that are sampled, in their order. ``settings``:
``rows``, of those, ``role`` and ``steps``; ``shown``, images of each; ``extractors``: name of a metric -> whose features
judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pseudodensity.artifacts import load_npy
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    MARKERS,
    PALETTE,
    entry,
    finish,
    intervals,
    legend_above,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["fig16_figure"]

SCORES = {"precision": "Precision", "recall": "Recall", "median_hardness": "Median hardness (nats)"}
WIDTH, CURVES, LABELS, TITLE = (
    8.6,
    2.3,
    1.3,
    0.45,
)  # inches; curves: height, labels: of lines of images


def fig16_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Above a panel for each score; below one for each number of steps."""
    table = pd.read_csv(inputs["table"])
    steps = list(dict.fromkeys(row["steps"] for row in settings["rows"]))
    roles = list(dict.fromkeys(row["role"] for row in settings["rows"]))
    cell = (WIDTH / 2 - LABELS) / settings["shown"]
    down = -(-len(steps) // 2)
    heights = [CURVES, *[len(roles) * cell + TITLE] * down]
    with theme():
        figure = Figure(figsize=(WIDTH, sum(heights)))
        grid = figure.add_gridspec(1 + down, 6, height_ratios=heights)
        looks = _looks(roles)
        for place, (score, title) in enumerate(SCORES.items()):
            axes = figure.add_subplot(grid[0, 2 * place : 2 * place + 2])
            _curves(axes, table, score, looks, steps)
            subtitle(axes, title)
        for place, number in enumerate(steps):
            left = 3 * (place % 2)
            axes = figure.add_subplot(grid[1 + place // 2, left : left + 3])
            _images(axes, inputs["stored"], settings, number)
            subtitle(axes, f"{number} steps")
        entries = [entry(role, *look) for role, look in looks.items()]
        reals = [entry("held-out reals", GREY, "_")] * bool(table["method"].eq("held_out").any())
        legend_above(figure, [*entries, *reals])
        return finish(figure, _caption(table, settings))


def _looks(roles: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each sampler: plain first, the control last and grey."""
    looks = {role: (PALETTE[i % len(PALETTE)], MARKERS[i]) for i, role in enumerate(roles)}
    return looks | {roles[0]: (BLACK, "*"), roles[-1]: (GREY, "X")}


def _curves(
    axes: Axes,
    table: pd.DataFrame,
    score: str,
    looks: Mapping[str, tuple[str, str]],
    steps: Sequence[int],
) -> None:
    for role, (colour, marker) in looks.items():
        own = table[table["role"].eq(role)]
        axes.plot(own["steps"], own[score], color=colour, marker=marker, markersize=5)
        intervals(axes, own, "steps", score, colour)
    for value in table.loc[table["method"].eq("held_out"), score]:
        axes.axhline(value, color=GREY, linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks(steps, [str(number) for number in steps])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("steps")


def _images(axes: Axes, stored: Sequence[str], settings: Mapping[str, Any], steps: int) -> None:
    own = [
        (row["role"], load_npy(path, mapped=True)[: settings["shown"]])
        for row, path in zip(settings["rows"], stored, strict=True)
        if row["steps"] == steps
    ]
    images = np.concatenate([np.array(each) for _, each in own])
    show_images(axes, images, settings["shown"], rows=[(role, BLACK) for role, _ in own])


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judged = ", ".join(f"{name} by {one}" for name, one in settings["extractors"].items())
    return (
        f"{block_title(first)}, deterministic steps (DDIM): n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, "
        f"k = {first['k']:.0f}, training seed {first['seed']}; {judged}. Bars: 95 % intervals over the repeats. Below, the "
        "first images, none picked: a column is of one latent, in all panels."
    )
