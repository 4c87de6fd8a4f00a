"""Claims about the search itself, from the CSVs of Tables 1, 7, 9 and 10."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.diverse_rare.unpaired import unpaired_t
from pseudodensity.report.claims import (
    Contrast,
    Line,
    block_line,
    contrast_lines,
    estimate_of,
    mean_of,
)
from pseudodensity.report.statistics import Mean, difference, mean_from_interval

__all__ = ["diversity_lines", "limit_lines", "rarity_lines", "term_lines", "weight_lines"]

Row = Mapping[str, Any]
OVER_REPEATS = "interval over sampling repeats of one trained model"
OVER_REFERENCES = "interval over references of one trained model"
TITLES = {
    "gain": "rarity against the reference",
    "second_gain": "rarity against the reference, second network",
    "spread": "distance of two samples of a reference",
    "away": "distance from the reference",
}


def rarity_lines(table: pd.DataFrame) -> list[Line]:
    """004-1: rarity of searched images against their references, plain samples, starts and pool picks; precision
    against plain samples. table: Table 1."""
    lines = []
    for name in ("gain", "second_gain"):
        contrast = Contrast("004-1", TITLES[name], 1)
        found = [
            block_line(contrast, estimate_of(row, name), row, seeds=1, note=OVER_REFERENCES)
            for row in map(_searched, _blocks(table))
            if row is not None and pd.notna(row[name])
        ]
        lines += contrast_lines(contrast, found)
    rivals = {
        "plain samples": _plain,
        "starts without search": _starts,
        "a pool pick of as many fakes as a search makes": _equal_pick,
        "the largest pool pick": _picked,
    }
    for words, rival in rivals.items():
        lines += _minus("004-1", f"rarity minus that of {words}", 1, table, rival, "rarity")
    return lines + _minus(
        "004-1", "precision minus that of plain samples", 0, table, _plain, "precision"
    )


def diversity_lines(table: pd.DataFrame) -> list[Line]:
    """004-3: distance of random pairs against plain samples; the note has the paper's test. table: Table 1."""
    contrast = Contrast("004-3", "pair distance minus that of plain samples", 1)
    found = []
    for own in _blocks(table):
        row, plain = _searched(own), _plain(own)
        if row is None or "pair_distance" not in row:
            continue
        welch = unpaired_t(*_pairs(row), *_pairs(plain))
        note = f"{OVER_REPEATS}; unpaired t of pairs as in the paper: t = {welch.t:.1f}, p = {welch.p:.2g}"
        estimate = difference(mean_of(row, "pair_distance"), mean_of(plain, "pair_distance"))
        found.append(block_line(contrast, estimate, row, seeds=1, note=note))
    return contrast_lines(contrast, found)


def term_lines(table: pd.DataFrame) -> list[Line]:
    """004-4: what similarity adds to rarity alone, and diversity to both. table: Table 7."""
    searched = table[table["method"].eq("rare_search") & table["steps"].gt(0)]
    added = {
        "similarity": (_at(searched, similarity=0), _least(searched, "diversity", "similarity")),
        "diversity": (_least(searched, "diversity", "similarity"), _most(searched, "diversity")),
    }
    lines = []
    for term, (without, with_) in added.items():
        for name in ("gain", "spread"):
            words = f"{TITLES[name]}, with {term} minus without"
            lines += _between("004-4", words, 1, with_, without, name)
    return lines


def weight_lines(table: pd.DataFrame) -> list[Line]:
    """004-6: rarity and diversity at the greatest weight of a term minus those at the least, at the least of the
    other. table: Table 9."""
    searched = table[table["method"].eq("rare_search") & table["steps"].gt(0)]
    lines = []
    claimed = {"similarity": {"gain": 1, "spread": -1}, "diversity": {"gain": -1, "spread": 1}}
    for weight, signs in claimed.items():
        other = "diversity" if weight == "similarity" else "similarity"
        own = searched[searched[other].eq(searched[other].min())].sort_values(weight)
        lines += _along("004-6", own, weight, signs)
    return lines


def limit_lines(table: pd.DataFrame) -> list[Line]:
    """004-7: rarity, diversity and distance from the reference at the greatest k' minus those at the least. table:
    Table 10."""
    searched = table[table["method"].eq("rare_search") & table["steps"].gt(0)]
    own = searched.sort_values("neighbours")
    return _along("004-7", own, "neighbours", {"gain": 1, "spread": 1, "away": 1})


def _along(claim: str, own: pd.DataFrame, key: str, signs: Mapping[str, int]) -> list[Line]:
    if len(own) < 2 or own[key].nunique() < 2:
        return []
    first, last, lines = own.iloc[0], own.iloc[-1], []
    for name, sign in signs.items():
        words = f"{TITLES[name]}, {key} {last[key]:g} minus {first[key]:g}"
        lines += _between(claim, words, sign, last, first, name)
    return lines


def _between(
    claim: str, words: str, sign: int, row: Row | None, other: Row | None, name: str
) -> list[Line]:
    """Means over the references of two rows; that these are the same widens the interval."""
    if row is None or other is None or pd.isna(row[name]) or pd.isna(other[name]):
        return []
    means = [_over_references(each, name) for each in (row, other)]
    contrast = Contrast(claim, words, sign)
    note = f"{OVER_REFERENCES}, as if both had their own"
    return [block_line(contrast, difference(*means), row, seeds=1, note=note)]


def _over_references(row: Row, name: str) -> Mean:
    ends = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return mean_from_interval(*ends, int(row["references"]))


def _minus(
    claim: str, words: str, sign: int, table: pd.DataFrame, rival: Any, score: str
) -> list[Line]:
    contrast, found = Contrast(claim, words, sign), []
    for own in _blocks(table):
        row, other = _searched(own), rival(own)
        if row is not None and other is not None:
            estimate = difference(mean_of(row, score), mean_of(other, score))
            found.append(block_line(contrast, estimate, row, seeds=1, note=OVER_REPEATS))
    return contrast_lines(contrast, found)


def _pairs(row: Row) -> tuple[float, float, int]:
    return row["pair_distance"], row["pair_deviation"], int(row["pairs"])


def _blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, own in table.groupby("block", sort=False):
        yield own


def _first(own: pd.DataFrame) -> Row | None:
    return own.iloc[0] if len(own) else None


def _searched(own: pd.DataFrame) -> Row | None:
    """The first search that moves its starts: the paper's."""
    return _first(own[own["method"].eq("rare_search") & own["steps"].gt(0)])


def _starts(own: pd.DataFrame) -> Row | None:
    return _first(own[own["method"].eq("rare_search") & own["steps"].eq(0)])


def _plain(own: pd.DataFrame) -> Row | None:
    return _first(own[own["method"].eq("plain")])


def _picked(own: pd.DataFrame) -> Row | None:
    found = own[own["method"].eq("rare_pick")]
    return _first(found.sort_values("pool", ascending=False)) if len(found) else None


def _equal_pick(own: pd.DataFrame) -> Row | None:
    """Of the search's samples times its steps."""
    searched = _searched(own)
    if searched is None:
        return None
    wanted = searched["samples"] * searched["steps"]
    return _first(own[own["method"].eq("rare_pick") & own["pool"].eq(wanted)])


def _at(own: pd.DataFrame, similarity: float) -> Row | None:
    return _first(own[own["similarity"].eq(similarity)])


def _least(own: pd.DataFrame, zero: str, other: str) -> Row | None:
    return _first(own[own[zero].eq(0) & own[other].gt(0)])


def _most(own: pd.DataFrame, key: str) -> Row | None:
    return _first(own[own[key].eq(own[key].max()) & own[key].gt(0)])
