"""What the tables and figures about images are made from: polarity and its rivals on one pool per model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.methods import check_settings, method_module
from pseudodensity.plan.plan import Plan

__all__ = ["CATEGORY", "HERE", "PLAIN", "Images"]

HERE = "papers.polarity"
CATEGORY = "Polarity sampling"
PLACE = "papers.polarity"
PLAIN = {"method": "plain"}

Point = Mapping[str, Any]
Block = Mapping[str, str]


class Images:
    """The image models of the paper. grid: the paper's list of runs.

    ConfigError: more images of a repeat than a pool may hold.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        own, most = grid["images"], plan.config["sampling"]["max_proposals"]
        if own["count"] > most:
            raise ConfigError(
                f"config: {PLACE}.images.count is {own['count']}, but sampling.max_proposals is {most}: no "
                "pool would hold one repeat; lower the one or raise the other"
            )
        self.repeats = own["repeats"]
        self.sets = MethodSets(plan, own["count"], own["repeats"], own["repeats"])

    def checkpoint(self, block: Block) -> Artifact:
        """The model of a block, of the first training seed. ConfigError: it cannot be had."""
        seed = self.plan.config["seeds"][0]
        return self.plan.models.pretrained(block["model"], block["dataset"], seed)

    def blocks(self) -> Iterator[Block]:
        """Every model with every data set of the config whose volumes can be had."""
        for model, dataset in self.plan.models.pairs():
            if self.plan.models.declaration(model)["no_jacobian"] is None:
                yield {"model": model, "dataset": dataset}

    def spaces(self, block: Block) -> list[str]:
        """Spaces in which the volumes of a model can be had."""
        mapped = self.plan.models.declaration(block["model"])["w_space"]
        return ["pixel", "style"] if mapped else ["pixel"]

    def polarity(
        self, block: Block, exponents: Sequence[float], space: str = "pixel"
    ) -> list[dict[str, Any]]:
        """Points of polarity with replacement, as in Algorithm 1, with the settings of the config.

        space: of the volumes, see `log_volumes`. ConfigError: the model cannot serve it.
        """
        found = self.sets.points(
            block["model"], "polarity", {"exponents": exponents, "replacement": [True]}
        )
        if not found:
            reason = self.plan.models.declaration(block["model"])["no_jacobian"]
            raise ConfigError(
                f"config: {PLACE} asks for polarity of {block['model']}, but it {reason}"
            )
        return [point | {"space": space} for point in found]

    def rivals(self, block: Block) -> list[dict[str, Any]]:
        """Points of truncation, and of polarity under each psi of it; none where there is no truncation."""
        grid, model = self.grid["fig3"], block["model"]
        psis = grid["truncation"]
        together = psis | {"exponents": grid["combined"]}
        # Its volumes are those of polarity alone, so config methods.polarity says what they are.
        (alone,) = self.polarity(block, [0])
        shared = {key: alone[key] for key in declared(method_module("polarity"), "DEFAULTS")}
        both = self.sets.points(model, "truncated_polarity", together)
        return self.sets.points(model, "truncation", psis) + [point | shared for point in both]

    def beside_others(self) -> Iterator[tuple[MethodSets, list[dict[str, Any]]]]:
        """Points of Table 1, once for each number of images. ConfigError: the model cannot serve polarity."""
        grid, own = self.grid["table1"], self.grid["images"]
        block = grid["block"]
        others = self.sets.asked(f"{PLACE}.table1.methods", block["model"], grid["methods"])
        points = [dict(PLAIN), *others, *self.polarity(block, grid["polarity"])]
        for count in grid["counts"]:
            yield MethodSets(self.plan, count, own["repeats"], grid["set_repeats"]), points

    def along(
        self, place: str, block: Block, exponents: Sequence[float], dial: str, values: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The plain point, and those of polarity for every value of one of its settings.

        place: where the config has the values, for a complaint.
        """
        for value in values:
            check_settings(place, method_module("polarity"), {dial: value})
        points = self.polarity(block, exponents)
        return [dict(PLAIN)] + [point | {dial: value} for value in values for point in points]
