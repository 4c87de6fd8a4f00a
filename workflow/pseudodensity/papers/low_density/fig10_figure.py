"""Figure 10: one seed of each class as alpha rises, beside a push of the same strengths in a random direction.

``inputs`` and ``settings``: as of `same_seeds_table`, of one experiment; ``alpha``; ``losses``, of each panel; ``cells``,
the points of each panel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from pseudodensity.papers.low_density.pictures import CELL, HEADS, NUMBER, TITLE, picture_caption
from pseudodensity.report.drawing import BLACK, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays

__all__ = ["fig10_figure"]

NAMES = 0.6  # inches, of the classes beside the lines
GAP = 0.2  # inches between panels


def fig10_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each loss, a line for each class, and the hardness of each image below it."""
    (path,) = inputs["sets"]
    arrays, classes = load_arrays(path, ["images", "hardness"]), settings["classes"]
    across, losses = len(settings["alpha"]), settings["losses"]
    heads = [f"α = {alpha:g}" for alpha in settings["alpha"]]
    size = (
        NAMES + len(losses) * (across * CELL + GAP),
        TITLE + HEADS + len(classes) * (CELL + NUMBER),
    )
    with theme():
        figure = Figure(figsize=size)
        places = figure.subplots(1, len(losses), squeeze=False).ravel()
        for axes, loss, points in zip(places, losses, settings["cells"], strict=True):
            images = arrays["images"][points, :, 0].swapaxes(0, 1)  # (classes, alpha, 3, R, R)
            hardness = arrays["hardness"][points, :, 0].T
            below = [f"{value:.0f}" for value in hardness.ravel()]
            rows = [(f"class {label}", BLACK) for label in classes] if axes is places[0] else []
            listed = images.reshape(-1, *images.shape[2:])
            show_images(axes, listed, across, below, rows=rows, heads=heads)
            subtitle(axes, _title(loss))
        return finish(figure, _caption(settings))


def _title(loss: str) -> str:
    return "Random direction" if loss == "random" else f"Guided, {loss.replace('_', ' ')}"


def _caption(settings: Mapping[str, Any]) -> str:
    panel = settings["panels"][0]
    said = (
        "Each line starts from one latent and has the same noise at every α; 0 is the plain sampler. Right: a fixed random "
        "direction of the embedder's features at the same strengths. Below each image: its hardness in nats, in features "
        f"of {panel['judge']}, which neither guide nor train what guides."
    )
    return picture_caption(panel, said, [])
