"""Scores of every metric at every step of a check, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from pseudodensity.papers.metric_checks.check import Check
from pseudodensity.papers.metric_checks.criteria import Criterion
from pseudodensity.plan.methods import metric_module

__all__ = ["DOES_NOT_APPLY", "cells"]

DOES_NOT_APPLY = "does not apply"


def cells(check: Check, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One line per score: metric, score, check, setting, truth, steps, measured, criterion, verdict.

    settings: of the target; see `targets`. measured: mean over the seeds at each step, four digits.
    verdict: pass, fail, or "does not apply: " and why.
    """
    values = _measured(check, settings)
    for metric, declared in settings["metrics"].items():
        for score, direction in declared["scores"].items():
            line = {"metric": metric, "score": score, "check": check.name}
            line |= {"setting": check.setting, "truth": check.truth}
            line["steps"] = "; ".join(check.steps)
            found = values.get(score)
            line["measured"] = "" if found is None else " ".join(f"{v:.4g}" for v in found)
            yield line | _verdict(check, score, direction, found, settings)


def _verdict(
    check: Check,
    score: str,
    direction: int,
    values: np.ndarray | None,
    settings: Mapping[str, Any],
) -> dict[str, str]:
    """criterion and verdict of a cell."""
    purpose = settings["purposes"].get(score)
    if values is None:
        return _not_applicable("the check draws features, and the metric looks at images")
    if purpose is None:
        unnamed = "its purpose is not said under papers.metric_checks.purposes"
        return _not_applicable(settings["describes"].get(score, unnamed))
    criterion = check.criteria[purpose]
    if not isinstance(criterion, Criterion):
        return _not_applicable(criterion)
    better = 1 - values if purpose in ("fidelity", "diversity") else -values
    passes = criterion.holds(better if direction < 0 else values)
    return {"criterion": criterion.text, "verdict": "pass" if passes else "fail"}


def _not_applicable(why: str) -> dict[str, str]:
    return {"criterion": "", "verdict": f"{DOES_NOT_APPLY}: {why}"}


def _measured(check: Check, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Score -> mean over the seeds at each step `(steps,)`."""
    runs = [
        [_scores(*check.sets(step, seed), settings["metrics"]) for step in range(len(check.steps))]
        for seed in range(settings["seeds"] * check.repeats)
    ]
    names = runs[0][0]
    return {name: _mean([[step[name] for step in run] for run in runs]) for name in names}


def _mean(runs: Sequence[Sequence[float]]) -> np.ndarray:
    return np.mean(runs, axis=0)


def _scores(
    real: np.ndarray, fake: np.ndarray, metrics: Mapping[str, Mapping[str, Any]]
) -> dict[str, float]:
    """All scores of all metrics that look at no images; those of labels take all for one class."""
    found: dict[str, float] = {}
    for name, declared in metrics.items():
        if "images" not in declared["needs"]:
            # Here, because torch takes seconds and the table's module is read by all.
            module = import_module(f"pseudodensity.{metric_module(name)}")
            side = module.prepare({"features": real}, **declared["settings"])
            found |= module.score(side, {"features": fake})
    return found
