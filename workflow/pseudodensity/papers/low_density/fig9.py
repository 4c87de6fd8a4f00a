"""Figure 9 in numbers: how many of the nearest reals of an image have its class.

``inputs``: ``measured``, an experiment of `measured.nearest`. ``settings``: ``names``, block, model, dataset and
stands_for; ``plain``, the name of the plain set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.nearest_pairs import HOW, set_arrays
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Estimate, Mean, difference, paired, t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["equal_shares", "fig9"]


def equal_shares(path: str, number: int, training: np.ndarray) -> np.ndarray:
    """Whether the nearest reals of each image of a set have its class, (n, k) bool, the nearest first.

    training: classes (N,) of the reals.
    """
    own = set_arrays(path, number, ["features_rows", "label"])
    return training[own["features_rows"]] == own["label"][:, None]


def fig9(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each set of images; the last is of held-out reals."""
    path = inputs["measured"]
    facts = load_facts(path)
    names, training = facts["sets"], load_arrays(path, ["training_label"])["training_label"]
    equal = [equal_shares(path, number, training) for number in range(len(names))]
    k, plain = equal[0].shape[1], names.index(settings["plain"])
    lines = []
    for number, (name, own) in enumerate(zip(names, equal, strict=True)):
        line = dict(settings["names"]) | {"set": name, "n": len(own), "k": k}
        ends = t_interval(own.mean(1), (0, 1))
        line |= dict(zip(("equal", "equal_low", "equal_high"), ends, strict=True))
        if number != plain:
            found = _change(own, equal[plain], generated=number < len(names) - 1)
            line |= {"change": found.effect, "change_low": found.low, "change_high": found.high}
            line["change_p"] = found.p
        line |= {"nearest_equal": own[:, 0].mean()}
        lines.append(line | {"all_equal": own.all(1).mean(), "none_equal": (~own).all(1).mean()})
    frame = pd.DataFrame(lines)
    return Table(
        title=f"Figure 9 of low-density diffusion: classes of the {k} nearest reals",
        frame=frame,
        columns=[
            Column("set", "images"),
            Column("equal", "of the same class", 3, low="equal_low", high="equal_high"),
            Column("change", "minus plain", format="+.3f", low="change_low", high="change_high"),
            Column("nearest_equal", "the nearest one", 3),
            Column("all_equal", f"all {k}", 3),
            Column("none_equal", "none", 3),
        ],
        introduction=(
            f"{block_title(frame.iloc[0])}: share of the {k} training images nearest to an image, in features of "
            f"{facts['extractor']}, that have its class."
        ),
        notes=[
            (
                "The paper shows pictures: guided images often lie closer to reals of other classes. A share may "
                "fall because images are rare, or because they have lost their class: the random direction and "
                "Figure 14's *own class* tell these apart."
            ),
            f"*held-out real images*: {HOW[facts['held_out']]}.",
            (
                "Intervals: 95 %, Student's, over images of one trained model. Guided and plain images of one latent "
                "are compared in pairs, held-out reals as another sample."
            ),
        ],
    )


def _change(own: np.ndarray, plain: np.ndarray, generated: bool) -> Estimate:
    """Share of equal classes minus that of plain images."""
    if generated:
        return paired(own.mean(1) - plain.mean(1))
    return difference(Mean.of(own.mean(1)), Mean.of(plain.mean(1)))
