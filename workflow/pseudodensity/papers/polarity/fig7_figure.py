"""Figure 7: perceptual path lengths by polarity, between latents and in style space.

``inputs`` and ``settings``: as of `fig7`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure

from pseudodensity.papers.polarity.fig7 import SPACES, central, distance_of
from pseudodensity.report.drawing import PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["fig7_figure"]

PANEL = 3.4  # inches


def fig7_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each space of the paths, a curve and the mark of its mean for each polarity."""
    facts, arrays = load_facts(inputs["measured"]), load_arrays(inputs["measured"], SPACES)
    with theme():
        figure = Figure(figsize=(2 * PANEL, PANEL))
        for axes, (space, title) in zip(figure.subplots(1, 2), SPACES.items(), strict=True):
            for i, (row, lengths) in enumerate(zip(facts["rows"], arrays[space], strict=True)):
                colour, own = PALETTE[i % len(PALETTE)], central(lengths)
                sns.kdeplot(x=own, ax=axes, log_scale=True, color=colour, label=row["name"])
                axes.plot(own.mean(), 0, "^", color=colour, clip_on=False, zorder=4)
            subtitle(axes, title[0].upper() + title[1:])
            axes.set_xlabel(f"path length by {facts['distance'] or 'embedded perceptual distance'}")
            axes.set_ylabel("density of its logarithm")
        figure.axes[0].legend(fontsize=8)
        return finish(
            figure,
            f"{block_title(settings['names'])}. Squared speed of images at the start of "
            f"{arrays['z'].shape[1]:,} paths whose ends polarity draws; the least and the greatest hundredth are "
            f"left out. Measured by {distance_of(facts)}. Triangles: means.",
        )
