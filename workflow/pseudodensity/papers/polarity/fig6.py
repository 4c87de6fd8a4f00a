"""Figure 6 in numbers: distance of samples to their nearest training images, by polarity.

``inputs``: ``measured``, the experiment. ``settings``: ``names``, block, model, dataset and stands_for of the
model; ``k``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Mean, log_ratio
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["SPACES", "fig6"]

SPACES = ("pixels", "features")


def fig6(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per space and set of images."""
    facts, arrays = load_facts(inputs["measured"]), load_arrays(inputs["measured"], SPACES)
    lines = []
    for space in SPACES:
        # A number for each image: its k distances are not independent.
        means = [own.mean(axis=1) for own in arrays[space]]
        pairs = zip(means, facts["rows"], strict=True)
        at_zero = next(values for values, row in pairs if row["polarity"] == 0)
        for row, values in zip(facts["rows"], means, strict=True):
            lines.append(settings["names"] | {"space": space} | _line(row, values, at_zero))
    frame = pd.DataFrame(lines)
    return Table(
        title="Figure 6 of polarity sampling: distance to the nearest training images",
        frame=frame,
        columns=[
            Column("name", "images"),
            Column("mean", "mean distance", 3),
            Column("quarter", "25 %", 3),
            Column("median", "median", 3),
            Column("three_quarters", "75 %", 3),
            Column(
                "change", "log-ratio to ρ = 0", format="+.3f", low="change_low", high="change_high"
            ),
            Column("ess", "effective sample size", 0),
        ],
        section="space",
        section_titles={"pixels": "pixels", "features": f"features of {facts['extractor']}"},
        introduction=(
            f"{block_title(settings['names'])}: distance of an image to its {settings['k']} nearest training "
            f"images, their mean; {arrays['pixels'].shape[1]:,} images of each kind."
        ),
        notes=[
            (
                "Samples are drawn without replacement: an effective sample size far below the number of images "
                "says that the exponent is stronger than so many latents can follow."
            ),
            (
                "These features neither steer a method nor judge in a table. Held-out real images are fresh ones "
                "of the same law, where there is one: a model that copies comes nearer than they do."
            ),
            "Intervals: 95 % over images (delta method), of one trained model.",
        ],
    )


def _line(row: Mapping[str, Any], values: np.ndarray, at_zero: np.ndarray) -> dict[str, Any]:
    quarters = np.quantile(values, [0.25, 0.5, 0.75])
    line = {key: row[key] for key in ("name", "polarity", "ess")} | {"mean": values.mean()}
    line |= dict(zip(("quarter", "median", "three_quarters"), quarters, strict=True))
    if row["polarity"] == 0:
        return line
    change = log_ratio(Mean.of(values), Mean.of(at_zero))
    line |= {"change": change.effect, "change_low": change.low, "change_high": change.high}
    return line | {"change_p": change.p}
