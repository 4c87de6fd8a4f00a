"""Claims put to the test: effects, intervals and verdicts, by the same rules for every paper.

A claim has contrasts: a contrast that can be measured, such as the precision of one row minus that of
another, and the direction that is claimed for it. A contrast has a line per block (a model on a data
set) and a line over all blocks. The rules:

- From one or two training seeds the words are "up" or "down in this pair": they speak of these
  trained models. "holds" and "does not hold" need three training seeds or more in every block.
- The p-values of all lines of a list are corrected together (Holm 1979). The intervals are plain
  95 % ones.
- Blocks that share a data set are not independent. The line over all blocks takes one number per
  data set, the mean over its blocks, and says beside it in how many blocks the sign is as claimed.
- Without an interval there is no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.statistics import Estimate, Mean, holm, paired
from pseudodensity.report.table import Column, Table

__all__ = [
    "ALL_BLOCKS",
    "Contrast",
    "Line",
    "block_line",
    "claims_frame",
    "claims_table",
    "contrast_lines",
    "estimate_of",
    "interval_verdict",
    "lines_of_csv",
    "mean_of",
    "untested",
    "verdict",
]

ALL_BLOCKS = "all blocks"
SEEDS_NEEDED = 3
LEVEL = 0.05
HOLDS, FAILS, UNDECIDED, NO_INTERVAL = "holds", "does not hold", "undecided", "no interval"
CLAIMED = {1: "rises", -1: "falls", 0: "stays"}
ORACLE = ("oracle_effect", "oracle_low", "oracle_high", "expected")
COLUMNS = (
    *("id", "claim", "measured", "claimed", "scale", "block", "dataset", "model"),
    *("effect", "low", "high", "p", "p_holm", "as_claimed", "seeds", "verdict", "answer"),
    *("from_pretrained", "paper_effect", *ORACLE, "notes"),
)


@dataclass(frozen=True)
class Contrast:
    """What is measured of a claim.

    claim: its id in the catalogue. measured: in words. sign: +1 if the claim says that the effect
    is positive, -1 negative, 0 that there is none. scale: unit of the effect, difference |
    log-ratio | correlation | share. FID is a log-ratio wherever blocks are joined, because its
    size differs from block to block.
    """

    claim: str
    measured: str
    sign: int
    scale: str = "difference"


Line = dict[str, Any]


def block_line(
    contrast: Contrast,
    estimate: Estimate,
    names: Mapping[str, Any],
    *,
    seeds: int,
    note: str = "",
    from_pretrained: float = np.nan,
    paper_effect: float = np.nan,
    oracle: Estimate | None = None,
) -> Line:
    """A contrast of a claim in one block.

    Args:
        names: holds block, dataset and model.
        seeds: training seeds that the estimate is over.
        from_pretrained, paper_effect: our effect against the row that the paper compares with,
            and the paper's own.
        oracle: the effect on reweighted real images.
    """
    line = _judged(contrast, estimate, oracle)
    line |= {key: names[key] for key in ("block", "dataset", "model")}
    as_claimed = np.sign(estimate.effect) == contrast.sign
    line["as_claimed"] = None if not contrast.sign else ("yes" if as_claimed else "no")
    line |= {"seeds": seeds, "from_pretrained": from_pretrained, "paper_effect": paper_effect}
    return line | {"notes": note}


def _judged(contrast: Contrast, estimate: Estimate, oracle: Estimate | None) -> Line:
    line: Line = {
        "id": contrast.claim,
        "measured": contrast.measured,
        "claimed": CLAIMED[contrast.sign],
    }
    line |= {"scale": contrast.scale, "sign": contrast.sign}
    line |= {"effect": estimate.effect, "low": estimate.low, "high": estimate.high}
    line["p"] = estimate.p
    if oracle is not None:
        expected = interval_verdict(oracle.low, oracle.high, contrast.sign)
        values = (oracle.effect, oracle.low, oracle.high, expected)
        line |= dict(zip(ORACLE, values, strict=True))
    return line


def untested(claim: str, measured: str, why: str) -> Line:
    """A line that says why a contrast of a claim is not tested here."""
    verdict = f"not tested here: {why}"
    return {"id": claim, "measured": measured, "verdict": verdict, "answer": verdict}


def estimate_of(line: Mapping[str, Any], name: str) -> Estimate:
    """An effect as tables give it: in the columns name, name_low, name_high and name_p."""
    return Estimate(*(float(line[f"{name}{end}"]) for end in ("", "_low", "_high", "_p")))


def mean_of(line: Mapping[str, Any], score: str) -> Mean:
    """A score as tables of repeats give it: in the columns score and score_error, with ``repeats``."""
    return Mean(float(line[score]), float(line[f"{score}_error"]), int(line["repeats"]))


def lines_of_csv(
    inputs: Mapping[str, Any],
    claim: str,
    name: str,
    measure: Callable[[pd.DataFrame], list[Line]],
) -> list[Line]:
    """Lines that are measured from the CSV of a target, or one that says why there are none.

    inputs: path of the CSV by name of the target; one may be missing, where a config cannot make it.
    """
    if name not in inputs:
        return [untested(claim, name, f"this config makes no {name}")]
    why = f"{name} of this config has no rows that the claim compares"
    return measure(pd.read_csv(inputs[name])) or [untested(claim, name, why)]


def contrast_lines(contrast: Contrast, blocks: Sequence[Line]) -> list[Line]:
    """The lines of the blocks and, if there are two or more with an effect, one over all."""
    measured = [line for line in blocks if not np.isnan(line["effect"])]
    return [*blocks, *([_all_blocks(contrast, measured)] if len(measured) > 1 else [])]


def _all_blocks(contrast: Contrast, blocks: Sequence[Line]) -> Line:
    """One number per data set, as a sample."""
    frame = pd.DataFrame(blocks)
    by_data = frame.groupby("dataset", sort=False)
    effects = by_data["effect"].mean().to_numpy()
    if len(effects) > 1:
        estimate = paired(effects)
        notes = [
            (
                f"interval over {len(effects)} data sets, one number each, as blocks that share one "
                "are not independent: covers models, data, training and sampling"
            )
        ]
    else:
        estimate = Estimate(float(effects[0]))
        notes = ["all blocks share one data set: no joint interval"]
    oracle = None
    if "oracle_effect" in frame:
        # A data set of too few images has none.
        known = by_data["oracle_effect"].mean().dropna().to_numpy()
        oracle = paired(known) if len(known) else None
    line = _judged(contrast, estimate, oracle) | {"block": ALL_BLOCKS}
    if contrast.sign:
        count = int((np.sign(frame["effect"]) == contrast.sign).sum())
        line["as_claimed"] = f"{count} of {len(frame)}"
    # The paper's effect and ours beside it are over the same blocks.
    shared = frame[frame["paper_effect"].notna()]
    line |= {name: shared[name].mean() for name in ("from_pretrained", "paper_effect")}
    if 0 < len(shared) < len(frame):
        notes.append(
            f"the paper's effect, and ours from the pre-trained row, are over the {len(shared)} "
            "blocks that the paper has"
        )
    return line | {"seeds": int(frame["seeds"].min()), "notes": "; ".join(notes)}


# ---------------------------------------------------------------------------------- verdicts


def interval_verdict(low: float, high: float, sign: int) -> str:
    """holds | does not hold | undecided: on which side of 0 an interval lies strictly.

    For what was not trained, such as reweighted real images.

    Args:
        low, high: the interval of the difference; NaN for none, which decides nothing.
        sign: +1 if the claim says that the difference is positive, -1 if negative.
    """
    near, far = (low, high) if sign > 0 else (-high, -low)
    if near > 0:
        return HOLDS
    return FAILS if far < 0 else UNDECIDED


def verdict(effect: float, p: float, sign: int, seeds: int, *, pairs: str = "this pair") -> str:
    """What a line says, by the rules of the module.

    Args:
        effect: the difference. p: its corrected p-value; NaN: there is no interval.
        sign: as in `Contrast`. seeds: training seeds of a block, of the one with the fewest.
        pairs: what the effect was seen in.

    Returns:
        holds | does not hold | undecided | no interval | up in ... | down in ...
    """
    if np.isnan(p):
        return NO_INTERVAL
    if p >= LEVEL:
        return UNDECIDED
    if seeds >= SEEDS_NEEDED:
        return HOLDS if effect * sign > 0 else FAILS
    return f"{'up' if effect > 0 else 'down'} in {pairs}"


def _answer(line: Line) -> str:
    """The verdict against the claim, for the reader in a hurry."""
    sign, said = line["sign"], line["verdict"]
    agrees = line["effect"] * sign > 0
    if np.isnan(line["effect"]):
        return "not measured"
    if said == NO_INTERVAL:
        if not sign:
            return "no test"
        return "as claimed, without a test" if agrees else "not as claimed, without a test"
    if said == UNDECIDED:
        return UNDECIDED if sign else "no difference seen"
    if said == HOLDS:
        return "reproduced"
    if said != FAILS and agrees:
        return said.replace("up in", "as claimed in").replace("down in", "as claimed in")
    return "not reproduced at this scale"


def claims_frame(lines: Sequence[Line], catalogue: pd.DataFrame) -> pd.DataFrame:
    """All lines of a list with corrected p-values, verdicts and the texts of the claims.

    Args:
        lines: of `contrast_lines`, `block_line` and `untested`, claims in order.
        catalogue: config/reported/claims.csv (id, claim).
    """
    texts = catalogue.set_index("id")["claim"]
    corrected = holm([line.get("p", np.nan) for line in lines])
    done = []
    for line, p in zip(lines, corrected, strict=True):
        full = {**line, "claim": texts[line["id"]], "p_holm": p}
        if "verdict" not in line:
            several = line["block"] == ALL_BLOCKS or line["seeds"] > 1
            pairs = "these pairs" if several else "this pair"
            effect, sign, seeds = (line[key] for key in ("effect", "sign", "seeds"))
            full["verdict"] = verdict(effect, p, sign, seeds, pairs=pairs)
            full["answer"] = _answer(full)
        done.append(full)
    return pd.DataFrame(done, columns=list(COLUMNS)).astype({"seeds": "Int64"})


# ---------------------------------------------------------------------------------- the table

INTRODUCTION = (
    f"A claim *{HOLDS}* if its effect lies on the claimed side of 0, and *{FAILS}* if on the other "
    f"side, at 5 % after Holm's correction over all {{tests}} tests of this list; else it is "
    f"*{UNDECIDED}*. These words need {SEEDS_NEEDED} training seeds. From fewer, *up* or *down in "
    "this pair* says only that these trained models differ."
)
NOTES = (
    (
        "*effect*: as measured, with its plain 95 % interval. A log-ratio of -0.1 is a fall by "
        "about 10 %."
    ),
    (
        "*as claimed*: whether the sign is the claimed one; over all blocks, in how many of them. "
        "Blocks that share a data set or its judges are not independent, so the count is no test."
    ),
    (
        "*from pre-trained*: our difference from the row that the paper compares with; *paper*: "
        "its own, on its data and models, over the same blocks (compare signs, not sizes)."
    ),
    (
        "*oracle*: reweighted real images minus plain ones; *expected* is the verdict for them, "
        "that is, for a generator that follows the weights perfectly on these data. Where it "
        "splits the data set in halves, its repeats share images, and its interval is too narrow."
    ),
    (
        "An interval over sampling repeats holds the trained weights and the real images fixed: it "
        "says how sure the difference between these models is, not whether another training run "
        "would show it."
    ),
)


def claims_table(frame: pd.DataFrame, title: str, remarks: Mapping[str, str]) -> Table:
    """The claims as a table: an overview, then a section per claim.

    Args:
        frame: of `claims_frame`.
        remarks: id of a claim -> what to say below its heading.
    """
    texts = dict(zip(frame["id"], frame["claim"], strict=True))
    effect = Column("effect", "effect", format="+.3f", low="low", high="high")
    return Table(
        title=title,
        frame=frame,
        columns=[
            Column("measured", "measured"),
            Column("claimed", "claimed"),
            Column("block", "block"),
            effect,
            Column("as_claimed", "as claimed"),
            Column("verdict", "verdict"),
            Column("from_pretrained", "from pre-trained", format="+.3f", optional=True),
            Column("paper_effect", "paper", format="+.3f", of_paper=True, optional=True),
            Column(
                "oracle_effect",
                "oracle",
                format="+.3f",
                low="oracle_low",
                high="oracle_high",
                optional=True,
            ),
            Column("expected", "expected", optional=True),
            Column("notes", "note", optional=True, in_latex=False),
        ],
        section="id",
        section_titles={key: f"{key}: {text}" for key, text in texts.items()},
        section_notes=remarks,
        introduction=INTRODUCTION.format(tests=int(frame["p"].notna().sum())),
        notes=NOTES,
        summary=_overview(frame, effect),
    )


def _overview(frame: pd.DataFrame, effect: Column) -> Table:
    """One line per contrast: the one over all blocks where there is one."""
    keys = [frame["id"], frame["measured"]]
    joint = frame["block"].eq(ALL_BLOCKS)
    has_joint = joint.groupby(keys).transform("any")
    shown = frame[joint | ~has_joint]
    columns = [Column("id", "claim"), Column("measured", "measured"), Column("scale", "scale")]
    columns += [Column("claimed", "claimed"), effect, Column("as_claimed", "as claimed")]
    return Table("At a glance", shown, [*columns, Column("answer", "answer")])
