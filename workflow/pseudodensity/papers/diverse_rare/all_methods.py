"""Every method that makes rare images of one model: rarity, fidelity, diversity, and the time of an image.

``inputs``: ``scores``, paths of scores files; ``costs``, of the same points. ``settings``: ``rows``, see
`MethodSets.rows`; ``labels``, of the points in the order of their costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import repeats_introduction

__all__ = ["all_methods"]

SCORES = {
    "rarity": ("rarity", 3),
    "outside": ("outside ↓", 3),
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "pair_distance": ("distance of pairs", 3),
}
NOTES = (
    (
        "Intervals: 95 %, Student's, over the repeats, of one trained model. Judges steer none of these methods. "
        "*rarity*: of images inside the real manifold; *outside*: the share of the others."
    ),
    (
        "*ms*: time of one core for one image that is kept, with proposals, volumes and gradients. *s before*: once for all "
        "images of a job: the pool of a pick, the fakes that d* is counted among, the real manifold. What is trained once "
        "is in neither. Guided diffusion has a table of its own, `low_density/table_rivals`."
    ),
)


def all_methods(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each point, controls first."""
    frame = frontier_frame(settings["rows"], ScoreBook(inputs["scores"]))
    costs = load_json(inputs["costs"])["sampling"]
    times = dict(zip(settings["labels"], costs, strict=True))
    found = [_times(times.get(line["setting"]), line) for _, line in frame.iterrows()]
    frame = pd.concat([frame, pd.DataFrame(found, columns=["ms", "before"])], axis=1)
    plain = frame[frame["method"].eq("plain")].iloc[0]
    return Table(
        title="Every method that makes rare images",
        frame=frame,
        columns=[
            Column("setting", "method"),
            *(
                Column(score, head, decimals, low=f"{score}_low", high=f"{score}_high")
                for score, (head, decimals) in SCORES.items()
            ),
            Column("ms", "ms", 2, optional=True),
            Column("before", "s before", 1, optional=True),
        ],
        introduction=repeats_introduction(plain),
        notes=NOTES,
    )


def _times(cost: Mapping[str, Any] | None, line: pd.Series) -> tuple[float, float]:
    """Milliseconds of an image that is kept, missing where none was accepted, and seconds before the first.

    A measurement takes one volume for an image; a point may take more.
    """
    if cost is None:
        return np.nan, np.nan
    known = [seconds for seconds in cost["seconds"] if seconds is not None]
    volumes = line.get("volumes", np.nan)
    times = 1.0 if pd.isna(volumes) else max(1.0, volumes / line["n"])
    return (times * float(np.mean(known)) if known else np.nan), float(cost["before"])
