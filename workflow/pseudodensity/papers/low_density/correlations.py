"""Figures 11 and 13 in numbers: what the likelihood of the diffusion model, and hardness, have to do with density.

``settings`` of both: ``titles`` of the sets by name; ``names``, block, model, dataset and stands_for of the
diffusion model; ``split``, whether held-out reals are taken from the data set; ``extractor`` that judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.fig7 import held_out_note, measured_values
from pseudodensity.report.ranks import median_interval, rank_correlation
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Estimate
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["DENSITY", "bits_of_sets", "fig11", "fig13"]

DENSITY = {"avg_knn": "AvgkNN", "lof": "LOF"}
INTERVALS = (
    "Rank correlations within each set; 95 % intervals over its images, of one trained model (Fisher's "
    "transformation, Bonett and Wright 2000). That of a median lies between two images (sign test)."
)


def fig11(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each set: bits per dimension under the diffusion model against AvgkNN and LOF.

    inputs: ``measured``, the experiment `sparsity`; ``others``, the experiment `bounds`; of each set of the
    diffusion model's own under its name the files of the column variational_bound. Bits may be of the first images
    of a set alone. settings: also ``terms``, and whether these are ``all_terms``.
    """
    bits, estimates = bits_of_sets(inputs, settings)
    values = measured_values(inputs["measured"])
    lines = []
    for name in settings["titles"]:
        own = bits[name]
        densities = {measure: values[measure][name][: len(own)] for measure in DENSITY}
        again = rank_correlation(*estimates[name]) if name in estimates else Estimate(np.nan)
        ends = {"again": again.effect, "again_low": again.low, "again_high": again.high}
        lines.append(_line(name, own, densities, settings) | ends)
    return Table(
        title="Figure 11 of low-density diffusion: does the diffusion model's likelihood tell density?",
        frame=pd.DataFrame(lines),
        columns=[*_columns("bits/dim, median", 3), _correlation("again", "two estimates")],
        introduction=(
            f"{_introduction(lines, settings)} Negative log-likelihood (variational bound in bits per dimension) "
            "of each image, of its class, against how far it is from the reals."
        ),
        notes=[
            _note_of_terms(settings, lines[0]["again"]),
            "The paper shows real validation images alone and prints no number.",
            held_out_note(settings["split"]),
            INTERVALS,
        ],
    )


def fig13(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each set: hardness against AvgkNN and LOF. inputs: ``measured``, the experiment `sparsity`."""
    values = measured_values(inputs["measured"])
    lines = [
        _line(
            name,
            values["hardness"][name],
            {measure: values[measure][name] for measure in DENSITY},
            settings,
        )
        for name in settings["titles"]
    ]
    return Table(
        title="Figure 13 of low-density diffusion: does hardness tell density?",
        frame=pd.DataFrame(lines),
        columns=_columns("hardness, median (nats)", 1),
        introduction=(
            f"{_introduction(lines, settings)} Hardness of each image against how far it is from the reals, all "
            f"in features of {settings['extractor']}."
        ),
        notes=[
            (
                "Hardness, AvgkNN and LOF are of the same features, so that some of their correlation is that of "
                "any two measures of distance there. The paper shows real validation images alone and prints no "
                "number."
            ),
            held_out_note(settings["split"]),
            INTERVALS,
        ],
    )


def bits_of_sets(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Bits per dimension (n,) of each set by name, and both estimates (2, n) of the sets that have two."""
    others, both = load_facts(inputs["others"])["sets"], load_arrays(inputs["others"], ["bits"])
    estimates = dict(zip(others, both["bits"], strict=True))
    found = {name: own[0] for name, own in estimates.items()}
    for name in settings["titles"]:
        if name not in found:
            parts = [load_arrays(path, ["values"])["values"] for path in inputs[name]]
            found[name] = np.concatenate(parts)
    return found, estimates


def _note_of_terms(settings: Mapping[str, Any], again: float) -> str:
    taken = f"The bound is estimated from {settings['terms']:,} of its terms, drawn for each image"
    if settings["all_terms"]:
        taken = f"All {settings['terms']:,} terms of the bound are taken, so that chance is left in the noise of x_t alone"
    return (
        f"{taken} (`generators/variational_bound`). *two estimates*: rank correlation of two of the same images, with "
        f"noise of their own. That of held-out reals is {again:.2f}: chance leaves about "
        f"{np.sqrt(max(again, 0)):.2f} of a correlation."
    )


def _line(
    name: str,
    values: np.ndarray,
    densities: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    line = settings["names"] | {"set": name, "title": settings["titles"][name], "n": len(values)}
    line |= dict(zip(("median", "median_low", "median_high"), median_interval(values), strict=True))
    for measure, own in densities.items():
        found = rank_correlation(values, own)
        line |= {measure: found.effect, f"{measure}_low": found.low}
        line |= {f"{measure}_high": found.high, f"{measure}_p": found.p}
    return line


def _columns(head: str, decimals: int) -> list[Column]:
    return [
        Column("title", "images"),
        Column("median", head, decimals, low="median_low", high="median_high"),
        *(
            _correlation(measure, f"rank correlation with {title}")
            for measure, title in DENSITY.items()
        ),
    ]


def _correlation(name: str, head: str) -> Column:
    return Column(name, head, format="+.2f", low=f"{name}_low", high=f"{name}_high")


def _introduction(lines: list[dict[str, Any]], settings: Mapping[str, Any]) -> str:
    return f"{block_title(settings['names'])}: {lines[0]['n']:,} images of each set."
