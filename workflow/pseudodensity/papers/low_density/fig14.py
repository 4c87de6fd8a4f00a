"""Figure 14 in numbers: losses of guidance at scales at which they reach the same hardness.

``inputs``: ``scores``, paths of scores files; ``measured``, an experiment of `measured.hardness` on the points of the
rows that are sampled. ``settings``: ``rows``, see `MethodSets.rows`, the plain sampler first; ``reference``: the loss
that the others are calibrated to; ``control``: the random direction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.matched import against, calibrated
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import repeats_introduction

__all__ = ["fig14"]

OWN = "own_class"


def fig14(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each loss and strength."""
    book, rows = ScoreBook(inputs["scores"]), settings["rows"]
    reference, control = settings["reference"], settings["control"]
    points = [row["point"] for row in rows]
    repeats = _with_own_class(rows, book, inputs["measured"])
    frame = frontier_frame(rows, book)
    lines = [
        {**own, **precision, **kept, **pushed, "calibrated": alpha}
        for own, precision, kept, pushed, alpha in zip(
            map(_own_class, points, repeats),
            against(points, repeats, reference, name="against_reference"),
            against(points, repeats, reference, OWN, "own_against_reference"),
            against(points, repeats, control, name="against_control"),
            calibrated(points, repeats, reference),
            strict=True,
        )
    ]
    frame = pd.concat([frame, pd.DataFrame(lines)], axis=1)
    first, word = frame.iloc[0], reference.replace("_", " ")
    return Table(
        title="Figure 14 of low-density diffusion: losses at scales of the same hardness",
        frame=frame,
        columns=[
            Column("setting", "sampler"),
            _measured("median_hardness", "median hardness (nats)", 1),
            Column("calibrated", f"alpha of {word} there", 3),
            _measured("precision", "precision ↑", 3),
            _measured(OWN, "own class ↑", 3),
            _difference("against_reference", f"precision against {word}"),
            _difference("own_against_reference", f"own class against {word}"),
            _difference("against_control", "precision against the random direction"),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=repeats_introduction(first),
        notes=_notes(word),
    )


def _with_own_class(
    rows: Sequence[Mapping[str, Any]], book: ScoreBook, measured: str
) -> list[list[dict[str, float]]]:
    """Scores of each row, with the share of images that are still of their class; a row that is not sampled has
    the reals' one, without repeats of its own."""
    number, found = 0, []
    for row in rows:
        repeats = book.find(row["pool"], row["point"]).repeats
        if "loss" not in row["point"]:
            share = float(load_arrays(measured, ["real_own"])["real_own"].mean())
            found.append([repeat | {OWN: share} for repeat in repeats])
            continue
        own = load_arrays(measured, [f"own_{number}"])[f"own_{number}"]
        # The repeats are stretches of the pool, in order.
        shares = own.reshape(len(repeats), -1).mean(1)
        found.append([one | {OWN: share} for one, share in zip(repeats, shares, strict=True)])
        number += 1
    return found


def _own_class(
    point: Mapping[str, Any], repeats: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    mean, low, high = t_interval([repeat[OWN] for repeat in repeats], (0, 1))
    # Of the reals there is one share, and no repeats.
    ends = (low, high) if "loss" in point else (np.nan, np.nan)
    return dict(zip((OWN, f"{OWN}_low", f"{OWN}_high"), (mean, *ends), strict=True))


def _measured(score: str, head: str, decimals: int) -> Column:
    return Column(score, head, decimals, low=f"{score}_low", high=f"{score}_high")


def _difference(name: str, head: str) -> Column:
    return Column(name, head, format="+.3f", low=f"{name}_low", high=f"{name}_high")


def _notes(word: str) -> list[str]:
    return [
        (
            f"*against {word}*: a score minus that of {word} at the same median hardness, read off its curve over "
            "alpha repeat by repeat; nothing stands where that curve does not reach the hardness. About 0 is what "
            f"the paper says of calibrated losses. *alpha of {word} there*: the scale that it takes to the same "
            "hardness."
        ),
        (
            "*own class*: share of images for which no class is likelier than their own, by the Gaussians of the "
            "classes in the judge's features; of real images each under the Gaussian of the others."
        ),
        (
            "All rows have the same latents and the same noise in every step. Intervals: 95 %, Student's, over "
            "the repeats, of one trained model and one training of the embedder. The judge neither guides nor "
            "trains what guides."
        ),
    ]
