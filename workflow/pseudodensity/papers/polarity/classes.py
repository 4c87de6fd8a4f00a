"""Precision and recall within each class of a model that is told classes, by polarity.

``inputs``: ``measured``, an experiment of `within_classes`. ``settings``: ``points``, plain first, and their
``labels``; ``shown``, classes; ``names``, block, model, dataset and stands_for; ``count`` of a repeat; ``k``; ``extractor``; ``seed`` of
the training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["MEAN", "classes"]

SCORES = ("precision", "recall")
MEAN = "mean of the classes"


def classes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each point: the mean of all classes, then those that are shown."""
    facts = load_facts(inputs["measured"])
    arrays = load_arrays(inputs["measured"], [*SCORES, "images"])
    lines = []
    for i, (point, label) in enumerate(zip(settings["points"], settings["labels"], strict=True)):
        for name, place in [(MEAN, slice(None)), *((str(c), c) for c in settings["shown"])]:
            line = settings["names"] | {"section": label, "class": name, "method": point["method"]}
            line |= {"polarity": point.get("polarity", math.nan), "seed": settings["seed"]}
            line["images"] = float(arrays["images"][i, :, place].mean())
            for score in SCORES:
                values = arrays[score][i][:, place]
                line |= _interval(score, values if values.ndim == 1 else np.nanmean(values, 1))
            lines.append(line)
    frame = pd.DataFrame(lines)
    return Table(
        title="Polarity within classes",
        frame=frame,
        columns=[
            Column("class", "class"),
            Column("images", "images", 0),
            *(
                Column(score, f"{score} ↑", 3, low=f"{score}_low", high=f"{score}_high")
                for score in SCORES
            ),
        ],
        section="section",
        introduction=(
            f"{block_title(settings['names'])}: {settings['count']:,} images of each repeat, of which those of a "
            f"class are set against the {min(facts['reals'])} to {max(facts['reals'])} training images of that "
            f"class, k = {settings['k']}, features of {settings['extractor']}, training seed {settings['seed']}."
        ),
        notes=[
            "Polarity weighs within classes, so that each keeps its share of the images.",
            (
                "Precision and recall depend on both numbers of images: compare a class with itself, not with "
                "another, and none with those over all classes."
            ),
            "Intervals: 95 %, Student's, over the repeats, of one trained model.",
        ],
        shown_rows=60,
    )


def _interval(score: str, values: np.ndarray) -> dict[str, float]:
    """Over the repeats that have a value."""
    known = values[~np.isnan(values)]
    mean, low, high = t_interval(known, (0, 1)) if len(known) else (math.nan,) * 3
    return {score: mean, f"{score}_low": low, f"{score}_high": high}
