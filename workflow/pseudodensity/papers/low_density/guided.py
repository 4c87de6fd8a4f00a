"""What the tables and figures are made from: guided sets of one model on one set of latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.method_sets import MethodSets, check_count
from pseudodensity.plan.plan import Plan

__all__ = ["CATEGORY", "HERE", "PLACE", "Guided"]

HERE = "papers.low_density"
PLACE = "papers.low_density"
CATEGORY = "Low-density diffusion"
METHOD = "low_density"


class Guided:
    """The model that is guided, and the points of guidance. grid: the paper's list of runs.

    ConfigError: more images of a repeat than a pool may hold; a metric that cannot be had.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        own = grid["images"]
        check_count(f"{PLACE}.images", plan, own["count"])
        count, repeats = own["count"], own["repeats"]
        self.sets = MethodSets(plan, count, repeats, repeats, own["metrics"])

    @property
    def checkpoint(self) -> Artifact:
        """The model, of the first training seed. ConfigError: it cannot be had."""
        return self.trained(self.plan.config["seeds"][0])

    def trained(self, seed: int) -> Artifact:
        """The model of a training seed. ConfigError: it cannot be had."""
        block = self.grid["block"]
        return self.plan.models.pretrained(block["model"], block["dataset"], seed)

    def points(
        self, losses: Sequence[str], alpha: Sequence[float], beta: Sequence[float]
    ) -> list[dict[str, Any]]:
        """Points of guidance by the sampler of the grid. ConfigError: the model has no classes, or is no
        diffusion model; steps that do not divide."""
        grid = {"loss": losses, "alpha": alpha, "beta": beta}
        model = self.grid["block"]["model"]
        found = self.sets.asked(PLACE, model, {METHOD: grid})
        if not found:
            raise ConfigError(
                f"config: {PLACE}.block names {model}: low-density guidance needs a diffusion model with classes"
            )
        self.check_steps("sampler", self.grid["sampler"]["steps"])
        return [point | self.grid["sampler"] for point in found]

    def check_steps(self, key: str, steps: int) -> None:
        """ConfigError: steps of a sampler that do not divide those of the model's training.

        key: where the paper's list of runs has them. What a public model has is known when it is read.
        """
        model = self.grid["block"]["model"]
        all_ = self.plan.config["models"][model]["generator"].get("training_steps", steps)
        if all_ % steps:
            raise ConfigError(
                f"config: {PLACE}.{key}.steps: {steps} steps do not divide the {all_} of {model}: take a "
                "divisor"
            )

    def controls(self) -> list[dict[str, Any]]:
        """The plain sampler, and real images that no network learned from where there are any."""
        held_out = self.sets.points(self.grid["block"]["model"], "held_out", {})
        return [*self.points(["plain"], [0], [0]), *held_out]

    def fig4(self) -> list[dict[str, Any]]:
        """Points of Figure 4, the plain sampler first."""
        grid, beta = self.grid["fig4"], self.grid["fig4"]["beta"]
        found = [*self.controls(), *self.points(grid["losses"], grid["alpha"], [0])]
        found += self.points(grid["losses"][:1], [beta["alpha"]], [0, *beta["values"]])
        return [point for i, point in enumerate(found) if point not in found[:i]]
