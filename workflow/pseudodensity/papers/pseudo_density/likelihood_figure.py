"""Figure 7: importance sampling by exact likelihood against that by pseudo density.

``inputs``
    ``table``: CSV, one line per weighting and point. Read are ``model, dataset, seed, method, by``
    (pseudo density or log-likelihood, empty for the plain model), ``tau_percent, w, precision,
    recall`` with ``_low`` and ``_high``, ``n, repeats, n_real, k``, and where it stands there
    ``rank_correlation`` (one value: of log-likelihood and pseudo density over the pool).
``settings``
    ``extractors``: ``manifold`` -> title of the network whose features judge.
    ``paper``: the model and data set that the paper shows, such as ``VQGAN on FFHQ``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.report.drawing import (
    BLACK,
    PALETTE,
    entry,
    finish,
    interval_lines,
    intervals,
    listed,
    set_ranges,
    shades,
    subtitle,
    theme,
)

__all__ = ["likelihood"]

BY = {"pseudo density": (PALETTE[0], "o"), "log-likelihood": (PALETTE[3], "s")}
PANEL = 2.9  # inches


def likelihood(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Precision against recall of both weightings, and both metrics along the weight w.

    ValueError: the table holds no measured point.
    """
    table = pd.read_csv(inputs["table"])
    drawn = table[table["precision"].notna() & table["recall"].notna()]
    if drawn.empty:
        raise ValueError(f"{inputs['table']} has no point with precision and recall")
    drawn = drawn.assign(look=_looks(drawn))
    weighted = drawn[drawn["by"].notna()]
    colours = _colours(weighted)
    with theme():
        figure = Figure(figsize=(2.3 * PANEL, 2.2 * PANEL))
        (plane, aside), dials = figure.subplots(2, 2)
        _plane(plane, drawn, weighted, colours)
        for axes, name in zip(dials, ("precision", "recall"), strict=True):
            _dial(axes, name, drawn, weighted, colours)
        entries = [entry("plain model", BLACK, "*", 11)]
        for look, lines in weighted.groupby("look", sort=False):
            entries.append(entry(f"by {look}", colours[look], BY[lines["by"].iloc[0]][1]))
        aside.set_axis_off()
        aside.legend(handles=entries, loc="center left", borderaxespad=0)
        line = drawn.iloc[0]
        subtitle(plane, f"{line['model']} on {line['dataset']}", f"in place of {settings['paper']}")
        return finish(figure, _caption(drawn, settings))


def _looks(points: pd.DataFrame) -> pd.Series:
    """What is told apart: the weighting and its threshold, in words; empty for the plain model."""
    words = points["by"] + points["tau_percent"].map(", tau {:g} %".format, na_action="ignore")
    return words.fillna("")


def _colours(points: pd.DataFrame) -> dict[str, str]:
    """Look -> the colour of its weighting, the darker the higher the threshold."""
    colours = {}
    for by, own in points.groupby("by"):
        looks = own.sort_values("tau_percent")["look"].unique()
        colours |= dict(zip(looks, shades(BY[by][0], len(looks)), strict=True))
    return colours


def _plane(
    axes: Axes, drawn: pd.DataFrame, weighted: pd.DataFrame, colours: Mapping[str, str]
) -> None:
    sns.lineplot(
        weighted.sort_values("w"),
        x="recall",
        y="precision",
        hue="look",
        palette=colours,
        style="by",
        markers={by: marker for by, (_, marker) in BY.items()},
        dashes=False,
        estimator=None,
        sort=False,
        linewidth=0.9,
        legend=False,
        ax=axes,
    )
    for look, own in drawn.groupby("look"):
        intervals(axes, own, "recall", "precision", colours.get(look, BLACK))
    plain = drawn[drawn["by"].isna()]
    axes.scatter(plain["recall"], plain["precision"], s=130, marker="*", color=BLACK, zorder=5)
    values = (drawn.filter(regex=f"^{n}(_low|_high)?$").stack() for n in ("recall", "precision"))
    set_ranges(axes, *values)
    axes.set(xlabel="recall (diversity, share)", ylabel="precision (fidelity, share)")


def _dial(
    axes: Axes,
    name: str,
    drawn: pd.DataFrame,
    weighted: pd.DataFrame,
    colours: Mapping[str, str],
) -> None:
    """A metric along the weight w, with its intervals as bands and the plain model as a line."""
    interval_lines(
        axes,
        weighted,
        x="w",
        y=name,
        hue="look",
        palette=colours,
        style="by",
        markers={by: marker for by, (_, marker) in BY.items()},
    )
    for value in drawn.loc[drawn["by"].isna(), name]:
        axes.axhline(value, color=BLACK, linewidth=1, zorder=1)
    axes.set(xscale="log", xlabel="weight w (log scale)", ylabel=f"{name} (share)")
    axes.xaxis.set_major_formatter("{x:g}")


def _caption(drawn: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    rank = drawn["rank_correlation"].dropna() if "rank_correlation" in drawn else []
    fact = (
        f" Rank correlation of log-likelihood and pseudo density over the pool: {rank.iloc[0]:.2f}."
        if len(rank)
        else ""
    )
    return (
        "Importance sampling (Algorithm 2): lines join the weights w of one threshold tau, which "
        "is a percentile of the real images' pseudo densities, or of the exact log-likelihoods of "
        "their codes; black is the plain model. Each mark: n = "
        f"{listed(drawn['n'])} generated against {listed(drawn['n_real'])} real images, mean of up "
        f"to {listed([drawn['repeats'].max()])} repeats from one pool; bars and bands are 95 % "
        f"t-intervals over them (training seeds: {listed(drawn['seed'])}). Precision and recall: k "
        f"= {listed(drawn['k'])} neighbours without self, in features of "
        f"{settings['extractors']['manifold']}.{fact}"
    )
