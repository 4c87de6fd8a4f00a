"""Tables 15 to 17: polarity sampling as the rival, by its exponent, with replacement, and with online rejection.

``inputs``: ``scores``, paths of scores files; ``reported``, what the paper prints. ``settings``: ``rows``, see `MethodSets.rows`, the plain model first in
each block; ``table``, 15, 16 or 17.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.frontier import frontier_frame
from pseudodensity.report.scores import ScoreBook
from pseudodensity.report.statistics import Mean, difference
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title, repeats_introduction

__all__ = ["polarity_table"]

TITLES = {
    15: "Table 15 of diverse rare samples: polarity by its exponent",
    16: "Table 16 of diverse rare samples: polarity with replacement",
    17: "Table 17 of diverse rare samples: polarity that rejects what lies outside the real manifold",
}
# Score -> its heading and decimals; what is not scored is left out.
SCORES = {
    "rarity": ("rarity", 3),
    "outside": ("outside ↓", 3),
    "precision": ("precision ↑", 3),
    "recall": ("recall ↑", 3),
    "pair_distance": ("pair distance ↑", 3),
    "fid": ("FID ↓", 2),
    "distinct": ("distinct ↑", 3),
}
# What draws are told from.
TOLD = ("n", "repeats", "generator_calls", "acceptance", "ess")
ENDS = ("draws", "draws_low", "draws_high", "draws_error")
NOTES = (
    (
        "Intervals: 95 %, Student's, over the repeats, of one trained model. Every repeat of polarity has volumes of "
        "its own. A method that makes its images itself has fewer repeats."
    ),
    (
        "*rarity*: of the images inside the real manifold alone, in the judge's features; *outside*: the share of the "
        "others. *distinct*: the share that is left when an image drawn again counts once."
    ),
    (
        "*draws*: images drawn, or made by the generator, for one that is kept. Its interval is for the chance of the "
        "draws and of the volumes that they are drawn from, by the effective sample size; without replacement it is "
        "too wide. *volumes*: Jacobians for one image."
    ),
    (
        "*effective size*: of the weights of a repeat, before anything is rejected. Below the number of images, "
        "draws with replacement are copies of few, and draws without follow the weights weakly."
    ),
)


def polarity_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line for each point, a section for each model."""
    frame = frontier_frame(settings["rows"], ScoreBook(inputs["scores"]))
    told = frame[list(TOLD)].astype(float).assign(method=frame["method"])
    drawn = [_draws(line) for line in told.to_dict("records")]
    frame = pd.concat([frame, pd.DataFrame(drawn, columns=ENDS)], axis=1)
    frame["paper_draws"] = _printed(frame, inputs["reported"], settings["table"])
    frame["volumes_per_image"] = frame["volumes"] / frame["n"].astype(float)
    scored = [score for score in SCORES if score in frame and frame[score].notna().any()]
    firsts = {block: own.iloc[0] for block, own in frame.groupby("block", sort=False)}
    return Table(
        title=TITLES[settings["table"]],
        frame=frame,
        columns=[
            Column("setting", "method"),
            *(_with_interval(score, *SCORES[score]) for score in scored),
            _with_interval("draws", "draws", 2),
            Column("paper_draws", "draws, paper", 2, of_paper=True, optional=True),
            Column("volumes_per_image", "volumes", 1),
            Column("ess", "effective size", 0),
            Column("note", "note", optional=True, in_latex=False),
        ],
        section="block",
        section_titles={block: block_title(first) for block, first in firsts.items()},
        section_notes={block: repeats_introduction(first) for block, first in firsts.items()},
        notes=NOTES,
    )


def _printed(frame: pd.DataFrame, path: str, number: int) -> list[float]:
    """What the paper draws for an image at the exponents of polarity that rejects."""
    reported = pd.read_csv(path)
    own = reported[reported["target"].eq(f"table{number}")]
    draws = dict(zip(own["setting"].astype(float), own["value"], strict=True))
    rows = zip(frame["method"], frame["polarity"], strict=True)
    return [
        draws.get(polarity, np.nan) if method == "polarity_inside" else np.nan
        for method, polarity in rows
    ]


def _with_interval(name: str, head: str, decimals: int) -> Column:
    return Column(name, head, decimals, low=f"{name}_low", high=f"{name}_high")


def _draws(line: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Draws for an image that is kept, with interval and standard error where they were rejected.

    The share p that is kept has the relative variance (1 - p) / p (1 / D + 1 / E) over D draws from volumes of the
    effective size E: that of the draws, given the volumes, and that of the volumes' own share inside.
    """
    none = (np.nan,) * 3
    if line["method"] == "polarity":
        return 1.0, *none
    kept, share = line["n"] * line["repeats"], line["acceptance"]
    if line["method"] != "polarity_inside" or not kept > 0:
        return line["generator_calls"] / kept if kept > 0 else np.nan, *none
    effective = line["ess"] * line["repeats"]
    error = np.sqrt((1 - share) / share * (share / kept + 1 / effective))
    count = max(2, int(effective))
    found = difference(Mean(-np.log(share), error, count), Mean(0.0, 0.0, count))
    return 1 / share, np.exp(found.low), np.exp(found.high), error / share
