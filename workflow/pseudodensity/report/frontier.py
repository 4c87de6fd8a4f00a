"""Frontiers of precision and recall: every point of every method, with intervals and fronts.

`frontier` serves figures 4, 6 and 7 and the frontier of each model. It wants
    inputs: ``scores``, paths of scores files.
    settings: ``title``; ``rows``, one dict per point in order, plain first in each block: block,
    model, dataset, stands_for (or None), seed, pool, point; optional ``by``, what figure 7 weights
    by (pseudo density | log-likelihood). A row with ``not_served`` (why) in the place of pool and
    point names a ``method`` that the model cannot serve.

Every fact of a point is a column of the CSV. ``independent_repeats: false`` among the facts says
that repeats share what they are drawn from: such a point has no interval.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.pareto import pareto_front
from pseudodensity.report.scores import ScoreBook, bounds_of
from pseudodensity.report.statistics import Mean, clipped, t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["ENDS", "frontier", "frontier_frame", "point_line"]

NAMES = ("block", "model", "dataset", "stands_for", "seed")
FIRST_SCORES = ("precision", "recall", "fid")
# Settings of the paper's own methods come first; any other method's follow.
FIRST_SETTINGS = ("tau", "w", "family", "psi", "polarity", "replacement")
FIRST_FACTS = (
    "acceptance",
    "acceptance_closed_form",
    "ess",
    "unique",
    "generator_calls",
)
# Of each score: its mean, the interval of that, and the standard error, which an interval that is
# cut at the range of the score does not give.
ENDS = ("", "_low", "_high", "_error")
LAST = ("n", "repeats", "n_real", "k", "note")
# Facts that are said in other ways.
TOLD = ("note", "independent_repeats")
INTEGERS = ("seed", "unique", "generator_calls", "n", "repeats", "n_real", "k")

# ---------------------------------------------------------------------------------- the frame


def frontier_frame(rows: Sequence[Mapping[str, Any]], book: Any) -> pd.DataFrame:
    """One line per row: names, method, settings, scores with intervals, front and facts.

    A value is the mean over the repeats, its interval (_low, _high) the 95 % t-interval of that
    mean. Where a point has a single repeat, the interval is two standard deviations of one repeat,
    pooled over the points of the same model that have more, and `note` says so. `front`: no point
    of the same method (the plain model is one of each) has more of both precision and recall.

    Args:
        rows: see the module.
        book: a ScoreBook; its `find(pool, point)` gives repeats, facts, label, n, n_real and k.
    """
    points = [row.get("point", {}) for row in rows]
    settings = _ordered(FIRST_SETTINGS, (key for point in points for key in point))
    found = [book.find(row["pool"], row["point"]) if "point" in row else None for row in rows]
    repeats = [each.repeats for each in found if each is not None]
    known = [score for runs in repeats for repeat in runs for score in repeat]
    scores = _ordered(FIRST_SCORES, known)
    facts = _ordered(FIRST_FACTS, (key for each in found if each for key in each.facts))
    lines: list[dict[str, Any]] = []
    for block in dict.fromkeys(row["block"] for row in rows):
        pairs = [(r, f) for r, f in zip(rows, found, strict=True) if r["block"] == block]
        deviations = _pooled_deviations([f for _, f in pairs if f is not None], scores)
        lines += _with_fronts([_line(row, each, deviations) for row, each in pairs])
    return _typed(pd.DataFrame(lines, columns=_columns(rows, settings, scores, facts)))


def _ordered(first: Sequence[str], names: Iterable[str]) -> list[str]:
    """`first`, then the other names in the order in which they appear."""
    return [name for name in dict.fromkeys([*first, *names]) if name not in ("method", *TOLD)]


def _columns(
    rows: Sequence[Mapping[str, Any]],
    settings: Sequence[str],
    scores: Sequence[str],
    facts: Sequence[str],
) -> list[str]:
    measured = [_score_column(score) for score in scores]
    return [
        *(*NAMES, *(["by"] if any("by" in row for row in rows) else [])),
        *("method", "setting", *(_setting_column(key) for key in settings)),
        *(f"{score}{end}" for score in measured for end in ENDS),
        *("front", *facts, *LAST),
    ]


def _score_column(score: str) -> str:
    return "mean_pseudo_density" if score == "mean_density" else score


# A percentile is said so; and what a point asks for is not what it got.
RENAMED = {"tau": "tau_percent", "acceptance": "wanted_acceptance"}


def _setting_column(key: str) -> str:
    return RENAMED.get(key, key)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    kinds = dict.fromkeys(INTEGERS, "Int64") | {"front": "boolean"}
    return frame.astype({name: kind for name, kind in kinds.items() if name in frame})


def _line(
    row: Mapping[str, Any], found: Any | None, deviations: Mapping[str, float]
) -> dict[str, Any]:
    names = {key: row[key] for key in (*NAMES, *(["by"] if "by" in row else []))}
    if found is None:
        note = f"not served: {row['not_served']}"
        return names | {"method": row["method"], "setting": row["method"], "note": note}
    return names | point_line(row["point"], found, deviations)


def point_line(
    point: Mapping[str, Any], found: Any, deviations: Mapping[str, float]
) -> dict[str, Any]:
    """A point as a line: method, settings, scores with intervals, facts.

    Args:
        point: method and its settings.
        found: of ScoreBook.find.
        deviations: score -> standard deviation of one repeat, for a point with a single one;
            empty: such a point has no interval.
    """
    line: dict[str, Any] = {"method": point["method"], "setting": found.label}
    line |= {_setting_column(key): point[key] for key in point if key != "method"}
    line |= {key: found.facts.get(key) for key in _ordered(FIRST_FACTS, found.facts)}
    line |= {"n": found.n, "n_real": found.n_real, "k": found.k, "repeats": len(found.repeats)}
    notes = [found.facts.get("note", "")]
    independent = found.facts.get("independent_repeats", True)
    for score in found.repeats[0] if found.repeats else ():
        values = [repeat[score] for repeat in found.repeats]
        name = _score_column(score)
        mean, low, high = t_interval(values, bounds_of(score))
        error = Mean.of(values).error
        if len(values) == 1 and score in deviations:
            half = 2 * deviations[score]
            low, high = clipped(mean - half, mean + half, bounds_of(score))
        if not independent:
            low = high = error = np.nan
        line |= dict(zip([f"{name}{e}" for e in ENDS], (mean, low, high, error), strict=True))
    if not independent:
        notes.append("repeats are not independent: no interval")
    elif len(found.repeats) == 1 and deviations:
        notes.append("one repeat: interval from the spread of the points with more")
    return line | {"note": "; ".join(filter(None, notes))}


def _pooled_deviations(found: Sequence[Any], scores: Sequence[str]) -> dict[str, float]:
    """Standard deviation of one repeat by score, pooled over the points that have more."""
    several = [each.repeats for each in found if len(each.repeats) > 1]
    deviations = {}
    for score in scores:
        variances = [
            np.var([repeat[score] for repeat in repeats], ddof=1)
            for repeats in several
            if score in repeats[0]
        ]
        if variances:
            deviations[score] = float(np.sqrt(np.mean(variances)))
    return deviations


def _with_fronts(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a block, each with `front` where it has scores or could have had them."""
    groups = dict.fromkeys((line["method"], line.get("by")) for line in lines if "n" in line)
    for method, by in groups:
        group = [
            line
            for line in lines
            if line["method"] == "plain" or (line["method"], line.get("by")) == (method, by)
        ]
        values = ([line.get(name, np.nan) for line in group] for name in ("precision", "recall"))
        for line, on_front in zip(group, pareto_front(*values), strict=True):
            if line["method"] == method:
                line["front"] = bool(on_front)
    return lines


# ---------------------------------------------------------------------------------- the table

NOTES = (
    (
        "A value is the mean over the repeats with the 95 % t-interval of that mean. Repeats are "
        "disjoint stretches of one pool of one trained model: the intervals hold the trained "
        "weights and the real images fixed."
    ),
    (
        "*front*: no point of the same method, the plain model among them, has more of both "
        "precision and recall."
    ),
    (
        "*acceptance*: share of the proposals that were kept; *closed form*: what follows from the "
        "measured share below tau alone."
    ),
)


def frontier(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Points of the frontiers of some models, see the module for inputs and settings."""
    return frontier_table(
        frontier_frame(settings["rows"], ScoreBook(inputs["scores"])), settings["title"]
    )


def frontier_table(frame: pd.DataFrame, title: str) -> Table:
    """The frame of `frontier_frame` as a table, one section per block."""
    firsts = {block: lines.iloc[0] for block, lines in frame.groupby("block", sort=False)}
    return Table(
        title=title,
        frame=frame,
        columns=[
            *([Column("by", "by")] if "by" in frame else []),
            Column("setting", "method"),
            *(_measured(score, 2 if score == "fid" else 3) for score in FIRST_SCORES),
            Column("acceptance", "acceptance", 3),
            Column("acceptance_closed_form", "closed form", 3, in_latex=False),
            Column("front", "front"),
            Column("note", "note", in_latex=False),
        ],
        section="block",
        section_titles={block: block_title(first) for block, first in firsts.items()},
        section_notes={block: _counts(first) for block, first in firsts.items()},
        notes=NOTES,
        shown_rows=60,
    )


def _measured(score: str, decimals: int) -> Column:
    head = "FID ↓" if score == "fid" else f"{score} ↑"
    return Column(score, head, decimals, low=f"{score}_low", high=f"{score}_high")


def _counts(first: Mapping[str, Any]) -> str:
    return (
        f"{first['n']:,} generated against {first['n_real']:,} real images per repeat, "
        f"k = {first['k']}, training seed {first['seed']}."
    )
