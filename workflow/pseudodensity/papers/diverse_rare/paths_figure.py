"""Figures 9 and 19: paths of the search over the density of a plane through their reference.

``inputs`` and ``settings``: as of `paths_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.diverse_rare.path_drawing import ARRAYS, draw_plane, plane_entries
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
from pseudodensity.report.titles import block_title

__all__ = ["fig9_figure", "fig19_figure"]

CELL = 1.0  # inches
BLUE = PALETTE[0]
EVERY = 10  # steps between markers of the rarity, as in the paper


def fig9_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """The first path, large, and its images below."""
    arrays = load_arrays(inputs["measured"], ARRAYS)
    steps, kept = arrays["picture"][0], int(arrays["kept"][0])
    with theme():
        figure = Figure(figsize=(6.6, 5.6 + 1.9 * CELL))
        axes, below = figure.subplots(2, 1, height_ratios=[5.6, 1.9 * CELL])
        draw_plane(figure, axes, arrays, 0)
        subtitle(axes, block_title(settings["panel"]))
        words = [_step(step, kept, arrays["rarity"][0]) for step in steps]
        show_images(below, arrays["images"][0], len(steps), words)
        legend_above(figure, plane_entries())
        return finish(figure, _caption(settings, arrays, 1))


def fig19_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Of each path its rarity and log-density along the steps, above the plane."""
    arrays, shown = load_arrays(inputs["measured"], ARRAYS), settings["shown"]
    with theme():
        figure = Figure(figsize=(3.4 * shown, 5.6))
        grid = figure.subplots(2, shown, squeeze=False, height_ratios=[1, 2])
        for i in range(shown):
            _along(grid[0][i], arrays, i, last=i == shown - 1)
            draw_plane(figure, grid[1][i], arrays, i)
            subtitle(grid[0][i], f"Reference {arrays['reference'][i]}")
        grid[0][0].set_ylabel("rarity")
        lines = [
            Line2D([], [], color=BLACK, marker="o", ms=4, lw=1, label="rarity"),
            Line2D([], [], color=BLUE, lw=1, label="log-density"),
        ]
        legend_above(figure, [*lines, *plane_entries()])
        return finish(figure, _caption(settings, arrays, shown))


def _along(axes: Axes, arrays: Mapping[str, np.ndarray], i: int, *, last: bool) -> None:
    """Rarity, with gaps outside the manifold, and log-density along the steps; feasible ones are shaded."""
    rarity, logs = arrays["rarity"][i], arrays["log_density"][i]
    steps = np.arange(len(rarity))
    axes.plot(steps, rarity, color=BLACK, linewidth=1)
    axes.plot(steps[::EVERY], rarity[::EVERY], color=BLACK, marker="o", ms=4, ls="none")
    axes.fill_between(
        steps,
        0,
        1,
        where=arrays["feasible"][i],
        step="mid",
        transform=axes.get_xaxis_transform(),
        color=PALETTE[2],
        alpha=0.15,
        linewidth=0,
    )
    if np.isnan(rarity).all():
        axes.set_yticks([])
        place = {"xycoords": "axes fraction", "ha": "center", "fontsize": 8.5}
        axes.annotate("outside the manifold at all steps", (0.5, 0.05), **place)
    axes.axvline(int(arrays["kept"][i]), color=PALETTE[3], linewidth=1)
    axes.set_xlabel("step")
    axes.set_xlim(-0.5, len(steps) - 0.5)
    axes.locator_params(nbins=5)
    other = axes.twinx()
    other.plot(steps, logs, color=BLUE, linewidth=1)
    other.grid(visible=False)
    other.tick_params(axis="y", colors=BLUE)
    if last:
        other.set_ylabel("log-density (nats)", color=BLUE)


def _step(step: int, kept: int, rarity: np.ndarray) -> str:
    name = f"step {step}" if step else "start"
    value = "outside" if np.isnan(rarity[step]) else f"rarity {rarity[step]:.2f}"
    return "\n".join([name, value, *(["kept"] if step == kept else [])])


def _caption(settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], shown: int) -> str:
    one, k = shown == 1, settings["point"]["manifold_k"]
    shares = ", ".join(f"{100 * share:.0f} %" for share in arrays["along"][:shown])
    above = "" if one else "Above: shaded steps are feasible, the line is at the kept one. "
    return (
        f"{block_title(settings['panel'])}, features of {settings['extractor']}, one trained model. The first sample of "
        f"{'a reference' if one else 'each reference'}; references whose sample moved come first, in the order of the pool. {above}Plane: "
        "through the reference, along the first two principal components of the path about it, with "
        f"{shares} of the squared distances of the iterates from it; the paper has UMAP, whose inverse is an estimate. Colours: "
        f"log-density on the plane, exact. Balls (k = {k}) of the {k} nearest reals of each iterate: a disc is where one cuts the plane; "
        "dotted is the outline of one that holds the kept iterate, projected. An iterate may lie in a ball off the "
        "plane: full markers are feasible."
    )
