"""Low-density guidance beside its rivals: fidelity, what of the rare is covered, memorisation, cost.

``inputs``: ``scores``, paths of scores files. ``settings``: ``rows``, see `Rivals.rows`;
``passes_per_image`` of the model's own sampler; ``plain``, ``held_out``, ``control``: titles of curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.matched import matched
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Estimate
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["rivals_table"]

SCORES = {
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "rare_coverage": ("coverage of the rare ↑", 3),
    "hardness": ("mean hardness (nats)", 1),
    "median_hardness": ("median hardness", 1),
    "hard": ("harder than 80 % of reals", 3),
    "memorisation_tail": ("memorisation, 1 % tail", 3),
}
ENDS = ("matched", "matched_low", "matched_high")
NOTES = (
    (
        "Guided rows and the plain ones have the same latents, and the same noise in ancestral steps. "
        "Importance sampling chooses among images of the model's own sampler, without noise (DDIM): compare "
        "it, and density guidance, with the plain row of ddim. Intervals: 95 %, Student's, over the "
        "repeats, of one trained model and one training of the networks of guidance."
    ),
    (
        "*coverage of the rare*: share of the sparsest fifth of the real images whose ball holds a "
        "generated one. *memorisation*: distance to the nearest training image over that image's distance "
        "to its own nearest; 1 % of the images have a ratio below the tail. A tail below that of held-out "
        "images speaks of copies."
    ),
    (
        "*held-out real images*: where there are no fresh ones, one half of the data set is judged against "
        "the other. Recall and coverage depend on both numbers of images: compare them only where n and "
        "real n are those of this row. Its repeats then share images, and its intervals are too narrow."
    ),
    (
        "*calls*: passes through any network for one image that is kept, a gradient counting as one forward "
        "and one backward; the networks differ in size. What it took to train them is not counted."
    ),
    (
        "*against the random direction*: precision minus that of guidance along one random direction of the "
        "embedder's features, read off its curve at the same median hardness, repeat by repeat. Nothing "
        "stands where that curve does not reach the hardness, nor where latents are others."
    ),
)


def rivals_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each method and strength, controls first."""
    book, rows = ScoreBook(inputs["scores"]), settings["rows"]
    frame = frontier_frame(rows, book)
    frame.insert(frame.columns.get_loc("method"), "curve", [row["curve"] for row in rows])
    frame["network_calls"] = _calls(frame, settings["passes_per_image"])
    frame = pd.concat([frame, pd.DataFrame(_against(book, settings), columns=ENDS)], axis=1)
    first = frame.iloc[0]
    return Table(
        title="Low-density guidance and its rivals",
        frame=frame,
        columns=[
            Column("setting", "method"),
            *(
                Column(score, title, decimals, low=f"{score}_low", high=f"{score}_high")
                for score, (title, decimals) in SCORES.items()
            ),
            Column("network_calls", "calls", 0),
            Column(
                "matched",
                "precision against the random direction",
                format="+.3f",
                low="matched_low",
                high="matched_high",
            ),
            Column("n", "n"),
            Column("n_real", "real n"),
            Column("note", "note", optional=True, in_latex=False),
        ],
        introduction=(
            f"{block_title(first)}: {first['repeats']} repeats, k = {first['k']}, training seed "
            f"{first['seed']}. Judges neither guide nor train what guides."
        ),
        notes=NOTES,
    )


def _calls(frame: pd.DataFrame, passes_per_image: int | None) -> pd.Series:
    """Passes for one image that is kept; missing for real images, and where nothing says how many."""
    chosen = frame["generator_calls"].astype(float) / (frame["n"] * frame["repeats"]).astype(float)
    of_model = (chosen * (passes_per_image or np.nan)).where(frame["method"].ne("held_out"))
    if "network_passes" not in frame:
        return of_model
    return frame["network_passes"].astype(float).fillna(of_model)


def _against(book: ScoreBook, settings: Mapping[str, Any]) -> list[tuple[float, float, float]]:
    """Of each row, precision minus that of the control at the same hardness; missing for the controls."""
    rows = settings["rows"]
    repeats = [book.find(row["pool"], row["point"]).repeats for row in rows]
    pairs = list(zip(repeats, rows, strict=True))
    plain = next(own for own, row in pairs if row["curve"] == settings["plain"])
    curve = [plain, *(own for own, row in pairs if row["curve"] == settings["control"])]
    lines = []
    for own, row in pairs:
        compared = row["paired"] and row["curve"] != settings["control"]
        found = matched(own, curve) if compared else Estimate(np.nan)
        lines.append((found.effect, found.low, found.high))
    return lines
