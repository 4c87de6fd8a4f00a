"""Claims 001-1 to 001-4 and 001-6, from the CSVs of figures 3 and 6 and of tables 2 to 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.fig3 import of_polarity, of_truncation
from pseudodensity.papers.polarity.singular_values import DIALS
from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines
from pseudodensity.report.pareto import net_share
from pseudodensity.report.statistics import Estimate, Mean, difference

__all__ = ["best_lines", "front_lines", "nearest_lines", "settled_lines", "trade_lines"]

ONE_MODEL = "interval over sampling repeats of one trained model"
NO_INTERVAL = "no interval, as a front has no repeats"


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
                estimate = difference(_mean(at, score), _mean(zero.iloc[0], score))
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
    contrast = Contrast("001-3", "FID at polarity 0 minus FID at the chosen polarity", 1)
    found = []
    for own in _blocks(table):
        plain, best = own.iloc[0], own.iloc[1]
        none = pd.isna(best["polarity"])
        note = "nothing beat polarity 0 on the repeats that choose" if none else ONE_MODEL
        if not none:
            note = f"ρ = {best['polarity']:g}; {note}"
        estimate = Estimate(*(best[f"gain{end}"] for end in ("", "_low", "_high", "_p")))
        paper = plain["paper_fid"] - best["paper_fid"]
        found.append(
            block_line(contrast, estimate, best, seeds=1, note=note, paper_effect=float(paper))
        )
    return contrast_lines(contrast, found)


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
        ends = (line[f"fid_change{end}"] for end in ("", "_low", "_high", "_p"))
        lines.append(
            block_line(Contrast("001-4", words, 0), Estimate(*ends), line, seeds=1, note=ONE_MODEL)
        )
    return lines


def nearest_lines(table: pd.DataFrame) -> list[Line]:
    """001-6, of a GAN: distance of the modes to training images against that of the model. table: of `fig6`."""
    lines = []
    for space, own in table.groupby("space", sort=False):
        modes = own.loc[own["polarity"].idxmin()]
        words = f"distance of modes of a GAN to training images against ρ = 0, {space}"
        ends = (modes[f"change{end}"] for end in ("", "_low", "_high", "_p"))
        note = f"ρ = {modes['polarity']:g}; interval over images of one trained model"
        contrast = Contrast("001-6", words, 0, "log-ratio")
        lines.append(block_line(contrast, Estimate(*ends), modes, seeds=1, note=note))
    return lines


def _blocks(points: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, own in points.groupby("block", sort=False):
        yield own


def _mean(line: Mapping[str, Any], score: str) -> Mean:
    return Mean(float(line[score]), float(line[f"{score}_error"]), int(line["repeats"]))


def _places(points: pd.DataFrame) -> list[tuple[float, float]]:
    return list(np.array(points[["precision", "recall"]], dtype=float))
