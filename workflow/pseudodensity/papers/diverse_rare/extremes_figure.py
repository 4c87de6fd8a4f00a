"""Figures 3 and 6: images of high and of low density.

``inputs`` and ``settings``: as of `extremes_table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.papers.diverse_rare.extremes_table import NUMBERS
from pseudodensity.report.drawing import BLACK, PALETTE, finish, show_images, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["extremes_figure"]

CELL, NUMBER, NAMES, TITLE = 0.68, 0.18, 1.9, 0.35  # inches
WIDTH = 7.0  # of a page of few images, which has a title too
COLOURS = {"real": BLACK, "fake": PALETTE[0], "outside": PALETTE[3]}


def extremes_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each block, one below the other, with a number below each image."""
    sets = [
        (load_arrays(path, ["images", *NUMBERS]), load_facts(path)["rows"])
        for path in inputs["sets"]
    ]
    across = max(int(np.bincount(arrays["row"]).max()) for arrays, _ in sets)
    heights = [TITLE + len(rows) * (CELL + NUMBER) for _, rows in sets]
    with theme():
        figure = Figure(figsize=(max(NAMES + across * CELL, WIDTH), sum(heights)))
        places = figure.subplots(len(sets), 1, squeeze=False, height_ratios=heights).ravel()
        for axes, panel, (arrays, rows) in zip(places, settings["panels"], sets, strict=True):
            images, below = _filled(arrays, rows, across)
            names = [(name, COLOURS[name.split(",")[0].split()[0]]) for name in rows]
            show_images(axes, images, across, below, rows=names)
            subtitle(axes, block_title(panel))
        return finish(figure, _caption(settings, sets))


def _filled(
    arrays: Mapping[str, np.ndarray], rows: list[str], across: int
) -> tuple[np.ndarray, list[str]]:
    """Images of a full grid, white where a row has no more, and what stands below each: that by which its row
    is ordered."""
    shape = (len(rows) * across, *arrays["images"].shape[1:])
    images, below = np.full(shape, 255, dtype=np.uint8), [""] * shape[0]
    for row, name in enumerate(rows):
        by_flow = name.endswith("the flow")
        for place, line in enumerate(np.flatnonzero(arrays["row"] == row)):
            cell = row * across + place
            images[cell] = arrays["images"][line]
            value = arrays["flow" if by_flow else "sparsity"][line]
            text = f"{value:.0f}" if by_flow else f"{value:.2f}"
            below[cell] = text.replace("-", "\u2212")
    return images, below


def _caption(settings: Mapping[str, Any], sets: list[tuple[Any, list[str]]]) -> str:
    rows = {name for _, own in sets for name in own}
    said = "Images of the highest and of the lowest density, the most extreme ones first; none is picked. Below each: "
    parts = []
    if any(name.endswith("neighbours") for name in rows):
        parts.append(f"distance to real neighbour {settings['k']}")
    if any(name.endswith("rarity") for name in rows):
        parts.append("rarity score")
    said += ", ".join([*parts, "or " * bool(parts) + "negative log-density under the flow in nats"])
    if any(name.startswith("fake") for name in rows):
        said += "; fakes outside the real manifold, which have no rarity, have a row of their own"
    return f"{said}. Features of {settings['extractor']}, k = {settings['k']}."
