"""Figure 10: samples around one reference by the weights of similarity, downwards, and of diversity, to the right.

``inputs``: ``sets``, an experiment `searched_images` of all cells. ``settings``: ``panels``, see `caption_of`;
``similarity`` and ``diversity``, lambda1 and lambda2; ``cells``, the search of each line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure

from pseudodensity.papers.diverse_rare.boxes import MARKED
from pseudodensity.papers.diverse_rare.pictured import (
    Searched,
    caption_of,
    open_searched,
    rarity_words,
)
from pseudodensity.report.drawing import finish, show_images, theme

__all__ = ["weights_figure"]

CELL, LABELS, TITLE, GAP = (
    0.5,
    0.8,
    0.55,
    0.3,
)  # inches: image, names of lines, title with heads, below a cell


def weights_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A part for each reference: it stands above, and below it a line for each lambda1."""
    (path,) = inputs["sets"]
    own = open_searched(path)
    shown, references = own.images.shape[2], len(own.reference)
    rows, columns = len(settings["similarity"]), len(settings["diversity"])
    size = (LABELS + (shown * columns + 1) * CELL, references * (TITLE + rows * (CELL + GAP)))
    with theme():
        figure = Figure(figsize=size)
        parts = figure.subfigures(references, 1, squeeze=False).ravel()
        for place, part in enumerate(parts):
            _draw(part, own, place, settings)
        said = (
            (
                f"Left of each line the reference, then the first {shown} of its samples for each λ2 (diversity), at the "
                f"λ1 (similarity) of the line; none is picked. n = {references} of {own.of:,} references, the first ones. "
                f"Below: mean rarity of the samples inside the manifold, and how many of the {shown} were found feasible."
            ),
            MARKED,
        )
        return finish(figure, caption_of(settings["panels"], said))


def _draw(part: SubFigure, own: Searched, place: int, settings: Mapping[str, Any]) -> None:
    shown, lambdas = own.images.shape[2], settings["diversity"]
    widths = [1, *[shown] * len(lambdas)]
    places = part.subplots(
        len(settings["similarity"]), len(widths), squeeze=False, width_ratios=widths
    )
    reference = own.boxed_references()[place : place + 1]
    for line, (axes, cells) in enumerate(zip(places, settings["cells"], strict=True)):
        below = [rarity_words(own.reference_rarity[place])]
        name = (f"λ1 = {settings['similarity'][line]:g}", "black")
        show_images(axes[0], reference, 1, below=below, rows=[name])
        for column, search in enumerate(cells, 1):
            show_images(axes[column], own.boxed_images(search)[place], shown)
            axes[column].set_xlabel(_words(own, search, place), fontsize=8, labelpad=3)
            if line == 0:
                axes[column].set_title(f"λ2 = {lambdas[column - 1]:g}", fontsize=9)
    part.suptitle(f"Reference {own.reference[place]}", x=0.01, ha="left", weight="bold", size=10)


def _words(own: Searched, search: int, place: int) -> str:
    rarity, found = own.rarity[search, place], own.found[search, place]
    inside = rarity[~np.isnan(rarity)]
    mean = f"mean rarity {inside.mean():.3g}" if len(inside) else "all outside"
    return f"{mean}, {int(found.sum())} of {len(found)} found"
