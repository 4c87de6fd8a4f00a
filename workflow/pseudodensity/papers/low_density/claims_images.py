"""Claims that are about images one by one: where they lie, and what likelihoods say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from pseudodensity.report.claims import Contrast, Line, block_line, estimate_of
from pseudodensity.report.statistics import Estimate, logarithm

__all__ = [
    "above_lines",
    "correlation_lines",
    "follows_lines",
    "likelihood_lines",
    "nearest_lines",
]

OVER_IMAGES = "interval over images of one trained model"
GUIDED = {"guided": "guided images", "random": "images of the random direction"}
DENSITY = {"avg_knn": "AvgkNN", "lof": "LOF"}


def above_lines(claim: str) -> Callable[[pd.DataFrame], list[Line]]:
    """002-3, 002-13: are guided images above plain ones? The table is of `fig7`."""

    def measure(table: pd.DataFrame) -> list[Line]:
        lines = []
        for name, own in _sections(table[table["set"].isin(GUIDED)]):
            for _, line in own.iterrows():
                words = f"{GUIDED[line['set']]} above plain ones, {name}"
                lines.append(_chance(Contrast(claim, words, 1, "share"), line, "plain"))
        return lines

    return measure


def follows_lines(table: pd.DataFrame) -> list[Line]:
    """002-4: do plain images lie as the held-out reals do? table: of `fig7`."""
    lines = []
    for name, own in _sections(table[table["set"].eq("plain")]):
        words = f"plain images above held-out reals, {name}"
        lines.append(_chance(Contrast("002-4", words, 0, "share"), own.iloc[0], "held_out"))
    return lines


def nearest_lines(table: pd.DataFrame) -> list[Line]:
    """002-6: distance of guided images to training images over that of held-out reals. table: of
    `nearest_pairs`, whose first set is guided."""
    line = table.iloc[0]
    logs = logarithm(estimate_of(line, "over_reals"))
    words = f"distance to the nearest training image over that of held-out reals, {line['set']}"
    paper = float(np.log(line["paper_over_reals"])) if "paper_over_reals" in line else np.nan
    contrast = Contrast("002-6", words, 1, "log-ratio")
    return [block_line(contrast, logs, line, seeds=1, note=OVER_IMAGES, paper_effect=paper)]


def correlation_lines(claim: str, sign: int) -> Callable[[pd.DataFrame], list[Line]]:
    """002-7, 002-9: rank correlations with AvgkNN and LOF, of held-out reals and of plain images. The table is of
    `fig11` or `fig13`."""

    def measure(table: pd.DataFrame) -> list[Line]:
        lines = []
        for _, line in table[table["set"].isin(("held_out", "plain"))].iterrows():
            for name, title in DENSITY.items():
                contrast = Contrast(claim, f"{title}, {line['title']}", sign, "correlation")
                estimate = estimate_of(line, name)
                lines.append(block_line(contrast, estimate, line, seeds=1, note=OVER_IMAGES))
        return lines

    return measure


def likelihood_lines(table: pd.DataFrame) -> list[Line]:
    """002-8: bits of guided images less those of held-out reals, and of plain ones. table: of `table2`."""
    lines = []
    for _, line in table[table["set"].isin(("guided", "plain"))].iterrows():
        sign = -1 if line["set"] == "guided" else 0
        words = f"bits per dimension less those of held-out reals, {line['title']}"
        found = estimate_of(line, "change")
        contrast = Contrast("002-8", words, sign)
        lines.append(block_line(contrast, found, line, seeds=1, note=OVER_IMAGES))
    return lines


def _sections(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Measure and extractor in words, and the lines of both."""
    for (extractor, measure), own in table.groupby(["extractor", "measure"], sort=False):
        yield f"{DENSITY.get(measure, measure)} in {extractor}", own


def _chance(contrast: Contrast, line: pd.Series, reference: str) -> Line:
    """A chance less the one half of one law."""
    found = estimate_of(line, f"above_{reference}")
    less = Estimate(found.effect - 0.5, found.low - 0.5, found.high - 0.5, found.p)
    return block_line(contrast, less, line, seeds=1, note=OVER_IMAGES)
