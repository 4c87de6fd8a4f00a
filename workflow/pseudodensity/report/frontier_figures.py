"""Precision against recall of every method: Figure 4, each model's own frontier, and Figure 6.

``inputs``
    ``table``: CSV, one line per model and point. Read are ``block, model, dataset, stands_for,
    seed, method, setting``, then the settings of the points (every column between ``setting`` and
    ``precision``), ``precision, recall, fid`` each with ``_low`` and ``_high``, ``front, n,
    repeats, n_real, k``. Lines without precision or recall (not served, no images) are left out.
``settings``
    ``methods``: name -> title of every method and control that the project has, in order; it
    decides the colours, so that a method looks alike in all figures.
    ``controls``: names of those that are references (held-out reals, random choice, ...); the
    plain model has its own mark and may be among them.
    ``extractors``: ``manifold`` and ``frechet`` -> title of the network whose features judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullFormatter
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    MethodStyle,
    entry,
    finish,
    intervals,
    legend_above,
    listed,
    method_styles,
    set_ranges,
    shades,
    subtitle,
    theme,
)
from pseudodensity.report.titles import title_and_aside

__all__ = ["methods_of_one_model", "precision_recall"]

PANEL, ACROSS, TITLE_WIDTH = 3.2, 3, 30  # inches, panels, characters
PLANE = ["recall", "precision"]
OVERVIEW = 0.36  # side of the inset, in sides of the panel

Styles = Mapping[str, MethodStyle]


def precision_recall(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """One panel per model, in the order of the table. See the module for inputs and settings.

    ValueError: the table holds no measured point.
    """
    points = _points(inputs["table"])
    references = [name for name in settings["controls"] if name != "plain"]
    styles = method_styles(points["method"], settings["methods"], references)
    blocks = list(points["block"].unique())
    across = min(ACROSS, len(blocks) + 1)  # a single panel has the legend beside it
    with theme():
        grid = sns.FacetGrid(
            points,
            col="block",
            col_order=blocks,
            col_wrap=across,
            height=PANEL,
            sharex=False,
            sharey=False,
        )
        for block, axes in grid.axes_dict.items():
            own = points[points["block"].eq(block)]
            _plane(axes, own, styles, references)
            title, aside = title_and_aside(own.iloc[0])
            subtitle(axes, title, aside, letters=TITLE_WIDTH)
        _legend(grid.figure, _entries(styles), len(blocks), across)
        return finish(grid.figure, _caption(points, settings))


def methods_of_one_model(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Every method on one model, and the FID of each point beside it (Figure 6, appendix A.2).

    Arguments as `precision_recall`; the table holds one block.

    ValueError: the table holds no measured point, or several blocks.
    """
    points = _points(inputs["table"])
    if points["block"].nunique() != 1:
        raise ValueError(f"{inputs['table']} holds several blocks: this figure shows one")
    references = [name for name in settings["controls"] if name != "plain"]
    styles = method_styles(points["method"], settings["methods"], references)
    rows = points["series"].nunique()
    with theme():
        figure = Figure(figsize=(10, max(4.2, 0.6 + 0.22 * rows)))
        plane, strips = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _plane(plane, points, styles, references)
        subtitle(plane, *title_and_aside(points.iloc[0]))
        _strips(strips, points, styles)
        extractor = settings["extractors"]["frechet"]
        strips.set_xlabel(f"Fréchet distance, log scale\n(features of {extractor})")
        caption = _caption(points, settings)
        caption += (
            f" Right: FID in features of {extractor} with the same intervals, the lower the better;"
            " the black line is the plain model."
        )
        return finish(figure, caption)


# ------------------------------------------------------------------------------ the table


def _points(path: str) -> pd.DataFrame:
    """Measured points with what is told apart within a method: ``series`` (words), ``shade``
    (place of the series among ``shades_of`` of its method) and ``dial`` (the setting that varies
    within a series, None where nothing does)."""
    table = pd.read_csv(path)
    points = table[table["precision"].notna() & table["recall"].notna()]
    if points.empty:
        raise ValueError(f"{path} has no point with precision and recall: nothing can be drawn")
    names = list(table.columns)
    settings = names[names.index("setting") + 1 : names.index("precision")]
    parts = [_series(own, settings) for _, own in points.groupby("method", sort=False)]
    return pd.concat(parts).sort_index()


def _series(points: pd.DataFrame, settings: Sequence[str]) -> pd.DataFrame:
    """The points of one method with its series: lines along the setting of most values."""
    known = {name: points[name].dropna().infer_objects() for name in settings}
    counts = {name: values.nunique() for name, values in known.items() if values.nunique() > 1}
    dials = [n for n in counts if is_numeric_dtype(known[n]) and not is_bool_dtype(known[n])]
    dial = max(dials, key=counts.__getitem__) if dials else None
    fixed = [name for name in counts if name != dial]
    points = points.assign(dial=points[dial] if dial else None, series="", shade=0, shades_of=1)
    if not fixed:
        return points
    groups = points.groupby(fixed, dropna=False)
    for place, (values, own) in enumerate(groups):
        words = ", ".join(_words(*pair) for pair in zip(fixed, values, strict=True))
        if dial is None:
            words = own["setting"].iloc[0].split(", ", 1)[-1]
        points.loc[own.index, ["series", "shade"]] = words, place
    return points.assign(shades_of=groups.ngroups)


def _words(name: str, value: Any) -> str:
    if pd.isna(value):
        return f"no {name}"
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, np.bool_)):
        return f"{'with' if value else 'without'} {name}"
    if name.endswith("_percent"):
        return f"{name.removesuffix('_percent')} {value:g} %"
    return f"{name.replace('_', ' ')} {value:g}"


# ------------------------------------------------------------------------------ drawing


def _plane(axes: Axes, points: pd.DataFrame, styles: Styles, references: Sequence[str]) -> None:
    """Precision against recall of one model: points, intervals, series and fronts."""
    plain = points[points["method"].eq("plain")]
    treated = points[~points["method"].isin(["plain", *references])]
    for method, own in points.groupby("method"):
        intervals(axes, own, "recall", "precision", styles[method].colour)
    for method, own in treated.groupby("method"):
        front = _front(own, plain)
        look = {"color": styles[method].colour, "linewidth": 1.8, "alpha": 0.75, "zorder": 2}
        axes.plot(front["recall"], front["precision"], gid=f"front {method}", **look)
    series = treated[treated["dial"].notna()].sort_values("dial")
    if len(series):
        sns.lineplot(
            series,
            x="recall",
            y="precision",
            hue="method",
            palette={method: style.colour for method, style in styles.items()},
            units="series",
            estimator=None,
            sort=False,
            linewidth=0.7,
            linestyle=(0, (3, 2)),
            alpha=0.6,
            legend=False,
            ax=axes,
        )
    _marks(axes, points, "recall", "precision", styles)
    axes.set(xlabel="recall (diversity, share)", ylabel="precision (fidelity, share)")
    beside = points["method"].isin(references)
    own = points if beside.all() else points[~beside]
    set_ranges(axes, *(own.filter(regex=f"^{name}(_low|_high)?$").stack() for name in PLANE))
    if beside.any():
        _overview(axes, pd.concat([points[beside], plain]), own, styles)
    for axis in (
        axes.xaxis,
        axes.yaxis,
    ):  # a range with some room may go beyond what a share can be
        low, high = axis.get_view_interval()
        axis.set_ticks([t for t in axis.get_majorticklocs() if max(low, 0) <= t <= min(high, 1)])


def _overview(axes: Axes, shown: pd.DataFrame, points: pd.DataFrame, styles: Styles) -> None:
    """The whole range from 0 to 1 in the upper right corner, with the references and the window
    that the panel shows. No point lies in that corner: more of both metrics than a front has."""
    for _ in range(30):
        places = axes.transAxes.inverted().transform(axes.transData.transform(points[PLANE]))
        if not (places > 1 - OVERVIEW - 0.08).all(axis=1).any():
            break
        for (low, high), change in (
            (axes.get_xlim(), axes.set_xlim),
            (axes.get_ylim(), axes.set_ylim),
        ):
            change(low, low + 1.05 * (high - low))
    inset = axes.inset_axes((1 - OVERVIEW, 1 - OVERVIEW, OVERVIEW, OVERVIEW))
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    window = {"facecolor": "0.93", "edgecolor": "0.6", "linewidth": 0.8}
    inset.add_patch(Rectangle((left, bottom), right - left, top - bottom, **window))
    _marks(inset, shown, "recall", "precision", styles, scale=0.6)
    inset.set(xlim=(0, 1.05), ylim=(0, 1.05), xlabel="", ylabel="", xticks=[0, 1], yticks=[0, 1])
    inset.tick_params(labelsize=7, length=2, pad=1)
    inset.grid(False)
    inset.spines[:].set(visible=True, color="0.6", linewidth=0.8)


def _front(points: pd.DataFrame, plain: pd.DataFrame) -> pd.DataFrame:
    """The points of a method's front and the plain model, where none of them beats it."""
    front = points[points["front"].eq(True)]
    for _, start in plain.iterrows():
        no_less = (front[["precision", "recall"]] >= start[["precision", "recall"]]).all(axis=1)
        if not no_less.any():
            front = pd.concat([front, start.to_frame().T])
    return front.sort_values("recall")


def _marks(
    axes: Axes, points: pd.DataFrame, x: str, y: str, styles: Styles, scale: float = 1.0
) -> None:
    """One mark per point: colour and form by method, shade by series. The plain model lies on top
    and the references below, in the order of ``styles`` from its end."""
    depth = {method: -i for i, method in enumerate(styles)}
    points = points.sort_values("method", key=lambda names: names.map(depth), kind="stable")
    keys = points[["method", "shade", "shades_of"]].drop_duplicates()
    palette = {
        f"{method} {shade}": shades(styles[method].colour, count)[shade]
        for method, shade, count in keys.itertuples(index=False)
    }
    sns.scatterplot(
        points.assign(look=points["method"] + " " + points["shade"].astype(str)),
        x=x,
        y=y,
        hue="look",
        palette=palette,
        style="method",
        markers={method: style.marker for method, style in styles.items()},
        size="method",
        sizes={method: scale * (130 if method == "plain" else 34) for method in styles},
        linewidth=0.4,
        legend=False,
        zorder=3,
        ax=axes,
    )


def _strips(axes: Axes, points: pd.DataFrame, styles: Styles) -> None:
    """FID of every point, one line per series from above, in the order of the methods."""
    points = points[points["fid"].notna()]
    found = {key: own for key, own in points.groupby(["method", "shade"])}
    keys = [key for method in styles for key in sorted(found) if key[0] == method]
    heights = {key: -i for i, key in enumerate(keys)}
    heights = [heights[key] for key in zip(points["method"], points["shade"], strict=True)]
    points = points.assign(height=heights)
    for method, own in points.groupby("method"):
        intervals(axes, own, "fid", "height", styles[method].colour)
    for value in points.loc[points["method"].eq("plain"), "fid"]:
        axes.axvline(value, color=BLACK, linewidth=1, zorder=1)
    _marks(axes, points, "fid", "height", styles)
    names = [
        f"{styles[method].title}, {found[method, shade]['series'].iloc[0]}".strip(", ")
        for method, shade in keys
    ]
    axes.set_yticks([-i for i in range(len(keys))], names)
    axes.set(ylabel="", xscale="log")
    axes.margins(y=0.5 / max(len(keys), 1))
    # A few plain numbers instead of powers of ten.
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, entries: Sequence[Line2D], panels: int, across: int) -> None:
    """In the cells that no panel fills; above the panels where there is none."""
    lines = -(-panels // across)
    if panels == lines * across:
        legend_above(figure, entries)
        return
    aside = figure.add_subplot(lines, across, (panels + 1, lines * across))
    aside.set_axis_off()
    aside.legend(handles=entries, loc="center left", borderaxespad=0)


def _entries(styles: Styles) -> list[Line2D]:
    entries = [
        entry(style.title, style.colour, style.marker, 11 if method == "plain" else 6.5)
        for method, style in styles.items()
    ]
    front = {"color": GREY, "linewidth": 1.8, "label": "Pareto front of a method"}
    series = {"color": GREY, "linewidth": 0.8, "linestyle": (0, (3, 2)), "label": "along one dial"}
    return [*entries, Line2D([], [], **front), Line2D([], [], **series)]


def _caption(points: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    shaded = points[points["shades_of"].gt(1)].drop_duplicates(["method", "shade"])
    words = {
        settings["methods"].get(method, method): " → ".join(own.sort_values("shade")["series"])
        for method, own in shaded.groupby("method", sort=False)
    }
    shades_said = references = ""
    if words:
        series = "; ".join(f"{title}: {shown}" for title, shown in words.items())
        shades_said = f" Shades of a colour, from light to dark: {series}."
    if any(name != "plain" and points["method"].eq(name).any() for name in settings["controls"]):
        references = (
            " Grey marks are references, which give floor and ceiling; insets show them in the "
            "whole range, with the window of the panel in grey."
        )
    return (
        f"Each mark: n = {listed(points['n'])} generated against {listed(points['n_real'])} real "
        f"images, mean of up to {listed([points['repeats'].max()])} repeats from one pool of "
        "proposals per model; bars are 95 % t-intervals over the repeats (of a point with one "
        "repeat: from the spread of the others; none where repeats are not independent), which "
        f"leave out the noise of training (training seeds: {listed(points['seed'])}). Precision "
        f"and recall: k = {listed(points['k'])} neighbours without self, in features of "
        f"{settings['extractors']['manifold']}. Thick lines: Pareto front of a method with the "
        "plain model; dashed lines: along one dial of a method, its other settings fixed."
        f"{shades_said}{references}"
    )
