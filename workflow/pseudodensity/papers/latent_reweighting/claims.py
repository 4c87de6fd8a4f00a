"""The claims of the paper, each answered by what the pipeline measures.

``inputs``: ``catalogue``, config/reported/claims.csv; ``evaluated``, as for Table 1. ``settings``:
``evaluated``, law and seed of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.latent_reweighting.claims_planar import REMARK, planar_lines
from pseudodensity.papers.latent_reweighting.table1 import evaluations
from pseudodensity.report.claims import claims_frame, claims_table
from pseudodensity.report.table import Table

__all__ = ["claims"]

REMARKS = {"003-1": REMARK}


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The claims about Table 1."""
    lines = planar_lines(evaluations(inputs["evaluated"], settings["evaluated"]))
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of latent reweighting", REMARKS)
