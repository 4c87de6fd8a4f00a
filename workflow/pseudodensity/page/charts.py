"""Precision against recall of every model, as charts that answer the pointer and the keyboard.

One specification serves all models, and one bundle of scripts draws them; both stand in the page, so that
nothing is loaded. Colours and markers are those of the figures (`report.drawing`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from pseudodensity.report.drawing import MethodStyle, method_styles

__all__ = ["Front", "chart", "fronts", "is_frontier", "legend", "scripts"]

NEEDED = {"block", "model", "dataset", "method", "setting", "precision", "recall", "front"}
# A marker of matplotlib as the shape of Vega: a name, or a path in a square from -1 to 1.
SHAPES = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "D": "diamond",
    "d": "M0,-1L.6,0L0,1L-.6,0Z",
    "*": "M0,-1L.23,-.31L.95,-.31L.37,.12L.59,.81L0,.38L-.59,.81L-.37,.12L-.95,-.31L-.23,-.31Z",
    "P": "cross",
    "X": "M-.9,-.5L-.5,-.9L0,-.4L.5,-.9L.9,-.5L.4,0L.9,.5L.5,.9L0,.4L-.5,.9L-.9,.5L-.4,0Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
    "H": "M-.5,-.87L.5,-.87L1,0L.5,.87L-.5,.87L-1,0Z",
    "8": "M-.41,-1L.41,-1L1,-.41L1,.41L.41,1L-.41,1L-1,.41L-1,-.41Z",
}
TOLD = {
    "method": "method",
    "setting": "setting",
    "precision_said": "precision",
    "recall_said": "recall",
    "fid_said": "FID",
    "n_said": "images",
    "acceptance_said": "acceptance",
    "cost_said": "cost",
    "front_said": "on its front",
    "source": "numbers in",
}


@dataclass(frozen=True)
class Front:
    """Points of one model on one data set. points: JSON-able, as `chart` draws them."""

    title: str
    model: str
    points: Sequence[Mapping[str, Any]]


def is_frontier(frame: pd.DataFrame) -> bool:
    """Whether a table holds points that can be drawn here."""
    return set(frame.columns) >= NEEDED


def fronts(frames: Mapping[str, pd.DataFrame], titles: Mapping[str, str]) -> list[Front]:
    """The points of every model, each once: of a point that stands in several tables the first counts.

    Args:
        frames: path of a CSV -> its table, see `is_frontier`; what is to be preferred comes first.
        titles: name of a method -> title.
    """
    found: dict[tuple[str, str], dict[tuple[str, str], dict[str, Any]]] = {}
    for source, frame in frames.items():
        measured = frame[frame["precision"].notna() & frame["recall"].notna()]
        for line in measured.to_dict("records"):
            points = found.setdefault((str(line["model"]), str(line["dataset"])), {})
            place = (str(line["method"]), str(line["setting"]))
            points.setdefault(place, _point(line, titles, source))
    return [
        Front(f"{model} on {dataset}", model, list(points.values()))
        for (model, dataset), points in found.items()
    ]


def _point(line: Mapping[str, Any], titles: Mapping[str, str], source: str) -> dict[str, Any]:
    name = str(line["method"])
    point: dict[str, Any] = {"method": titles.get(name, name.replace("_", " ")), "source": source}
    point["setting"] = str(line["setting"])
    for score, decimals in {"precision": 3, "recall": 3, "fid": 2}.items():
        point[f"{score}_said"] = _interval(line, score, decimals)
    for score in ("precision", "recall"):
        point[score] = _number(line, score)
        # Both are shares: an interval that leaves them would only widen the axes.
        for key, clip in ((f"{score}_low", 0.0), (f"{score}_high", 1.0)):
            end = _number(line, key)
            point[key] = None if end is None else (max if clip == 0 else min)(end, clip)
    point["front"] = line["front"] in (True, "True")
    point["front_said"] = "yes" if point["front"] else "no"
    point["n_said"] = _counts(line)
    share = _number(line, "acceptance")
    point["acceptance_said"] = "not said" if share is None else f"{share:.3g}"
    point["cost_said"] = _cost(line)
    return point


def _number(line: Mapping[str, Any], key: str) -> float | None:
    value = line.get(key)
    return None if value is None or pd.isna(value) else float(value)


def _interval(line: Mapping[str, Any], score: str, decimals: int) -> str:
    value, low, high = (_number(line, f"{score}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "not measured"
    ends = "" if low is None or high is None else f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return f"{value:.{decimals}f}{ends}"


def _counts(line: Mapping[str, Any]) -> str:
    n, repeats, real = (_number(line, key) for key in ("n", "repeats", "n_real"))
    if n is None:
        return "not said"
    times = f", {repeats:.0f} times" if repeats else ""
    return f"n = {n:,.0f}{times}" + (f", against {real:,.0f} real" if real else "")


def _cost(line: Mapping[str, Any]) -> str:
    seconds, calls = _number(line, "seconds_per_1000"), _number(line, "generator_calls")
    words = [] if seconds is None else [f"{seconds:.3g} s per 1,000 images"]
    words += [] if calls is None else [f"{calls:,.0f} calls of the generator"]
    return "; ".join(words) or "not measured"


# ---------------------------------------------------------------------------------- drawing


def legend(names: Mapping[str, str], controls: Sequence[str]) -> list[MethodStyle]:
    """The look of every method, as the figures have it. names: of all methods -> title, in order."""
    return list(method_styles(names, names, controls).values())


def shape(style: MethodStyle) -> str:
    """A method's marker as a shape of Vega."""
    return SHAPES[style.marker]


def chart(styles: Sequence[MethodStyle]) -> dict[str, Any]:
    """The Vega-Lite specification of one model's chart; its data, the points of a `Front`, are called
    "points"."""
    data = alt.NamedData("points")
    titles = [style.title for style in styles]
    colour = alt.Color("method:N", legend=None).scale(
        domain=titles, range=[s.colour for s in styles]
    )
    marker = alt.Shape("method:N", legend=None).scale(
        domain=titles, range=[shape(s) for s in styles]
    )
    look = {"zero": False, "nice": True, "padding": 8}
    x = alt.X("recall:Q", title="recall (diversity)").scale(**look)
    y = alt.Y("precision:Q", title="precision (fidelity)").scale(**look)
    base = alt.Chart(data).encode(x=x, y=y, color=colour)
    known = base.transform_filter("isValid(datum.recall_low) && isValid(datum.precision_low)")
    bars = known.mark_rule(opacity=0.3, aria=False)
    across = bars.encode(x=alt.X("recall_low:Q", title="recall (diversity)"), x2="recall_high:Q")
    along = bars.encode(
        y=alt.Y("precision_low:Q", title="precision (fidelity)"), y2="precision_high:Q"
    )
    on_front = base.transform_filter("datum.front")
    line = on_front.mark_line(strokeWidth=1.2, opacity=0.7, aria=False).encode(
        order=alt.Order("recall:Q"), detail="method:N"
    )
    points = base.mark_point(
        filled=True, size=70, opacity=1, stroke="#222", strokeWidth=0.5
    ).encode(
        shape=marker,
        tooltip=[alt.Tooltip(f"{key}:N", title=title) for key, title in TOLD.items()],
        description=alt.Description("label:N"),
    )
    labelled = points.transform_calculate(
        label="datum.method + ', ' + datum.setting + ': precision ' + datum.precision_said"
        " + ', recall ' + datum.recall_said"
    )
    drawn = alt.layer(across, along, line, labelled).properties(width="container", height=270)
    return drawn.configure_view(stroke=None).configure(**_theme()).to_dict()


def _theme() -> dict[str, Any]:
    """As `report.drawing.theme`: a light grid, no frame, dark words."""
    words = {
        "labelColor": "#262626",
        "titleColor": "#262626",
        "labelFontSize": 12,
        "titleFontSize": 12,
    }
    axis = words | {
        "titleFontWeight": "normal",
        "gridColor": "#ebebeb",
        "domainColor": "#4d4d4d",
        "titlePadding": 10,
    }
    return {"background": "white", "font": "system-ui, sans-serif", "axis": axis | {"tickCount": 5}}


def scripts() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that loads nothing."""
    # A script may not hold the end of one.
    return vl_convert.javascript_bundle().replace("</script", "<\\/script")
