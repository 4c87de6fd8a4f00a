"""Figures 4 and 5: samples by polarity, with the nearest training image under each.

``inputs`` and ``settings``: as of `fig4`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.fig4 import panel_title
from pseudodensity.report.drawing import BLACK, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["fig4_figure"]

CELL, TITLE = 0.62, 0.45  # inches
FAINT = "0.45"
ACROSS = 2  # panels


def fig4_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each model: two lines of images for each polarity."""
    facts = [load_facts(path) for path in inputs["measured"]]
    arrays = [load_arrays(path, ("images", "nearest")) for path in inputs["measured"]]
    rows, columns = arrays[0]["images"].shape[:2]
    across = min(ACROSS, len(arrays))
    down = -(-len(arrays) // across)
    size = (across * (columns * CELL + 1.0), down * (2 * rows * CELL + TITLE))
    with theme():
        figure = Figure(figsize=size)
        grid = np.ravel(figure.subplots(down, across, squeeze=False))
        for axes, panel, known, own in zip(grid, settings["panels"], facts, arrays, strict=False):
            _panel(axes, panel, known, own)
        for axes in grid[len(arrays) :]:
            axes.set_axis_off()
        return finish(figure, _caption(facts[0]))


def _panel(
    axes: Axes, panel: Mapping[str, Any], facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    names, lines = [], []
    for row, images, training in zip(
        facts["rows"], arrays["images"], arrays["nearest"], strict=True
    ):
        lines += [images, training]
        names += [(row["name"], BLACK), ("nearest", FAINT)]
    show_images(axes, np.concatenate(lines), arrays["images"].shape[1], rows=names)
    title, _, space = panel_title(panel).rpartition(", ")
    subtitle(axes, title, space)


def _caption(facts: Mapping[str, Any]) -> str:
    return (
        "The first samples drawn at each polarity, none picked, with the same random numbers at every one: the "
        "same latent comes again where it is still chosen. Under each its nearest training image in features of "
        f"{facts['extractor']}, which neither steer nor judge."
    )
