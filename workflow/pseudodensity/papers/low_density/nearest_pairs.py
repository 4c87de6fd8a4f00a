"""Figures 8, 18 and 19 in numbers: are guided images nearer to training images than held-out reals are?

``inputs``: ``measured``, an experiment of `measured.nearest`; ``reported``. ``settings``: ``names``, block, model,
dataset and stands_for; ``figure``, its number; ``space``, features | pixels; ``first`` and ``count``, of the pairs of
smallest distance those that the figure shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.low_density.shares import quantile_interval
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import Mean, log_ratio, t_interval
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["nearest_pairs", "set_arrays", "space_title"]

TAIL = 0.01
DISTANCE = "mean_nn_distance"
HOW = {
    "fresh": "fresh images of the law that the training images come from",
    "left out": (
        "training images, each compared with all others as if it had not been there: the law of a held-out "
        "image, where no image was kept apart"
    ),
}


def set_arrays(path: str, number: int, names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of one set of an experiment, without its number in their names."""
    found = load_arrays(path, [f"{name}_{number}" for name in names])
    return {name: found[f"{name}_{number}"] for name in names}


def space_title(space: str, facts: Mapping[str, Any]) -> str:
    """Where distances are taken."""
    return "pixels" if space == "pixels" else f"features of {facts['extractor']}"


def nearest_pairs(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each set of images; the last is of held-out reals."""
    path, space = inputs["measured"], settings["space"]
    facts = load_facts(path)
    names = [space, f"{space}_ratio", f"{space}_rows", f"{space}_pairs", "label"]
    sets = [set_arrays(path, number, names) for number in range(len(facts["sets"]))]
    training = load_arrays(path, ["training_label"])["training_label"]
    distances = [own[space][:, 0].astype(np.float64) for own in sets]
    lines = []
    for name, own, distance in zip(facts["sets"], sets, distances, strict=True):
        line = dict(settings["names"]) | {"set": name, "space": space, "n": len(distance)}
        line |= {"n_real": facts["n_real"]} | _mean(distance)
        line |= _against(distance, distances[-1]) if name != facts["sets"][-1] else {}
        line |= _ratios(own[f"{space}_ratio"])
        lines.append(line | _shown(own, space, distance, training, settings))
    frame = pd.DataFrame(lines)
    if space == "features":
        frame = frame.join(_paper(pd.read_csv(inputs["reported"]), frame))
    return Table(
        title=f"Figure {settings['figure']} of low-density diffusion: nearest training images",
        frame=frame,
        columns=_columns(space),
        introduction=(
            f"{block_title(frame.iloc[0])}: distance of an image to the nearest of {facts['n_real']:,} training "
            f"images in {space_title(space, facts)}."
        ),
        notes=_notes(facts, settings),
    )


def _mean(distances: np.ndarray) -> dict[str, float]:
    return dict(zip(("mean", "mean_low", "mean_high"), t_interval(distances), strict=True))


def _against(distances: np.ndarray, held_out: np.ndarray) -> dict[str, float]:
    """Mean distance over that of the held-out reals."""
    found = log_ratio(Mean.of(distances), Mean.of(held_out))
    ends = {"over_reals": found.effect, "over_reals_low": found.low, "over_reals_high": found.high}
    return {name: float(np.exp(value)) for name, value in ends.items()} | {"over_reals_p": found.p}


def _ratios(ratio: np.ndarray) -> dict[str, float]:
    low, high = quantile_interval(ratio, TAIL, least=0.0)
    found = {"median_ratio": float(np.median(ratio))}
    found["tail_ratio"] = float(np.quantile(ratio, TAIL, method="lower"))
    return found | {"tail_ratio_low": low, "tail_ratio_high": high}


def _shown(
    own: Mapping[str, np.ndarray],
    space: str,
    distances: np.ndarray,
    training: np.ndarray,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """The pairs that the figure shows: their ranks, distances, and how many are of one class."""
    first, rows = settings["first"], own[f"{space}_pairs"]
    rows = rows[first : first + settings["count"]]
    if not len(rows):
        return {"pairs": 0}
    alike = own["label"][rows] == training[own[f"{space}_rows"][rows, 0]]
    found = {"pairs": len(rows), "first_rank": first + 1, "last_rank": first + len(rows)}
    found |= {"least_shown": distances[rows[0]], "most_shown": distances[rows[-1]]}
    return found | {"alike": float(alike.mean())}


def _paper(reported: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """What section 5 prints: of its guided images and of real ones, the first and the last set here."""
    own = reported[reported["metric"].eq(DISTANCE)].set_index("setting")["value"]
    paper = pd.DataFrame({"paper_mean": np.nan, "paper_over_reals": np.nan}, index=frame.index)
    ends = [frame.index[0], frame.index[-1]]
    paper.loc[ends, "paper_mean"] = own[["low-density", "real"]].to_numpy()
    paper.loc[ends[0], "paper_over_reals"] = own["low-density"] / own["real"]
    return paper


def _columns(space: str) -> list[Column]:
    paper = {"of_paper": True, "decimals": 2}
    measured = [Column("mean", "mean distance", 3, low="mean_low", high="mean_high")]
    against = Column(
        "over_reals", "over held-out reals", 3, low="over_reals_low", high="over_reals_high"
    )
    if space == "features":
        measured += [Column("paper_mean", "paper", **paper), against]
        measured += [Column("paper_over_reals", "paper", **paper)]
    else:
        measured += [against]
    return [
        Column("set", "images"),
        *measured,
        Column("median_ratio", "median ratio", 3),
        Column("tail_ratio", "1 % tail", 3, low="tail_ratio_low", high="tail_ratio_high"),
        Column("least_shown", "pairs shown: from", 3, in_latex=False),
        Column("most_shown", "to", 3, in_latex=False),
        Column("alike", "of one class", 2, in_latex=False),
    ]


def _notes(facts: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    last = settings["first"] + settings["count"]
    notes = [
        (
            f"*held-out real images*: {HOW[facts['held_out']]}. Above 1 in *over held-out reals*, images lie "
            "farther from the training images than new real ones do. A model that copies has less than 1."
        ),
        (
            "*ratio*: distance to the nearest training image over that from this one to its nearest other; "
            "*1 % tail*: the ratio that 1 % of the images do not exceed, near 0 where there are copies, to be "
            "compared with that of held-out reals."
        ),
        (
            f"*pairs shown*: of each set the pairs from {settings['first'] + 1} to {last} in the order of their "
            "distances, one for each image: the rule of the figure. *Of one class*: the share of them."
        ),
        (
            "Intervals: 95 % over images of one trained model (of means Student's, of their ratio by the delta "
            "method, of the tail by order statistics). Images of one latent go together in the sets that are "
            "generated; all sets are compared with one set of reals."
        ),
    ]
    if settings["space"] == "features":
        notes.append(
            "*paper*: section 5 of the paper, for its images and real ones of its validation set, in the features "
            "of another network: only the quotient can be compared."
        )
    return notes
