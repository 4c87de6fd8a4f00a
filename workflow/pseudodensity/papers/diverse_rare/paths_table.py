"""Figures 9 and 19 in numbers: what a search passes through, step by step.

``inputs``: ``measured``, the experiment `paths`. ``settings``: ``number`` of the figure; ``shown``, how many of the
paths; ``panel``, titles of the block; ``point`` of the search; ``references``; ``extractor``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["PER_STEP", "paths_table"]

PER_STEP = ("rarity", "log_density", "distance", "inside", "feasible", "off")
NOTES = (
    (
        "*rarity*: smallest radius of a real ball that holds the iterate, none outside all. *feasible*: inside, and no "
        "farther than d* from the reference. *kept*: the iterate that the search answers with, or the start where none "
        "is feasible. All in the features of the search, in standard deviations of the reals; log p in nats."
    ),
    (
        "*x, y*: place on the plane through the reference (0, 0) along the first two principal components of the path "
        "about it; *off*: distance from that plane. The paper has UMAP and its inverse, which is an estimate: a "
        "plane has an exact one."
    ),
    "Single paths of one trained model: no intervals.",
)


def paths_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each path, a line for each step."""
    path, facts = inputs["measured"], load_facts(inputs["measured"])
    arrays = load_arrays(path, [*PER_STEP, "path", "reference", "kept", "limit", "along"])
    frames = [_lines(arrays, i) for i in range(settings["shown"])]
    titles = {key: settings["panel"][key] for key in ("block", "model", "dataset", "stands_for")}
    frame = pd.concat(frames, ignore_index=True).assign(**titles)
    return Table(
        title=f"Figure {settings['number']} of diverse rare samples: paths of the search",
        frame=frame,
        columns=[
            Column("step", "step"),
            Column("rarity", "rarity", 3),
            Column("log_density", "log p", 2),
            Column("distance", "distance", 2),
            Column("inside", "inside"),
            Column("feasible", "feasible"),
            Column("kept", "kept"),
            Column("x", "x", 2),
            Column("y", "y", 2),
            Column("off", "off", 2),
        ],
        section="reference",
        section_titles={
            arrays["reference"][i]: f"Reference {arrays['reference'][i]}"
            for i in range(settings["shown"])
        },
        section_notes={
            arrays["reference"][i]: (
                f"d* = {arrays['limit'][i]:.2f}; {arrays['along'][i]:.0%} of the path's squared distances from its "
                "reference lie in the plane."
            )
            for i in range(settings["shown"])
        },
        introduction=(
            f"{block_title(settings['panel'])}: first sample of each reference, {settings['point']['steps']} steps, "
            f"features of {settings['extractor']}. The first references of the pool whose first sample moved, behind "
            f"them others: it did at {facts['found']} of {settings['references']}."
        ),
        notes=NOTES,
    )


def _lines(arrays: Mapping[str, np.ndarray], i: int) -> pd.DataFrame:
    own = pd.DataFrame({name: arrays[name][i] for name in PER_STEP})
    own.insert(0, "step", np.arange(len(own)))
    own["kept"] = own["step"].eq(arrays["kept"][i])
    own["x"], own["y"] = arrays["path"][i].T
    own["limit"], own["along"] = arrays["limit"][i], arrays["along"][i]
    return own.assign(reference=int(arrays["reference"][i]))
