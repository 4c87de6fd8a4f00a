"""The effect of w on precision and recall against the precision of the base model.

``inputs``
    ``table``: CSV of `quality_table`: ``block, model, dataset, times, how, w, base_precision``, the
    effects with ``_low`` and ``_high``, ``n, n_real, k``. Lines without an effect are left out and
    counted in the caption.
``settings``
    ``extractors``: ``manifold`` -> title of the network whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    MARKERS,
    PALETTE,
    entry,
    finish,
    intervals,
    legend_above,
    listed,
    set_ranges,
    subtitle,
    theme,
)

__all__ = ["quality"]

COLOURS = {"fine-tuning": PALETTE[0], "at inference": PALETTE[1], "oracle": GREY}
SCORES = ("precision", "recall")
PANEL = 2.9  # inches


def quality(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """One column of panels per weight, one line per score; lengths of one block are joined.

    ValueError: the table holds no effect.
    """
    table = pd.read_csv(inputs["table"])
    drawn = table[table[[f"{score}_effect" for score in SCORES]].notna().all(axis=1)]
    if drawn.empty:
        raise ValueError(f"{inputs['table']} has no effect on precision and recall")
    weights = sorted(drawn["w"].unique(), reverse=True)
    markers = dict(zip(drawn["block"].unique(), cycle(MARKERS), strict=False))
    with theme():
        figure = Figure(figsize=(1.25 * PANEL * len(weights), 2 * PANEL))
        grid = figure.subplots(len(SCORES), len(weights), squeeze=False)
        for score, line in zip(SCORES, grid, strict=True):
            for w, axes in zip(weights, line, strict=True):
                _panel(axes, score, drawn[drawn["w"].eq(w)], markers)
                subtitle(axes, f"w = {w:g}")
        legend_above(figure, _legend(drawn, markers))
        return finish(figure, _caption(table, drawn, settings["extractors"].get("manifold", "")))


def _panel(axes: Axes, score: str, points: pd.DataFrame, markers: Mapping[str, str]) -> None:
    effect = f"{score}_effect"
    axes.axhline(0, color=BLACK, linewidth=0.7, zorder=1)
    sns.scatterplot(
        points,
        x="base_precision",
        y=effect,
        hue="how",
        palette=COLOURS,
        style="block",
        markers=markers,
        s=45,
        legend=False,
        ax=axes,
    )
    for how, colour in COLOURS.items():
        own = points[points["how"].eq(how)]
        intervals(axes, own, "base_precision", effect, colour)
        for _, block in own[own["times"].notna()].groupby("block"):
            means = block.groupby("times")[["base_precision", effect]].mean()
            look = {"color": colour, "linewidth": 0.8, "alpha": 0.6}
            axes.plot(means["base_precision"], means[effect], **look)
            for times, (x, y) in zip(means.index, means.to_numpy(), strict=True):
                place = {"textcoords": "offset points", "xytext": (4, 3)}
                axes.annotate(f"{times:g}x", (x, y), **place, fontsize=7, color=colour)
    ends = [points[f"{effect}_{end}"] for end in ("low", "high")]
    set_ranges(axes, points["base_precision"], pd.concat([points[effect], *ends, pd.Series([0.0])]))
    axes.set(xlabel="precision of the base model", ylabel=f"effect on {score}")


def _legend(drawn: pd.DataFrame, markers: Mapping[str, str]) -> list:
    ways = [entry(how, colour, "o") for how, colour in COLOURS.items() if how in set(drawn["how"])]
    titles = drawn.drop_duplicates("block").set_index("block")
    blocks = [
        entry(f"{titles['model'][name]} on {titles['dataset'][name]}", BLACK, marker)
        for name, marker in markers.items()
    ]
    return ways + blocks


def _caption(table: pd.DataFrame, drawn: pd.DataFrame, judge: str) -> str:
    text = (
        "Effect of the importance weight w against the precision of the model that it acts on. A number "
        "such as 4x says how many times as long that model was trained. Grey: real images reweighted, "
        "what a perfect generator would do. Bars: 95 % intervals over sampling repeats. "
        f"{listed(drawn['n'])} images against {listed(drawn['n_real'])}, k = {listed(drawn['k'])}"
    )
    missing = len(table) - len(drawn)
    empty = f" {missing} of {len(table)} effects were not reached." if missing else ""
    return f"{text}{f', features of {judge}' if judge else ''}.{empty}"
