"""Figure 7: importance sampling by exact likelihood against that by pseudo density."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from .drawing import BLACK, BLUE, ORANGE, crosses, page, place, precision_recall_axes, write
from .frontier_tables import frontier_table

__all__ = ["draw_likelihood", "likelihood_table"]

BY = {"pseudo density": (BLUE, "o"), "log-likelihood": (ORANGE, "s")}
TAUS = ("full", "left", "none")  # fill of the markers of the thresholds in rising order
LEFT, PANEL, ASIDE, TOP, FOOT, LINE = 0.85, 3.9, 2.9, 0.45, 0.7, 0.2  # inches


def likelihood_table(
    panel: Mapping[str, Any], density: Mapping[str, Any], likelihood: Mapping[str, Any]
) -> pd.DataFrame:
    """The points of both weightings, plain first, in the columns of `frontier_table`.

    ``by`` says what was weighted by; ``mean_pseudo_density`` and ``mean_log_likelihood`` (nats) are
    known of the points that were chosen by them.

    Args:
        panel: of `FrontierRuns.figure`.
        density, likelihood: content of the scores files.
    """
    settings = {(p["method"], p.get("tau"), p.get("w")) for p in likelihood["points"]}
    points = [p for p in density["points"] if (p["method"], p.get("tau"), p.get("w")) in settings]
    tables = [
        frontier_table([{**panel, "not_served": {}}], [scores])
        for scores in ({**density, "points": points}, likelihood)
    ]
    tables[1] = tables[1].rename(columns={"mean_pseudo_density": "mean_log_likelihood"})
    tables[1] = tables[1][tables[1]["method"] != "plain"]
    for by, table in zip(BY, tables, strict=True):
        table.insert(5, "by", by)
    table = pd.concat(tables, ignore_index=True).dropna(axis=1, how="all")
    table.loc[table["method"].eq("plain"), "by"] = None
    return table


def draw_likelihood(
    table: pd.DataFrame, facts: Mapping[str, float], path: str | Path, judges: Mapping[str, str]
) -> None:
    """Draw recall against precision of both weightings.

    Args:
        table: of `likelihood_table`.
        facts: of `likelihood_frontier.likelihood_facts`.
        path: ``.svg`` or ``.png``.
        judges: role -> name of the network whose features judge.
    """
    width = LEFT + PANEL + ASIDE
    caption = textwrap.wrap(_caption(table, facts, judges), int(width * 12.3))
    height = TOP + PANEL + FOOT + LINE * (len(caption) + 0.5)
    with page(path, width, height) as figure:
        write(figure, LEFT, 0.12, _title(table), fontsize=11.5, fontweight="bold")
        axes = place(figure, LEFT, TOP, PANEL, PANEL)
        _draw(axes, table)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, fontsize=9.5)
        below = TOP + PANEL + FOOT
        write(figure, 0.2, below, "\n".join(caption), fontsize=9, linespacing=1.3)


def _title(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    return f"{first['model']} on {first['dataset']} (in place of VQGAN on FFHQ)"


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    drawn = table[table["repeats"].gt(0)]
    for by, (colour, marker) in BY.items():
        own = drawn[drawn["by"].eq(by)]
        taus = sorted(own["tau_percent"].unique())
        for tau, fill in zip(taus, TAUS, strict=False):
            line = own[own["tau_percent"].eq(tau)].sort_values("w")
            crosses(axes, line, colour)
            style = {"marker": marker, "fillstyle": fill, "ms": 5, "mew": 0.9, "color": colour}
            label = f"by {by}, tau {tau:g} %"
            dashes = (0, (3, 2))
            axes.plot(line["recall"], line["precision"], ls=dashes, lw=0.9, label=label, **style)
    plain = drawn[drawn["method"].eq("plain")]
    crosses(axes, plain, BLACK)
    style = {"marker": "*", "ms": 13, "color": BLACK, "mec": "white", "ls": "none", "zorder": 5}
    axes.plot(plain["recall"], plain["precision"], label="plain model", **style)
    precision_recall_axes(axes)
    axes.margins(0.07)


def _caption(table: pd.DataFrame, facts: Mapping[str, float], judges: Mapping[str, str]) -> str:
    first = table.iloc[0]
    return (
        f"Importance sampling (Algorithm 2) with the weights w of the csv, joined by dashed lines "
        f"for one threshold tau: a percentile of the real images' pseudo densities, or of the exact "
        f"log-likelihoods of their codes. Each point: {first['n']:,} generated against "
        f"{first['n_real']:,} real images, mean of up to {table['repeats'].max()} disjoint stretches "
        f"of one pool; bars: 95 % t-intervals over them (training seed {first['seed']}). Precision "
        f"and recall by {judges['manifold']} features, k = {first['k']} neighbours without self, "
        f"border included. Rank correlation of log-likelihood and pseudo density over the pool: "
        f"{facts['rank_correlation']:.2f}."
    ).replace(" = ", "\u00a0=\u00a0")
