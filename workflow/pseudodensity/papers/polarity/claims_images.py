"""The claims of the paper, from the CSVs of its figures and tables."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.fig3 import of_polarity, of_truncation
from pseudodensity.papers.polarity.singular_values import DIALS
from pseudodensity.report.claims import (
    Contrast,
    Line,
    block_line,
    contrast_lines,
    estimate_of,
    mean_of,
)
from pseudodensity.report.pareto import net_share
from pseudodensity.report.statistics import Estimate, difference, log_ratio

__all__ = [
    "best_lines",
    "front_lines",
    "nearest_lines",
    "path_lines",
    "rival_lines",
    "settled_lines",
    "simple_lines",
    "trade_lines",
]

ONE_MODEL = "interval over sampling repeats of one trained model"
NO_INTERVAL = "no interval, as a front has no repeats"
# Kind of a model -> what its modes' distance to training images does: it stays, or falls.
MODES = {"GAN": 0, "VAE": -1}


def trade_lines(points: pd.DataFrame) -> list[Line]:
    """001-1: precision at the most negative polarity, recall at the most positive, against polarity 0,
    which draws with replacement as they do.

    points: of `fig3`.
    """
    lines = []
    for score, end in (("precision", "min"), ("recall", "max")):
        word = "negative" if end == "min" else "positive"
        contrast = Contrast("001-1", f"{score} at the most {word} polarity against polarity 0", 1)
        found = []
        for own in _blocks(points):
            alone = own[own["method"].eq("polarity") & own[score].notna()]
            zero = alone[alone["polarity"].eq(0)]
            if len(alone) > 1 and len(zero):
                at = alone.loc[getattr(alone["polarity"], f"idx{end}")()]
                estimate = difference(mean_of(at, score), mean_of(zero.iloc[0], score))
                note = f"ρ = {at['polarity']:g}, effective sample size {at['ess']:.0f}; {ONE_MODEL}"
                found.append(block_line(contrast, estimate, at, seeds=1, note=note))
        lines += contrast_lines(contrast, found)
    return lines


def front_lines(points: pd.DataFrame) -> list[Line]:
    """001-2: share of the demands of precision beyond the plain model's at which polarity keeps more recall
    than truncation, minus the share at which it keeps less. points: of `fig3`."""
    lines = []
    for name in ("polarity alone", "polarity at any truncation"):
        contrast = Contrast("001-2", f"share won by {name} over truncation", 1, "share")
        found = []
        for own in _blocks(points):
            ours, theirs = of_polarity(own), of_truncation(own)
            if name == "polarity alone":
                ours = ours[ours["method"].ne("truncated_polarity")]
            if theirs["method"].ne("plain").any():
                plain = own[own["method"].eq("plain")].iloc[0]
                sides = [_places(side) for side in (ours, theirs)]
                share = Estimate(net_share(*sides, float(plain["precision"])))
                found.append(block_line(contrast, share, plain, seeds=1, note=NO_INTERVAL))
        lines += contrast_lines(contrast, found)
    return lines


def best_lines(table: pd.DataFrame) -> list[Line]:
    """001-3: gain in FID of the polarity that other repeats chose. table: of `table2`."""
    lines = []
    for space, chosen in table[table["space"].notna()].groupby("space", sort=False):
        circular = " (circular)" if chosen["circular"].any() else ""
        words = f"FID at polarity 0 minus FID at the chosen polarity, {space}{circular}"
        contrast, found = Contrast("001-3", words, 1), []
        for _, best in chosen.iterrows():
            plain = table[table["block"].eq(best["block"])].iloc[0]
            none = pd.isna(best["polarity"])
            note = "nothing beat polarity 0 on the repeats that choose" if none else ONE_MODEL
            if not none:
                note = f"ρ = {best['polarity']:g}; {note}"
            estimate = estimate_of(best, "gain")
            paper = float(plain["paper_fid"] - best["paper_fid"])
            found.append(
                block_line(contrast, estimate, best, seeds=1, note=note, paper_effect=paper)
            )
        lines += contrast_lines(contrast, found)
    return lines


def settled_lines(table: pd.DataFrame, dial: str) -> list[Line]:
    """001-4: FID at the last value of a dial but one against the last, at both ends of polarity.

    table: of `along`.
    """
    lines, values = [], sorted(table[dial].dropna().unique())
    if len(values) < 2:
        return lines
    before, last = values[-2:]
    own = table[table[dial].eq(before) & table["fid_change"].notna()].sort_values("polarity")
    for index in dict.fromkeys([own.index[0], own.index[-1]] if len(own) else []):
        line, name = own.loc[index], DIALS[dial]
        words = f"FID at {name} = {before:,.0f} minus that at {last:,.0f}, ρ = {line['polarity']:g}"
        contrast, estimate = Contrast("001-4", words, 0), estimate_of(line, "fid_change")
        lines.append(block_line(contrast, estimate, line, seeds=1, note=ONE_MODEL))
    return lines


def nearest_lines(table: pd.DataFrame) -> list[Line]:
    """001-6: distance of modes to training images against that of the model, which falls for a VAE and stays
    for a GAN. table: of `fig6`."""
    lines = []
    for (kind, space), own in table.groupby(["kind", "space"], sort=False):
        modes = own.loc[own.groupby("section", sort=False)["polarity"].idxmin()]
        words = f"distance of modes of a {kind} to training images against ρ = 0, {space}"
        lines += _changes(Contrast("001-6", words, MODES[kind], "log-ratio"), modes)
    return lines


def simple_lines(table: pd.DataFrame) -> list[Line]:
    """001-5: total variation of modes against that of the model, as a stand-in of "simple". table: of `fig4`."""
    own = table[table["measure"].eq("total variation")]
    modes = own.loc[own.groupby("section", sort=False)["polarity"].idxmin()]
    return _changes(
        Contrast("001-5", "total variation of modes against ρ = 0", -1, "log-ratio"), modes
    )


def path_lines(table: pd.DataFrame) -> list[Line]:
    """001-7: path length at the most negative polarity against polarity 0. table: of `fig7`."""
    lines = []
    for section, own in table.groupby("section", sort=False):
        words = f"path length at the most negative polarity against ρ = 0, {section}"
        modes = own.loc[[own["polarity"].idxmin()]]
        lines += _changes(Contrast("001-7", words, -1, "log-ratio"), modes)
    return lines


def rival_lines(table: pd.DataFrame) -> list[Line]:
    """001-8: FID of polarity at the paper's exponent over that of SIR and of DOT, with the most images.
    table: of `table1`."""
    lines, largest = [], table[table["n"].eq(table["n"].max())]
    ours = largest[largest["method"].eq("polarity") & largest["paper_fid"].notna()]
    for method in ("sir", "dot"):
        rivals = largest[largest["method"].eq(method) & largest["fid"].notna()]
        if len(ours) and len(rivals):
            at, rival = ours.iloc[0], rivals.iloc[0]
            estimate = log_ratio(mean_of(at, "fid"), mean_of(rival, "fid"))
            paper = float(np.log(at["paper_fid"] / rival["paper_fid"]))
            words = f"FID of polarity over that of {method.upper()}"
            note = f"ρ = {at['polarity']:g}, n = {at['n']:,}; {ONE_MODEL}"
            lines.append(
                block_line(
                    Contrast("001-8", words, -1, "log-ratio"),
                    estimate,
                    at,
                    seeds=1,
                    note=note,
                    paper_effect=paper,
                )
            )
    return lines


def _changes(contrast: Contrast, rows: pd.DataFrame) -> list[Line]:
    """A line for each row of `spread_lines`."""
    found = []
    for _, row in rows.iterrows():
        estimate = estimate_of(row, "change")
        note = f"ρ = {row['polarity']:g}; interval over images of one trained model"
        found.append(block_line(contrast, estimate, row, seeds=1, note=note))
    return found


def _blocks(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, own in points.groupby("block", sort=False):
        yield own


def _places(points: pd.DataFrame) -> list[tuple[float, float]]:
    return list(np.array(points[["precision", "recall"]], dtype=float))
