"""Searches for rare images in numbers: rarity, fidelity, diversity, and what of it holds against each reference.

``inputs``: ``scores``, paths of scores files; ``around``, experiments `around`. ``settings``: ``rows``, points of
blocks with ``around``, the number of their experiment, or None; ``number`` of the table; ``second``, the network
that judges beside; ``extractor``, in whose features was searched; ``pairs``
whose distance was taken in a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["searched_table"]

SCORES = {
    "rarity": ("rarity", 3),
    "outside": ("outside ↓", 3),
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "pair_distance": ("distance of pairs", 3),
    "fid": ("FID", 2),
    "kid": ("KID", 4),
}
# What holds against the references: column -> (head, decimals).
BESIDE = {
    "gain": ("rarity against reference", "+.3f"),
    "second_gain": ("in the second network", "+.3f"),
    "spread": ("distance of two samples of a reference", ".3f"),
    "away": ("distance from the reference", ".3f"),
}
NOTES = (
    (
        "*rarity*: smallest radius of a real ball that holds the image, mean over those that lie in any; *outside*: "
        "the share of the others. *rarity against reference*: mean over the samples of a reference less that of the "
        "reference, where both are inside, then over references. Intervals: 95 %, Student's; of scores over repeats "
        "with references of their own, of what is told of references over these. All are of one trained model."
    ),
    (
        "*feasible*: share of samples that lie in the real manifold and within d* of their reference, in the "
        "features of the search: at the start, at the last step, and of what was kept. What rises along a search "
        "is measured on those that are still feasible. Where nothing feasible was met the start is kept."
    ),
    (
        "*pool pick*: no search; of so many fakes the rarest within d* that lie in the manifold, and the reference "
        "itself where there are none. *calls*: images that the generator makes for one, passes back not counted; of a "
        "pool as if it served one reference alone."
    ),
)


def searched_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each model, a line for each point."""
    book, rows, number = ScoreBook(inputs["scores"]), settings["rows"], settings["number"]
    frame = frontier_frame(rows, book)
    frame["calls"] = frame["generator_calls"].astype(float) / (frame["n"] * frame["repeats"])
    frame["pairs"] = (
        np.minimum(settings["pairs"], frame["n"] * (frame["n"] - 1) // 2) * frame["repeats"]
    )
    beside = [_beside(inputs["around"], row["around"]) for row in rows]
    frame = pd.concat([frame, pd.DataFrame(beside, columns=_columns())], axis=1)
    first = frame.iloc[0]
    shown = {s: own for s, own in SCORES.items() if s in frame and frame[s].notna().any()}
    return Table(
        title=f"Table {number} of diverse rare samples",
        frame=frame,
        columns=[
            Column("setting", "method"),
            *(
                Column(score, head, decimals, low=f"{score}_low", high=f"{score}_high")
                for score, (head, decimals) in shown.items()
            ),
            *(
                Column(
                    name, head, format=form, low=f"{name}_low", high=f"{name}_high", optional=True
                )
                for name, (head, form) in BESIDE.items()
            ),
            Column("feasible_start", "feasible: start", 2, optional=True, in_latex=False),
            Column("feasible_end", "last step", 2, optional=True, in_latex=False),
            Column("found", "kept", 2, optional=True),
            Column("step", "median step", 0, optional=True, in_latex=False),
            Column("calls", "calls", 0, optional=True),
        ],
        section="block",
        section_titles={block: block_title(own.iloc[0]) for block, own in frame.groupby("block")},
        introduction=(
            f"{first['repeats']} repeats of {first['n']:,} images against {first['n_real']:,} real ones, k = "
            f"{first['k']}, training seed {first['seed']}. Searched in features of {settings['extractor']}; the second "
            f"network is {settings['second']}."
        ),
        notes=NOTES,
    )


def _columns() -> list[str]:
    """What `_beside` may say, in the order of the CSV."""
    ends = ("", "_low", "_high", "_p")
    told = ["references", "feasible_start", "feasible_end", "found", "step", "nearness"]
    return [*told, *(f"{name}{end}" for name in BESIDE for end in ends)]


def _beside(paths: list[str], number: int | None) -> dict[str, float]:
    """What an experiment `around` says; nothing of a set that was not searched for."""
    if number is None:
        return {}
    names = ["found", "step", "feasible", "distance", "limit", "judge_spread", "judge_away"]
    roles = {"gain": "judge", "second_gain": "second"}
    names += [
        f"{role}_{what}" for role in roles.values() for what in ("rarity", "reference_rarity")
    ]
    own = load_arrays(paths[number], names)
    line = {
        "references": len(own["feasible"]),
        "feasible_start": own["feasible"][:, 0].mean(),
        "feasible_end": own["feasible"][:, -1].mean(),
        "found": own["found"].mean(),
        "step": np.median(own["step"]),
        "nearness": (own["distance"] / own["limit"]).mean(),
    }
    of_references = {
        name: gains_of(own[f"{role}_rarity"], own[f"{role}_reference_rarity"])
        for name, role in roles.items()
    }
    of_references["spread"] = own["judge_spread"][np.isfinite(own["judge_spread"])]
    of_references["away"] = own["judge_away"].reshape(len(own["feasible"]), -1).mean(1)
    for name, values in of_references.items():
        if len(values):
            found = paired(values)
            line |= {
                name: found.effect,
                f"{name}_low": found.low,
                f"{name}_high": found.high,
                f"{name}_p": found.p,
            }
    return line


def gains_of(rarity: np.ndarray, of_reference: np.ndarray) -> np.ndarray:
    """Of each reference (r,) with a rarity the mean rarity of its samples (r * N,) that have one, less its own."""
    samples = rarity.reshape(len(of_reference), -1)
    known = np.isfinite(samples)
    both = known.any(1) & np.isfinite(of_reference)
    sums = np.where(known, samples, 0).sum(1)
    return sums[both] / known[both].sum(1) - of_reference[both]
