"""What guidance does in every training of the model and of its networks, with intervals over the trainings.

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, see `MethodSets.rows`, of each training seed the
plain sampler first; ``control``: the loss whose curve the others are compared with at the same hardness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.control.guide.low_density_sampling import NO_PUSH
from pseudodensity.papers.low_density.matched import HARDNESS, matched
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Estimate, paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["trainings"]

SCORES = {"precision": "precision", "recall": "recall"}
# Word in the column `effect` of the CSV -> what is measured.
RAISED, MATCHED, RESTORED = "hardness", "matched", "beta"
NOTES = (
    (
        "A value of a training is the mean over its repeats. Intervals: 95 %, Student's, over trainings, each of the "
        "model, of the embedder and of the real/synthetic classifier from a start of its own."
    ),
    (
        "*at the same hardness*: read off the curve of the random direction over alpha, repeat by repeat. Nothing "
        "stands for a training in which that curve does not reach the hardness."
    ),
    (
        "*beta*: precision with the push to what looks real minus that without, at the same alpha. A training whose "
        "classifier may not steer has no value: it is at chance or overfits, and gives no push."
    ),
)


def trainings(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each effect."""
    book, rows = ScoreBook(inputs["scores"]), settings["rows"]
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    by_seed = {seed: [row for row in rows if row["seed"] == seed] for seed in seeds}
    found = {seed: _effects(own, book, settings["control"]) for seed, own in by_seed.items()}
    names = {key: rows[0][key] for key in ("block", "model", "dataset", "stands_for")}
    lines = []
    for key in found[seeds[0]]:
        values = [found[seed][key] for seed in seeds]
        line = names | dict(zip(("effect", "measured", "loss", "alpha", "score"), key, strict=True))
        line |= {f"seed_{seed}": value for seed, value in zip(seeds, values, strict=True)}
        lines.append(line | _over(values))
    first = book.find(rows[0]["pool"], rows[0]["point"])
    return Table(
        title="Low-density guidance over trainings",
        frame=pd.DataFrame(lines),
        columns=[
            Column("measured", "effect"),
            *(Column(f"seed_{seed}", f"seed {seed}", format="+.3f") for seed in seeds),
            Column("mean", "mean", format="+.3f", low="mean_low", high="mean_high"),
        ],
        introduction=(
            f"{block_title(rows[0])}: {first.n:,} generated against {first.n_real:,} real images per repeat, "
            f"{len(first.repeats)} repeats of each of {len(seeds)} trainings, k = {first.k}."
        ),
        notes=NOTES,
    )


def _over(values: Sequence[float]) -> dict[str, Any]:
    """Mean over the trainings that have a value, how many those are, and the interval."""
    known = [value for value in values if not np.isnan(value)]
    over = paired(known) if known else Estimate(np.nan)
    ends = {"mean": over.effect, "mean_low": over.low, "mean_high": over.high, "mean_p": over.p}
    return ends | {"trainings": len(known)}


def _effects(
    rows: Sequence[Mapping[str, Any]], book: ScoreBook, control: str
) -> dict[tuple[str, str, str, float, str], float]:
    """Of one training the mean of every effect over its repeats. A key is what stands in the table."""
    sets = [(row["point"], book.find(row["pool"], row["point"])) for row in rows]
    plain = sets[0][1].repeats
    alone = [(point, own.repeats) for point, own in sets if point["loss"] and not point["beta"]]
    curve = [plain, *(own for point, own in alone if point["loss"] == control)]
    effects: dict[tuple[str, str, str, float, str], float] = {}
    for point, own in alone:
        loss, alpha = point["loss"], point["alpha"]
        words = f"{loss.replace('_', ' ')}, alpha {alpha:g}"
        key = (RAISED, f"median hardness minus plain, {words}", loss, alpha, HARDNESS)
        effects[key] = _mean_change(own, plain, HARDNESS)
        for score, title in SCORES.items():
            if loss != control:
                told = f"{title} against a random push at the same hardness, {words}"
                effects[MATCHED, told, loss, alpha, score] = matched(own, curve, score).effect
    for point, own in sets:
        if point["beta"]:
            effects |= _restored(point, own, alone)
    return effects


def _restored(
    point: Mapping[str, Any], own: Any, alone: Sequence[tuple[Mapping[str, Any], Any]]
) -> dict[tuple[str, str, str, float, str], float]:
    """What beta changes at the alpha of a point; NaN where the classifier gave no push."""
    loss, alpha = point["loss"], point["alpha"]
    without = next(o for p, o in alone if (p["loss"], p["alpha"]) == (loss, alpha))
    pushed = NO_PUSH not in own.facts.get("note", "")
    words = f"{loss.replace('_', ' ')}, alpha {alpha:g}"
    return {
        (RESTORED, f"{title} at beta {point['beta']:g} minus at 0, {words}", loss, alpha, score): (
            _mean_change(own.repeats, without, score) if pushed else np.nan
        )
        for score, title in SCORES.items()
    }


def _mean_change(
    own: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]], score: str
) -> float:
    pairs = zip(own, other, strict=True)
    return float(np.mean([mine[score] - theirs[score] for mine, theirs in pairs]))
