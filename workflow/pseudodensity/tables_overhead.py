"""Costs of all methods beside the closed form and the paper's figures (main paper, A.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .artifacts import atomic_path
from .claims import t_interval
from .tables import write_csv

__all__ = ["overhead_table", "write_overhead"]

TRAINING = ("training", "training with importance sampling")
# What the paper calls them.
PAPER = {
    "importance sampling": "sampling",
    "DRS, setting of the paper": "DRS",
    **{name: name for name in ("plain", "DOT", *TRAINING)},
}


def overhead_table(
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
        sampling, training: of `overhead.sampling_costs` and `overhead.training_costs`.
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
    seconds = cost["seconds"]
    finite = np.isfinite(seconds).all()
    mean, low, high = t_interval(seconds) if finite else (np.inf, np.nan, np.nan)
    expected = cost.get("expected")
    expected = np.nan if expected is None else expected
    drawn = cost["method"].startswith(("importance", "training"))
    return {
        "method": cost["method"],
        "tau_percent": cost.get("tau", np.nan),
        "w": cost.get("w", np.nan),
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
        "repeats": len(cost["seconds"]),
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


def write_overhead(
    table: pd.DataFrame, csv: str | Path, md: str | Path, facts: Mapping[str, Any]
) -> None:
    """Write the table as CSV and as Markdown to read.

    facts: ``model``, ``dataset``, ``paper`` (what it is measured for), ``device``, and ``training``
    with the ``resolution``.
    """
    write_csv(table, csv)
    columns = ["method", "tau (%)", "w", "acceptance", "its closed form", "s / 1,000 images"]
    columns += ["relative", "its closed form", "paper: s / 1,000", "paper: relative", "s before"]
    lines = [_markdown_line(line) for line in table.to_dict("records")]
    model = f"{facts['model']} on {facts['dataset']}, {facts['training']['resolution']} px"
    text = [
        "# Extra cost of each method",
        "",
        f"{model}, in place of the paper's {facts['paper']}; computed on: {facts['device']}.",
        "",
        f"| {' | '.join(columns)} |",
        f"|-|{'-:|' * (len(columns) - 1)}",
        *lines,
        "",
        _NOTES.format(repeats=int(table["repeats"].max())),
    ]
    with atomic_path(md) as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")


_NOTES = """\
- *s / 1,000 images*: seconds per 1,000 accepted images, and in the lines of training per 1,000 real
  images; mean of {repeats} repeats with half the width of a 95 % t-interval. On a CPU these are CPU
  seconds of one thread, on a GPU wall time.
- *relative*: over plain sampling, or plain training. Its *closed form* follows from the measured
  share p of samples below tau alone: 1 / (p + (1 - p) w) for w <= 1 and 1 / ((1 - p) + p / w) above.
  It leaves out what evaluating the density costs, which weighs more the cheaper the generator is. In
  training every proposed fake is generated once more: 1 + (g / t) / acceptance, with the seconds g
  of plain sampling and t of plain training; there, as many fakes are proposed at once as should do,
  and those accepted beyond a batch are lost, which weighs more the smaller a batch is.
- *acceptance* of DRS: its closed form is the mean of its own acceptance probabilities.
- *s before*: once per model (calibration of DRS, Lipschitz constant of DOT). Volumes of polarity
  sampling are needed per proposal and stand in its seconds; it resamples a pool, so its acceptance
  is a choice.
- *paper*: StyleGAN2 of 1024 px on a GPU; only ratios are comparable.
"""


def _markdown_line(line: Mapping[str, Any]) -> str:
    half = (line["seconds_high"] - line["seconds_low"]) / 2
    spread = "" if pd.isna(half) else f" ± {half:.2g}"
    cells = [line["method"], _number(line["tau_percent"], "g"), _number(line["w"], "g")]
    cells += [_number(line["acceptance"], ".3f"), _number(line["acceptance_closed_form"], ".3f")]
    cells += [f"{line['seconds_per_1000']:.3g}{spread}"]
    cells += [_number(line["relative"], ".2f"), _number(line["relative_closed_form"], ".2f")]
    cells += [_number(line["paper_seconds_per_1000"], "g"), _number(line["paper_relative"], ".2f")]
    return f"| {' | '.join([*cells, _number(line['seconds_before'], '.2g')])} |"


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)
