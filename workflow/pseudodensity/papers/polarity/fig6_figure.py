"""Figure 6: how far samples lie from their nearest training images, by polarity.

``inputs``: ``measured``, the experiment. ``settings``: as of `fig6`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.fig6 import SPACES
from pseudodensity.report.drawing import GREY, PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["fig6_figure"]

PANEL = 3.4  # inches


def fig6_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each space, a curve for each set of images."""
    facts, arrays = load_facts(inputs["measured"]), load_arrays(inputs["measured"], SPACES)
    words = {"pixels": "pixels", "features": f"features of {facts['extractor']}"}
    with theme():
        figure = Figure(figsize=(2 * PANEL, PANEL))
        for axes, space in zip(figure.subplots(1, 2), SPACES, strict=True):
            for i, (row, own) in enumerate(zip(facts["rows"], arrays[space], strict=True)):
                look = {"color": PALETTE[i % len(PALETTE)]}
                if row["polarity"] is None:
                    look = {"color": GREY, "linestyle": "--"}
                # All k distances of every image, as in the paper.
                sns.kdeplot(np.ravel(own), ax=axes, label=row["name"], cut=0, **look)
            subtitle(axes, words[space])
            axes.set_xlabel(f"distance to {settings['k']} nearest training images")
        figure.axes[0].legend(fontsize=8)
        return finish(
            figure,
            f"{block_title(settings['names'])}. Euclidean distances of {arrays['pixels'].shape[1]:,} images of "
            "each kind, pixels from 0 to 1. Held-out real images are fresh ones of the law that the training "
            "images come from. The features neither steer nor judge.",
        )
