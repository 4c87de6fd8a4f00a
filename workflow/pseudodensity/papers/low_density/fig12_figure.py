"""Figure 12: images of every set with their exact likelihood under a flow.

``inputs`` and ``settings``: as of `table2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.table2 import row_titles
from pseudodensity.report.drawing import BLACK, finish, show_images, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["fig12_figure"]

CELL, NUMBER, NAMES = 0.55, 0.16, 2.0  # inches: an image, room below, names of the rows


def fig12_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A line of images for each set, bits per dimension below each."""
    rows = load_facts(inputs["measured"])["rows"]
    arrays = load_arrays(inputs["measured"], ["bits", "images"])
    lines, across = arrays["images"].shape[:2]
    titles = row_titles(settings)
    with theme():
        figure = Figure(figsize=(across * CELL + NAMES, lines * (CELL + NUMBER) + 0.2))
        axes = figure.subplots()
        below = [f"{bits:.1f}" for own in arrays["bits"] for bits in own[:across]]
        images = np.concatenate(list(arrays["images"]))
        show_images(axes, images, across, below, [(titles[name], BLACK) for name in rows])
        return finish(
            figure,
            f"{block_title(settings['names'])}: the first images of each set, none picked, and their bits per "
            f"dimension; fewer are more likely. The flow sees them at {settings['side']} px. Plain images, guided ones "
            "and those of the random direction start from the same latents, column by column; edges and posterised "
            "images are made of the held-out reals above them.",
        )
