"""Tables 2 and 3 of the main paper: the best importance weights, and methods on tuned models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .artifacts import atomic_path
from .frontier_tables import frontier_table
from .sweeps import label
from .tables import write_csv

__all__ = ["best_point", "table2", "table3", "write_table2", "write_table3"]

GOALS = {"precision": "precision ↑", "recall": "recall ↑", "fid": "FID ↓"}
KEPT = {"precision": "recall", "recall": "precision"}
SCORES = ("precision", "recall", "fid")
MEASURED = tuple(f"{score}{end}" for score in SCORES for end in ("", "_low", "_high"))


# ------------------------------------------------------------------------------------ table 2


def best_point(points: pd.DataFrame, goal: str, keep: float) -> pd.Series:
    """The point of importance sampling that is best for a goal.

    precision: the highest among the points that keep at least the share ``keep`` of the plain
    model's recall; recall: the other way round; fid: the lowest. The plain model (w = 1) is among
    them, so that a goal may have no better setting. Of equal ones the first.

    Args:
        points: lines of `frontier_table` of one model.
    """
    points = points[points["method"].isin(("plain", "importance")) & points[goal].notna()]
    plain = points[points["method"].eq("plain")].iloc[0]
    if goal == "fid":
        return points.loc[points["fid"].idxmin()]
    other = KEPT[goal]
    return points.loc[points.loc[points[other] >= keep * plain[other], goal].idxmax()]


def table2(
    rows: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]], keep: float
) -> pd.DataFrame:
    """The best tau and w of each model and goal, found in its sweep, beside the paper's choice.

    Columns: names of the model; goal; tau_percent and w found (tau empty and w = 1: nothing beats
    the plain model); their scores with intervals; the same of the plain model and, if the sweep
    has it, of the paper's choice; gain over the plain model in units of the goal; whether its
    interval leaves out the plain model's value.

    Args:
        rows: `FrontierRuns.table2_rows`. scores: their scores files. keep: see `best_point`.
    """
    lines = []
    for row, found in zip(rows, scores, strict=True):
        points = frontier_table([row], [found])
        plain = points[points["method"].eq("plain")].iloc[0]
        for goal in GOALS:
            best, choice = best_point(points, goal, keep), row[goal]
            line = {key: row[key] for key in ("block", "model", "dataset", "stands_for")}
            line |= {"goal": goal, "tau_percent": best["tau_percent"], "w": _weight(best)}
            line |= {key: best[key] for key in MEASURED}
            line |= {f"plain_{score}": plain[score] for score in SCORES}
            line["gain"] = (plain[goal] - best[goal]) * (1 if goal == "fid" else -1)
            outside = not best[f"{goal}_low"] <= plain[goal] <= best[f"{goal}_high"]
            line["gain_beyond_interval"] = bool(outside and line["gain"] > 0)
            line |= {"choice_tau_percent": choice["tau"], "choice_w": choice["w"]}
            line |= {f"choice_{score}": _at(points, choice)[score] for score in SCORES}
            line["choice_is_of_paper"] = row["reported"]
            line |= {key: plain[key] for key in ("n", "repeats", "n_real", "k")}
            lines.append(line)
    return pd.DataFrame(lines)


def _weight(point: pd.Series) -> float:
    return 1.0 if point["method"] == "plain" else point["w"]


def _at(points: pd.DataFrame, choice: Mapping[str, float]) -> Mapping[str, float]:
    """The point at (tau, w), or NaN where the sweep has none."""
    same = points["tau_percent"].eq(choice["tau"]) & points["w"].eq(choice["w"])
    return points[same].iloc[0] if same.any() else dict.fromkeys(SCORES, np.nan)


def write_table2(table: pd.DataFrame, csv: Path, md: Path, tex: Path, keep: float) -> None:
    """Write Table 2 as CSV, Markdown and LaTeX (booktabs)."""
    write_csv(table, csv)
    head = ["model, data", "goal", "tau (%)", "w", "precision", "recall", "FID", "gain"]
    head += ["plain", "paper: tau (%)", "w", "ours at that choice"]
    lines = []
    for line in table.to_dict("records"):
        goal = line["goal"]
        beyond = "" if line["gain_beyond_interval"] else " (within the interval)"
        lines.append(
            [
                f"{line['model']}, {line['dataset']}",
                GOALS[goal],
                _plain_number(line["tau_percent"]),
                f"{line['w']:g}",
                *(_score(line, score) for score in SCORES),
                f"{line['gain']:.3f}{beyond}",
                _digits(line[f"plain_{goal}"], goal),
                _plain_number(line["choice_tau_percent"])
                + ("" if line["choice_is_of_paper"] else "*"),
                f"{line['choice_w']:g}",
                _digits(line[f"choice_{goal}"], goal),
            ]
        )
    rule = (
        f"Rule: for precision (recall) the setting with the highest precision (recall) of those that "
        f"keep at least {100 * keep:.0f} % of the plain model's recall (precision), which every choice "
        "of the paper does in its own Table 1; for FID the lowest. The paper calls its choice "
        "subjective, and made it for fine-tuning too. Without tau nothing is better than the plain "
        "model. The best of many settings looks better than it is: the winner is picked and measured "
        "on the same images. * not in the paper."
    )
    title = "The best settings of importance sampling in the sweep"
    _write_both(md, tex, 2, title, head, lines, f"{_counts(table)} {rule}")


# ------------------------------------------------------------------------------------ table 3


def table3(
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
    reported: pd.DataFrame,
) -> pd.DataFrame:
    """Fine-tuned models combined with methods at inference, beside the paper's numbers.

    Columns: names of the model; tuned_tau_percent and tuned_w (empty: pre-trained); what is done
    at inference; scores with intervals; paper_precision, paper_recall; n, repeats, note.

    Args:
        rows: `FrontierRuns.table3_rows`. scores: their scores files. reported: what the papers
        print.
    """
    lines = []
    for row, found in zip(rows, scores, strict=True):
        points = frontier_table([row], [found])
        point = points[points["setting"].eq(label(row["point"]))].iloc[0]
        line = {key: row[key] for key in ("block", "model", "dataset", "stands_for")}
        line |= {"tuned_tau_percent": row["tau"], "tuned_w": row["w"]}
        line |= {"at_inference": "" if point["method"] == "plain" else point["setting"]}
        line |= {key: point[key] for key in MEASURED}
        for metric in ("precision", "recall"):
            line[f"paper_{metric}"] = _reported(reported, row, metric)
        line |= {key: point[key] for key in ("acceptance", "n", "repeats", "n_real", "k", "note")}
        lines.append(line)
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


def write_table3(table: pd.DataFrame, csv: Path, md: Path, tex: Path) -> None:
    """Write Table 3 as CSV, Markdown and LaTeX (booktabs)."""
    write_csv(table, csv)
    head = ["", "at inference", "precision ↑", "paper", "recall ↑", "paper", "FID ↓"]
    lines = []
    for line in table.to_dict("records"):
        tuned = "pre-trained"
        if not pd.isna(line["tuned_w"]):
            tuned = f"fine-tuned, tau {line['tuned_tau_percent']:g} %, w {line['tuned_w']:g}"
        cells = [tuned, line["at_inference"] or "–"]
        for metric in ("precision", "recall"):
            cells += [_score(line, metric), _digits(line[f"paper_{metric}"], metric)]
        lines.append([*cells, _score(line, "fid")])
    first = table.iloc[0]
    aside = f" (for {first['stands_for']})" if isinstance(first["stands_for"], str) else ""
    title = f"Methods on fine-tuned models, {first['model']} on {first['dataset']}{aside}"
    note = (
        f"{_counts(table)} The paper's numbers are for its own data, models and judge: only the "
        "direction of a change is comparable."
    )
    _write_both(md, tex, 3, title, head, lines, note)


# ------------------------------------------------------------------------------------ writing


def _counts(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    reals = "/".join(f"{count:,}" for count in table["n_real"].unique())
    return (
        f"{first['n']:,} generated against {reals} real images, mean of {table['repeats'].max()} "
        f"repeats with its 95 % interval (truncation: of one repeat), k = {first['k']}."
    )


def _plain_number(value: float | None) -> str:
    return "–" if pd.isna(value) else f"{value:g}"


def _digits(value: float, score: str) -> str:
    return "–" if pd.isna(value) else f"{value:.{2 if score == 'fid' else 3}f}"


def _score(line: Mapping[str, Any], score: str) -> str:
    """A value with half the width of its interval."""
    text = _digits(line[score], score)
    half = (line[f"{score}_high"] - line[f"{score}_low"]) / 2
    return text if pd.isna(half) else f"{text} ± {_digits(half, score)}"


def _write_both(
    md: Path, tex: Path, number: int, title: str, head: list[str], lines: list[list[str]], note: str
) -> None:
    """Write a table of the paper's `number` as Markdown and as LaTeX, which numbers it itself."""
    rows = [" | ".join(cells) for cells in (head, ["-"] * len(head), *lines)]
    text = "\n".join(
        [f"# Table {number}: {title}", "", *(f"| {row} |" for row in rows), "", note, ""]
    )
    with atomic_path(md) as temporary:
        temporary.write_text(text, encoding="utf-8")
    body = [" & ".join(map(_latex, cells)) + r" \\" for cells in lines]
    text = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        rf"\caption{{{_latex(title)}. {_latex(note)}}}",
        # No wider than the page.
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{'l' * 2}{'r' * (len(head) - 2)}}}",
        r"\toprule",
        " & ".join(map(_latex, head)) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    with atomic_path(tex) as temporary:
        temporary.write_text("\n".join(text) + "\n", encoding="utf-8")


_SPECIALS = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"–": "--", "±": r"$\pm$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "=": "$=$", "*": "$*$"}
)


def _latex(text: str) -> str:
    return text.translate(_SPECIALS)
