"""The claims of the paper, each answered by what the pipeline measures.

``inputs``: ``catalogue``, config/reported/claims.csv; ``evaluated``, as for Table 1; ``table2``, ``table3``,
``steps`` (a list) and ``fig4``, CSV of Tables 2, 3, 4 and 5 and of Figure 4; one that the config cannot make is
missing. ``settings``: ``evaluated``, law and seed of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.latent_reweighting.claims_images import (
    acceptance_lines,
    ascent_lines,
    distance_lines,
    front_lines,
    labelled_lines,
    time_lines,
)
from pseudodensity.papers.latent_reweighting.claims_planar import REMARK, planar_lines
from pseudodensity.papers.latent_reweighting.table1 import evaluations
from pseudodensity.report.claims import Line, claims_frame, claims_table, untested
from pseudodensity.report.table import Table

__all__ = ["claims"]

ONE_MODEL = "One trained model per block: the interval is over its repeats."
REMARKS = {
    "003-1": REMARK,
    "003-2": ONE_MODEL + " *rival*: the best of plain, SIR, DOT and latentRS by our own numbers.",
    "003-3": "Log-ratios: the paper's are those of a GPU and of a discriminator that costs less than its generator.",
    "003-4": "*as dear*: of the methods that cost no more time than latentRS+GA.",
    "003-5": ONE_MODEL,
    "003-6": "The interval is over images of one model.",
    "003-7": ONE_MODEL,
}
# Input of each claim about images, and what answers it.
ANSWERS = {
    "003-2": ("table2", distance_lines),
    "003-3": ("table2", time_lines),
    "003-4": ("table2", front_lines),
    "003-5": ("steps", ascent_lines),
    "003-6": ("fig4", acceptance_lines),
    "003-7": ("table3", labelled_lines),
}


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """All claims, each put to the test."""
    lines = planar_lines(evaluations(inputs["evaluated"], settings["evaluated"]))
    for claim, (name, answer) in ANSWERS.items():
        lines += _answered(claim, inputs.get(name), answer)
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of latent reweighting", REMARKS)


def _answered(claim: str, paths: Any, answer: Any) -> Iterator[Line]:
    if not paths:
        yield untested(claim, "images", "this config has not the models that it speaks of")
        return
    paths = [paths] if isinstance(paths, str) else paths
    yield from answer(pd.concat([pd.read_csv(path) for path in paths], ignore_index=True))
