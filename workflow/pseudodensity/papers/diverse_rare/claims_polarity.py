"""Claims about polarity sampling as the rival, from the CSVs of Tables 15 to 17."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines, mean_of
from pseudodensity.report.statistics import Mean, difference, log_ratio

__all__ = ["precision_lines", "rejection_lines", "replacement_lines"]

Row = Mapping[str, Any]
ONE_MODEL = "interval over sampling repeats of one trained model"
TWICE = 2.0
TITLES = {
    "rarity": "rarity",
    "outside": "share outside the real manifold",
    "precision": "precision",
    "recall": "recall",
    "pair_distance": "pair distance",
    "distinct": "share of distinct images",
}


def precision_lines(table: pd.DataFrame) -> list[Line]:
    """004-2: rarity and precision of each positive polarity minus those of the plain model. table: Table 15."""
    lines = []
    for exponent, replacement in _kinds(table, "polarity"):
        for score, sign in {"rarity": 1, "precision": -1}.items():
            pairs = [
                (_row(own, "polarity", exponent, replacement), _first(own, "plain"))
                for own in _blocks(table)
            ]
            words = f"{TITLES[score]}, {_named(exponent, replacement)} minus plain"
            lines += _minus(Contrast("004-2", words, sign), pairs, score)
    return lines


def replacement_lines(table: pd.DataFrame) -> list[Line]:
    """004-9: what replacement changes at each positive polarity. table: Table 16, which has rows of both."""
    lines = []
    claimed = {"distinct": -1, "outside": 1, "recall": -1, "pair_distance": -1}
    for exponent in dict.fromkeys(exponent for exponent, _ in _kinds(table, "polarity")):
        for score, sign in claimed.items():
            pairs = [
                tuple(_row(own, "polarity", exponent, kind) for kind in (True, False))
                for own in _blocks(table)
            ]
            words = f"{TITLES[score]} with replacement minus without, ρ = {exponent:g}"
            lines += _minus(Contrast("004-9", words, sign), pairs, score)
    return lines


def rejection_lines(table: pd.DataFrame) -> list[Line]:
    """004-10: draws for an image over two; rarity and diversity against the search for rare samples, and diversity
    against polarity without rejection. table: Table 17."""
    lines = []
    for exponent, replacement in _kinds(table, "polarity_inside"):
        named, blocks = _named(exponent, replacement), list(_blocks(table))
        inside = [_row(own, "polarity_inside", exponent, replacement) for own in blocks]
        lines += _draws(
            Contrast("004-10", f"draws for an image, over {TWICE:g}, {named}", 1, "log-ratio"),
            inside,
        )
        searched = [_searched(own) for own in blocks]
        whole = [_row(own, "polarity", exponent, replacement) for own in blocks]
        for rivals, rival, claimed in (
            (searched, "the rare search", {"rarity": 0, "recall": -1, "pair_distance": -1}),
            (whole, "polarity without rejection", {"recall": -1, "pair_distance": -1}),
        ):
            pairs = list(zip(inside, rivals, strict=True))
            for score, sign in claimed.items():
                words = f"{TITLES[score]} with rejection, {named}, minus that of {rival}"
                lines += _minus(Contrast("004-10", words, sign), pairs, score)
    return lines


def _draws(contrast: Contrast, rows: list[Row | None]) -> list[Line]:
    found = []
    for row in rows:
        if row is not None and pd.notna(row["draws"]):
            count = max(2, int(row["ess"] * row["repeats"]))
            draws = Mean(float(row["draws"]), float(row["draws_error"]), count)
            estimate = log_ratio(draws, Mean(TWICE, 0.0, count))
            note = f"{row['draws']:.3g} draws; interval over draws and volumes of one trained model"
            found.append(block_line(contrast, estimate, row, seeds=1, note=note))
    return contrast_lines(contrast, found)


def _minus(
    contrast: Contrast, pairs: list[tuple[Row | None, Row | None]], score: str
) -> list[Line]:
    """A score of one row minus that of another, of the blocks that have both."""
    found = []
    for row, other in pairs:
        if row is not None and other is not None and _has(row, score) and _has(other, score):
            estimate = difference(mean_of(row, score), mean_of(other, score))
            note = f"effective sample size {row['ess']:.0f}; {ONE_MODEL}"
            found.append(block_line(contrast, estimate, row, seeds=1, note=note))
    return contrast_lines(contrast, found)


def _has(row: Row, score: str) -> bool:
    return score in row and pd.notna(row[score])


def _blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, own in table.groupby("block", sort=False):
        yield own


def _kinds(table: pd.DataFrame, method: str) -> list[tuple[float, bool]]:
    """Every positive polarity of a method, with and without replacement, in the order of the table."""
    own = table[table["method"].eq(method) & table["polarity"].gt(0)]
    pairs = zip(own["polarity"].astype(float), own["replacement"].astype(bool), strict=True)
    return list(dict.fromkeys(pairs))


def _row(own: pd.DataFrame, method: str, exponent: float, replacement: bool) -> Row | None:
    of_point = own["polarity"].eq(exponent) & own["replacement"].eq(replacement)
    found = own[own["method"].eq(method) & of_point]
    return found.iloc[0] if len(found) else None


def _first(own: pd.DataFrame, method: str) -> Row | None:
    found = own[own["method"].eq(method)]
    return found.iloc[0] if len(found) else None


def _searched(own: pd.DataFrame) -> Row | None:
    """The first search that moves its references."""
    found = own[own["method"].eq("rare_search")]
    return _first(found[found["steps"].gt(0)], "rare_search") if len(found) else None


def _named(exponent: float, replacement: bool) -> str:
    return f"ρ = {exponent:g}, {'with' if replacement else 'without'} replacement"
