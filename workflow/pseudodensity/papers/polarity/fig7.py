"""Figure 7 in numbers: perceptual path length by polarity.

``inputs``: ``measured``, the experiment. ``settings``: ``names``, block, model, dataset and stands_for of the
model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.polarity.spread import COLUMNS, INTERVALS, spread_lines
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Table
from pseudodensity.report.titles import block_title

__all__ = ["SPACES", "central", "distance_of", "fig7"]

SPACES = {"z": "paths between latents", "w": "paths in style space"}
LEFT_OUT = 0.01  # at each end, as Karras et al. 2019 do


def central(lengths: np.ndarray) -> np.ndarray:
    """All but the least and the greatest hundredth of path lengths (n,)."""
    ordered = np.sort(lengths)
    cut = int(LEFT_OUT * len(ordered))
    return ordered[cut : len(ordered) - cut]


def distance_of(facts: Mapping[str, Any]) -> str:
    """How the distance of two images is called. facts: of `path_lengths`."""
    return facts["distance"] or (
        f"embedded perceptual distance: squared distance of unit features of {facts['extractor']}"
    )


def fig7(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per space of the paths and polarity."""
    facts, arrays = load_facts(inputs["measured"]), load_arrays(inputs["measured"], SPACES)
    lines = []
    for space, title in SPACES.items():
        named = settings["names"] | {"space": space, "section": title}
        own = [central(lengths) for lengths in arrays[space]]
        lines += [named | line for line in spread_lines(facts["rows"], own)]
    return Table(
        title="Figure 7 of polarity sampling: perceptual path length",
        frame=pd.DataFrame(lines),
        columns=COLUMNS,
        section="section",
        introduction=(
            f"{block_title(settings['names'])}: squared speed of images along a path, "
            f"{arrays['z'].shape[1]:,} paths of each polarity, their ends drawn by it without replacement. "
            f"Measured by {distance_of(facts)}."
        ),
        notes=[
            (
                f"The distance is taken of images of {facts['side']} px; the paper's has features of VGG. Sizes of "
                "path lengths by different distances or sizes of images cannot be compared."
            ),
            (
                "The length is that at the start of a path, in the limit of a step towards 0 (the paper's step is "
                "1e-4): half-way, a point no longer has the law of the polarity. The least and the greatest "
                "hundredth are left out, as usual."
            ),
            INTERVALS,
        ],
    )
