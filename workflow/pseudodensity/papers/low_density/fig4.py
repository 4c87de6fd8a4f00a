"""Figure 4 in numbers: what guidance does to hardness, and what it costs in precision at that hardness.

``inputs``: ``scores``, paths of scores files; ``pushed``, the experiment `summed_variances`. ``settings``:
``rows``, see `MethodSets.rows`, the plain sampler first; ``control``: the loss whose curve the others are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.papers.low_density.matched import against
from pseudodensity.papers.low_density.pushed import PUSHED, note_of_pushed, pushed
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import repeats_introduction

__all__ = ["fig4"]

SCORES = {
    "median_hardness": ("median hardness (nats)", 1),
    "hard": ("harder than 80 % of reals", 3),
    "avg_knn": ("AvgkNN", 3),
    "lof": ("LOF", 3),
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
}
NOTES = (
    (
        "All rows have the same latents and the same noise in every step. Intervals: 95 %, Student's, over "
        "the repeats, of one trained model and one training of the networks of guidance."
    ),
    (
        "*against the random direction*: precision minus that of guidance along one random direction of the "
        "embedder's features, read off its curve over alpha at the same median hardness, repeat by repeat. "
        "Nothing stands where that curve does not reach the hardness. Above 0, the loss knows more of what "
        "is rare and still good than a random push."
    ),
    (
        "*hardness*: of a Gaussian for each class in the judge's features (Ledoit-Wolf covariance). The judge "
        "neither guides nor trains what guides. As printed in the paper, the contrastive loss pushes to the "
        "farthest class; softmax of minus H seeks the border (docs/deviations.md)."
    ),
    note_of_pushed(
        "the variance that the network gives a step, in the mean over some images of the plain sampler (the CSV has "
        "the least and the most of one pixel too)"
    ),
)


def fig4(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each loss and strength."""
    book, rows = ScoreBook(inputs["scores"]), settings["rows"]
    frame = frontier_frame(rows, book)
    repeats = [book.find(row["pool"], row["point"]).repeats for row in rows]
    points = [row["point"] for row in rows]
    compared = pd.DataFrame(against(points, repeats, settings["control"]))
    reach = pd.DataFrame(pushed(inputs["pushed"], points))
    frame = pd.concat([frame, compared, reach], axis=1)
    first = frame.iloc[0]
    return Table(
        title="Figure 4 of low-density diffusion: hardness and precision by the strength of guidance",
        frame=frame,
        columns=[
            Column("setting", "sampler"),
            PUSHED,
            *(
                Column(score, title, decimals, low=f"{score}_low", high=f"{score}_high")
                for score, (title, decimals) in SCORES.items()
            ),
            Column(
                "matched",
                "precision against the random direction",
                format="+.3f",
                low="matched_low",
                high="matched_high",
            ),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=repeats_introduction(first),
        notes=NOTES,
    )
