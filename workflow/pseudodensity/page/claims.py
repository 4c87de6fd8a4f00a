"""Claims at a glance: one line for each claim of a paper, with a word, a sign and a colour for its answer.

The answers are those of `report.claims`, which says them of each contrast of a claim. Here they are only
gathered: a claim whose contrasts have several answers is mixed, and nothing is decided anew.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pseudodensity.report.claims import ALL_BLOCKS, FAILS, HOLDS

__all__ = ["ANSWERS", "Answer", "Claim", "Measured", "are_claims", "claims_at_a_glance"]


@dataclass(frozen=True)
class Answer:
    """What a claim came to. key: names its colour. sign and word: what says it without a colour.
    meaning: one sentence for the legend."""

    key: str
    sign: str
    word: str
    meaning: str


ANSWERS = {
    answer.key: answer
    for answer in (
        Answer("holds", "✓", "holds", "from three training seeds or more, at 5 % after correction"),
        Answer("agrees", "◐", "as claimed here", "the sign is as claimed; too little to say holds"),
        Answer("mixed", "±", "mixed", "parts of the claim have different answers"),
        Answer("undecided", "?", "undecided", "the interval does not settle the sign"),
        Answer(
            "differs",
            "◑",
            "not as claimed here",
            "the sign is not as claimed; too little to say fails",
        ),
        Answer(
            "fails",
            "✗",
            "does not hold",
            "from three training seeds or more, at 5 % after correction",
        ),
        Answer("not-run", "–", "not run", "this run has not made what the claim is about"),
    )
}


@dataclass(frozen=True)
class Measured:
    """One contrast of a claim, as the table of claims has it: in words, the value with its interval, and
    the answer."""

    what: str
    value: str
    answer: Answer
    said: str


@dataclass(frozen=True)
class Claim:
    """A claim with its answer over all contrasts that were measured. said: how many of them have which
    answer, where they differ."""

    id: str
    text: str
    answer: Answer
    said: str
    measured: list[Measured]


def are_claims(frame: pd.DataFrame) -> bool:
    """Whether a table of a paper answers claims."""
    return {"id", "claim", "measured", "verdict", "answer", "block"} <= set(frame.columns)


def claims_at_a_glance(frame: pd.DataFrame, catalogue: pd.DataFrame | None) -> list[Claim]:
    """Every claim of a paper in the order of the table, and those not run after them.

    Args:
        frame: as `report.claims.claims_frame` writes it to a CSV.
        catalogue: config/reported/claims.csv, whose other claims of the same papers were not run; None:
            there are none.
    """
    found = [_claim(key, lines) for key, lines in frame.groupby("id", sort=False)]
    if catalogue is None:
        return found
    papers = {str(key).partition("-")[0] for key in frame["id"]}
    known = set(frame["id"])
    rest = [
        Claim(line.id, line.claim, ANSWERS["not-run"], "", [])
        for line in catalogue.itertuples()
        if line.id.partition("-")[0] in papers and line.id not in known
    ]
    return [*found, *rest]


def _claim(key: str, lines: pd.DataFrame) -> Claim:
    # As in the overview of the table: the line over all blocks where a contrast has one.
    joint = lines["block"].eq(ALL_BLOCKS)
    has_joint = joint.groupby(lines["measured"]).transform("any")
    shown = [_measured(line) for line in lines[joint | ~has_joint].to_dict("records")]
    # What nobody measured does not speak against what was.
    run = [one for one in shown if one.answer.key != "not-run"] or shown
    counts = Counter(one.answer.key for one in run)
    answer = ANSWERS[next(iter(counts)) if len(counts) == 1 else "mixed"]
    said = ", ".join(
        f"{counts[one]} {ANSWERS[one].word}" for one in ANSWERS if one in counts and len(counts) > 1
    )
    return Claim(key, lines["claim"].iloc[0], answer, said, shown)


def _measured(line: dict[str, Any]) -> Measured:
    where = f" ({line['block']})" if isinstance(line["block"], str) else ""
    value = ""
    if not pd.isna(line["effect"]):
        value = f"{line['effect']:+.3f}"
        if not pd.isna(line["low"]):
            value += f" [{line['low']:+.3f}, {line['high']:+.3f}]"
    said = str(line["answer"])
    return Measured(f"{line['measured']}{where}", value, _answer(str(line["verdict"]), said), said)


def _answer(verdict: str, answer: str) -> Answer:
    if verdict in (HOLDS, FAILS):
        agrees = answer == "reproduced"
        return ANSWERS["holds" if agrees else "fails"]
    beginnings = {
        "as claimed": "agrees",
        "not as claimed": "differs",
        "not reproduced": "differs",
        "not tested": "not-run",
        "not measured": "not-run",
    }
    key = next((key for start, key in beginnings.items() if answer.startswith(start)), "undecided")
    return ANSWERS[key]
