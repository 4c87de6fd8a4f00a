"""The claims of the paper, each answered by what the pipeline measures.

``inputs``: ``catalogue``, config/reported/claims.csv; the CSVs of the targets that answer, each of which may be
missing where a config cannot make it. ``settings``: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.diverse_rare.claims_attributes import share_lines
from pseudodensity.papers.diverse_rare.claims_density import density_lines
from pseudodensity.papers.diverse_rare.claims_polarity import (
    precision_lines,
    rejection_lines,
    replacement_lines,
)
from pseudodensity.papers.diverse_rare.claims_search import (
    diversity_lines,
    limit_lines,
    rarity_lines,
    term_lines,
    weight_lines,
)
from pseudodensity.report.claims import claims_frame, claims_table, lines_of_csv
from pseudodensity.report.table import Table

__all__ = ["ANSWERS", "claims"]

# A claim, the target whose CSV answers it, and what measures it there.
ANSWERS = (
    ("004-1", "table1", rarity_lines),
    ("004-2", "table15", precision_lines),
    ("004-3", "table1", diversity_lines),
    ("004-4", "table7", term_lines),
    ("004-5", "fig8", density_lines),
    ("004-6", "table9", weight_lines),
    ("004-7", "table10", limit_lines),
    ("004-8", "table12", share_lines),
    ("004-9", "table16", replacement_lines),
    ("004-10", "table17", rejection_lines),
)
REMARKS = {
    "004-1": (
        "*pool pick*: the rarest of a pool within the same limits, without any search. What is kept lies in the "
        "manifold of the searched features; precision is that of the judge."
    ),
    "004-3": "Pairs share images: the paper's test takes them for independent, so that its p is too small.",
    "004-6": "Each weight at the least of the other. Diversity is the distance of two samples of a reference.",
    "004-8": "Rare: below 10 % of the real images.",
}


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """All claims of the paper on diverse rare samples."""
    lines = []
    for claim, name, measure in ANSWERS:
        lines += lines_of_csv(inputs, claim, name, measure)
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of diverse rare samples", REMARKS)
