"""Figure 3 in numbers: precision and recall of polarity, of truncation, and of the two together.

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, see `MethodSets.rows`, the plain model
first in each block, and rows that say why a model is not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.pareto import pareto_front
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["fig3", "of_polarity", "of_truncation"]

NOTES = (
    (
        "*front of all*: no point of the model has more of both precision and recall. *front*: the same among "
        "points of one method, the plain model among them."
    ),
    (
        "Repeats have disjoint proposals, and at every ρ volumes of their own; intervals are 95 %, Student's, "
        "of one trained model. *effective sample size*: of the weights of the latents of one repeat; far below "
        "the number of images, few latents stand for all."
    ),
    (
        "Polarity draws with replacement, as Algorithm 1 does: ρ = 0 shows what repeated images cost alone. "
        "Under truncation the weights are those of the latents at ψ = 1, as in the authors' code."
    ),
)


def of_truncation(points: pd.DataFrame) -> pd.DataFrame:
    """Truncation alone, the plain model (ψ = 1) among it."""
    return points[points["method"].isin(("plain", "truncation"))]


def of_polarity(points: pd.DataFrame) -> pd.DataFrame:
    """Polarity at any truncation, the plain model among it."""
    return points[points["method"].isin(("plain", "polarity", "truncated_polarity"))]


def fig3(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per model and point."""
    frame = frontier_frame(settings["rows"], ScoreBook(inputs["scores"]))
    on_front = [
        pd.Series(pareto_front(own["precision"], own["recall"]), own.index)
        for _, own in frame.groupby("block", sort=False)
    ]
    frame["front_of_all"] = pd.concat(on_front)
    firsts = {block: own.iloc[0] for block, own in frame.groupby("block", sort=False)}
    return Table(
        title="Figure 3 of polarity sampling: polarity, truncation, and both",
        frame=frame,
        columns=[
            Column("setting", "method"),
            Column("precision", "precision ↑", 3, low="precision_low", high="precision_high"),
            Column("recall", "recall ↑", 3, low="recall_low", high="recall_high"),
            Column("fid", "FID ↓", 2, low="fid_low", high="fid_high"),
            Column("ess", "effective sample size", 0),
            Column("front", "front"),
            Column("front_of_all", "front of all"),
            Column("note", "note", optional=True, in_latex=False),
        ],
        section="block",
        section_titles={block: block_title(first) for block, first in firsts.items()},
        section_notes={block: _counts(first) for block, first in firsts.items()},
        notes=NOTES,
        shown_rows=60,
    )


def _counts(first: Mapping[str, Any]) -> str:
    return (
        f"{first['n']:,} generated against {first['n_real']:,} real images per repeat, {first['repeats']} "
        f"repeats, k = {first['k']}, training seed {first['seed']}."
    )
