"""Figure 15: images of the same seeds as their class embedding is smoothed, and what that does to sets of images.

``inputs``: ``samples``, an experiment of `measured.same_seeds`; ``table``, the CSV of `fig15`. ``settings``: ``classes``;
``smoothing``, of each point, the plain sampler first; ``extractors``: name of a metric -> whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.pictures import CELL, HEADS, picture_caption
from pseudodensity.report.drawing import (
    BLACK,
    PALETTE,
    entry,
    finish,
    intervals,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays

__all__ = ["fig15_figure"]

# Inches: names of the lines of images; height of the two panels of curves, and of what stands around them.
NAMES, PANELS, AROUND = 0.7, 2.3, 0.9
LOOKS = {"precision": (PALETTE[0], "o"), "recall": (PALETTE[3], "D")}


def fig15_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Images above, a line for each smoothing; precision and recall, and hardness, below."""
    images = load_arrays(inputs["samples"], ["images"])["images"][:, :, 0]
    table = pd.read_csv(inputs["table"])
    lines, across = images.shape[:2]
    heights = [HEADS + lines * CELL, PANELS]
    with theme():
        figure = Figure(figsize=(NAMES + across * CELL, sum(heights) + AROUND))
        grid = figure.add_gridspec(2, 2, height_ratios=heights)
        rows = [(f"s = {value:g}", BLACK) for value in settings["smoothing"]]
        heads = [f"class {label}" for label in settings["classes"]]
        listed = images.reshape(-1, *images.shape[2:])
        show_images(figure.add_subplot(grid[0, :]), listed, across, rows=rows, heads=heads)
        quality, hard = (figure.add_subplot(grid[1, column]) for column in range(2))
        _curves(quality, table, LOOKS)
        subtitle(quality, "Quality and variety")
        quality.set(xlabel="smoothing s", ylabel="share of images")
        _curves(hard, table, {"median_hardness": (BLACK, "s")})
        subtitle(hard, "Hardness for the class")
        hard.set(xlabel="smoothing s", ylabel="median hardness (nats)")
        quality.legend(handles=[entry(score, *look) for score, look in LOOKS.items()])
        return finish(figure, _caption(table, settings))


def _curves(axes: Axes, table: pd.DataFrame, looks: Mapping[str, tuple[str, str]]) -> None:
    """Scores by smoothing; held-out real images are a line of the colour of the score."""
    own = table[table["smoothing"].notna()].sort_values("smoothing")
    reals = table[table["method"].eq("held_out")]
    for score, (colour, marker) in looks.items():
        axes.plot(own["smoothing"], own[score], color=colour, marker=marker, markersize=4)
        intervals(axes, own, "smoothing", score, colour)
        for value in reals[score]:
            axes.axhline(value, color=colour, linestyle=":", linewidth=0.9)


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = table.iloc[0]
    judged = ", ".join(f"{name} by {one}" for name, one in settings["extractors"].items())
    said = (
        "A column has one latent and one noise; s = 0 is the plain sampler, at s = 1 every class is told the mean of all "
        f"embeddings. n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, k = {first['k']:.0f}, training seed "
        f"{first['seed']}; {judged}. Bars: 95 % intervals over the repeats. Dotted: held-out real images."
    )
    return picture_caption(first, said, [])
