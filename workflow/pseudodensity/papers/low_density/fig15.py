"""Figure 15 in numbers: images whose class embedding is smoothed (appendix A.6).

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, see `MethodSets.rows`, the plain sampler first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import repeats_introduction

__all__ = ["fig15"]

SCORES = {
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "median_hardness": ("median hardness (nats)", 1),
    "hard": ("harder than 80 % of reals", 3),
}
PLAIN = "low_density"
NOTES = (
    (
        "*smoothing* s: the network is told a mixture of classes, 1 - s (1 - 1 / C) of the image's own one of C and the "
        "rest spread evenly over the others. 0 is the plain sampler, 1 the mean of all embeddings, the same for every "
        "class. The paper gives no values."
    ),
    (
        "All generated rows have the same latents and the same noise in every step. Intervals: 95 %, Student's, over the "
        "repeats, of one trained model."
    ),
    (
        "*hardness*: under the Gaussian of the class that the latent chose, in the judge's features: an image of another "
        "class is hard. Beside it stands precision, which knows no classes."
    ),
)


def fig15(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each smoothing, the plain sampler and held-out real images first."""
    frame = frontier_frame(settings["rows"], ScoreBook(inputs["scores"]))
    # Not smoothed at all is a smoothing too, so that lines can be compared by it.
    frame.loc[frame["method"].eq(PLAIN), "smoothing"] = 0.0
    first = frame.iloc[0]
    return Table(
        title="Figure 15 of low-density diffusion: smoothing of the class embedding",
        frame=frame,
        columns=[
            Column("setting", "sampler"),
            Column("smoothing", "smoothing", 2),
            *(
                Column(score, title, decimals, low=f"{score}_low", high=f"{score}_high")
                for score, (title, decimals) in SCORES.items()
            ),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=repeats_introduction(first),
        notes=NOTES,
    )
