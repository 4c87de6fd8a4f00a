"""The claims of the paper, each answered by what the pipeline measures.

``inputs``: ``catalogue``, config/reported/claims.csv; the CSVs of the targets that answer, each of which may be
missing where a config cannot make it. ``settings``: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.low_density.claims_images import (
    above_lines,
    correlation_lines,
    follows_lines,
    likelihood_lines,
    nearest_lines,
)
from pseudodensity.papers.low_density.claims_sampling import (
    cost_lines,
    fidelity_lines,
    hardness_lines,
    loss_lines,
    smoothing_lines,
    step_lines,
    trained_lines,
)
from pseudodensity.report.claims import claims_frame, claims_table, lines_of_csv
from pseudodensity.report.table import Table

__all__ = ["ANSWERS", "claims"]

# A claim, the target whose CSV answers it, and what measures it there.
ANSWERS = (
    ("002-1", "trainings", trained_lines("002-1", "hardness")),
    ("002-1", "fig4", hardness_lines),
    ("002-2", "trainings", trained_lines("002-2", "beta", "matched")),
    ("002-2", "fig4", fidelity_lines),
    ("002-3", "fig7", above_lines("002-3")),
    ("002-4", "fig7", follows_lines),
    ("002-5", "table1", cost_lines),
    ("002-6", "fig8", nearest_lines),
    ("002-7", "fig11", correlation_lines("002-7", 0)),
    ("002-8", "table2", likelihood_lines),
    ("002-9", "fig13", correlation_lines("002-9", 1)),
    ("002-10", "fig14", loss_lines),
    ("002-11", "fig15", smoothing_lines),
    ("002-12", "fig16", step_lines),
    ("002-13", "fig17", above_lines("002-13")),
)
REMARKS = {
    "002-1": "A push along a random direction of the features raises hardness too: it stands beside the loss.",
    "002-2": "Of beta at one alpha, and of the loss against a random direction at the same hardness.",
    "002-3": "The chance that a guided image has the greater value, less one half. *random direction*: the control.",
    "002-4": "A chance of one half is what one law would give; the interval is over images.",
    "002-5": "In the two highest ranges: passes of all networks, whatever their size, and time. The paper has days of a GPU.",
    "002-7": "*correlates poorly*: the claim is that the correlation stays near 0; noise of the estimate lowers it.",
    "002-8": "Bits per dimension; fewer are more likely.",
    "002-10": "Precision of each loss minus that of the paper's, at the same median hardness.",
    "002-12": "The precision that guidance costs with the fewest steps, less what it costs with the most.",
    "002-13": "As 002-3, in each of the extractors.",
}


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """All claims of the paper on low-density diffusion."""
    lines = []
    for claim, name, measure in ANSWERS:
        lines += lines_of_csv(inputs, claim, name, measure)
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of low-density diffusion", REMARKS)
