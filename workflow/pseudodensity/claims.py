"""What the main paper claims about Table 1, put to the test: effects, intervals and verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from .artifacts import atomic_path
from .tables import (
    Members,
    group_by_setting,
    metric_values,
    oracle_values,
    paper_value,
    write_csv,
)

__all__ = ["ALL_BLOCKS", "claims_table1", "t_interval", "verdict", "write_claims"]

ALL_BLOCKS = "all blocks"
CONFIDENCE = 0.95
HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"


@dataclass(frozen=True)
class Comparison:
    """One side of a claim: `metric` of the row `setting` minus that of the row `against`.

    sign: +1 if the claim says that the metric rises, -1 if it falls. id: in claims.csv.
    """

    id: str
    setting: str
    metric: str
    sign: int
    against: str

    def reference(self, settings: Mapping[str, Members]) -> str:
        """The row to compare with; a control must have seen as many images as the row."""
        if self.against == "control" and self.setting == "fid" and "control_fid" in settings:
            return "control_fid"
        return self.against


# The paper has no controls. But training on alone changes the metrics, so a claim about the
# weights is judged against a row that was trained on just as long without them.
COMPARISONS = (
    Comparison("000-1", "precision", "precision", +1, "control"),
    Comparison("000-2", "precision", "recall", -1, "control"),
    Comparison("000-3", "recall", "recall", +1, "control"),
    Comparison("000-4", "recall", "precision", -1, "control"),
    Comparison("000-5", "fid", "fid", -1, "pretrained"),
    Comparison("000-5", "fid", "fid", -1, "control"),
)


def t_interval(differences: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Mean of n independent differences with its 95 % Student-t interval: (mean, low, high).

    A single difference has no interval: low and high are NaN. Without variance the interval is
    the mean itself.
    """
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    quantile = student_t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1)
    half = float(quantile * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def verdict(low: float, high: float, sign: int) -> str:
    """holds | does not hold | undecided: on which side of 0 the interval lies strictly.

    Args:
        low, high: the interval of the difference; NaN for none, which decides nothing.
        sign: +1 if the claim says that the difference is positive, -1 if negative.
    """
    near, far = (low, high) if sign > 0 else (-high, -low)
    if near > 0:
        return HOLDS
    return FAILS if far < 0 else UNDECIDED


def claims_table1(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    oracles: Mapping[str, Mapping[str, Any]],
    reported: pd.DataFrame,
    catalogue: pd.DataFrame,
) -> pd.DataFrame:
    """Claims 000-1 to 000-5, one line per comparison and block, then one over all blocks.

    `effect` is the mean difference between the two rows, with the 95 % t-interval `low`, `high`
    over the repeats (same latents in both rows) if there is one training seed, else over the
    seeds' means; the line `all blocks` takes the effects of the blocks as its sample and exists
    if there are at least two. `from_pretrained` is the same difference against the pre-trained
    row, which is what the paper compares; `paper_effect` is the paper's own. `oracle_effect`
    compares reweighted with plain real images; `expected` is its verdict.

    Args:
        rows, metrics, oracles, reported: as for `tables.table1`.
        catalogue: config/reported/claims.csv (id, claim).

    Raises:
        ValueError: rows, metrics, oracles and reported numbers do not fit each other.
    """
    groups = group_by_setting(rows, metrics)
    texts = catalogue.set_index("id")["claim"]
    lines = []
    for comparison in COMPARISONS:
        blocks = [
            _block_line(comparison, settings, oracles[block], reported)
            for block, settings in groups.items()
        ]
        lines += blocks + ([_all_blocks_line(comparison, blocks)] if len(blocks) > 1 else [])
    frame = pd.DataFrame(lines)
    frame.insert(1, "claim", frame["id"].map(texts))
    return frame


def _differences(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Independent differences of two (seeds, repeats) arrays: per seed, or per repeat of one."""
    if high.shape != low.shape:
        raise ValueError(
            "rows of one block have other numbers of repeats: delete the metrics and run again"
        )
    difference = high - low
    return difference.mean(axis=1) if len(difference) > 1 else difference[0]


def _judged(
    comparison: Comparison, differences: np.ndarray, oracle_differences: np.ndarray
) -> dict[str, Any]:
    """Effect, interval and verdict of a line, ours and the oracle's."""
    effect, low, high = t_interval(differences)
    oracle_effect, oracle_low, oracle_high = t_interval(oracle_differences)
    return {
        "metric": comparison.metric,
        "claimed": "rises" if comparison.sign > 0 else "falls",
        "against": comparison.against,
        "effect": effect,
        "low": low,
        "high": high,
        "verdict": verdict(low, high, comparison.sign),
        "oracle_effect": oracle_effect,
        "oracle_low": oracle_low,
        "oracle_high": oracle_high,
        "expected": verdict(oracle_low, oracle_high, comparison.sign),
    }


def _block_line(
    comparison: Comparison,
    settings: Mapping[str, Members],
    oracle: Mapping[str, Any],
    reported: pd.DataFrame,
) -> dict[str, Any]:
    setting, metric = comparison.setting, comparison.metric
    row = settings[setting][0][0]
    names = (setting, "pretrained", comparison.reference(settings))
    tuned, before, reference = (metric_values(settings[name], metric) for name in names)
    differences = _differences(tuned, reference)
    weighted = oracle_values(oracle, row["tau"], row["w"], metric)
    plain = oracle_values(oracle, None, 1.0, metric)
    printed, printed_before = (
        paper_value(reported, row["reported"], name, row["tau"], row["w"], metric)
        for name in names[:2]
    )
    return {
        "id": comparison.id,
        "block": row["block"],
        "dataset": row["dataset"],
        "model": row["model"],
        "tau_percent": row["tau"],
        "w": row["w"],
        **_judged(comparison, differences, _differences(weighted, plain)),
        "from_pretrained": float(tuned.mean() - before.mean()),
        "paper_effect": printed - printed_before,
        "notes": _note(tuned.shape, differences),
    }


def _note(shape: tuple[int, int], differences: np.ndarray) -> str:
    """What the interval of a block covers."""
    seeds, repeats = shape
    if len(differences) == 1:
        return "one repeat of one training seed: no interval"
    if seeds > 1:
        note = f"interval over {seeds} training seeds: covers training and sampling"
    else:
        note = f"interval over {repeats} sampling repeats of one training seed: sampling only"
    return note if np.ptp(differences) > 0 else f"{note}; the differences are all equal"


def _all_blocks_line(comparison: Comparison, blocks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The effects of the blocks as one sample."""
    frame = pd.DataFrame(blocks)
    verdicts = frame["verdict"].value_counts()
    by_block = ", ".join(f"{verdicts.get(x, 0)} {x}" for x in (HOLDS, FAILS, UNDECIDED))
    return {
        "id": comparison.id,
        "block": ALL_BLOCKS,
        **_judged(comparison, frame["effect"].to_numpy(), frame["oracle_effect"].to_numpy()),
        **frame[["from_pretrained", "paper_effect"]].mean(),
        "notes": f"interval over {len(frame)} blocks, taken as independent: covers models, data, "
        f"training and sampling; blocks: {by_block}",
    }


# ------------------------------------------------------------------------------------ writing


def write_claims(claims: pd.DataFrame, csv: str | Path, md: str | Path) -> None:
    """Write the claims of Table 1 as CSV (4 decimals) and as Markdown to read.

    Args:
        claims: of `claims_table1`.
        csv, md: results/table1.claims.csv and .md.
    """
    # Adding 0 turns the -0 that rounding leaves into 0.
    numbers = claims.select_dtypes("number").round(4) + 0.0
    write_csv(claims.assign(**{name: numbers[name] for name in numbers}), csv)
    with atomic_path(md) as temporary:
        temporary.write_text(_markdown(claims), encoding="utf-8")


def _signed(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:+.3f}"


def _interval(low: float, high: float) -> str:
    return "–" if pd.isna(low) else f"[{low:+.3f}, {high:+.3f}]"


def _metric(line: Mapping[str, Any]) -> str:
    return "FID" if line["metric"] == "fid" else line["metric"]


def _row_name(line: Mapping[str, Any]) -> str:
    return line["against"].replace("pretrained", "pre-trained")


def _heading(line: Mapping[str, Any]) -> str:
    arrow = "↑" if line["claimed"] == "rises" else "↓"
    return f"{line['id']} {_metric(line)} {arrow} against {_row_name(line)}"


def _overview(claims: pd.DataFrame) -> list[str]:
    """Verdicts of all claims (columns) for all blocks (lines)."""
    heads = list(dict.fromkeys(_heading(line) for line in claims.to_dict("records")))
    text = [f"| | {' | '.join(heads)} |", "|-" * (len(heads) + 1) + "|"]
    for block, lines in claims.groupby("block", sort=False):
        text.append(f"| {block} | {' | '.join(lines['verdict'])} |")
    return [*text, ""]


def _section(lines: list[dict[str, Any]]) -> list[str]:
    """One claim: a line per block."""
    first = lines[0]
    side = "positive" if first["claimed"] == "rises" else "negative"
    columns = ["block", "effect", "95 % interval", "verdict", "from pre-trained", "paper"]
    columns += ["oracle", "95 % interval", "expected"]
    text = [
        f"## {first['id']}: {first['claim']}",
        "",
        f"Difference in {_metric(first)} from the {_row_name(first)} row; claimed to be {side}.",
        "",
        f"| {' | '.join(columns)} |",
        "|-|-:|-|-|-:|-:|-:|-|-|",
    ]
    for line in lines:
        cells = [line["block"], _signed(line["effect"]), _interval(line["low"], line["high"])]
        cells += [line["verdict"], _signed(line["from_pretrained"]), _signed(line["paper_effect"])]
        cells += [_signed(line["oracle_effect"])]
        cells += [_interval(line["oracle_low"], line["oracle_high"]), line["expected"]]
        text.append(f"| {' | '.join(cells)} |")
    notes = dict.fromkeys(line["notes"] for line in lines)
    blocks = {note: [x["block"] for x in lines if x["notes"] == note] for note in notes}
    text += ["", *(f"- {', '.join(members)}: {note}." for note, members in blocks.items()), ""]
    return text


_INTRODUCTION = f"""\
# Claims of the paper about Table 1

A claim *{HOLDS}* if the 95 % interval of the difference lies strictly on the claimed side of 0,
*{FAILS}* if it lies strictly on the other side, and is *{UNDECIDED}* if it contains 0 or cannot be
computed.
"""

_NOTES = """\
## How to read it

- *control*: fine-tuned with w = 1 on as many images. The paper has no such row and compares with
  the pre-trained model: *from pre-trained* is our difference, *paper* its own (on its data and
  models; compare signs, not sizes).
- *oracle*: reweighted real images minus plain ones; *expected* is the verdict for them, that is,
  for a generator that follows the weights perfectly on these data. Where it splits the data set in
  halves, its repeats share images, and its interval is too narrow.
- An interval over sampling repeats holds the trained weights and the real images fixed: it says how
  sure the difference between these two models is, not whether another training run would show it.
- All blocks: the interval is over the mean differences of the blocks, as if they were independent,
  though some share a data set. FID differs in scale from block to block, and the block with the
  largest one weighs most.
- Of {count} intervals of blocks at 95 %, about one in twenty misses the true difference by chance.
"""


def _markdown(claims: pd.DataFrame) -> str:
    sections = (
        _section(lines.to_dict("records"))
        for _, lines in claims.groupby(["id", "against"], sort=False)
    )
    notes = _NOTES.format(count=claims["block"].ne(ALL_BLOCKS).sum())
    body = [*_overview(claims), *(line for section in sections for line in section)]
    return "\n".join([_INTRODUCTION, *body, notes])
