"""Claims 000-1 to 000-5 of the main paper, about fine-tuning, from the rows of Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.pseudo_density.table1 import (
    Members,
    group_by_setting,
    paper_value,
    score_values,
)
from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines
from pseudodensity.report.statistics import Estimate, paired

__all__ = ["PRECISION_REMARK", "table1_lines"]

# Shown on a known law: exact or with a fixed absolute error, reweighted towards its dense contrast.
PRECISION_REMARK = (
    "Precision by nearest-neighbour balls measures an error relative to the local spacing of the "
    "real images: it stays when an exact generator is reweighted, but falls when a generator with "
    "a fixed absolute error moves to dense regions, where real images lie closer together. So w = "
    "33 can lower precision while the pseudo density rises; the median distance to the nearest "
    "real image, beside precision in Table 1, is absolute."
)
NO_ORACLE = "; too few real images for an oracle"


@dataclass(frozen=True)
class Comparison:
    """A score of the row `setting` against that of the row `against`.

    sign: +1 if the claim says that the score rises, -1 if it falls. claim: its id.
    """

    claim: str
    setting: str
    score: str
    sign: int
    against: str

    @property
    def contrast(self) -> Contrast:
        """What is measured; FID as a log-ratio, whose size means the same in each block."""
        name = "FID" if self.score == "fid" else self.score
        row = self.against.replace("pretrained", "pre-trained model")
        scale = "log-ratio" if self.score == "fid" else "difference"
        return Contrast(self.claim, f"{name} against the {row}", self.sign, scale)

    def reference(self, settings: Mapping[str, Members]) -> str:
        """The row to compare with; a control must have seen as many images as the row."""
        if self.against == "control" and self.setting == "fid" and "control_fid" in settings:
            return "control_fid"
        return self.against


# The paper has no controls. But training on alone changes the scores, so a claim about the
# weights is judged against a row that was trained on just as long without them.
COMPARISONS = (
    Comparison("000-1", "precision", "precision", +1, "control"),
    Comparison("000-2", "precision", "recall", -1, "control"),
    Comparison("000-3", "recall", "recall", +1, "control"),
    Comparison("000-4", "recall", "precision", -1, "control"),
    Comparison("000-5", "fid", "fid", -1, "pretrained"),
    Comparison("000-5", "fid", "fid", -1, "control"),
)


def table1_lines(
    rows: Sequence[Mapping[str, Any]], book: Any, reported: pd.DataFrame
) -> list[Line]:
    """One line per comparison and block, then one over all blocks.

    The effect is the mean difference between the two rows (log-ratio of FID), with its interval
    over the repeats (same latents in both rows) if there is one training seed, else over the
    seeds' means.

    Args:
        rows, book, reported: as for `table1_frame`; each block has the rows pretrained, precision,
            recall, fid, control, oracle, oracle_precision, oracle_recall and oracle_fid.

    Raises:
        ValueError: a row is missing, or rows, scores and reported numbers do not fit each other.
    """
    groups = group_by_setting(rows, book)
    lines = []
    for comparison in COMPARISONS:
        blocks = [_line(comparison, settings, reported) for settings in groups.values()]
        lines += contrast_lines(comparison.contrast, blocks)
    return lines


def _line(comparison: Comparison, settings: Mapping[str, Members], reported: pd.DataFrame) -> Line:
    setting, score = comparison.setting, comparison.score
    row = _members(settings, setting)[0][0]
    tuned, before, reference = (
        _values(_members(settings, name), score)
        for name in (setting, "pretrained", comparison.reference(settings))
    )
    oracle = _oracle(settings, setting, score)
    differences = _differences(tuned, reference)
    printed, printed_before = (
        _scaled(score, paper_value(reported, row["reported"], name, row["tau"], row["w"], score))
        for name in (setting, "pretrained")
    )
    return block_line(
        comparison.contrast,
        paired(differences),
        row,
        seeds=len(tuned),
        note=_note(tuned.shape, differences) + ("" if oracle else NO_ORACLE),
        from_pretrained=float(tuned.mean() - before.mean()),
        paper_effect=float(printed - printed_before),
        oracle=oracle,
    )


def _oracle(settings: Mapping[str, Members], setting: str, score: str) -> Estimate | None:
    """The effect on real images, of the repeats that both have: fewer reals are left to a reweighted set, or none."""
    weighted, plain = (_members(settings, name) for name in (f"oracle_{setting}", "oracle"))
    if not all(found.repeats for _, found in (*weighted, *plain)):
        return None
    high, low = _values(weighted, score), _values(plain, score)
    both = min(high.shape[1], low.shape[1])
    return paired(_differences(high[:, :both], low[:, :both]))


def _members(settings: Mapping[str, Members], name: str) -> Members:
    if name not in settings:
        block = next(iter(settings.values()))[0][0]["block"]
        raise ValueError(f"claims about Table 1 need the row {name} of {block}: add it to the rows")
    return settings[name]


def _values(members: Members, score: str) -> np.ndarray:
    return _scaled(score, score_values(members, score))


def _scaled(score: str, values: Any) -> Any:
    return np.log(values) if score == "fid" else values


def _differences(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Independent differences of two (seeds, repeats) arrays: per seed, or per repeat of one."""
    if high.shape != low.shape:
        raise ValueError(
            "rows of one block have other numbers of repeats: delete the scores and run again"
        )
    difference = high - low
    return difference.mean(axis=1) if len(difference) > 1 else difference[0]


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
