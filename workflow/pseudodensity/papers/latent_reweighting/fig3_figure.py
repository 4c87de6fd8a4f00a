"""Figure 3: precision against the time of one image, with the front of the two.

``inputs``: ``table``, CSV of `table2`. ``settings``: ``metrics``, name -> network whose
features judge; ``methods``, name -> title.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.report.drawing import (
    GREY,
    MethodStyle,
    entry,
    finish,
    intervals,
    legend_above,
    method_styles,
    subtitle,
    theme,
)
from pseudodensity.report.pareto import pareto_front
from pseudodensity.report.titles import title_and_aside

__all__ = ["precision_against_time"]

PANEL, TITLE_LETTERS = 3.4, 30  # inches, of a line of a title


def precision_against_time(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A panel for each model. ValueError: no line has a precision and a time."""
    table = pd.read_csv(inputs["table"])
    drawn = table[table[["precision", "ms"]].notna().all(axis=1)]
    if drawn.empty:
        raise ValueError(f"{inputs['table']} has no method with a precision and a time")
    styles = method_styles(drawn["method"], settings["methods"])
    groups = list(drawn.groupby("block", sort=False))
    with theme():
        figure = Figure(figsize=(PANEL * max(2, len(groups)), PANEL))
        panels = figure.subplots(1, len(groups), squeeze=False)[0]
        for axes, (_, lines) in zip(panels, groups, strict=True):
            _panel(axes, lines, styles)
        panels[0].set_ylabel("precision (share)")
        handles = [entry(style.title, style.colour, style.marker) for style in styles.values()]
        legend_above(figure, [*handles, Line2D([], [], color=GREY, label="front")])
        finish(figure, _caption(drawn, settings))
    return figure


def _panel(axes: Axes, lines: pd.DataFrame, styles: Mapping[str, MethodStyle]) -> None:
    first = lines.iloc[0]
    subtitle(axes, *title_and_aside(first), letters=TITLE_LETTERS)
    axes.set_xscale("log")
    axes.set_xlabel("time of one image (ms of one core)")
    front = np.asarray(pareto_front(-lines["ms"].to_numpy(), lines["precision"].to_numpy()))
    best = lines[front].sort_values("ms")
    axes.plot(best["ms"], best["precision"], color=GREY, zorder=1)
    half = lines["precision_ci97"]
    drawn = lines.assign(
        precision_low=lines["precision"] - half, precision_high=lines["precision"] + half
    )
    for name, own in drawn.groupby("method", sort=False):
        style = styles[name]
        intervals(axes, own, "ms", "precision", style.colour)
        axes.plot(own["ms"], own["precision"], style.marker, color=style.colour, zorder=3)


def _caption(lines: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    first = lines.iloc[0]
    return (
        "Bars: 97 % interval of the mean over the repeats; none where a method has one repeat. Time is "
        f"measured side by side on this machine. n = {first['n']:,} generated against {first['n_real']:,} "
        f"real images, k = {first['k']}, training seed {first['seed']}. Precision in features of "
        f"{settings['metrics']['manifold']}."
    )
