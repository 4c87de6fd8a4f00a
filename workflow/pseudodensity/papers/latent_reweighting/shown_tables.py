"""Figures 4 to 9 in numbers: how acceptance goes with realism, and what ascent does to both.

``inputs``: ``samples``, one experiment of `images.shown` per panel. ``settings``: ``panels``, per file: block, model,
dataset, stands_for, seed; `ascents` also ``steps``; both ``k``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.ranks import rank_correlation
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["NAMES", "acceptance", "ascents"]

NAMES = ("block", "model", "dataset", "stands_for", "seed")
REALISM = "*realism*: the largest radius of a real image's ball over its distance, k = {k}; 1 is just inside."


def acceptance(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per model: the rank correlation, and the realism of the least and the most accepted."""
    lines = []
    for panel, path in zip(settings["panels"], inputs["samples"], strict=True):
        found = load_arrays(path, ["acceptance", "realism"])
        lines.append({name: panel[name] for name in NAMES} | _correlated(**found))
    frame = pd.DataFrame(lines)
    return Table(
        title="Figure 4 of latent reweighting: acceptance and realism",
        frame=frame.assign(title=[block_title(line) for line in lines]),
        columns=[
            Column("title", "model"),
            Column("n", "images"),
            Column("spearman", "rank correlation", 3, low="low", high="high"),
            Column("acceptance", "mean acceptance", 3),
            Column("certain", "accepted for certain", 3),
            Column("realism_least", "realism, least accepted fifth", 3),
            Column("realism_most", "most accepted fifth", 3),
        ],
        introduction=(
            "Do images that latentRS is likely to accept look more real? The paper shows pictures; here the "
            "rank correlation of acceptance with realism is measured."
        ),
        notes=[
            REALISM.format(k=settings["k"]) + " Medians.",
            "The interval is the 95 % one over images of one model (Bonett and Wright 2000).",
        ],
    )


def _correlated(acceptance: np.ndarray, realism: np.ndarray) -> dict[str, Any]:
    found = rank_correlation(acceptance, realism)
    order = np.argsort(acceptance, kind="stable")
    fifth = max(1, len(order) // 5)
    return {
        "n": len(acceptance),
        "spearman": found.effect,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "acceptance": float(acceptance.mean()),
        "certain": float((acceptance >= 1).mean()),
        "realism_least": float(np.median(realism[order[:fifth]])),
        "realism_most": float(np.median(realism[order[-fifth:]])),
    }


def ascents(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section per model, a line per step: acceptance and realism of the samples that climb."""
    panels = settings["panels"]
    lines = []
    for panel, path in zip(panels, inputs["samples"], strict=True):
        lines += _climbed(panel, load_arrays(path, ["acceptance", "realism"]))
    return Table(
        title="Figures 5 to 9 of latent reweighting: latents that climb their weights",
        frame=pd.DataFrame(lines),
        columns=[
            Column("steps", "steps"),
            Column("acceptance", "mean of w / m, at most 1", 3),
            Column("realism", "realism", 3),
            Column("realistic", "share of 1 or more", 3),
            Column("risen", "more real than at the start", 3),
        ],
        section="block",
        section_titles={panel["block"]: block_title(panel) for panel in panels},
        introduction="What each step of gradient ascent does to the same samples.",
        notes=[REALISM.format(k=settings["k"]) + f" Median of {lines[0]['n']:,} samples."],
    )


def _climbed(panel: Mapping[str, Any], found: Mapping[str, np.ndarray]) -> Sequence[dict[str, Any]]:
    lines = []
    for row, steps in enumerate(panel["steps"]):
        accepted, realism = found["acceptance"][row], found["realism"][row]
        line = {name: panel[name] for name in NAMES} | {"steps": steps, "n": len(accepted)}
        line |= {"acceptance": accepted.mean(), "realism": np.median(realism)}
        line["realistic"] = (realism >= 1).mean()
        line["risen"] = (realism > found["realism"][0]).mean() if steps else np.nan
        lines.append(line)
    return lines
