"""Figure 11: modes, base, uniform and anti-modes of a known generator in the plane, by both algorithms.

``inputs``: ``drawn``, the experiment. ``settings``: ``map``, whose regions are polygons; ``polarity``,
exponents of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.fig11 import ALGORITHMS, chi_square
from pseudodensity.report.drawing import PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["fig11_figure"]

PANEL = 2.3  # inches
WORDS = {0: "the model itself", 1: "uniform on the manifold"}
COLOURS = "viridis"


def fig11_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A column for each polarity: the exact density, and points of each algorithm."""
    facts, points = load_facts(inputs["drawn"]), load_arrays(inputs["drawn"], ["points"])["points"]
    found = {
        (row["polarity"], row["algorithm"]): (row, own)
        for row, own in zip(facts["rows"], points, strict=True)
        if row["map"] == settings["map"]
    }
    outlines = [np.asarray(corners) for corners in facts["outlines"][settings["map"]]]
    areas = np.array([_area(corners) for corners in outlines])
    exponents = settings["polarity"]
    densities = {rho: _of(found, rho)["exact"] / areas for rho in exponents}
    every = np.concatenate(list(densities.values()))
    scale = LogNorm(max(every.min(), every.max() / 1e4), every.max())
    with theme():
        figure = Figure(figsize=(PANEL * len(exponents) + 0.8, PANEL * 3))
        grid = figure.subplots(3, len(exponents), sharex=True, sharey=True, squeeze=False)
        for column, rho in enumerate(exponents):
            exact = _regions(grid[0][column], outlines, densities[rho], scale)
            subtitle(grid[0][column], f"ρ = {rho:g}", _words(rho))
            for axes, algorithm in zip(grid[1:, column], ALGORITHMS, strict=True):
                _points(axes, outlines, *found[rho, algorithm])
        for axes, name in zip(grid[:, 0], ["exact density", *ALGORITHMS.values()], strict=True):
            axes.set_ylabel(name)
        figure.colorbar(exact, ax=grid.ravel().tolist(), label="density", aspect=40)
        row = _of(found, exponents[0])
        return finish(
            figure,
            f"A square with a uniform law, mapped into the plane by a network of {len(outlines)} "
            "affine regions without overlap (lines). The exact density is constant on each; it is cut "
            f"below at 1/10,000 of its largest value. Below: {row['samples']:,} samples of each "
            f"algorithm; p: chi-square test of the counts of the regions against the exact law. "
            f"Algorithm 1 draws from {row['proposals']:,} volumes.",
        )


def _of(found: Mapping[tuple[float, str], tuple[dict, np.ndarray]], rho: float) -> dict[str, Any]:
    return found[rho, "offline"][0]


def _words(rho: float) -> str:
    return WORDS.get(rho, "modes" if rho < 0 else "anti-modes" if rho > 1 else "")


def _area(corners: np.ndarray) -> float:
    turned = np.roll(corners, -1, axis=0)
    return abs(float((corners[:, 0] * turned[:, 1] - corners[:, 1] * turned[:, 0]).sum())) / 2


def _regions(
    axes: Axes, outlines: Sequence[np.ndarray], densities: np.ndarray, scale: LogNorm
) -> PolyCollection:
    drawn = PolyCollection(
        outlines,
        array=np.maximum(densities, scale.vmin),
        cmap=COLOURS,
        norm=scale,
        edgecolor="white",
        linewidth=0.5,
    )
    axes.add_collection(drawn)
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.grid(False)
    return drawn


def _points(
    axes: Axes, outlines: Sequence[np.ndarray], row: Mapping[str, Any], points: np.ndarray
) -> None:
    axes.add_collection(PolyCollection(outlines, facecolor="none", edgecolor="0.7", linewidth=0.5))
    axes.scatter(*points.T, s=1.2, color=PALETTE[0], linewidth=0, alpha=0.6, rasterized=True)
    p, _ = chi_square(row["counts"], row["exact"])
    axes.set_title(f"p = {p:.2f}", loc="right", fontsize=8, fontweight="normal", pad=2)
    axes.set_aspect("equal")
    axes.grid(False)
