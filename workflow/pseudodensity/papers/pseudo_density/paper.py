"""What the targets of the main paper share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.pseudo_density.blocks import Blocks
from pseudodensity.papers.pseudo_density.frontiers import Frontiers
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["FRONTIER", "HERE", "Paper"]

HERE = "papers.pseudo_density"
FRONTIER = "report.frontier:frontier"


class Paper:
    """Blocks and frontiers of a plan. made: names of the tables so far, since claims read some."""

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        self.blocks = Blocks(plan, grid)
        self.frontiers = Frontiers(plan, grid, self.blocks)
        self.made: set[str] = set()

    def judges(self) -> dict[str, str]:
        """Metric -> extractor whose features it looks at."""
        return extractors_of(self.plan.config["metrics"])

    def table(
        self,
        name: str,
        function: str,
        inputs: Mapping[str, Any],
        settings: Mapping[str, Any],
        caption: str,
        printed: str = "",
    ) -> Target:
        """A table; function: "module:function" in this folder, or dotted from the package."""
        self.made.add(name)
        return Target(
            name,
            "table",
            _placed(function),
            inputs,
            settings,
            caption,
            category="Pseudo density",
            printed=printed,
        )

    def figure(
        self,
        name: str,
        function: str,
        inputs: Mapping[str, Any],
        settings: Mapping[str, Any],
        caption: str,
    ) -> Target:
        """A figure is drawn from the table of its name."""
        inputs = {"table": f"results/{name}.csv", **inputs}
        return Target(
            name,
            "figure",
            _placed(function),
            inputs,
            settings,
            caption,
            category="Pseudo density",
        )

    @staticmethod
    def missing(name: str, reason: str) -> Iterator[Target]:
        """A table and its figure that this config cannot make."""
        for kind in ("table", "figure"):
            yield Target(name, kind, FRONTIER, missing=reason)


def _placed(function: str) -> str:
    return function if "." in function else f"{HERE}.{function}"
