"""Claims 003-2 to 003-7, about images: from the tables of this paper, a line per block and one over all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.latent_reweighting.intervals import mean_of
from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines, untested
from pseudodensity.report.statistics import Estimate, Mean, difference, log_ratio

__all__ = [
    "acceptance_lines",
    "ascent_lines",
    "distance_lines",
    "front_lines",
    "labelled_lines",
    "time_lines",
]

TITLES = {"latent_rs": "latentRS", "latent_ga": "latentGA", "latent_rs_ga": "latentRS+GA"}
# What the paper compares with; the other rows are ours.
RIVALS = ("plain", "sir", "dot", "latent_rs")

Row = pd.Series
# Two rows of one block: the one that a claim speaks of, and what it is held against.
Pairs = Iterable[tuple[Row, Row]]


def distance_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-2. table: of `table2.table2`, as in all functions here."""
    for name in ("latent_rs", "latent_rs_ga"):
        words = f"of {TITLES[name]} minus that of plain samples"
        yield from _lines(Contrast("003-2", f"EMD {words}", -1), "emd", _against(table, name))
        ratio = Contrast("003-2", f"FID of {TITLES[name]} over that of plain ones", -1, "log-ratio")
        yield from _lines(ratio, "fid", _against(table, name))
    for score, sign, best in (("precision", 1, _highest), ("emd", -1, _lowest)):
        head = "EMD" if score == "emd" else score
        contrast = Contrast("003-2", f"{head} of latentRS+GA minus that of the best rival", sign)
        yield from _lines(contrast, score, _best(table, "latent_rs_ga", score, best))


def time_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-3."""
    for rival, title in (("sir", "SIR"), ("dot", "DOT")):
        words = f"time of an image by latentRS over that by {title}"
        contrast = Contrast("003-3", words, -1, "log-ratio")
        yield from _lines(contrast, "ms", _against(table, "latent_rs", rival))


def front_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-4."""
    words = "precision of latentRS+GA minus that of the best rival as dear"
    cheaper = []
    for _, block in table.groupby("block", sort=False):
        own = block[block["method"].eq("latent_rs_ga")]
        limit = own["ms"].min() if len(own) else np.inf
        cheaper.append(block[block["ms"].le(limit) | block["method"].eq("latent_rs_ga")])
    pairs = _best(pd.concat(cheaper), "latent_rs_ga", "precision", _highest)
    yield from _lines(Contrast("003-4", words, 1), "precision", pairs)


def ascent_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-5."""
    for name in ("latent_ga", "latent_rs_ga"):
        own = table[table["method"].eq(name)]
        ends = [
            (block.loc[block["amount"].idxmax()], block.loc[block["amount"].idxmin()])
            for _, block in own.groupby("block", sort=False)
        ]
        steps = "the most steps minus the fewest"
        for score, sign in (("precision", 1), ("recall", -1)):
            contrast = Contrast("003-5", f"{score} of {TITLES[name]}, {steps}", sign)
            yield from _lines(contrast, score, ends)


def acceptance_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-6. table: of `shown_tables.acceptance`."""
    contrast = Contrast("003-6", "rank correlation of acceptance with realism", 1, "correlation")
    lines = []
    for _, row in table.iterrows():
        estimate = Estimate(*(row[name] for name in ("spearman", "low", "high", "p")))
        note = f"interval over {row['n']:,} images of one model"
        lines.append(block_line(contrast, estimate, row, seeds=1, note=note))
    yield from contrast_lines(contrast, lines)


def labelled_lines(table: pd.DataFrame) -> Iterator[Line]:
    """003-7."""
    for score, sign in (("precision", 1), ("recall", 0)):
        contrast = Contrast("003-7", f"{score} of latentRS minus that of plain samples", sign)
        yield from _lines(contrast, score, _against(table, "latent_rs"))


# ---------------------------------------------------------------------------------- contrasts


def _against(table: pd.DataFrame, name: str, rival: str = "plain") -> Pairs:
    """The row of a method beside that of a rival, in each block that has both."""
    for _, block in table.groupby("block", sort=False):
        rows = block.drop_duplicates("method").set_index("method", drop=False)
        if {name, rival} <= set(rows.index):
            yield rows.loc[name], rows.loc[rival]


def _best(table: pd.DataFrame, name: str, score: str, best: Callable[[pd.Series], Any]) -> Pairs:
    """The row of a method beside the best of the paper's rivals."""
    for _, block in table.groupby("block", sort=False):
        own = block[block["method"].eq(name)]
        rivals = block[block["method"].isin(RIVALS) & block[score].notna()]
        if len(own) and len(rivals):
            yield own.iloc[0], rivals.loc[best(rivals[score])]


def _highest(values: pd.Series) -> Any:
    return values.idxmax()


def _lowest(values: pd.Series) -> Any:
    return values.idxmin()


def _lines(contrast: Contrast, score: str, pairs: Pairs) -> Iterator[Line]:
    lines = [_line(contrast, score, row, rival) for row, rival in pairs]
    if lines:
        yield from contrast_lines(contrast, lines)
    else:
        yield untested(contrast.claim, contrast.measured, "no block has both methods")


def _line(contrast: Contrast, score: str, row: Row, rival: Row) -> Line:
    counts = "timings" if score == "ms" else "repeats"
    means = [mean_of(side, score, int(side[counts])) for side in (row, rival)]
    is_ratio = contrast.scale == "log-ratio"
    estimate = (log_ratio if is_ratio else difference)(*means)
    printed = [Mean(side[f"paper_{score}"], np.nan, 1) for side in (row, rival)]
    paper = (log_ratio if is_ratio else difference)(*printed).effect
    note = f"{row['setting']} against {rival['setting']}; interval over {counts} of one model"
    return block_line(contrast, estimate, row, seeds=1, note=note, paper_effect=paper)
