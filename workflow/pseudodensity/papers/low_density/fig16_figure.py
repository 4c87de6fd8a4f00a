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
from matplotlib.lines import Line2D
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

# Score -> its title, and its unit.
SCORES = {
    "precision": ("Precision", "share"),
    "recall": ("Recall", "share"),
    "median_hardness": ("Median hardness", "nats"),
}
WIDTH, CURVES, LABELS, TITLE = 8.6, 2.4, 0.9, 0.45  # inches; curves: height; labels: of images


def fig16_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Above a panel for each score; below one for each number of steps."""
    table = pd.read_csv(inputs["table"])
    steps = list(dict.fromkeys(row["steps"] for row in settings["rows"]))
    roles = list(dict.fromkeys(row["role"] for row in settings["rows"]))
    cell = (WIDTH / 2 - LABELS) / settings["shown"]
    down = -(-len(steps) // 2)
    pictures = down * (len(roles) * cell + TITLE)
    with theme():
        figure = Figure(figsize=(WIDTH, CURVES + pictures))
        # Grids of their own, so that names of lines of images take no room from the curves.
        above, below = figure.add_gridspec(2, 1, height_ratios=[CURVES, pictures])
        looks = _looks(roles)
        panels = above.subgridspec(1, len(SCORES))
        for place, (score, (title, unit)) in zip(panels, SCORES.items(), strict=True):
            axes = figure.add_subplot(place)
            _curves(axes, table, score, looks, steps)
            subtitle(axes, title)
            axes.set_ylabel(unit)
        for place, number in zip(below.subgridspec(down, 2), steps, strict=False):
            axes = figure.add_subplot(place)
            _images(axes, inputs["stored"], settings, number)
            subtitle(axes, f"{number} steps")
        entries = [entry(role, *look) for role, look in looks.items()]
        if table["method"].eq("held_out").any():
            entries.append(Line2D([], [], color=GREY, linestyle=":", label="held-out reals"))
        legend_above(figure, entries)
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
    show_images(axes, images, settings["shown"], rows=[(role.split()[0], BLACK) for role, _ in own])


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judged = ", ".join(f"{name} by {one}" for name, one in settings["extractors"].items())
    return (
        f"{block_title(first)}, deterministic steps (DDIM): n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, "
        f"k = {first['k']:.0f}, training seed {first['seed']}; {judged}. Bars: 95 % intervals over the repeats. Below, the "
        "first images, none picked: a column is of one latent, in all panels."
    )
