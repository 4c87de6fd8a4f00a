"""Tables of a run as the page shows them: its Markdown, with lines that can be filtered, and its numbers
beside those of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pseudodensity.artifacts import ArtifactError, one_line
from pseudodensity.page.claims import are_claims
from pseudodensity.page.markup import read_page
from pseudodensity.report.text import Cell

__all__ = [
    "BESIDE",
    "PARITY_COLUMNS",
    "Line",
    "Part",
    "Shown",
    "beside_paper",
    "parity_lines",
    "read_csv",
    "read_table",
    "verdict_matrix",
]

LARGEST = 50_000_000  # bytes of a CSV that is read whole
PAPER = "paper_"
# What names a line of a table beside its numbers, in this order, where it has them.
NAMED_BY = ("model", "dataset", "group", "setting", "at_inference", "method", "tau_percent", "w")
BESIDE = ["target", "line", "score", "ours", "spread", "low", "high", "paper", "difference"]
PARITY_COLUMNS = [
    "program",
    "pair",
    "number",
    "ours",
    "theirs",
    "difference",
    "tolerance",
    "agrees",
    "why",
]
CHECKS = ["metric", "score", "check", "setting", "truth", "measured", "criterion", "verdict"]


@dataclass(frozen=True)
class Line:
    """One line of a table. method: title of the method that it speaks of, "" for none."""

    cells: Sequence[Cell]
    method: str = ""


@dataclass(frozen=True)
class Part:
    """Lines under one heading. model: title of the model that they speak of, "" for none or several."""

    title: str
    note: str
    heads: Sequence[str]
    left: Sequence[bool]
    lines: Sequence[Line]
    model: str = ""


@dataclass(frozen=True)
class Shown:
    """A table: title, introduction and notes may hold Markdown."""

    title: str
    introduction: str
    parts: Sequence[Part]
    notes: Sequence[str]


def read_csv(path: str | Path, **options: Any) -> pd.DataFrame:
    """A table that a run wrote. ArtifactError: too large, or no table."""
    if Path(path).stat().st_size > LARGEST:
        raise ArtifactError(f"{path} is larger than {LARGEST:,} bytes: it is no table of a target")
    try:
        return pd.read_csv(path, **options)
    except (ValueError, pd.errors.ParserError) as error:
        message = f"{path} is damaged ({one_line(error)}): delete it and run again"
        raise ArtifactError(message) from None


def read_table(path: str | Path, models: Sequence[str], methods: Mapping[str, str]) -> Shown:
    """A table from its Markdown.

    models: titles; a part whose heading is such a title "on" something speaks of that model.
    methods: what a cell says of a point -> title of its method.

    ArtifactError: it is not what `report.table` writes.
    """
    try:
        page = read_page(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path}: {one_line(error)}") from None
    parts = [_part(section, models, methods) for section in page.sections]
    return Shown(page.title, page.introduction, parts, page.notes)


def _part(section: Any, models: Sequence[str], methods: Mapping[str, str]) -> Part:
    lines = [
        Line(cells, next((methods[c.text] for c in cells if c.text in methods), ""))
        for cells in section.lines
    ]
    model = next((name for name in models if section.title.startswith(f"{name} on ")), "")
    return Part(section.title, section.note, section.heads, section.left, lines, model)


# ---------------------------------------------------------------------------------- the paper


def beside_paper(target: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Every number of a table for which the paper prints one: ours, its spread or interval, the paper's,
    and ours minus the paper's.

    A column ``paper_<score>`` stands beside ``<score>``. Claims are left out: their effects are measured
    against other rows than the paper's.

    Returns:
        target, line (what names it), score, ours, spread, low, high, paper, difference; no line for none.
    """
    scores = [name.removeprefix(PAPER) for name in frame if name.startswith(PAPER)]
    scores = [score for score in scores if score in frame and not are_claims(frame)]
    found = [
        {
            "target": target,
            "line": _name(line),
            "score": score,
            "ours": line[score],
            "spread": line.get(f"{score}_spread"),
            "low": line.get(f"{score}_low"),
            "high": line.get(f"{score}_high"),
            "paper": line[f"{PAPER}{score}"],
            "difference": line[score] - line[f"{PAPER}{score}"],
        }
        for line in frame.to_dict("records")
        for score in scores
        if not pd.isna(line[f"{PAPER}{score}"]) and not pd.isna(line[score])
    ]
    return pd.DataFrame(found, columns=BESIDE)


def _name(line: Mapping[str, Any]) -> str:
    found = {key: line[key] for key in NAMED_BY if key in line and not pd.isna(line[key])}
    words = [str(value) for key, value in found.items() if key not in ("tau_percent", "w")]
    words += [
        f"{key.removesuffix('_percent')} {found[key]:g}" for key in ("tau_percent",) if key in found
    ]
    if "w" in found and not any("w = " in word for word in words):
        words.append(f"w {found['w']:g}")
    return ", ".join(dict.fromkeys(words))


# ---------------------------------------------------------------------------------- metrics


def verdict_matrix(frame: pd.DataFrame) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Which score passes which check, from results/metric_checks.csv.

    Returns:
        the checks, and for each score its verdict in each of them: the one that all settings share,
        "2 of 3 pass" where they differ, "" where there is none.

    ArtifactError: columns are missing.
    """
    _check_columns(frame, CHECKS, "metric_checks.csv")
    checks = list(frame["check"].unique())
    lines = []
    for (metric, score), of_score in frame.groupby(["metric", "score"], sort=False):
        by_check = {check: list(of["verdict"]) for check, of in of_score.groupby("check")}
        name = str(score) if score == metric else f"{score} ({metric})"
        lines.append((name, [_joint(by_check.get(check, [])) for check in checks]))
    return checks, lines


def _joint(verdicts: Sequence[Any]) -> str:
    words = [str(verdict) for verdict in verdicts if not pd.isna(verdict)]
    if len(set(words)) <= 1:
        return words[0] if words else ""
    return f"{sum(word.startswith('pass') for word in words)} of {len(words)} pass"


def parity_lines(frame: pd.DataFrame) -> tuple[list[tuple[str, str]], list[dict[str, Any]]]:
    """Our numbers beside those of other programs, from results/parity.csv.

    Returns:
        each program with what it came to, in words; and a line for each number that it has, without those
        of a program that is not installed.

    ArtifactError: columns are missing.
    """
    _check_columns(frame, PARITY_COLUMNS, "parity.csv")
    known = (
        frame[PARITY_COLUMNS].astype({"why": object}).fillna({"why": "", "pair": "", "number": ""})
    )
    programs = [(str(name), _agreement(of)) for name, of in known.groupby("program", sort=False)]
    return programs, known[known["agrees"].ne("skipped")].to_dict("records")


def _agreement(lines: pd.DataFrame) -> str:
    counts = {answer: lines[lines["agrees"].eq(answer)] for answer in ("yes", "no", "no answer")}
    if not any(map(len, counts.values())):
        return "; ".join(lines["why"].astype(str).unique())
    said = [f"{len(counts['yes'])} of {len(lines)} agree"]
    explained = int(counts["no"]["why"].ne("").sum())
    if explained:
        said.append(f"{explained} differ, and why is known")
    if len(counts["no"]) > explained:
        said.append(f"{len(counts['no']) - explained} differ, and nothing says why")
    if len(counts["no answer"]):
        said.append(f"{len(counts['no answer'])} without an answer")
    return "; ".join(said)


def _check_columns(frame: pd.DataFrame, names: Sequence[str], file: str) -> None:
    missing = [name for name in names if name not in frame]
    if missing:
        raise ArtifactError(f"{file} lacks {', '.join(missing)}: delete it and run again")
