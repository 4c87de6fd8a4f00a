"""Figure 2 and Tables 3 and 4 in numbers: what depends on the singular values that count, k, and on the
latents of a repeat, N, and from where on it no longer does.

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, see `MethodSets.rows`, the plain
model first; ``dial``: ``top`` (k) or ``volumes`` (N); ``target``, the name of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.score_columns import SCORES, score_column
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Estimate, Mean, difference, paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["DIALS", "along"]

DIALS = {"top": "k", "volumes": "N"}
MEANING = {"top": "singular values that count", "volumes": "latents of a repeat"}
NOTES = {
    "top": (
        "All k have the same proposals and the same draws, so changes are of pairs of repeats. A larger k "
        "spreads the volumes further: the same ρ is a stronger one."
    ),
    "volumes": (
        "N are the latents from which one repeat is drawn with replacement; each repeat has its own. Where "
        "N is below the number of images, images must come several times."
    ),
}


def along(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per value of the dial and polarity."""
    book, dial, rows = ScoreBook(inputs["scores"]), settings["dial"], settings["rows"]
    frame = frontier_frame(rows, book)
    frame = pd.concat([frame, pd.DataFrame(_changes(rows, book, dial))], axis=1)
    frame["settled"] = _settled(frame, dial)
    last = frame[dial].max()
    name = DIALS[dial]
    return Table(
        title=f"{settings['target'].replace('table', 'Table ')} of polarity sampling: {MEANING[dial]}",
        frame=frame,
        columns=[
            Column(dial, name),
            Column("polarity", "ρ", format="g"),
            *map(score_column, SCORES),
            Column(
                "fid_change",
                f"FID minus that at {name} = {last:,.0f}",
                format="+.3f",
                low="fid_change_low",
                high="fid_change_high",
            ),
            Column("settled", "settled"),
            Column("ess", "effective sample size", 0),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=_introduction(frame, name),
        notes=[
            f"*settled*: at this {name} and all larger ones the interval of the change of FID holds 0.",
            NOTES[dial],
            "Intervals: 95 %, Student's, over the repeats, of one trained model.",
        ],
    )


def _introduction(frame: pd.DataFrame, name: str) -> str:
    first = frame.iloc[0]
    return (
        f"{block_title(first)}: {first['n']:,} generated against {first['n_real']:,} real images per repeat, "
        f"{first['repeats']} repeats, training seed {first['seed']}. The first line is the model itself."
        f" The paper finds that its models settle at about k = 40 and N = 200,000; its own numbers of {name} "
        "stand in an appendix that we do not have."
    )


def _changes(rows: Sequence[Mapping[str, Any]], book: ScoreBook, dial: str) -> list[dict[str, Any]]:
    """Of each row, what each score is minus what it is at the largest value of the dial."""
    points = [row["point"] for row in rows]
    last = max(point[dial] for point in points if dial in point)
    ends = {p["polarity"]: book.find(r["pool"], p) for r, p in _pairs(rows) if p.get(dial) == last}
    found = []
    for row, point in _pairs(rows):
        if dial not in point:
            found.append({})
            continue
        repeats, reference = (
            made.repeats for made in (book.find(row["pool"], point), ends[point["polarity"]])
        )
        line = {}
        for score in SCORES:
            change = _change(*([r[score] for r in side] for side in (repeats, reference)), dial)
            line |= dict(
                zip(
                    (f"{score}_change{end}" for end in ("", "_low", "_high", "_p")),
                    (change.effect, change.low, change.high, change.p),
                    strict=True,
                )
            )
        found.append(line if point[dial] != last else {})
    return found


def _pairs(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    return [(row, row["point"]) for row in rows]


def _change(values: Sequence[float], reference: Sequence[float], dial: str) -> Estimate:
    """Repeats of one k have the proposals of those of another; those of one N have others."""
    if not values or not reference:  # the pool held too few
        return Estimate(np.nan)
    if dial == "top" and len(values) == len(reference):
        return paired(np.subtract(values, reference))
    return difference(Mean.of(values), Mean.of(reference))


def _settled(frame: pd.DataFrame, dial: str) -> pd.Series:
    """yes | no; nothing for the plain model, nor where there is no interval."""
    settled = pd.Series("", index=frame.index)
    for _, own in frame[frame[dial].notna()].groupby("polarity"):
        so_far = "yes"
        for index, line in own.sort_values(dial, ascending=False).iterrows():
            if pd.notna(line["fid_change"]):
                if pd.isna(line["fid_change_low"]):
                    break
                holds = line["fid_change_low"] <= 0 <= line["fid_change_high"]
                so_far = "yes" if so_far == "yes" and holds else "no"
            settled[index] = so_far
    return settled
