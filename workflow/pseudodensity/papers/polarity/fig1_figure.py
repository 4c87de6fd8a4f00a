"""Figure 1: precision and recall along truncation and along polarity, and samples of some classes by polarity.

``inputs``: ``table``, the CSV of `fig3`; ``samples``, of a class-conditional model, if the config has one.
``settings``: ``block``, whose lines are drawn; ``extractors``: name of a metric -> whose features judge;
``samples``, block, model, dataset and stands_for of the class-conditional model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.polarity.fig3 import of_truncation
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    finish,
    intervals,
    legend_above,
    listed,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title, title_and_aside

__all__ = ["fig1_figure"]

PANEL, CELL, TITLE = 3.4, 0.5, 0.5  # inches: panel of lines, image, title of the images
# Score -> colour and marker.
LOOKS = {"precision": (PALETTE[0], "o"), "recall": (PALETTE[3], "D")}


def fig1_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each dial, and the samples below. ValueError: no precision and recall of the model."""
    table = pd.read_csv(inputs["table"])
    points = table[table["block"].eq(settings["block"]) & table["precision"].notna()]
    if points.empty:
        raise ValueError(f"{inputs['table']} has no precision of {settings['block']}")
    shown = load_arrays(inputs["samples"], ["images"])["images"] if "samples" in inputs else None
    heights = [PANEL] if shown is None else [PANEL, shown.shape[1] * CELL + TITLE]
    with theme():
        figure = Figure(figsize=(2 * PANEL, sum(heights)))
        grid = figure.add_gridspec(len(heights), 2, height_ratios=heights)
        left = figure.add_subplot(grid[0, 0])
        _dials(left, figure.add_subplot(grid[0, 1], sharey=left), points)
        if shown is not None:
            rows = load_facts(inputs["samples"])["rows"][0]
            _classes(figure.add_subplot(grid[1, :]), shown, rows, settings["samples"])
        entries = [
            Line2D([], [], color=colour, marker=marker, label=score)
            for score, (colour, marker) in LOOKS.items()
        ]
        legend_above(figure, entries)
        return finish(figure, _caption(points, settings, shown is not None))


def _dials(left: Axes, right: Axes, points: pd.DataFrame) -> None:
    _lines(left, of_truncation(points).assign(psi=lambda own: own["psi"].fillna(1.0)), "psi")
    _lines(right, points[points["method"].eq("polarity")], "polarity")
    subtitle(left, "Truncation", "ψ = 1 is the model")
    subtitle(right, "Polarity", "ρ = 0 is the model, drawn with replacement")
    left.set_xlabel("ψ")
    right.set_xlabel("ρ")
    right.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    left.set_ylabel("share of images")


def _classes(
    axes: Axes, images: np.ndarray, rows: Sequence[Mapping[str, Any]], names: Mapping[str, Any]
) -> None:
    """A line for each polarity; the classes stand side by side."""
    lines = images.swapaxes(0, 1)  # (rows, classes, shown, 3, R, R)
    across = lines.shape[1] * lines.shape[2]
    show_images(
        axes,
        lines.reshape(-1, *lines.shape[3:]),
        across,
        rows=[(row["name"], BLACK) for row in rows],
    )
    subtitle(axes, *title_and_aside(names))


def _lines(axes: Axes, points: pd.DataFrame, dial: str) -> None:
    points = points.sort_values(dial)
    for score, (colour, marker) in LOOKS.items():
        intervals(axes, points, dial, score, colour)
        axes.plot(points[dial], points[score], color=colour, marker=marker, markersize=4)


def _caption(points: pd.DataFrame, settings: Mapping[str, Any], with_samples: bool) -> str:
    first = points.iloc[0]
    samples = (
        " Images: the first samples of each class and polarity, drawn within the class, none picked."
        if with_samples
        else ""
    )
    return (
        f"{block_title(first)}. Bars: 95 % interval of the mean over {listed(points['repeats'])} repeats of "
        f"disjoint proposals. n = {listed(points['n'])} generated against n = {listed(points['n_real'])} real "
        f"images, k = {listed(points['k'])} neighbours in features of {settings['extractors']['manifold']}, "
        f"training seed {first['seed']}.{samples}"
    )
