"""Rarity against precision and against diversity, of every method that makes rare images.

``inputs``: ``table``, the CSV of `all_methods`. ``settings``: ``titles``, of methods by name; ``extractors``: name
of a metric -> whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.report.drawing import (
    entry,
    finish,
    intervals,
    legend_above,
    method_styles,
    set_ranges,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["all_methods_figure"]

PANELS = {"precision": "precision", "pair_distance": "distance of pairs"}
CONTROLS = ("held_out",)
STAR = 11


def all_methods_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Two panels that share the rarity; points of a method have one colour."""
    table = pd.read_csv(inputs["table"])
    styles = method_styles(table["method"], settings["titles"], CONTROLS)
    with theme():
        figure = Figure(figsize=(7.2, 3.2))
        panels = figure.subplots(1, len(PANELS))
        for panel, (score, label) in zip(panels, PANELS.items(), strict=True):
            for name, style in styles.items():
                own = table[table["method"].eq(name)]
                size = STAR if name == "plain" else 6.5
                panel.plot(
                    own["rarity"],
                    own[score],
                    style.marker,
                    color=style.colour,
                    markersize=size,
                    markeredgecolor="white",
                    markeredgewidth=0.4,
                )
                intervals(panel, own, "rarity", score, style.colour)
            set_ranges(panel, table["rarity"], table[score], ticks=5)
            panel.set_xlabel("rarity (units of the features)")
            panel.set_ylabel(label)
        legend_above(
            figure, [entry(style.title, style.colour, style.marker) for style in styles.values()]
        )
        return finish(figure, _caption(table, settings))


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    # Held-out reals may be other numbers of images.
    first, judges = table[table["method"].eq("plain")].iloc[0], settings["extractors"]
    return (
        f"{block_title(first)}: n = {first['n']:,.0f}, {first['repeats']:.0f} repeats, k = {first['k']:.0f}, training "
        f"seed {first['seed']}; judged by {judges['rarity']}. Rarity is that of images inside the real manifold. Bars: "
        "95 % intervals over the repeats."
    )
