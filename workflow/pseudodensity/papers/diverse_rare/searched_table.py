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

from pseudodensity.papers.diverse_rare.unpaired import unpaired_t
from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import paired
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title, repeats_introduction

__all__ = ["searched_table"]

SCORES = {
    "rarity": ("rarity", 3),
    "outside": ("outside ↓", 3),
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "pair_distance": ("distance of pairs", 3),
    "distinct": ("distinct", 3),
    "fid": ("FID ↓", 2),
}
# What holds against the references: column -> (head, decimals).
BESIDE = {
    "gain": ("rarity against reference", "+.3f"),
    "gain_found": ("of those found", "+.3f"),
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
        "is measured on those that are still feasible. Where nothing feasible was met the start is kept. *p of pairs*: the "
        "paper's unpaired t-test of distances of pairs against plain samples; pairs share images, so that it is too small."
    ),
    (
        "*pool pick*: no search; of so many fakes the rarest within d* that lie in the manifold, and the reference "
        "itself where there are none: *distinct* and *of those found* tell. *calls*: images that the generator makes for "
        "one, passes back and Jacobians not counted; of a pool as if it served one reference alone."
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
    plain = frame[frame["method"].eq("plain")].set_index("block", drop=False)
    tests = [_t_test(line, plain.loc[line["block"]]) for _, line in frame.iterrows()]
    frame = pd.concat([frame, pd.DataFrame(tests, columns=["pairs_t", "pairs_p"])], axis=1)
    firsts = {block: line for block, line in plain.iterrows()}
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
            *([Column("kid", "KID ↓", 4, spread="kid_error")] if "kid" in frame else []),
            *(
                Column(
                    name, head, format=form, low=f"{name}_low", high=f"{name}_high", optional=True
                )
                for name, (head, form) in BESIDE.items()
            ),
            Column("feasible_start", "feasible: start", 2, optional=True, in_latex=False),
            Column("feasible_end", "last step", 2, optional=True, in_latex=False),
            Column("found", "kept", 2, optional=True),
            Column("references_inside", "references inside", 2, optional=True, in_latex=False),
            Column("pairs_p", "p of pairs", format=".1g", optional=True, in_latex=False),
            Column("step", "median step", 0, optional=True, in_latex=False),
            Column("calls", "calls", 0, optional=True),
        ],
        section="block",
        section_titles={block: block_title(own) for block, own in firsts.items()},
        section_notes={block: repeats_introduction(own) for block, own in firsts.items()},
        introduction=(
            f"Searched in features of {settings['extractor']}, with weights in units of standard deviations of the real "
            f"ones (the paper's, 30 and .002, are of VGG16 features); the second network is {settings['second']}."
        ),
        notes=NOTES,
    )


def _t_test(line: pd.Series, plain: pd.Series) -> tuple[float, float]:
    """The paper's unpaired t-test of distances of pairs against plain samples, t and p."""
    names = ["pair_distance", "pair_deviation", "pairs"]
    if line["method"] == "plain" or line[names].isna().any():
        return np.nan, np.nan
    found = unpaired_t(*line[names].astype(float), *plain[names].astype(float))
    return found.t, found.p


def _columns() -> list[str]:
    """What `_beside` may say, in the order of the CSV."""
    ends = ("", "_low", "_high", "_p")
    told = [
        "references",
        "references_inside",
        "feasible_start",
        "feasible_end",
        "found",
        "step",
        "nearness",
    ]
    return [*told, *(f"{name}{end}" for name in BESIDE for end in ends)]


def _beside(paths: list[str], number: int | None) -> dict[str, float]:
    """What an experiment `around` says; nothing of a set that was not searched for."""
    if number is None:
        return {}
    names = [
        "reference_inside",
        "found",
        "step",
        "feasible",
        "distance",
        "limit",
        "judge_spread",
        "judge_away",
    ]
    roles = {"gain": "judge", "second_gain": "second"}
    names += [
        f"{role}_{what}" for role in roles.values() for what in ("rarity", "reference_rarity")
    ]
    own = load_arrays(paths[number], names)
    line = {
        "references": len(own["feasible"]),
        "references_inside": own["reference_inside"].mean(),
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
    kept = np.where(own["found"] > 0, own["judge_rarity"], np.nan)
    of_references["gain_found"] = gains_of(kept, own["judge_reference_rarity"])
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
