"""Figures 17 and 18: the references of highest likelihood, and one sample that was searched around each.

``inputs``: ``sets``, an experiment `searched_images` of each model. ``settings``: ``panels``, see `caption_of`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure

from pseudodensity.papers.diverse_rare.boxes import MARKED
from pseudodensity.papers.diverse_rare.pictured import Searched, caption_of, counted, open_searched
from pseudodensity.report.drawing import finish, show_images, subtitle, theme
from pseudodensity.report.titles import block_title

__all__ = ["likely_figure"]

# Inches: the page, titles of a model and its two grids, between the grids.
WIDTH, TITLE, GAP = 8.0, 0.75, 0.3


def likely_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Two grids for each model, images in the same place belong together."""
    sets, panels = [open_searched(path) for path in inputs["sets"]], settings["panels"]
    heights = []
    for own in sets:
        across = _across(own)
        heights.append(TITLE + -(-len(own.reference) // across) * (WIDTH - GAP) / 2 / across)
    with theme():
        figure = Figure(figsize=(WIDTH, sum(heights)))
        parts = figure.subfigures(len(sets), 1, squeeze=False, height_ratios=heights).ravel()
        for part, own, panel in zip(parts, sets, panels, strict=True):
            _draw(part, own)
            part.suptitle(block_title(panel), x=0.01, ha="left", weight="bold", size=10)
        said = (
            (
                f"Left: {counted(sets)}, those of highest log-density under the density of the search, highest first. "
                "Right, in the same place: the first of the samples that were searched around each, none is picked."
            ),
            MARKED,
        )
        return finish(figure, caption_of(panels, said))


def _across(own: Searched) -> int:
    return math.ceil(math.sqrt(len(own.reference)))


def _draw(part: SubFigure, own: Searched) -> None:
    samples, rarity, found = own.boxed_images(0)[:, 0], own.rarity[0, :, 0], own.found[0, :, 0]
    first, second = part.subplots(1, 2)
    show_images(first, own.boxed_references(), _across(own))
    subtitle(first, "References", _mean(own.reference_rarity))
    show_images(second, samples, _across(own))
    subtitle(second, "Searched", f"{_mean(rarity)}, {int(found.sum())} of {len(found)} feasible")


def _mean(rarity: np.ndarray) -> str:
    inside = rarity[~np.isnan(rarity)]
    mean = f"mean rarity {inside.mean():.3g}, " if len(inside) else ""
    return f"{mean}{len(rarity) - len(inside)} outside"
