"""Claims of the main paper about single images, the density itself, and what methods cost.

000-6 and 000-19 from the quality of the densities, 000-7 from figure 3, 000-14 from figure 8,
000-15 and 000-16 from the table of costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.claims import Contrast, Line, block_line, contrast_lines, untested
from pseudodensity.report.statistics import (
    Estimate,
    Mean,
    difference,
    log_ratio,
    mean_from_interval,
    paired,
)

__all__ = ["cost_lines", "density_lines", "objective_lines", "perturbation_lines"]

NEEDS_PEOPLE = "needs people"

# ---------------------------------------------------------------------------- densities


def density_lines(
    qualities: Sequence[tuple[str, Mapping[str, Any]]],
) -> tuple[list[Line], list[Line]]:
    """Claims 000-6 and 000-19, one line per data set and one over all.

    The true law is known of the data sets that this project draws itself: an image is rare, that
    is unique, where its attributes are improbable.

    Args:
        qualities: (title of the data set, its quality file): ``fit`` with r2 and spearman on
            held-out rows, ``truth`` with spearman_pseudo_density, or null where the law is not
            known.
    """
    unique = _over_data(
        Contrast("000-6", "rank correlation of pseudo density with the true law", 1, "correlation"),
        [
            (title, _get(quality["truth"], "spearman_pseudo_density"))
            for title, quality in qualities
        ],
        "true log-probability of each image's attributes; improbable means unique",
    )
    people = "realism and uniqueness in people's eyes"
    fitted = _over_data(
        Contrast("000-19", "R2 of the density network on held-out images", 1, "share"),
        [(title, _get(quality["fit"], "r2")) for title, quality in qualities],
        "20 % of the images were held out",
    )
    ranked = _over_data(
        Contrast("000-19", "rank correlation on held-out images", 1, "correlation"),
        [(title, _get(quality["fit"], "spearman")) for title, quality in qualities],
        "20 % of the images were held out",
    )
    return (
        [*unique, untested("000-6", people, NEEDS_PEOPLE)],
        [*fitted, *ranked, untested("000-19", people, NEEDS_PEOPLE)],
    )


def _get(found: Mapping[str, float | None] | None, name: str) -> float:
    value = None if found is None else found[name]
    return np.nan if value is None else float(value)


def _over_data(contrast: Contrast, values: Sequence[tuple[str, float]], note: str) -> list[Line]:
    blocks = [
        block_line(
            contrast,
            Estimate(value),
            {"block": title, "dataset": title, "model": None},
            seeds=1,
            note=f"{note}; one fit, no interval",
        )
        for title, value in values
        if not np.isnan(value)
    ]
    why = "the true law of no data set of this config is known"
    return contrast_lines(contrast, blocks) or [untested(contrast.claim, contrast.measured, why)]


# ---------------------------------------------------------------------------- moved images


def perturbation_lines(images: pd.DataFrame) -> list[Line]:
    """Claim 000-7, per block over the images that were moved by the density.

    Args:
        images: the table of figure 3: block, model, dataset, objective, row (towards, original,
            away), sample, change (of the pseudo density).
    """
    images = images[images["objective"].eq("density")]
    lines = []
    for row, sign in (("towards", 1), ("away", -1)):
        contrast = Contrast("000-7", f"pseudo density of images moved {row}", sign)
        blocks = []
        for _, block in images[images["row"].eq(row)].groupby("block", sort=False):
            changes = block["change"].to_numpy()
            note = f"{(np.sign(changes) == sign).sum()} of {len(changes)} images go as claimed; "
            note += "interval over images of one model"
            names = block.iloc[0]
            blocks.append(block_line(contrast, paired(changes), names, seeds=1, note=note))
        lines += contrast_lines(contrast, blocks)
    return [*lines, untested("000-7", "whether the content stays", NEEDS_PEOPLE)]


def objective_lines(images: pd.DataFrame) -> list[Line]:
    """Claim 000-14, on the images that all objectives started from.

    Args:
        images: the table of figure 8, as for `perturbation_lines`.
    """
    towards = images[images["row"].eq("towards")]
    changes = towards.pivot_table(index="sample", columns="objective", values="change")
    names = towards.iloc[0]
    density = Contrast("000-14", "pseudo density: moved by it minus by the discriminator", 1)
    random = Contrast("000-14", "pseudo density of images moved in a random direction", 0)
    note = "interval over images of one model; judged by what one side optimises"
    gains = (changes["density"] - changes["discriminator"]).to_numpy()
    return [
        block_line(density, paired(gains), names, seeds=1, note=note),
        block_line(
            random,
            paired(changes["random"].to_numpy()),
            names,
            seeds=1,
            note="interval over images of one model",
        ),
        untested("000-14", "which moved images are more realistic", NEEDS_PEOPLE),
    ]


# ---------------------------------------------------------------------------- costs


def cost_lines(costs: pd.DataFrame, names: Mapping[str, Any]) -> list[Line]:
    """Claims 000-15 and 000-16.

    Args:
        costs: of `overhead_frame`.
        names: block, dataset and model that were measured.
    """
    sampled = costs[costs["method"].eq("importance sampling") & costs["w"].le(1)]
    lines = []
    for _, line in sampled.iterrows():
        words = f"acceptance minus its closed form, tau {line['tau_percent']:g} %, w {line['w']:g}"
        note = f"interval of {line['proposals']:,} independent decisions"
        contrast = Contrast("000-15", words, 0)
        lines.append(block_line(contrast, _acceptance(line), names, seeds=1, note=note))
    transport = costs[costs["method"].eq("DOT, setting of the paper")]
    for _, line in sampled.iterrows() if len(transport) else ():
        words = f"seconds per image against DOT, tau {line['tau_percent']:g} %, w {line['w']:g}"
        lines.append(_time_line(Contrast("000-15", words, -1, "log-ratio"), line, transport, names))
    weighted = costs[costs["method"].eq("training with importance sampling")]
    plain = costs[costs["method"].eq("training")]
    words = "seconds per image of training a GAN with importance sampling against without"
    slower = Contrast("000-16", words, 1, "log-ratio")
    return [
        *lines,
        _time_line(slower, weighted.iloc[0], plain, names),
        untested(
            "000-16",
            "seconds per image of fine-tuning a diffusion model",
            "its training draws no fakes, and only a GAN is timed",
        ),
    ]


def _acceptance(line: Mapping[str, Any]) -> Estimate:
    """Each proposal is accepted independently, with a probability that the closed form averages."""
    share, count = line["acceptance_closed_form"], int(line["proposals"])
    # The variance of a sum of unequal draws is at most that of equal ones.
    error = np.sqrt(share * (1 - share) / count)
    return difference(Mean(line["acceptance"], error, count), Mean(share, 0.0, count))


def _time_line(
    contrast: Contrast, line: Mapping[str, Any], against: pd.DataFrame, names: Mapping[str, Any]
) -> Line:
    other = against.iloc[0]
    columns = ("seconds_per_1000", "seconds_low", "seconds_high", "repeats")
    means = [mean_from_interval(*(side[name] for name in columns)) for side in (line, other)]
    paper = np.log(line["paper_seconds_per_1000"] / other["paper_seconds_per_1000"])
    note = "interval over repeated timings of one model"
    return block_line(contrast, log_ratio(*means), names, seeds=1, note=note, paper_effect=paper)
