"""Figure 16 in numbers: few deterministic steps, plain and guided.

``inputs``: ``scores``, paths of scores files; ``pushed``, the experiment `summed_variances`. ``settings``:
``rows``, see `MethodSets.rows`: for each number of steps the plain sampler, the guided one and the control, with their
``role``; then held-out reals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.pushed import PUSHED, note_of_pushed, pushed
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Estimate, paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import repeats_introduction

__all__ = ["SCORES", "changes", "fig16"]

SCORES = {"median_hardness": 1, "precision": 3, "recall": 3}
HEADS = {
    "median_hardness": "median hardness (nats)",
    "precision": "precision ↑",
    "recall": "recall ↑",
}
PLAIN = "plain"
NOTES = (
    (
        "*minus plain*: a score minus that of the plain sampler with as many steps, repeat by repeat on the same "
        "latents. The trade-off of guidance is the precision that it costs for the hardness that it gains."
    ),
    (
        "*beside the most steps*: that change of precision minus the same one at the most steps: about 0 where guidance does at few steps "
        "what it does at many."
    ),
    (
        "Steps are those of DDIM, without noise. The paper gives no scale for its push there (appendix A.7): here it "
        "is taken from the predicted noise, as in classifier guidance. The random direction is the control."
    ),
    note_of_pushed(
        "what a DDIM step makes of a gradient in the predicted noise, which follows from the schedule and stands in "
        "the place of the variance"
    ),
    (
        "Intervals: 95 %, Student's, over the repeats, of one trained model and one training of the embedder. The "
        "judge neither guides nor trains what guides."
    ),
)


def fig16(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each sampler and number of steps."""
    book, rows = ScoreBook(inputs["scores"]), settings["rows"]
    repeats = [book.find(row["pool"], row["point"]).repeats for row in rows]
    frame = frontier_frame(rows, book)
    reach = pushed(inputs["pushed"], [row["point"] for row in rows])
    frame = pd.concat([frame, pd.DataFrame(changes(rows, repeats)), pd.DataFrame(reach)], axis=1)
    frame["role"] = [row["role"] for row in rows]
    first = frame.iloc[0]
    return Table(
        title="Figure 16 of low-density diffusion: few steps, plain and guided",
        frame=frame,
        columns=[
            Column("role", "sampler"),
            Column("steps", "steps", 0),
            PUSHED,
            *(
                Column(score, HEADS[score], decimals, low=f"{score}_low", high=f"{score}_high")
                for score, decimals in SCORES.items()
            ),
            _change("median_hardness_change", "hardness minus plain", 1),
            _change("precision_change", "precision minus plain", 3),
            _change("precision_beside_most", "that, beside the most steps", 3),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=repeats_introduction(first),
        notes=NOTES,
    )


def changes(
    rows: Sequence[Mapping[str, Any]], repeats: Sequence[Sequence[Mapping[str, float]]]
) -> list[dict[str, float]]:
    """Of each row and score ``<score>_change`` from the plain sampler with as many steps, and ``<score>_beside_most``,
    that change minus the same one at the most steps, each with _low, _high and _p; NaN where there is none.

    rows: with ``role`` and a ``point`` that has ``steps``, where it is sampled. repeats: scores of each row.
    """
    keys = [(row["role"], row["point"].get("steps")) for row in rows]
    found = dict(zip(keys, repeats, strict=True))
    most = max(steps for _, steps in keys if steps)
    lines = []
    for role, steps in keys:
        line: dict[str, float] = {}
        for score in SCORES:
            change = beside = Estimate(np.nan)
            if steps and role != PLAIN:
                own = _differences(found, role, steps, score)
                change = paired(own)
                if steps != most:
                    beside = paired(own - _differences(found, role, most, score))
            line |= _ends(f"{score}_change", change) | _ends(f"{score}_beside_most", beside)
        lines.append(line)
    return lines


def _differences(found: Mapping[Any, Any], role: str, steps: int, score: str) -> np.ndarray:
    """A score minus that of the plain sampler, of each repeat."""
    pairs = zip(found[role, steps], found[PLAIN, steps], strict=True)
    return np.array([own[score] - plain[score] for own, plain in pairs])


def _ends(name: str, found: Estimate) -> dict[str, float]:
    line = {name: found.effect, f"{name}_low": found.low, f"{name}_high": found.high}
    return line | {f"{name}_p": found.p}


def _change(name: str, head: str, decimals: int) -> Column:
    return Column(name, head, format=f"+.{decimals}f", low=f"{name}_low", high=f"{name}_high")
