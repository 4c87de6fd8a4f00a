"""Figure 9: images with their nearest reals and the classes of these.

``inputs``: ``measured``, an experiment of `measured.nearest`. ``settings``: ``names``, block, model, dataset and
stands_for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.nearest_pairs import set_arrays
from pseudodensity.report.drawing import finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["fig9_figure"]

CELL, WORDS, TITLE = 0.6, 0.16, 0.6  # inches: an image, the class below it, the title


def fig9_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each set, a line for each image: itself, then its nearest reals."""
    path = inputs["measured"]
    facts = load_facts(path)
    training = load_arrays(path, ["training_label"])["training_label"]
    first = set_arrays(path, 0, ["shown"])["shown"]
    down = -(-len(facts["sets"]) // 2)
    size = (2 * (first.shape[1] * CELL + 0.2), down * (len(first) * (CELL + WORDS) + TITLE))
    with theme():
        figure = Figure(figsize=size)
        grid = np.ravel(figure.subplots(down, 2, squeeze=False))
        for number, (axes, name) in enumerate(zip(grid, facts["sets"], strict=False)):
            _panel(axes, name, path, number, training)
        for axes in grid[len(facts["sets"]) :]:
            axes.set_axis_off()
        return finish(figure, _caption(facts, settings, first.shape[:2]))


def _panel(axes: Axes, name: str, path: str, number: int, training: np.ndarray) -> None:
    own = set_arrays(path, number, ["shown", "label", "features_rows"])
    drawn = own["shown"]
    below = []
    for label, rows in zip(own["label"], own["features_rows"][: len(drawn)], strict=False):
        classes = training[rows]
        below += [f"class {label}", *(_word(found, label) for found in classes)]
    show_images(axes, drawn.reshape(-1, *drawn.shape[2:]), drawn.shape[1], below)
    subtitle(axes, name)


def _word(found: int, label: int) -> str:
    return f"{found}" if found == label else f"≠ {found}"


def _caption(facts: Mapping[str, Any], settings: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    return (
        f"{block_title(settings['names'])}. The first {shape[0]} images of each set, none picked; generated ones are of "
        f"the same latents. To the right of each its {shape[1] - 1} nearest training images in features of "
        f"{facts['extractor']}, which neither steer nor judge; below, the class, with ≠ where it is another one. The table "
        "counts all images."
    )
