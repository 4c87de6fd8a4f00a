"""Figure 2: FID, precision and recall along polarity, for some k and for some N.

``inputs``: ``tables``, CSVs of tables 3 and 4. ``settings``: ``extractors``: name of a metric -> whose
features judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.papers.polarity.score_columns import SCORES
from pseudodensity.papers.polarity.singular_values import DIALS
from pseudodensity.report.drawing import (
    BLACK,
    MARKERS,
    PALETTE,
    finish,
    intervals,
    listed,
    shades,
    subtitle,
    theme,
)
from pseudodensity.report.titles import block_title

__all__ = ["fig2_figure"]

PANEL = 2.3  # inches
HEADS = {"fid": "FID", "precision": "precision", "recall": "recall"}
TITLES = {"top": "Singular values that count, k", "volumes": "Latents of a repeat, N"}


def fig2_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A column for each dial, a row for each score. ValueError: no line has scores."""
    tables = dict(zip(DIALS, (pd.read_csv(path) for path in inputs["tables"]), strict=True))
    tables = {dial: table[table["fid"].notna()] for dial, table in tables.items()}
    if any(table[dial].isna().all() for dial, table in tables.items()):
        raise ValueError(f"{' and '.join(map(str, inputs['tables']))} have no line with scores")
    with theme():
        figure = Figure(figsize=(2 * PANEL * 1.7, PANEL * len(SCORES)))
        grid = figure.subplots(len(SCORES), len(DIALS), sharex=True, sharey="row", squeeze=False)
        for column, (dial, table) in enumerate(tables.items()):
            subtitle(grid[0][column], TITLES[dial])
            for axes, score in zip(grid[:, column], SCORES, strict=True):
                _lines(axes, table, dial, score)
            grid[-1][column].set_xlabel("polarity ρ")
            grid[0][column].legend(handles=_entries(table, dial), fontsize=8)
        for axes, score in zip(grid[:, 0], SCORES, strict=True):
            axes.set_ylabel(HEADS[score])
        return finish(figure, _caption(tables["top"], settings))


def _values(table: pd.DataFrame, dial: str) -> list[float]:
    return sorted(table[dial].dropna().unique())


def _looks(table: pd.DataFrame, dial: str) -> dict[float, tuple[str, str]]:
    values = _values(table, dial)
    colours = shades(PALETTE[0], len(values))
    return {v: (colours[i], MARKERS[i % len(MARKERS)]) for i, v in enumerate(values)}


def _lines(axes: Axes, table: pd.DataFrame, dial: str, score: str) -> None:
    plain = table[table[dial].isna()].assign(polarity=0.0)
    for value, (colour, marker) in _looks(table, dial).items():
        own = pd.concat([table[table[dial].eq(value)], plain]).sort_values("polarity")
        intervals(axes, own, "polarity", score, colour)
        axes.plot(own["polarity"], own[score], color=colour, marker=marker, markersize=4)
    axes.plot(plain["polarity"], plain[score], "*", color=BLACK, markersize=9, zorder=4)


def _entries(table: pd.DataFrame, dial: str) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, label=f"{DIALS[dial]} = {value:,.0f}")
        for value, (colour, marker) in _looks(table, dial).items()
    ]


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first, judges = table.iloc[0], settings["extractors"]
    return (
        f"{block_title(first)}. Star: the model itself. Bars: 95 % interval of the mean over "
        f"{first['repeats']} repeats of disjoint proposals. n = {listed(table['n'])} generated against "
        f"n = {listed(table['n_real'])} real images, training seed {first['seed']}. FID in features of "
        f"{judges['frechet']}; precision and recall in those of {judges['manifold']}, k = {listed(table['k'])} "
        "neighbours."
    )
