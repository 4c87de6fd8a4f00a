"""Figures 5, 6, 20 and 21: plain and guided images of the same seeds, and the random direction.

``inputs`` and ``settings``: as of `same_seeds_table`, of one experiment; ``guided``, its strengths; ``layout``: beside,
a panel for each sampler with a line for each class; above, a panel for each class with a line for each sampler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.pictures import (
    CELL,
    LABELS,
    TITLE,
    colour_of,
    picture_caption,
    strengths,
)
from pseudodensity.report.drawing import BLACK, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["pairs_figure"]

ACROSS = 2  # panels of classes
SHORT = 0.6  # inches, names of classes
GAP = 0.2  # inches between panels
ABOVE = ("guided", "plain", "random direction")  # as in the paper: guided on top


def pairs_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """One image for each place and sampler."""
    (path,) = inputs["sets"]
    images, notes = load_arrays(path, ["images"])["images"], load_facts(path)["notes"]
    by_name = dict(zip(settings["names"][0], images, strict=True))
    draw = _beside if settings["layout"] == "beside" else _above
    with theme():
        figure = draw(by_name, settings["classes"])
        return finish(figure, _caption(settings, notes))


def _beside(images: Mapping[str, np.ndarray], classes: Sequence[int]) -> Figure:
    """images: sampler -> (classes, per_class, 3, R, R). A panel for each sampler."""
    lines, across = next(iter(images.values())).shape[:2]
    width = SHORT + len(images) * (across * CELL + GAP)
    figure = Figure(figsize=(width, TITLE + lines * CELL))
    for number, (axes, name) in enumerate(
        zip(figure.subplots(1, len(images)), images, strict=True)
    ):
        rows = [(f"class {label}", BLACK) for label in classes] if number == 0 else []
        show_images(axes, _listed(images[name]), across, rows=rows)
        subtitle(axes, name.capitalize())
        axes.title.set_color(colour_of(name))
    return figure


def _above(images: Mapping[str, np.ndarray], classes: Sequence[int]) -> Figure:
    """A panel for each class, with a line for each sampler."""
    per_class = next(iter(images.values())).shape[1]
    down = -(-len(classes) // ACROSS)
    size = (ACROSS * (LABELS + per_class * CELL), down * (TITLE + len(ABOVE) * CELL))
    figure = Figure(figsize=size)
    places = figure.subplots(down, ACROSS, squeeze=False).ravel()
    rows = [(name.replace(" ", "\n"), colour_of(name)) for name in ABOVE]
    for place, (axes, label) in enumerate(zip(places, classes, strict=False)):
        own = np.concatenate([images[name][place] for name in ABOVE])
        show_images(axes, own, per_class, rows=rows)
        subtitle(axes, f"Class {label}")
    for axes in places[len(classes) :]:
        axes.set_axis_off()
    return figure


def _listed(images: np.ndarray) -> np.ndarray:
    return images.reshape(-1, *images.shape[2:])


def _caption(settings: Mapping[str, Any], notes: Sequence[str]) -> str:
    panel = settings["panels"][0]
    said = (
        f"Images in the same place of plain, guided ({strengths(settings['guided'])}) and the random direction, a fixed "
        "one of the embedder's features at the same strengths, have the same latent and noise; none is picked."
    )
    return picture_caption(panel, said, notes)
