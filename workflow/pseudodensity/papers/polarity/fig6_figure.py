"""Figure 6: how far samples lie from their nearest training images, by polarity.

``inputs`` and ``settings``: as of `fig6`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.fig6 import SPACES
from pseudodensity.report.drawing import GREY, PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["fig6_figure"]

PANEL = 3.4  # inches


def fig6_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A line of panels for each model, a panel for each space, a curve for each set of images."""
    panels = list(zip(settings["panels"], inputs["measured"], strict=True))
    with theme():
        figure = Figure(figsize=(2 * PANEL, PANEL * len(panels)))
        grid = figure.subplots(len(panels), 2, squeeze=False, sharex="col")
        for line, (panel, path) in zip(grid, panels, strict=True):
            facts, arrays = load_facts(path), load_arrays(path, SPACES)
            words = {"pixels": "pixels", "features": f"features of {facts['extractor']}"}
            for axes, space in zip(line, SPACES, strict=True):
                _curves(axes, facts["rows"], arrays[space])
                subtitle(axes, panel["model"], words[space])
                axes.set_ylabel("density of images")
        for axes in grid[-1]:
            axes.set_xlabel(f"distance to {settings['k']} nearest training images")
        grid[0][0].legend(fontsize=8)
        return finish(
            figure,
            f"{'; '.join(map(block_title, settings['panels']))}. Euclidean distances of {arrays['pixels'].shape[1]:,} images of each kind, pixels from 0 to 1. "
            "Held-out real images are fresh ones of the law that the training images come from. The features "
            "neither steer nor judge.",
        )


def _curves(axes: Axes, rows: Sequence[Mapping[str, Any]], distances: np.ndarray) -> None:
    for i, (row, own) in enumerate(zip(rows, distances, strict=True)):
        look = {"color": PALETTE[i % len(PALETTE)]}
        if row["polarity"] is None:
            look = {"color": GREY, "linestyle": "--"}
        # All k distances of every image, as in the paper.
        sns.kdeplot(np.ravel(own), ax=axes, label=row["name"], cut=0, **look)
