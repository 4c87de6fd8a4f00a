"""Figure 3: one seed of some classes by alpha, downwards, and beta, to the right.

``inputs`` and ``settings``: as of `same_seeds_table`, of one experiment; ``alpha``, ``beta``; ``loss``; ``cells``, the
point of each cell, whose last column is the random direction without beta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.control.guide.low_density_sampling import NO_PUSH
from pseudodensity.papers.low_density.pictures import (
    CELL,
    HEADS,
    NUMBER,
    TITLE,
    picture_caption,
)
from pseudodensity.report.drawing import BLACK, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["fig3_figure"]

NAMES = 0.7  # inches, of the strengths beside the lines


def fig3_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each class, with the hardness of each image below it."""
    (path,) = inputs["sets"]
    arrays, notes = load_arrays(path, ["images", "hardness"]), load_facts(path)["notes"]
    cells, classes = np.array(settings["cells"]), settings["classes"]
    lines, across = cells.shape
    rows = [(f"α = {alpha:g}", BLACK) for alpha in settings["alpha"]]
    heads = _heads(settings["beta"], cells, notes)
    lower = max(head.count("\n") for head in heads)
    size = (
        len(classes) * (NAMES + across * (CELL + 0.06)),
        TITLE + HEADS * (1 + lower) + lines * (CELL + NUMBER),
    )
    with theme():
        figure = Figure(figsize=size)
        places = figure.subplots(1, len(classes), squeeze=False).ravel()
        for place, (axes, label) in enumerate(zip(places, classes, strict=True)):
            images = arrays["images"][cells.ravel(), place, 0]
            below = [f"{value:.0f}" for value in arrays["hardness"][cells.ravel(), place, 0]]
            show_images(axes, images, across, below, rows=rows, heads=heads)
            subtitle(axes, f"Class {label}")
        return finish(figure, _caption(settings, notes))


def _heads(beta: Sequence[float], cells: np.ndarray, notes: Sequence[str]) -> list[str]:
    """Of each column its beta; one that was refused says so."""
    found = []
    for value, column in zip(beta, cells.T, strict=False):
        refused = any(NO_PUSH in notes[point] for point in column)
        found.append(f"β = {value:g}" + "\n(refused)" * refused)
    return [*found, "random\ndirection"]


def _caption(settings: Mapping[str, Any], notes: Sequence[str]) -> str:
    panel = settings["panels"][0]
    said = (
        f"One latent and one noise for all cells of a class. α: strength of the loss {settings['loss']}, β: of what "
        "looks real to H'; last column: a fixed random direction of the embedder's features at strength α, without β. "
        f"Below each image: its hardness in nats, in features of {panel['judge']}, which neither guide nor train what "
        "guides."
    )
    return picture_caption(panel, said, notes)
