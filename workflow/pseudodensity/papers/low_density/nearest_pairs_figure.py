"""Figures 8, 18 and 19: the pairs of a generated and a training image that are nearest to each other.

``inputs`` and ``settings``: as of `nearest_pairs`, without what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.nearest_pairs import set_arrays, space_title
from pseudodensity.report.drawing import BLACK, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_facts
from pseudodensity.report.titles import block_title

__all__ = ["nearest_pairs_figure"]

WIDTH, LABELS, TITLE = 4.4, 0.8, 0.6  # inches: of a panel, its names of lines, its title
FAINT = "0.45"
COLUMNS = 8  # of pairs; a figure of many has twice as many, half as large
FEW = 16  # pairs


def nearest_pairs_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each set: images, each with its nearest training image below it."""
    path, space = inputs["measured"], settings["space"]
    facts = load_facts(path)
    columns = COLUMNS if settings["count"] <= FEW else 2 * COLUMNS
    lines = 2 * -(-settings["count"] // columns)
    height = TITLE + lines * (WIDTH - LABELS) / columns
    down = -(-len(facts["sets"]) // 2)
    with theme():
        figure = Figure(figsize=(2 * WIDTH, down * height))
        grid = np.ravel(figure.subplots(down, 2, squeeze=False))
        for number, (axes, name) in enumerate(zip(grid, facts["sets"], strict=False)):
            own = set_arrays(path, number, [space, f"{space}_pairs", f"{space}_drawn"])
            _panel(axes, name, own, columns, settings)
        for axes in grid[len(facts["sets"]) :]:
            axes.set_axis_off()
        return finish(figure, _caption(facts, settings))


def _panel(
    axes: Axes,
    name: str,
    own: Mapping[str, np.ndarray],
    columns: int,
    settings: Mapping[str, Any],
) -> None:
    space, first = settings["space"], settings["first"]
    rows = own[f"{space}_pairs"][first : first + settings["count"]]
    drawn = own[f"{space}_drawn"][first : first + settings["count"]]
    if not len(rows):
        subtitle(axes, name, "no images are left")
        axes.set_axis_off()
        return
    distances = own[space][rows, 0]
    subtitle(axes, name, f"distances from {distances[0]:.2f} to {distances[-1]:.2f}")
    images, names = [], []
    for start in range(0, len(rows), columns):
        pairs = drawn[start : start + columns]
        images += [_filled(pairs[:, place], columns) for place in (0, 1)]
        names += [("image", BLACK), ("nearest", FAINT)]
    show_images(axes, np.concatenate(images), columns, rows=names)


def _filled(images: np.ndarray, columns: int) -> np.ndarray:
    """A line of images, filled up with white ones."""
    blank = np.full((columns - len(images), *images.shape[1:]), 255, np.uint8)
    return np.concatenate([images, blank])


def _caption(facts: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    first, last = settings["first"] + 1, settings["first"] + settings["count"]
    held_out = (
        "fresh images of the same law"
        if facts["held_out"] == "fresh"
        else "training images, each compared with all others, so that two may be each other's nearest"
    )
    return (
        f"{block_title(settings['names'])}: of each set the pairs {first} to {last} of smallest distance in "
        f"{space_title(settings['space'], facts)}, a pair for each image, its nearest of {facts['n_real']:,} "
        f"training images below it. The features neither steer nor judge. Held-out real images: {held_out}."
    )
