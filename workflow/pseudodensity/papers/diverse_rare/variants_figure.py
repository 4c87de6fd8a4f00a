"""Figures 1, 5, 11 and 14: references, each with all samples that were searched around it, the rarest first.

``inputs``: ``sets``, an experiment `searched_images` of each model. ``settings``: ``panels``, see `caption_of`;
``cell``, inches of an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.diverse_rare.boxes import MARKED
from pseudodensity.papers.diverse_rare.pictured import (
    Searched,
    caption_of,
    counted,
    open_searched,
    rarity_words,
)
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    finish,
    show_images,
    subtitle,
    theme,
    title_room,
)
from pseudodensity.report.titles import block_title

__all__ = ["variants_figure"]

# Inches: names of lines, of columns with a line of title, room below an image.
LABELS, HEADS, NUMBER = 0.9, 0.55, 0.19


def variants_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each model, a line for each reference."""
    sets, cell, panels = (
        [open_searched(path) for path in inputs["sets"]],
        settings["cell"],
        settings["panels"],
    )
    across = 1 + sets[0].images.shape[2]
    titles = [block_title(panel) for panel in panels]
    rooms = [title_room(title, across * cell) for title in titles]
    heights = [
        HEADS + more + len(own.reference) * (cell + NUMBER)
        for own, (_, more) in zip(sets, rooms, strict=True)
    ]
    with theme():
        figure = Figure(figsize=(LABELS + across * cell, sum(heights)))
        places = figure.subplots(len(sets), 1, squeeze=False, height_ratios=heights).ravel()
        for axes, own, title, (letters, _) in zip(places, sets, titles, rooms, strict=True):
            _draw(axes, own)
            subtitle(axes, title, colour=GREY, letters=letters)
        said = (
            (
                f"Each line: a reference and its {across - 1} samples, feasible ones by falling rarity; below each its "
                f"rarity. {counted(sets)}, in the order in which they were drawn, none is picked."
            ),
            MARKED,
        )
        return finish(figure, caption_of(panels, said))


def _draw(axes: Axes, own: Searched) -> None:
    samples = own.boxed_images(0)
    images = np.concatenate([own.boxed_references()[:, None], samples], axis=1)
    rarity = np.concatenate([own.reference_rarity[:, None], own.rarity[0]], axis=1)
    across = rarity.shape[1]
    heads = ["reference", "rarest", *[""] * (across - 2)]
    rows = [(f"reference\n{number}", BLACK) for number in own.reference]
    flat = images.reshape(-1, *images.shape[2:])
    below = [rarity_words(each) for each in rarity.ravel()]
    show_images(axes, flat, across, below=below, rows=rows, heads=heads[:across])
    side = images.shape[-1]
    axes.axvline(side + side / 48, color=GREY, linewidth=0.8)
