"""Claims that are about sets of images by the sampler that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.control.guide.low_density_sampling import NO_PUSH
from pseudodensity.report.claims import Contrast, Line, block_line, estimate_of, mean_of, untested
from pseudodensity.report.statistics import difference, logarithm

__all__ = [
    "cost_lines",
    "fidelity_lines",
    "hardness_lines",
    "loss_lines",
    "smoothing_lines",
    "step_lines",
    "trained_lines",
]

ONE_MODEL = "interval over sampling repeats of one trained model"
TRAINED = "interval over trainings of the model and of the networks of guidance"
NONE_MEASURED = {
    "beta": "the real/synthetic classifier gives no push in any training",
    "matched": "the random direction does not reach that hardness in any training",
}
CONTROL = "random"
# What an image costs, in columns of `table1`.
COSTS = {"calls": "network calls", "hours": "hours"}


def hardness_lines(table: pd.DataFrame) -> list[Line]:
    """002-1: median hardness at the greatest alpha of each loss minus that of the plain sampler. table: of
    `fig4`."""
    plain, lines = _plain(table), []
    alone = table[table["loss"].notna() & table["beta"].eq(0)]
    for loss, own in alone.groupby("loss", sort=False):
        at = own.loc[own["alpha"].idxmax()]
        words = f"median hardness, alpha {at['alpha']:g} ({loss.replace('_', ' ')}) minus plain"
        contrast = Contrast("002-1", words, 1)
        lines.append(_minus(contrast, at, plain, "median_hardness"))
    return lines


def fidelity_lines(table: pd.DataFrame) -> list[Line]:
    """002-2: precision at each beta minus that at beta 0 with the same loss and alpha; then that of each loss against
    the random direction at the same hardness. table: of `fig4`."""
    lines, guided = [], table[table["loss"].notna()]
    for _, at in guided[guided["beta"].gt(0)].iterrows():
        words = f"precision at beta {at['beta']:g} minus that at 0, alpha {at['alpha']:g}"
        if NO_PUSH in str(at.get("note")):
            lines.append(untested("002-2", words, str(at["note"])))
            continue
        same = guided["loss"].eq(at["loss"]) & guided["alpha"].eq(at["alpha"])
        foot = guided[same & guided["beta"].eq(0)]
        if len(foot):
            lines.append(_minus(Contrast("002-2", words, 1), at, foot.iloc[0], "precision"))
    for _, at in guided[guided["beta"].eq(0) & guided["matched"].notna()].iterrows():
        loss = at["loss"].replace("_", " ")
        words = (
            f"precision against a random push at the same hardness, {loss}, alpha {at['alpha']:g}"
        )
        contrast = Contrast("002-2", words, 1)
        lines.append(_beside(contrast, at, "matched"))
    return lines


def trained_lines(claim: str, *effects: str) -> Callable[[pd.DataFrame], list[Line]]:
    """002-1, 002-2: precision and hardness over trainings. The table is of `trainings`.

    effects: of its column ``effect``.
    """

    def measure(table: pd.DataFrame) -> list[Line]:
        lines = []
        shown = table["effect"].isin(effects) & table["score"].ne("recall")
        for _, line in table[shown].iterrows():
            if not line["trainings"]:
                lines.append(untested(claim, line["measured"], NONE_MEASURED[line["effect"]]))
                continue
            seeds, contrast = int(line["trainings"]), Contrast(claim, line["measured"], 1)
            estimate = estimate_of(line, "mean")
            lines.append(block_line(contrast, estimate, line, seeds=seeds, note=TRAINED))
        return lines

    return measure


def cost_lines(table: pd.DataFrame) -> list[Line]:
    """002-5: how many times cheaper a hit of the two highest ranges is, in network calls and in time. table: of
    `table1`."""
    lines, highest = [], sorted(table["range"].unique())[-2:]
    cheapest = table[table["best"].fillna(False).astype(bool) & table["range"].isin(highest)]
    note = (
        "the cheapest alpha in calls, chosen on the same images; interval over images of one model"
    )
    for _, at in cheapest.iterrows():
        paper = float(np.log(at["paper_cheaper"])) if at["paper_cheaper"] > 0 else np.nan
        for quantity, title in COSTS.items():
            logs = logarithm(estimate_of(at, f"cheaper_{quantity}"))
            words = f"{title} of rejection over those of guidance, range {at['range']}, alpha {at['alpha']:g}"
            contrast = Contrast("002-5", words, 1, "log-ratio")
            lines.append(block_line(contrast, logs, at, seeds=1, note=note, paper_effect=paper))
    return lines


def loss_lines(table: pd.DataFrame) -> list[Line]:
    """002-10: precision of each loss minus that of the paper's at the same hardness. table: of `fig14`."""
    lines = []
    known = table[table["against_reference"].notna() & table["loss"].ne(CONTROL)]
    for _, at in known.iterrows():
        loss = at["loss"].replace("_", " ")
        words = f"precision of {loss}, alpha {at['alpha']:g}, against contrastive"
        lines.append(_beside(Contrast("002-10", words, 0), at, "against_reference"))
    return lines


def smoothing_lines(table: pd.DataFrame) -> list[Line]:
    """002-11: precision with smoothing minus that of the plain sampler. table: of `fig15`."""
    plain, lines = table[table["smoothing"].eq(0)].iloc[0], []
    for _, at in table[table["smoothing"].gt(0)].iterrows():
        words = f"precision at smoothing {at['smoothing']:g} minus plain"
        lines.append(_minus(Contrast("002-11", words, -1), at, plain, "precision"))
    return lines


def step_lines(table: pd.DataFrame) -> list[Line]:
    """002-12: what guidance does with the fewest steps, against plain and against the most. table: of `fig16`."""
    guided = table[table["role"].eq("guided")]
    if not len(guided):
        return []
    at = guided.loc[guided["steps"].idxmin()]
    words = f"{at['steps']:.0f} DDIM steps"
    hardness = Contrast("002-12", f"median hardness minus plain, {words}", 1)
    precision = Contrast("002-12", f"precision minus plain, than at the most steps, {words}", 0)
    return [
        _beside(hardness, at, "median_hardness_change"),
        _beside(precision, at, "precision_beside_most"),
    ]


def _plain(table: pd.DataFrame) -> pd.Series:
    return table[table["method"].eq("low_density") & table["loss"].isna()].iloc[0]


def _minus(contrast: Contrast, at: Mapping[str, Any], other: Mapping[str, Any], score: str) -> Line:
    """A score of two sets of repeats."""
    found = difference(mean_of(at, score), mean_of(other, score))
    return block_line(contrast, found, at, seeds=1, note=ONE_MODEL)


def _beside(contrast: Contrast, at: Mapping[str, Any], name: str) -> Line:
    """An effect that the table has."""
    return block_line(contrast, estimate_of(at, name), at, seeds=1, note=ONE_MODEL)
