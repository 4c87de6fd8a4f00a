"""Figure 2: density ratio and latent weights where a proposal narrowly misses two of four manifolds.

``inputs``: ``compared``, the experiment. ``settings``: ``gap``, ``noise``, ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.report.drawing import GREY, PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["fig2_figure"]

EXTENT, LATENT_EXTENT = 1.4, 2.5  # of the maps, as the experiment drew them
COLOURS = "viridis"


def fig2_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Data and best weights; ratio; latent weights: over the plane, over latents, and what is drawn."""
    names = ["points", "reals", "w1", "plane", "latents", "weight_latents"]
    names += ["moved", "moved_weight"]
    arrays, facts = load_arrays(inputs["compared"], names), load_facts(inputs["compared"])
    points = dict(zip(facts["rows"], arrays["points"], strict=True))
    w1 = dict(zip(facts["rows"], arrays["w1"].mean(1), strict=True))
    with theme():
        figure, grid = plt.subplots(2, 4, figsize=(11, 6))
        _scatter(grid[0, 0], arrays["reals"], points["plain"], PALETTE[0])
        subtitle(grid[0, 0], "proposal", f"W1 {w1['plain']:.3f}")
        _scatter(grid[1, 0], arrays["reals"], points["oracle"], PALETTE[0])
        subtitle(grid[1, 0], "best weights (oracle)", f"W1 {w1['oracle']:.3f}")
        shown = (
            ("ratio", "density ratio", arrays["latents"]),
            ("latent_rs", "latent weight", arrays["weight_latents"]),
        )
        for row, (name, title, over_latents) in zip(grid, shown, strict=True):
            # Relative to the likeliest proposal: a density ratio keeps hardly any.
            largest = over_latents.max()
            if name == "ratio":
                _map(row[1], arrays["plane"] / largest, EXTENT)
            else:
                _spread(row[1], arrays["moved"], arrays["moved_weight"] / largest)
            subtitle(row[1], title, "over the plane")
            drawn = _map(row[2], over_latents / largest, LATENT_EXTENT)
            row[2].set(xlabel="first latent", ylabel="second latent")
            subtitle(row[2], title, "over the latents")
            _scatter(row[3], arrays["reals"], points[name], PALETTE[2])
            subtitle(row[3], "DRS" if name == "ratio" else "latentRS", f"W1 {w1[name]:.3f}")
        bar = figure.colorbar(drawn, ax=list(grid.flat), shrink=0.5, aspect=30)
        bar.set_label("acceptance, of the largest")
        return finish(figure, _caption(settings))


def _plane(axes: Axes) -> None:
    axes.set(xlim=(-EXTENT, EXTENT), ylim=(-EXTENT, EXTENT), xticks=[], yticks=[], aspect="equal")
    axes.grid(False)


def _scatter(axes: Axes, reals: np.ndarray, points: np.ndarray, colour: str) -> None:
    axes.scatter(*reals.T, s=2, color=GREY, linewidths=0, rasterized=True)
    axes.scatter(*points.T, s=2, color=colour, linewidths=0, rasterized=True)
    _plane(axes)


def _map(axes: Axes, values: np.ndarray, extent: float):
    box = (-extent, extent, -extent, extent)
    axes.grid(False)
    drawn = axes.imshow(values, origin="lower", extent=box, vmin=0, vmax=1, cmap=COLOURS)
    axes.set(xticks=[], yticks=[])
    return drawn


def _spread(axes: Axes, moved: np.ndarray, values: np.ndarray) -> None:
    """Proposals in the colour of their acceptance."""
    look = {"s": 3, "vmin": 0, "vmax": 1, "cmap": COLOURS, "linewidths": 0, "rasterized": True}
    axes.scatter(*moved.T, c=values, **look)
    _plane(axes)


def _caption(settings: Mapping[str, Any]) -> str:
    return (
        "Reals (grey) lie on four arcs; the proposal, a circle, runs through the upper two and misses the "
        f"lower two by {settings['gap']:g} = {settings['gap'] / settings['noise']:.0f} standard deviations of "
        "the noise. By the density ratio of a discriminator (upper row) the missed half is rejected; latent "
        "weights (lower row) keep all four sides and leave the ways between them out. Maps show the "
        "probability of being accepted as a share of that of the likeliest proposal; far from both laws a "
        "ratio means nothing, and over the plane a latent weight exists only where latents go. W1 is the mean "
        "over the evaluations; that of the proposal and of the best weights is in the left column."
    )
