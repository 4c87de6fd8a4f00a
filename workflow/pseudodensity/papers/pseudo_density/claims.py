"""The 19 claims of the main paper, each answered by what the pipeline measures.

`claims` wants
    inputs: ``scores``, ``reported`` as for Table 1; ``catalogue``, config/reported/claims.csv; the
    CSVs of the targets ``fig3``, ``fig4``, ``fig6``, ``fig7``, ``fig8``, ``table3`` and
    ``overhead``, each of which may be missing where a config cannot make it; ``density``, the
    quality files (JSON) of the densities.
    settings: ``rows`` as for Table 1, with the oracles; ``diffusion``, names of the blocks whose
    model is a diffusion model; ``density_datasets``, titles of the data sets in the order of
    ``density``; ``overhead``, {block, dataset, model} that was timed.

`table1_claims` wants scores, reported, catalogue, and rows, and answers 000-1 to 000-5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.papers.pseudo_density.claims_images import (
    cost_lines,
    density_lines,
    objective_lines,
    perturbation_lines,
)
from pseudodensity.papers.pseudo_density.claims_sampling import (
    combination_lines,
    discriminator_lines,
    frontier_lines,
    likelihood_lines,
)
from pseudodensity.papers.pseudo_density.claims_table1 import PRECISION_REMARK, table1_lines
from pseudodensity.report.claims import Line, claims_frame, claims_table, untested
from pseudodensity.report.table import Table

__all__ = ["claims", "table1_claims"]

REMARKS = {
    "000-1": PRECISION_REMARK,
    "000-14": "The pseudo density judges here, which one of the objectives optimises; that its "
    "images look better is a matter for people.",
}


def table1_claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Claims 000-1 to 000-5, block by block."""
    lines = _of_table1(inputs, settings)
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of the main paper about Table 1", REMARKS)


def claims(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """All claims of the main paper."""
    reported = pd.read_csv(inputs["reported"])
    qualities = [load_json(path) for path in inputs["density"]]
    unique, fitted = density_lines(list(zip(settings["density_datasets"], qualities, strict=True)))
    lines = [
        *_of_table1(inputs, settings),
        *unique,
        *_of_csv(inputs, "fig3", ["000-7"], perturbation_lines),
        *_of_csv(
            inputs,
            "fig4",
            [f"000-{i}" for i in range(8, 12)],
            lambda points: frontier_lines(points, settings["diffusion"]),
        ),
        *_of_csv(
            inputs,
            "fig6",
            ["000-12", "000-13"],
            lambda points: discriminator_lines(points, reported),
        ),
        *_of_csv(inputs, "fig8", ["000-14"], objective_lines),
        *_of_csv(
            inputs,
            "overhead",
            ["000-15", "000-16"],
            lambda costs: cost_lines(costs, settings["overhead"]),
        ),
        *_of_csv(inputs, "table3", ["000-17"], combination_lines),
        *_of_csv(inputs, "fig7", ["000-18"], likelihood_lines),
        *fitted,
    ]
    frame = claims_frame(lines, pd.read_csv(inputs["catalogue"]))
    return claims_table(frame, "Claims of the main paper", REMARKS)


def _of_table1(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Line]:
    from pseudodensity.report.scores import ScoreBook

    book = ScoreBook(inputs["scores"])
    return table1_lines(settings["rows"], book, pd.read_csv(inputs["reported"]))


def _of_csv(
    inputs: Mapping[str, Any],
    name: str,
    ids: list[str],
    measure: Callable[[pd.DataFrame], list[Line]],
) -> list[Line]:
    """Lines from the CSV of a target, and for each claim that it cannot answer a line that says why."""
    if name not in inputs:
        return [untested(key, name, f"this config makes no {name}") for key in ids]
    lines = measure(pd.read_csv(inputs[name]))
    answered = {line["id"] for line in lines}
    why = f"{name} of this config has no rows that the claim compares"
    return [*lines, *(untested(key, name, why) for key in ids if key not in answered)]
