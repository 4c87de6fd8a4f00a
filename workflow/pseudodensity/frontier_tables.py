"""Scores of frontiers -> one table of points with intervals and fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.claims import t_interval
from pseudodensity.sweeps import PLAIN, label

__all__ = ["frontier_table", "pareto_front"]

SCORES = ("precision", "recall", "fid", "density", "coverage", "mean_density")
WITH_INTERVAL = ("precision", "recall", "fid")
SETTINGS = ("tau", "w", "family", "psi", "polarity", "replacement", "variant")
FACTS = ("acceptance", "acceptance_closed_form", "ess", "unique", "generator_calls")
COLUMNS = (
    *("block", "model", "dataset", "stands_for", "seed", "method", "setting"),
    *("tau_percent", *SETTINGS[1:]),
    *(f"{score}{end}" for score in WITH_INTERVAL for end in ("", "_low", "_high")),
    *("density", "coverage", "mean_pseudo_density", "front"),
    *(*FACTS, "seconds_per_1000", "pool_generator_calls", "n", "repeats", "n_real", "k", "note"),
)
INTEGERS = ("seed", "unique", "generator_calls", "pool_generator_calls", "n", "repeats", "n_real")


def frontier_table(
    panels: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """One line per model and point, then one per method that the model cannot serve, with why.

    A value is the mean over the repeats, its interval the 95 % t-interval of that mean. Where a
    point has a single repeat, the interval is two standard deviations of one repeat, pooled over
    the model's points that have more, and `note` says so. `front`: no point of the same method (the plain model is one of each) has
    more of both precision and recall.

    Args:
        panels: of `FrontierRuns.figure`.
        scores: content of the scores file of each panel.
    """
    lines: list[dict[str, Any]] = []
    for panel, found in zip(panels, scores, strict=True):
        shown = panel["methods"]
        points = [p for p in found["points"] if shown is None or p["method"] in shown]
        lines += _with_fronts([_line(panel, found, point) for point in points])
        lines += [
            {**_names(panel), "method": method, "setting": method, "note": f"not served: {reason}"}
            for method, reason in panel["not_served"].items()
            if shown is None or method not in ("drs", "dot")
        ]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    return table.astype(dict.fromkeys(INTEGERS, "Int64") | {"k": "Int64", "front": "boolean"})


def pareto_front(precision: Sequence[float], recall: Sequence[float]) -> np.ndarray:
    """(n,) bool: no other point has at least as much of both, and more of one. NaN: not on it."""
    values = np.stack([np.asarray(precision, float), np.asarray(recall, float)], axis=1)
    no_less = (values[None] >= values[:, None]).all(2)
    more = (values[None] > values[:, None]).any(2)
    return ~(no_less & more).any(1) & ~np.isnan(values).any(1)


def _names(panel: Mapping[str, Any]) -> dict[str, Any]:
    return {key: panel[key] for key in ("block", "model", "dataset", "stands_for", "seed")}


def _line(
    panel: Mapping[str, Any], found: Mapping[str, Any], point: Mapping[str, Any]
) -> dict[str, Any]:
    line: dict[str, Any] = _names(panel) | {"method": point["method"], "setting": label(point)}
    line |= {"tau_percent" if key == "tau" else key: point.get(key) for key in SETTINGS}
    line |= {key: point[key] for key in (*FACTS, "seconds_per_1000", "n")}
    line |= {key: found[key] for key in ("n_real", "k")}
    line |= {"repeats": len(point["repeats"]), "pool_generator_calls": sum(found["calls"].values())}
    line["note"] = point["note"]
    if not point["repeats"]:
        return line
    for score in SCORES:
        column = "mean_pseudo_density" if score == "mean_density" else score
        line[column] = float(np.mean([repeat[score] for repeat in point["repeats"]]))
    for score in WITH_INTERVAL:
        line[f"{score}_low"], line[f"{score}_high"] = _interval(point, found, score)
    if len(point["repeats"]) == 1:
        notes = [line["note"], "one repeat: interval from the spread of the points with more"]
        line["note"] = "; ".join(filter(None, notes))
    return line


def _interval(
    point: Mapping[str, Any], found: Mapping[str, Any], score: str
) -> tuple[float, float]:
    values = [repeat[score] for repeat in point["repeats"]]
    if len(values) > 1:
        return t_interval(values)[1:]
    others = [p["repeats"] for p in found["points"] if len(p["repeats"]) > 1]
    if not others:
        return np.nan, np.nan
    variances = [np.var([repeat[score] for repeat in o], ddof=1) for o in others]
    half = 2 * float(np.sqrt(np.mean(variances)))
    return values[0] - half, values[0] + half


def _with_fronts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for method in dict.fromkeys(line["method"] for line in lines):
        group = [line for line in lines if line["method"] in (method, PLAIN["method"])]
        values = ([line.get(name, np.nan) for line in group] for name in ("precision", "recall"))
        for line, on_front in zip(group, pareto_front(*values), strict=True):
            if line["method"] == method:
                line["front"] = bool(on_front)
    return lines
