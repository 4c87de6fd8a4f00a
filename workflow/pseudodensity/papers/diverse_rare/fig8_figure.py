"""Figure 8: negative log-density of images against their distances to real neighbours.

``inputs`` and ``settings``: as of `fig8`, and ``table``, its CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.diverse_rare.fig8 import KINDS, LAWS, SETS, sets_of
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    legend_above,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["fig8_figure"]

HEIGHT = 2.7  # inches, of a line of panels
ENDS = (0.002, 0.998)  # quantiles between which axes lie: a few images are far off
COLOURS = {"training": GREY, "held out": PALETTE[0], "fake": PALETTE[1]}
NAMES = {"training": "reals, fitted", "held out": "reals, held out", "fake": "fakes"}
MARKERS = {"flow": "o", "gaussian": "s"}


def fig8_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Of each block: reals, fakes, and correlations with intervals."""
    table = pd.read_csv(inputs["table"])
    panels = list(zip(settings["panels"], inputs["measured"], strict=True))
    with theme():
        figure = Figure(figsize=(9.2, HEIGHT * len(panels)))
        grid = figure.subplots(
            len(panels), 3, squeeze=False, gridspec_kw={"width_ratios": [1, 1, 1.15]}
        )
        for line, (panel, path) in zip(grid, panels, strict=True):
            sets = sets_of(path)
            _cloud(line[0], {name: sets[name] for name in ("training", "held out")})
            _cloud(line[1], {"fake": sets["fake"]})
            line[0].set_ylabel("−log density of the flow (nats)")
            line[0].set_xlabel(f"distance to real neighbour {settings['k']}")
            line[1].set_xlabel("rarity score")
            _correlations(line[2], table[table["block"].eq(panel["block"])])
            subtitle(line[0], block_title(panel))
        legend_above(figure, _entries(table["paper_pearson"].notna().any()))
        return finish(
            figure,
            f"Features of {settings['extractor']}, k = {settings['k']}, distances in standard deviations of the reals. Left and middle: "
            "images, fakes outside the real manifold left out; axes end where .2 % lie beyond. Right: correlations of "
            "negative log-density with distance, under the flow and under the Gaussian that it began as; 95 % intervals by the "
            "bootstrap over images of one trained model. The paper's are of VGG16 features, Glow and FFHQ.",
        )


def _cloud(axes: Axes, sets: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    for name, own in sets.items():
        look = {"s": 5, "linewidth": 0, "alpha": 0.4, "color": COLOURS[name], "rasterized": True}
        axes.scatter(own["sparsity"], own["flow"], **look)
    for what, change in (("sparsity", axes.set_xlim), ("flow", axes.set_ylim)):
        values = np.concatenate([own[what] for own in sets.values()])
        if len(values) > 1:
            low, high = np.quantile(values, ENDS)
            room = 0.05 * (high - low) or 0.5
            change(low - room, high + room)
    axes.locator_params(nbins=5)


def _correlations(axes: Axes, table: pd.DataFrame) -> None:
    """A line for each set and kind of correlation, from the top."""
    places, labels = [], []
    for kind in KINDS:
        for name in SETS:
            place = -len(places) - (0.4 if kind == KINDS[1] else 0)
            places.append(place)
            labels.append(f"{kind.title()}, {NAMES[name]}")
            own = table[table["set"].eq(name)].iloc[0]
            for law, shift in zip(LAWS, (0.15, -0.15), strict=True):
                _dot(axes, own, f"{law}_{kind}", place + shift, COLOURS[name], MARKERS[law])
            if kind == "pearson" and not pd.isna(own["paper_pearson"]):
                axes.plot(own["paper_pearson"], place, marker="x", color=BLACK, ms=5, ls="none")
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_yticks(places, labels, fontsize=8)
    axes.set_ylim(min(places) - 0.5, 0.5)
    low = min([0.0, *_lows(table)])
    axes.set_xlim(low - 0.05 * (low < 0), 1.02)
    axes.set_xlabel("correlation")
    axes.grid(visible=False, axis="y")


def _lows(table: pd.DataFrame) -> list[float]:
    names = [f"{law}_{kind}{end}" for law in LAWS for kind in KINDS for end in ("", "_low")]
    return [float(value) for value in table[names].to_numpy().ravel() if not np.isnan(value)]


def _dot(
    axes: Axes, line: Mapping[str, Any], name: str, place: float, colour: str, marker: str
) -> None:
    value = line[name]
    arms = np.array([[value - line[f"{name}_low"]], [line[f"{name}_high"] - value]]).clip(min=0)
    look = {"color": colour, "fmt": marker, "markersize": 4, "elinewidth": 1}
    axes.errorbar([value], [place], xerr=arms, **look)


def _entries(paper: bool) -> list[Line2D]:
    found = [entry(NAMES[name], colour, "o") for name, colour in COLOURS.items()]
    found += [entry(f"under the {LAWS[law]}", BLACK, marker) for law, marker in MARKERS.items()]
    if paper:
        found.append(Line2D([], [], ls="none", marker="x", color=BLACK, label="the paper's", ms=5))
    return found
