"""Figure 11 in numbers: both algorithms on generators whose law is known, against that law.

``inputs``: ``drawn``, the experiment. ``settings``: none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from pseudodensity.report.samples import load_facts
from pseudodensity.report.table import Column, Table

__all__ = ["ALGORITHMS", "MAPS", "chi_square", "fig11"]

MAPS = {
    "two_pieces": "a line of slopes 1 and 3",
    "creases": "a square with four creases",
}
ALGORITHMS = {"offline": "Algorithm 1", "online": "online (Algorithm 2)"}
LEAST = 5  # expected samples of a region, below which the smallest are joined


def chi_square(counts: Sequence[int], masses: Sequence[float]) -> tuple[float, int]:
    """p-value of counts (r,) under masses (r,), and degrees of freedom (Pearson).

    Regions in which fewer than five samples are expected are joined. NaN and 0 where one is left.
    """
    seen, expected = np.asarray(counts, float), np.asarray(masses, float) * sum(counts)
    few = expected < LEAST
    if few.any():
        seen = np.append(seen[~few], seen[few].sum())
        expected = np.append(expected[~few], expected[few].sum())
    freedom = len(seen) - 1
    if not freedom:
        return np.nan, 0
    return float(chdtrc(freedom, ((seen - expected) ** 2 / expected).sum())), freedom


def fig11(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per generator, polarity and algorithm."""
    facts = load_facts(inputs["drawn"])
    frame = pd.DataFrame([_line(row, facts["log_volumes"][row["map"]]) for row in facts["rows"]])
    return Table(
        title="Figure 11 of polarity sampling: both algorithms against the exact law",
        frame=frame,
        columns=[
            Column("polarity", "ρ", format="g"),
            Column("title", "algorithm"),
            Column("mass", "mass of the modes", 3),
            Column("exact", "exact", 3),
            Column("p", "χ² p", 3),
            Column("regions", "regions"),
            Column("samples", "samples"),
            Column("proposals", "proposals"),
            Column("bias", "bias at most", 4),
        ],
        section="map",
        section_titles=MAPS,
        introduction=(
            "Generators that are affine on known regions: mass of a region at polarity ρ is its mass under "
            "the prior times its volume to the power ρ, normalised (Corollary 1). The modes are the region "
            "of the smallest volume."
        ),
        notes=[
            "χ² p: of the counts of all regions under the exact law; small regions are joined.",
            (
                "Algorithm 1 draws from so many proposals with replacement. The online form accepts by the "
                "largest weight so far; *bias at most*: share of the law above the largest weight of the "
                "burn-in, which bounds its distance in total variation."
            ),
        ],
    )


def _line(row: Mapping[str, Any], log_volumes: Sequence[float]) -> dict[str, Any]:
    modes = int(np.argmin(log_volumes))
    p, freedom = chi_square(row["counts"], row["exact"])
    line = {key: row[key] for key in ("map", "polarity", "algorithm")}
    line |= {"title": ALGORITHMS[row["algorithm"]], "exact": row["exact"][modes]}
    line |= {"mass": row["counts"][modes] / max(1, row["samples"]), "p": p, "freedom": freedom}
    line |= {"regions": len(row["exact"])}
    return line | {key: row[key] for key in ("samples", "proposals", "bias", "ess")}
