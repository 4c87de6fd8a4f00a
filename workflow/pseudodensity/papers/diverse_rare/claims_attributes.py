"""Claims about shares of attributes, from the CSV of a table of all of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines
from pseudodensity.report.statistics import Estimate

__all__ = ["RARE", "share_lines"]

RARE = 10.0  # %: the paper calls an attribute rare below this share of the real images
NOTE = "interval over references of one trained model; p as if their bootstrap were normal"


def share_lines(table: pd.DataFrame) -> list[Line]:
    """004-8: for each value that is rare among reals, its share among searched images minus that among
    references; for comparison the same of pool picks. table: Table 12."""
    rare, lines = table[table["real"].lt(RARE)], []
    for _, row in rare.iterrows():
        for name, words in (("search", "searched images"), ("pick", "pool picks")):
            if f"{name}_change" not in row or pd.isna(row[f"{name}_change"]):
                continue
            measured = f"% of {row['attribute']} {row['value']}, {words} minus references"
            contrast = Contrast("004-8", measured, 1)
            estimate = _estimate(row, f"{name}_change")
            line = block_line(contrast, estimate, row, seeds=1, note=NOTE)
            lines += contrast_lines(contrast, [line])
    return lines


def _estimate(row: pd.Series, name: str) -> Estimate:
    effect, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    error = (high - low) / 2 / 1.96
    p = math.erfc(abs(effect) / error / math.sqrt(2)) if error > 0 else np.nan
    return Estimate(effect, low, high, p)
