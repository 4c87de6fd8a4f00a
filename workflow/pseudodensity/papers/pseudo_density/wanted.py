"""Goals and who reaches them: the point of a frontier that does it at the least cost, or that none does.

`wanted` wants
    inputs: ``scores``, paths of scores files.
    settings: ``title``; ``rows`` as for the frontier; ``wanted``, list of {score, at_least} or {score, at_most}; points of controls that are no generator's are left out.

The cheapest of many noisy points looks better than it is. So a point is found on the first half of its
repeats, and what it reaches is reported from the other half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.plan.methods import method
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table

__all__ = ["cheapest", "wanted", "wanted_frame"]

Goal = Mapping[str, Any]

NOTES = (
    (
        "A setting is found on half of the repeats of each point; *reached* and the other scores are of "
        "the other half, and *confirmed* says whether they meet the goal too."
    ),
    "Cost counts images that the generator makes for one that is kept.",
)


def cheapest(lines: Sequence[Mapping[str, Any]], goal: Goal) -> Mapping[str, Any] | None:
    """The line that meets a goal with the fewest generator calls per image, or None.

    Args:
        lines: each with `found` (score -> mean of the half that finds) and `calls`.
        goal: ``score`` and ``at_least`` or ``at_most``.
    """
    fit = [line for line in lines if _meets(line["found"].get(goal["score"], np.nan), goal)]
    return min(fit, key=lambda line: line["calls"], default=None)


def _meets(value: float, goal: Goal) -> bool:
    return value >= goal["at_least"] if "at_least" in goal else value <= goal["at_most"]


def _words(goal: Goal) -> str:
    sign, value = (">=", goal["at_least"]) if "at_least" in goal else ("<=", goal["at_most"])
    return f"{goal['score']} {sign} {value:g}"


def _line(row: Mapping[str, Any], book: ScoreBook) -> dict[str, Any] | None:
    found = book.find(row["pool"], row["point"])
    if len(found.repeats) < 2:
        return None  # nothing would be left to report from
    half = len(found.repeats) // 2
    means = [
        {name: float(np.mean([repeat[name] for repeat in part])) for name in part[0]}
        for part in (found.repeats[:half], found.repeats[half:])
    ]
    images = found.n * len(found.repeats)
    calls = found.facts["generator_calls"] / images
    return {"label": found.label, "found": means[0], "reached": means[1], "calls": calls}


def wanted_frame(
    rows: Sequence[Mapping[str, Any]], book: ScoreBook, goals: Sequence[Goal]
) -> pd.DataFrame:
    """One line per goal: the setting, what it reaches on the half that did not find it, its cost."""
    served = [row for row in rows if "point" in row]
    served = [r for r in served if method(r["point"]["method"]).POOL in ("model", "own", "moved")]
    lines = [line for row in served if (line := _line(row, book)) is not None]
    answers = []
    for goal in goals:
        best = cheapest(lines, goal)
        answer = {"goal": _words(goal), "setting": "none of the points reaches it"}
        if best is not None:
            reached = best["reached"]
            answer |= {"setting": best["label"], "reached": reached[goal["score"]]}
            answer["confirmed"] = _meets(reached[goal["score"]], goal)
            answer |= {name: reached.get(name) for name in ("precision", "recall", "fid")}
            answer["generator_calls_per_image"] = best["calls"]
        answers.append(answer)
    columns = ["goal", "setting", "reached", "confirmed", "precision", "recall", "fid"]
    return pd.DataFrame(answers, columns=[*columns, "generator_calls_per_image"])


def wanted(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """What reaches each goal at the least cost."""
    frame = wanted_frame(settings["rows"], ScoreBook(inputs["scores"]), settings["wanted"])
    return Table(
        title=settings["title"],
        frame=frame,
        columns=[
            Column("goal", "goal"),
            Column("setting", "cheapest setting"),
            Column("reached", "reached", 3),
            Column("confirmed", "confirmed"),
            Column("precision", "precision", 3),
            Column("recall", "recall", 3),
            Column("fid", "FID", 2),
            Column("generator_calls_per_image", "generator calls per image", 2),
        ],
        notes=NOTES,
    )
