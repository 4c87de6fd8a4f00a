"""The table of metric checks: no model, no image and no training is needed for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import metric_module, metric_settings, metrics
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

RECORDED = "config/reported/metric_checks.csv"


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """One table: every score of every metric against every check.

    ConfigError: settings of a metric that there is not, or that it does not know; a purpose of a score
    that no metric has.
    """
    yield Target(
        "metric_checks",
        "table",
        "papers.metric_checks.table:metric_checks",
        inputs={"recorded": RECORDED},
        settings={
            "metrics": _metrics(grid),
            "purposes": dict(grid["purposes"]),
            "describes": dict(grid["describes"]),
            "images": grid["images"],
            "seeds": grid["seeds"],
        },
        caption="Which metric can be trusted where: every score against laws whose answer is known.",
        category="Metrics",
        imports=tuple(metric_module(name) for name in metrics()),
    )


def _metrics(grid: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What each metric looks at, its scores with their directions, and what its `prepare` takes."""
    found = {
        name: {
            "needs": list(declared(module, "NEEDS")),
            "scores": declared(module, "SCORES"),
            "settings": {},
        }
        for name, module in metrics().items()
    }
    for name, settings in grid["settings"].items():
        # Whose features does not matter: the checks draw their own.
        named = (
            {"extractor": "none"} if "features" in declared(metric_module(name), "NEEDS") else {}
        )
        found[name]["settings"] = metric_settings(name, {**settings, **named})
    known = {score for metric in found.values() for score in metric["scores"]}
    for key in ("purposes", "describes"):
        for score in grid[key]:
            if score not in known:
                raise ConfigError(
                    f"config: papers.metric_checks.{key}.{score} is no score of a metric; known: "
                    f"{', '.join(sorted(known))}"
                )
    return found
