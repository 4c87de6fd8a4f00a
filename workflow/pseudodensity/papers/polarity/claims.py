"""The claims of the paper, each answered by what the pipeline measures.

``inputs``: ``catalogue``, config/reported/claims.csv; the CSVs of the targets that answer, each of which may be
missing where a config cannot make it. ``settings``: none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.polarity.claims_images import (
    best_lines,
    front_lines,
    nearest_lines,
    path_lines,
    rival_lines,
    settled_lines,
    simple_lines,
    trade_lines,
)
from pseudodensity.report.claims import claims_frame, claims_table, lines_of_csv
from pseudodensity.report.table import Table

__all__ = ["claims"]

REMARKS = {
    "001-2": "Fronts of precision and recall beyond the plain model's precision; more in `polarity/fig3`.",
    "001-3": "The choice is made on repeats whose latents do not report.",
    "001-4": "The paper's models have 512 singular values, those of the embedded config 64: what counts is "
    "whether the last steps still change the FID.",
    "001-5": "Total variation stands for *simple*; whether modes are prototypes is for people to see in "
    "`polarity/fig5`. NVAE, which the paper shows too, is not here.",
    "001-6": "*stays* is what the paper says of a GAN, *falls* of a VAE: here a small hierarchical one, not NVAE.",
    "001-7": "Volumes in pixel space and features of a small network; the paper has VGG's for both.",
    "001-8": "The paper compares scores of 1,024 images with those of 50,000; here all have the same number.",
}


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """All claims of the paper on polarity sampling."""
    lines = [
        *lines_of_csv(inputs, "001-1", "fig3", trade_lines),
        *lines_of_csv(inputs, "001-2", "fig3", front_lines),
        *lines_of_csv(inputs, "001-3", "table2", best_lines),
        *lines_of_csv(inputs, "001-4", "table3", lambda table: settled_lines(table, "top")),
        *lines_of_csv(inputs, "001-4", "table4", lambda table: settled_lines(table, "volumes")),
        *lines_of_csv(inputs, "001-5", "fig5", simple_lines),
        *lines_of_csv(inputs, "001-6", "fig6", nearest_lines),
        *lines_of_csv(inputs, "001-7", "fig7", path_lines),
        *lines_of_csv(inputs, "001-8", "table1", rival_lines),
    ]
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of polarity sampling", REMARKS)
