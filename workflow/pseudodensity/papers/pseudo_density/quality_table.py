"""The effect of w against the quality of the base model: fine-tuning, sampling at inference, real images.

`quality` wants
    inputs: ``scores``, paths of scores files; ``sampled``, those of the rows at inference, whose plain
    samples are of other numbers than those that fine-tuning is compared with.
    settings: ``rows``, one dict per block, length of training, seed, way and weight: block, model,
    dataset, stands_for (or None), times (training is so many times as long; None for real images),
    iterations, seed (or None), how (fine-tuning | at inference | oracle), tau, w; and, unless the
    training was not reached, ``base``, ``changed`` and ``reference``, sets as {pool, point}: the base
    model, the images with the weight, and what they are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Estimate, Mean, difference, paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["quality", "quality_frame"]

SCORES = ("precision", "recall")
INTRODUCTION = (
    "Effect of the importance weight w on precision and recall, for the same models trained for once, "
    "twice, four and eight times as long. *fine-tuning*: against the control, which saw as many images. "
    "*at inference*: importance sampling against plain sampling of the base model. *oracle*: real "
    "images reweighted against real images, what a perfect generator would do."
)
NOTES = (
    (
        "*base*: precision and recall of what is sampled from or fine-tuned, on as many images as the "
        "effect. The interval is a 95 % t-interval over sampling repeats, paired where both sides start "
        "from the same latents (fine-tuning): repeats share the weights of one training, whose own noise "
        "is not in it."
    ),
    "A line without numbers is a training that was not reached.",
)


def quality_frame(
    rows: Sequence[Mapping[str, Any]], book: ScoreBook, sampled: ScoreBook
) -> pd.DataFrame:
    """One line per row: base, value, reference and effect of precision and recall.

    The effect of fine-tuning is paired over repeats, whose latents are the same; else it is a
    difference of means. NaN where the row has no sets.

    Args:
        rows: see the module.
        book: of fine-tuning and of real images. sampled: of the rows at inference.
    """
    books = {"at inference": sampled}
    return pd.DataFrame([_line(row, books.get(row["how"], book)) for row in rows]).astype(
        dict.fromkeys(("times", "seed", "iterations", "n", "n_real", "k", "repeats"), "Int64")
    )


def _line(row: Mapping[str, Any], book: ScoreBook) -> dict[str, Any]:
    kept = ("block", "model", "dataset", "stands_for", "times", "iterations", "seed", "how")
    line = {key: row[key] for key in kept} | {"tau_percent": row["tau"], "w": row["w"]}
    reached = "changed" in row
    sets = {
        name: book.find(row[name]["pool"], row[name]["point"]) if reached else None
        for name in ("base", "changed", "reference")
    }
    for score in SCORES:
        values = {name: _values(found, score) for name, found in sets.items()}
        line[f"base_{score}"] = values["base"].mean() if reached else np.nan
        line[score] = values["changed"].mean() if reached else np.nan
        effect = _effect(row["how"], values["changed"], values["reference"])
        line[f"{score}_effect"] = effect.effect
        line |= {f"{score}_effect_low": effect.low, f"{score}_effect_high": effect.high}
    changed = sets["changed"]
    line |= {key: getattr(changed, key) if reached else None for key in ("n", "n_real", "k")}
    return line | {"repeats": len(changed.repeats) if reached else None}


def _values(found: Any, score: str) -> np.ndarray:
    repeats = found.repeats if found else []
    return np.array([repeat[score] for repeat in repeats], dtype=np.float64)


def _effect(how: str, changed: np.ndarray, reference: np.ndarray) -> Estimate:
    if not len(changed) or not len(reference):
        return Estimate(np.nan)
    if how == "fine-tuning":
        return paired(changed - reference)
    return difference(Mean.of(changed), Mean.of(reference))


def quality(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The table, see the module for inputs and settings."""
    books = (ScoreBook(inputs[name]) for name in ("scores", "sampled"))
    frame = quality_frame(settings["rows"], *books)
    columns = [
        Column("how", ""),
        Column("times", "times as long"),
        Column("iterations", "iterations", in_latex=False),
        Column("seed", "seed", optional=True, in_latex=False),
        Column("w", "w", format="g"),
        Column("base_precision", "base precision", 3),
        Column("base_recall", "base recall", 3),
    ]
    for score in SCORES:
        ends = {"low": f"{score}_effect_low", "high": f"{score}_effect_high"}
        columns.append(Column(f"{score}_effect", f"effect on {score}", format="+.3f", **ends))
    return Table(
        title="Effect of w against the quality of the base model",
        frame=frame,
        columns=columns,
        section="block",
        section_titles={
            block: block_title(lines.iloc[0]) for block, lines in frame.groupby("block")
        },
        introduction=INTRODUCTION,
        notes=list(NOTES),
    )
