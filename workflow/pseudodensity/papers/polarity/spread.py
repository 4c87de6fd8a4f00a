"""How a number of each image is spread, by polarity, and by what it differs from polarity 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pseudodensity.report.statistics import Mean, log_ratio
from pseudodensity.report.table import Column

__all__ = ["COLUMNS", "INTERVALS", "spread_lines"]

COLUMNS = (
    Column("name", "images"),
    Column("mean", "mean", 3),
    Column("quarter", "25 %", 3),
    Column("median", "median", 3),
    Column("three_quarters", "75 %", 3),
    Column("change", "log-ratio to ρ = 0", format="+.3f", low="change_low", high="change_high"),
    Column("ess", "effective sample size", 0),
)
INTERVALS = "Intervals: 95 % over images (delta method), of one trained model."


def spread_lines(
    rows: Sequence[Mapping[str, Any]], values: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """A line for each set of images.

    Args:
        rows: name, polarity (None where there is none) and ess of each set; one has polarity 0.
        values: positive numbers (n,) of its images.
    """
    at_zero = next(v for row, v in zip(rows, values, strict=True) if row["polarity"] == 0)
    return [_line(row, own, at_zero) for row, own in zip(rows, values, strict=True)]


def _line(row: Mapping[str, Any], values: np.ndarray, at_zero: np.ndarray) -> dict[str, Any]:
    quarters = np.quantile(values, [0.25, 0.5, 0.75])
    line = {key: row[key] for key in ("name", "polarity", "ess")} | {"mean": values.mean()}
    line |= dict(zip(("quarter", "median", "three_quarters"), quarters, strict=True))
    if row["polarity"] == 0:
        return line
    change = log_ratio(Mean.of(values), Mean.of(at_zero))
    line |= {"change": change.effect, "change_low": change.low, "change_high": change.high}
    return line | {"change_p": change.p}
