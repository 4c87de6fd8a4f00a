"""Figures 13, 15 and 20: samples of several methods, with boxes around those outside the real manifold.

``inputs``: ``sets``, an experiment `drawn_images` of each panel. ``settings``: ``panels``, of each the block, ``seed``,
``judge``, ``k`` and ``label`` of the method; ``across``, panels in a line; ``columns``, images in a line of a panel;
``cell``, inches of an image; ``extractor``, in whose features was searched, None without a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.papers.diverse_rare.boxes import OUTSIDE, boxed
from pseudodensity.report.drawing import finish, show_images, subtitle, theme, title_room
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.titles import block_title

__all__ = ["drawn_figure"]

# Inches: a line of title of a panel, between panels.
TITLE, GAP = 0.5, 0.25


def drawn_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each method."""
    sets = [load_arrays(path, ["images", "rows", "rarity"]) for path in inputs["sets"]]
    panels, across, columns = settings["panels"], settings["across"], settings["columns"]
    count, down = len(sets[0]["images"]), -(-len(sets) // across)
    wide = columns * settings["cell"]
    rooms = [title_room(panel["label"], wide) for panel in panels]
    title = TITLE + max(more for _, more in rooms)
    width = across * (wide + GAP)
    height = down * (title + -(-count // columns) * settings["cell"])
    with theme():
        figure = Figure(figsize=(width, height))
        places = figure.subplots(down, across, squeeze=False).ravel()
        for axes, own, panel, (letters, _) in zip(places, sets, panels, rooms, strict=False):
            outside = np.isnan(own["rarity"])
            show_images(axes, boxed(own["images"], outside), columns)
            words = panel["label"][0].upper() + panel["label"][1:]
            told, different = f"{outside.sum()} of {len(outside)} outside", len(set(own["rows"]))
            told += f", {different} different images" if different < len(outside) else ""
            subtitle(axes, words, told, OUTSIDE, letters)
        for axes in places[len(sets) :]:
            axes.set_axis_off()
        first, search = panels[0], settings["extractor"]
        searched = f" Searched in features of {search}." if search else ""
        return finish(
            figure,
            f"{block_title(first)}, training seed {first['seed']}. n = {count} samples of each, drawn at random, none "
            f"is picked. Red box with a corner: outside the real manifold in features of {first['judge']}, "
            f"k = {first['k']}.{searched}",
        )
