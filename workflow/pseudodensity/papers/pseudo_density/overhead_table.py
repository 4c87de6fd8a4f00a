"""Costs of all methods beside the closed form and the paper's figures (main paper, A.3).

`overhead` wants
    inputs: ``costs``, a JSON file {sampling: [...], training: [...], device}, the lists that measuring
    the costs gives: per method a dict of method, tau, w, low (share of samples below tau), expected
    (acceptance of the closed form), before (seconds once per model), proposals, accepted and
    seconds (of each repeat, per 1,000 images; null: none was accepted); ``reported``,
    config/reported/pseudo_density.csv.
    settings: model, dataset, paper (what it is measured for), resolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.artifacts import load_json
from pseudodensity.report.statistics import t_interval
from pseudodensity.report.table import Column, Table

__all__ = ["overhead", "overhead_frame"]

TRAINING = ("training", "training with importance sampling")
# What the paper calls them.
PAPER = {
    "importance sampling": "sampling",
    "DRS, setting of the paper": "DRS",
    "DOT, setting of the paper": "DOT",
    **{name: name for name in ("plain", *TRAINING)},
}


def overhead_frame(
    sampling: Sequence[Mapping[str, Any]],
    training: Sequence[Mapping[str, Any]],
    reported: pd.DataFrame,
) -> pd.DataFrame:
    """One line per method.

    seconds_per_1000: mean over repeats of the seconds per 1,000 accepted images, or real images
    in training, with a 95 % t-interval; relative: over plain sampling, or plain training.
    relative_closed_form: what follows from the measured share below tau, p, alone: 1 / (p + (1 -
    p) w) or 1 / ((1 - p) + p / w) for sampling, and for training 1 + (g / t) / acceptance with
    the seconds g of plain sampling and t of plain training, since every fake proposed is
    generated once without a gradient. acceptance_closed_form of DRS: the mean of its own
    acceptance probabilities. seconds_before: spent once per model.

    Args:
        sampling, training: see the module; plain sampling, and plain training, come first.
        reported: config/reported/pseudo_density.csv.
    """
    generation = float(np.mean(sampling[0]["seconds"]))
    paper = {name: _paper(reported, PAPER.get(name), None, None) for name in ("plain", "training")}
    lines = []
    for costs, unit in ((sampling, "accepted"), (training, "training")):
        plain = float(np.mean(costs[0]["seconds"]))
        for cost in costs:
            line = _line(cost, plain, unit)
            expected = line["acceptance_closed_form"]
            if unit == "training" and not np.isnan(expected):
                line["relative_closed_form"] = 1 + generation / plain / expected
            name, tau, w = cost["method"], cost.get("tau"), cost.get("w")
            printed = _paper(reported, PAPER.get(name), tau, w)
            base = paper["training" if unit == "training" else "plain"]
            line |= {"paper_seconds_per_1000": printed, "paper_relative": printed / base}
            lines.append(line)
    return pd.DataFrame(lines)


def _line(cost: Mapping[str, Any], plain: float, unit: str) -> dict[str, Any]:
    seconds = [np.inf if value is None else value for value in cost["seconds"]]
    finite = np.isfinite(seconds).all()
    mean, low, high = t_interval(seconds) if finite else (np.inf, np.nan, np.nan)
    expected = _or_nan(cost.get("expected"))
    drawn = cost["method"].startswith(("importance", "training"))
    return {
        "method": cost["method"],
        "tau_percent": _or_nan(cost.get("tau")),
        "w": _or_nan(cost.get("w")),
        "per": f"1,000 {unit} images",
        "share_below_tau": _or_nan(cost.get("low")),
        "acceptance": cost["accepted"] / cost["proposals"],
        "acceptance_closed_form": expected,
        "seconds_per_1000": mean,
        "seconds_low": low,
        "seconds_high": high,
        "relative": mean / plain,
        "relative_closed_form": 1 / expected if drawn else np.nan,
        "seconds_before": cost["before"],
        "proposals": cost["proposals"],
        "repeats": len(seconds),
    }


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value


def _paper(
    reported: pd.DataFrame, setting: str | None, tau: float | None, w: float | None
) -> float:
    lines = reported[reported["target"].eq("a3") & reported["setting"].eq(setting)]
    if tau is not None:
        lines = lines[lines["tau_percent"].eq(tau) & lines["w"].eq(w)]
    return float(lines["value"].iloc[0]) if len(lines) else np.nan


# ---------------------------------------------------------------------------------- the table

NOTES = (
    (
        "*s / 1,000 images*: seconds per 1,000 accepted images, and in the lines of training per "
        "1,000 real images; mean of {repeats} repeats with its 95 % t-interval. On a CPU these are "
        "CPU seconds of one thread, on a GPU wall time."
    ),
    (
        "*relative*: over plain sampling, or plain training. Its *closed form* follows from the "
        "measured share p of samples below tau alone: 1 / (p + (1 - p) w) for w <= 1 and 1 / "
        "((1 - p) + p / w) above. It leaves out what evaluating the density costs, which weighs "
        "more the cheaper the generator is. In training every proposed fake is generated once "
        "more: 1 + (g / t) / acceptance, with the seconds g of plain sampling and t of plain "
        "training; there, as many fakes are proposed at once as should do, and those accepted "
        "beyond a batch are lost, which weighs more the smaller a batch is."
    ),
    "*acceptance* of DRS: its closed form is the mean of its own acceptance probabilities.",
    (
        "*s before*: once per model (calibration of DRS, Lipschitz constant of DOT). Volumes of "
        "polarity sampling are needed per proposal and stand in its seconds; it resamples a pool, "
        "so its acceptance is a choice."
    ),
    "*paper*: StyleGAN2 of 1024 px on a GPU; only ratios are comparable.",
)


def overhead(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Cost of each method, see the module for inputs and settings."""
    costs, reported = load_json(inputs["costs"]), pd.read_csv(inputs["reported"])
    frame = overhead_frame(costs["sampling"], costs["training"], reported)
    return _table(frame, settings, costs["device"])


def _table(frame: pd.DataFrame, settings: Mapping[str, Any], device: str) -> Table:
    spread = {"low": "seconds_low", "high": "seconds_high"}
    return Table(
        title="Extra cost of each method",
        frame=frame,
        columns=[
            Column("method", "method"),
            Column("tau_percent", "tau (%)", format="g"),
            Column("w", "w", format="g"),
            Column("acceptance", "acceptance", 3),
            Column("acceptance_closed_form", "its closed form", 3),
            Column("seconds_per_1000", "s / 1,000 images", format=".3g", **spread),
            Column("relative", "relative", 2),
            Column("relative_closed_form", "its closed form", 2),
            Column("paper_seconds_per_1000", "paper: s / 1,000", format="g", of_paper=True),
            Column("paper_relative", "paper: relative", 2, of_paper=True),
            Column("seconds_before", "s before", format=".2g"),
        ],
        introduction=(
            f"{settings['model']} on {settings['dataset']}, {settings['resolution']} px, in place "
            f"of the paper's {settings['paper']}; computed on: {device}."
        ),
        notes=[note.format(repeats=int(frame["repeats"].max())) for note in NOTES],
    )
