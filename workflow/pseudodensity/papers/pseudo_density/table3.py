"""Table 3 of the main paper: fine-tuned models combined with methods at inference.

`table3` wants
    inputs: ``scores``, paths of scores files; ``reported``, config/reported/pseudo_density.csv.
    settings: ``rows``, one dict per line in order: block, model, dataset, stands_for (or None),
    setting (pretrained, precision, recall), tau, w (of the fine-tuning; None: pre-trained), seed,
    reported ({dataset, model} as the paper names them, or None), pool, point, and ``group``, the
    fine-tuning that the line is about (precision or recall; None: the plain model).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.frontier import ENDS, point_line
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["table3", "table3_frame"]

SCORES = ("precision", "recall", "fid")
MEASURED = tuple(f"{score}{end}" for score in SCORES for end in ENDS)


def table3_frame(
    rows: Sequence[Mapping[str, Any]], book: Any, reported: pd.DataFrame
) -> pd.DataFrame:
    """One line per combination, beside the paper's numbers.

    Columns: names of the model; group; tuned, in words; tuned_tau_percent and tuned_w (empty:
    pre-trained); method
    and at_inference, what is done there (empty: nothing); scores with intervals; paper_precision,
    paper_recall; acceptance, n, repeats, n_real, k, seed, note.

    Args:
        rows: see the module.
        book: a ScoreBook; its `find(pool, point)` gives repeats, facts, label, n, n_real and k.
        reported: what the papers print.
    """
    lines = []
    for row in rows:
        point = row["point"]
        found = point_line(point, book.find(row["pool"], point), {})
        line = {key: row[key] for key in ("block", "model", "dataset", "stands_for", "group")}
        line |= {"tuned": _model(row["tau"], row["w"]), "tuned_tau_percent": row["tau"]}
        line |= {"tuned_w": row["w"], "method": point["method"]}
        line["at_inference"] = "" if point["method"] == "plain" else found["setting"]
        line |= {key: found.get(key, np.nan) for key in MEASURED}
        for metric in ("precision", "recall"):
            line[f"paper_{metric}"] = _reported(reported, row, metric)
        line |= {key: found[key] for key in ("acceptance", "n", "repeats", "n_real", "k", "note")}
        lines.append(line | {"seed": row["seed"]})
    return pd.DataFrame(lines)


def _reported(reported: pd.DataFrame, row: Mapping[str, Any], metric: str) -> float:
    """The number of the paper's Table 3 for the same model and the same settings, or NaN."""
    place = row["reported"]
    if place is None:
        return np.nan
    lines = reported[reported["target"].eq("table3") & reported["metric"].eq(metric)]
    lines = lines[lines["dataset"].eq(place["dataset"]) & lines["model"].eq(place["model"])]
    name, tau, w = _reported_name(row)
    lines = lines[lines["setting"].eq(name)]
    if tau is not None:
        lines = lines[lines["tau_percent"].eq(tau) & lines["w"].eq(w)]
    return float(lines["value"].iloc[0]) if len(lines) else np.nan


def _reported_name(row: Mapping[str, Any]) -> tuple[str, float | None, float | None]:
    """Setting, tau and w as the file of the reported numbers writes them."""
    point, tau, w = row["point"], row["tau"], row["w"]
    tuned = f"finetune({tau:g};{float(w)}) + " if w is not None else ""
    if point["method"] == "plain":
        return ("finetune", tau, w) if tuned else ("pretrained", None, None)
    if point["method"] == "truncation":
        return f"{tuned}truncation psi={point['psi']:g}", None, None
    if tuned:
        return f"{tuned}sampling({point['tau']:g};{point['w']:g})", None, None
    return "sampling", point["tau"], point["w"]


def table3(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Table 3, see the module for inputs and settings."""
    from pseudodensity.report.scores import ScoreBook

    book, reported = ScoreBook(inputs["scores"]), pd.read_csv(inputs["reported"])
    return _table(table3_frame(settings["rows"], book, reported))


def _table(frame: pd.DataFrame) -> Table:
    first = frame.iloc[0]
    columns = [Column("tuned", ""), Column("at_inference", "at inference")]
    for score, head in {"precision": "precision ↑", "recall": "recall ↑"}.items():
        columns.append(Column(score, head, 3, low=f"{score}_low", high=f"{score}_high"))
        columns.append(Column(f"paper_{score}", "paper", 3, of_paper=True))
    reals = "/".join(f"{count:,}" for count in frame["n_real"].unique())
    return Table(
        title=f"Table 3: methods on fine-tuned models, {block_title(first)}",
        frame=frame,
        columns=[*columns, Column("fid", "FID ↓", 2, low="fid_low", high="fid_high")],
        introduction=(
            f"{first['n']:,} generated against {reals} real images per repeat, mean of up to "
            f"{frame['repeats'].max()} repeats with its 95 % interval (none for a single repeat), "
            f"k = {first['k']}."
        ),
        notes=[
            (
                "The paper's numbers are for its own data, models and judge: only the direction of a "
                "change is comparable."
            )
        ],
    )


def _model(tau: float | None, w: float | None) -> str:
    return "pre-trained" if w is None else f"fine-tuned, tau {tau:g} %, w {w:g}"
