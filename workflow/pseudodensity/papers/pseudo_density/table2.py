"""Table 2 of the main paper: the best tau and w of importance sampling for each model and goal.

`table2` wants
    inputs: ``scores``, paths of scores files.
    settings: ``rows``, one dict per point (plain and importance sampling; others are ignored),
    with block, model, dataset, stands_for, seed, pool, point as for the frontier; ``choices``,
    block -> {precision: {tau, w}, recall: {tau, w}, fid: {tau, w}, of_paper: bool}, the paper's
    own; ``keep``, see `best_point`.

The best of many noisy values looks better than it is. So the choice is made on the first half of
the repeats of each point, and what is reported was measured on the other half. Repeats are disjoint
stretches of one pool, but a point that accepts fewer proposals goes further into the pool: halves
of different points overlap. That makes scores of different points alike, and a gain over the plain
model smaller, never larger than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.scores import ScoreBook, bounds_of
from pseudodensity.report.statistics import Mean, difference, t_interval
from pseudodensity.report.table import Column, Table

__all__ = ["best_point", "table2", "table2_frame"]

GOALS = {"precision": "precision ↑", "recall": "recall ↑", "fid": "FID ↓"}
KEPT = {"precision": "recall", "recall": "precision"}
SCORES = ("precision", "recall", "fid")


def best_point(plain: Mapping[str, float], points: pd.DataFrame, goal: str, keep: float) -> int:
    """Index of the point that is best for a goal; -1: nothing is better than the plain model.

    precision: the highest among the points that keep at least the share ``keep`` of the plain
    model's recall; recall: the other way round; fid: the lowest. Of equal ones the first, and the
    plain model before all.

    Args:
        plain: scores of the plain model. points: scores of the others, one line each; NaN: none.
    """
    sign = -1 if goal == "fid" else 1
    values = sign * points[goal]
    if goal != "fid":
        values = values.where(points[KEPT[goal]] >= keep * plain[KEPT[goal]])
    better = values[values > sign * plain[goal]]
    return -1 if better.empty else int(better.idxmax())


def table2_frame(
    rows: Sequence[Mapping[str, Any]],
    book: Any,
    choices: Mapping[str, Mapping[str, Any]],
    keep: float,
) -> pd.DataFrame:
    """One line per model and goal: the best setting found, beside the paper's choice.

    Columns: names of the model; goal; tau_percent and w found (tau empty and w = 1: nothing beats
    the plain model); scores with 95 % t-intervals, of the half of the repeats that did not choose;
    the same of the plain model and, if it was sampled, of the paper's choice; gain over the plain
    model with Welch's 95 % interval; whether that lies above 0 (empty: no interval, or the plain
    model itself).

    Args:
        rows, choices, keep: see the module.
        book: a ScoreBook; its `find(pool, point)` gives repeats, facts, label, n, n_real and k.

    Raises:
        ValueError: a block has no plain model.
    """
    lines = []
    for block in dict.fromkeys(row["block"] for row in rows):
        of_block = [row for row in rows if row["block"] == block]
        names = {key: of_block[0][key] for key in ("block", "model", "dataset", "stands_for")}
        found = {_setting(row["point"]): row for row in of_block if _setting(row["point"])}
        if (None, 1.0) not in found:
            raise ValueError(f"table 2 needs the plain model of {block} among its rows")
        halves = {
            setting: _halves(book.find(row["pool"], row["point"]).repeats)
            for setting, row in found.items()
        }
        plain_row = found[None, 1.0]
        counts = book.find(plain_row["pool"], plain_row["point"])
        for goal in GOALS:
            line = names | _goal_line(goal, halves, choices[block], keep)
            line |= {"n": counts.n, "repeats": len(counts.repeats)}
            lines.append(line | {"n_real": counts.n_real, "k": counts.k})
    return pd.DataFrame(lines).astype({"gain_beyond_interval": "boolean"})


def _setting(point: Mapping[str, Any]) -> tuple[float | None, float] | None:
    """(tau, w) of a point, w = 1 for the plain model; None: another method."""
    if point["method"] == "plain":
        return None, 1.0
    return (point["tau"], point["w"]) if point["method"] == "importance" else None


Half = Sequence[Mapping[str, float]]


def _halves(repeats: Half) -> tuple[Half, Half]:
    """The repeats that choose and those that report. One repeat alone must do both."""
    middle = len(repeats) // 2
    return (repeats[:middle], repeats[middle:]) if middle else (repeats, repeats)


def _goal_line(
    goal: str,
    halves: Mapping[tuple[float | None, float], tuple[Half, Half]],
    choice: Mapping[str, Any],
    keep: float,
) -> dict[str, Any]:
    settings = [setting for setting in halves if setting != (None, 1.0)]
    choosing = pd.DataFrame([_means(halves[s][0]) for s in settings], columns=list(SCORES))
    index = best_point(_means(halves[None, 1.0][0]), choosing, goal, keep)
    tau, w = best = (None, 1.0) if index < 0 else settings[index]
    line: dict[str, Any] = {"goal": goal, "tau_percent": tau, "w": w}
    reporting, plain = halves[best][1], halves[None, 1.0][1]
    for score in SCORES:
        line |= _with_interval(score, reporting)
    line |= {f"plain_{score}": value for score, value in _means(plain).items()}
    line["plain_at_goal"] = line[f"plain_{goal}"]
    line |= _gain(goal, reporting, plain, is_plain=index < 0)
    if index >= 0 and halves[best][0] is reporting:
        # What chose may not test: the winner's luck is in its value.
        line |= {"gain_low": np.nan, "gain_high": np.nan, "gain_beyond_interval": None}
    line |= {"choice_tau_percent": choice[goal]["tau"], "choice_w": choice[goal]["w"]}
    others = halves.get((choice[goal]["tau"], choice[goal]["w"]), ((), ()))[1]
    line |= {f"choice_{score}": value for score, value in _means(others).items()}
    line["choice_at_goal"] = line[f"choice_{goal}"]
    return line | {"choice_is_of_paper": choice["of_paper"]}


def _means(repeats: Half) -> dict[str, float]:
    """Mean of each score; NaN without repeats."""
    if not repeats:
        return dict.fromkeys(SCORES, np.nan)
    return {score: float(np.mean([repeat[score] for repeat in repeats])) for score in SCORES}


def _with_interval(score: str, repeats: Half) -> dict[str, float]:
    values = [repeat[score] for repeat in repeats]
    return dict(
        zip(
            (score, f"{score}_low", f"{score}_high"),
            t_interval(values, bounds_of(score)),
            strict=True,
        )
    )


def _gain(goal: str, best: Half, plain: Half, *, is_plain: bool) -> dict[str, Any]:
    """Gain in units of the goal, so that more is better also for FID."""
    if is_plain:
        return {"gain": 0.0, "gain_low": np.nan, "gain_high": np.nan, "gain_beyond_interval": None}
    sign = -1 if goal == "fid" else 1
    means = [Mean.of([sign * repeat[goal] for repeat in repeats]) for repeats in (best, plain)]
    gain = difference(*means)
    beyond = None if np.isnan(gain.low) else gain.low > 0
    found = {"gain": gain.effect, "gain_low": gain.low, "gain_high": gain.high}
    return found | {"gain_beyond_interval": beyond}


# ---------------------------------------------------------------------------------- the table

NOTES = (
    (
        "Rule: for precision (recall) the setting with the highest precision (recall) of those "
        "that keep at least {keep:.0f} % of the plain model's recall (precision), which every "
        "choice of the paper does in its own Table 1; for FID the lowest. The paper calls its "
        "choice subjective, and made it for fine-tuning too. Without tau nothing is better than "
        "the plain model."
    ),
    (
        "The setting is chosen on the first half of the repeats; its scores, their intervals and "
        "the gain are measured on the other half, because the best of many noisy values looks "
        "better than it is. *beyond*: the 95 % interval of the gain (Welch's) lies above 0. "
        "Without any gain that happens by chance in 2.5 % of the lines."
    ),
    (
        "*paper's choice*: tau and w of the paper's Table 2; the column behind it is ours at that "
        "choice. *no*: the block is not in the paper, and the choice is ours."
    ),
)


def table2(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Table 2, see the module for inputs and settings."""
    book, keep = ScoreBook(inputs["scores"]), settings["keep"]
    return _table(table2_frame(settings["rows"], book, settings["choices"], keep), keep)


def _table(frame: pd.DataFrame, keep: float) -> Table:
    first = frame.iloc[0]
    reals = "/".join(f"{count:,}" for count in frame["n_real"].unique())
    return Table(
        title="Table 2: the best settings of importance sampling in the sweep",
        frame=frame,
        columns=[
            Column("model", "model"),
            Column("dataset", "data"),
            Column("goal", "goal", words=GOALS),
            Column("tau_percent", "tau (%)", decimals=0),
            Column("w", "w", format="g"),
            *(_measured(score) for score in SCORES),
            Column("plain_at_goal", "plain", decimals=3),
            Column("gain", "gain", decimals=3, low="gain_low", high="gain_high"),
            Column("gain_beyond_interval", "beyond"),
            Column("choice_tau_percent", "paper's choice: tau (%)", 0, of_paper=True),
            Column("choice_w", "w", format="g", of_paper=True),
            Column("choice_is_of_paper", "in the paper", in_latex=False),
            Column("choice_at_goal", "ours there", decimals=3),
        ],
        introduction=(
            f"{first['n']:,} generated against {reals} real images per repeat, up to "
            f"{frame['repeats'].max()} repeats, 95 % intervals, k = {first['k']}."
        ),
        notes=[note.format(keep=100 * keep) for note in NOTES],
    )


def _measured(score: str) -> Column:
    decimals = 2 if score == "fid" else 3
    return Column(score, GOALS[score], decimals, low=f"{score}_low", high=f"{score}_high")
