"""The table of metric checks, and a matrix of it to read first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pseudodensity.papers.metric_checks import checks_laws, checks_samples
from pseudodensity.papers.metric_checks.check import Check
from pseudodensity.papers.metric_checks.measure import DOES_NOT_APPLY, cells
from pseudodensity.progress import Progress
from pseudodensity.report.table import Column, Table

__all__ = ["all_checks", "as_recorded", "metric_checks"]

KEYS = ["score", "check", "setting"]
# Numbers of another machine differ by rounding, and a count of samples by one or two.
RELATIVE, ABSOLUTE = 0.02, 0.005

NOTES = (
    (
        "A share (fidelity, diversity) is held to 1 ± .05 and 0 ± .05; a score without bounds only to an "
        "order, and to differences of at most .05 of its largest value where it must not move."
    ),
    (
        "A verdict is about the criterion alone. Coverage of two samples of one law is below 1 by "
        "construction: read it beside `expected_coverage`."
    ),
    (
        "Precision and density measure the error of a fake relative to the local spacing of the reals: "
        "they pass *reweighting a perfect generator* and fail *inexact generator*. Read them beside "
        "`median_nearest`."
    ),
    (
        "Clipped density and the share `realistic` prefer fakes in dense regions: they fail *reweighting a "
        "perfect generator*, and are no headline."
    ),
    (
        "*as recorded*: whether verdict and values are those of `config/reported/metric_checks.csv`, which "
        "holds for the default settings."
    ),
)


def all_checks(images: int) -> list[Check]:
    """Every check, of so many reals."""
    return [*checks_laws.checks(images), *checks_samples.checks(images)]


def metric_checks(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """The table.

    inputs: ``recorded``, config/reported/metric_checks.csv: score, check, setting, measured, verdict.
    settings: ``metrics``, name -> needs, scores, settings; ``purposes``, score -> one of PURPOSES;
    ``describes``, score -> why it has none; ``images``, ``seeds``.
    """
    checks = all_checks(settings["images"])
    progress, lines = Progress("metric checks", len(checks), "checks"), []
    for done, check in enumerate(checks):
        progress.update(done)
        lines += cells(check, settings)
    progress.update(len(checks))
    frame = pd.DataFrame(lines)
    recorded = pd.read_csv(inputs["recorded"], keep_default_na=False, dtype=str)
    frame["as_recorded"] = as_recorded(frame, recorded)
    return Table(
        title="Which metric can be trusted where",
        introduction=(
            f"Every score against {len(checks)} settings of known answer, {settings['images']} reals "
            f"and as many fakes, mean of {settings['seeds']} seeds."
        ),
        frame=frame,
        columns=[
            Column("setting", "setting"),
            Column("score", "score"),
            Column("measured", "measured, step by step"),
            Column("criterion", "criterion", in_latex=False),
            Column("verdict", "verdict"),
            Column("as_recorded", "as recorded", in_latex=False),
        ],
        section="check",
        section_notes=_told(checks),
        notes=NOTES,
        summary=_matrix(frame),
    )


def as_recorded(frame: pd.DataFrame, recorded: pd.DataFrame) -> list[str]:
    """For each line "yes", "not recorded", or "no: " and what is recorded."""
    known = {tuple(line[key] for key in KEYS): line for line in recorded.to_dict("records")}
    return [
        _compared(line, known.get(tuple(line[key] for key in KEYS)))
        for line in frame.to_dict("records")
    ]


def _compared(line: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    if known is None:
        return "not recorded"
    if line["verdict"].split(":")[0] != known["verdict"] or not _alike(line, known):
        return f"no: {known['verdict']} at {known['measured'] or 'nothing'}"
    return "yes"


def _alike(line: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    now, then = ([float(v) for v in one["measured"].split()] for one in (line, known))
    return len(now) == len(then) and all(
        abs(a - b) <= ABSOLUTE + RELATIVE * abs(b) for a, b in zip(now, then, strict=True)
    )


def _told(checks: Sequence[Check]) -> dict[str, str]:
    """Name of a check -> what is true, and the steps of each of its settings."""
    told: dict[str, str] = {}
    for check in checks:
        begun = told.get(check.name, f"Truth: {check.truth}.")
        told[check.name] = f"{begun} Steps ({check.setting}): {'; '.join(check.steps)}."
    return told


def _matrix(frame: pd.DataFrame) -> Table:
    """Scores by checks: how many settings of a check a score passes, of those that apply."""
    applies = frame[~frame["verdict"].str.startswith(DOES_NOT_APPLY)]
    counted = applies.assign(passed=applies["verdict"].eq("pass"))
    grouped = counted.groupby(["score", "check"], sort=False)["passed"].agg(["sum", "size"])
    shown = grouped["sum"].astype(str) + "/" + grouped["size"].astype(str)
    wide = shown.unstack("score").reindex(frame["check"].unique())
    wide = wide.reindex(columns=frame["score"].unique()).dropna(axis=1, how="all")
    return Table(
        title="Passed, of the settings of a check that apply",
        frame=wide.reset_index(),
        columns=[Column("check", "check"), *(Column(n, n.replace("_", " ")) for n in wide)],
    )
