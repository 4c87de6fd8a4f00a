"""What the tables and figures about images are made from: polarity and its rivals on one pool per model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.control.select.polarity import space_name
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.method_sets import MethodSets, check_count
from pseudodensity.plan.methods import check_settings, method_module
from pseudodensity.plan.plan import Plan

__all__ = ["CATEGORY", "HERE", "PIXEL", "PLACE", "PLAIN", "Block", "Images", "Space"]

HERE = "papers.polarity"
CATEGORY = "Polarity sampling"
PLACE = "papers.polarity"
PLAIN = {"method": "plain"}
PIXEL = {"space": "pixel", "extractor": None}

Point = Mapping[str, Any]
Block = Mapping[str, str]
Space = Mapping[str, str | None]  # space of volumes, and the extractor of one of features


class Images:
    """The image models of the paper. grid: the paper's list of runs.

    ConfigError: more images of a repeat than a pool may hold; an extractor that there is not, or one that
    steers or judges where it may not.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        own = grid["images"]
        check_count(f"{PLACE}.images", plan, own["count"])
        self._check_extractors()
        self.repeats = own["repeats"]
        self.sets = MethodSets(plan, own["count"], own["repeats"], own["repeats"])

    def _check_extractors(self) -> None:
        known = self.plan.config["extractors"]
        for name in (own["extractor"] for own in self.grid["table2"]["features"]):
            if name not in known:
                raise ConfigError(
                    f"config: {PLACE}.table2.features names {name!r}, which is not described under extractors"
                )
        taken = (self.plan.data.steering, *self.plan.config["judges"])
        for figure in ("fig4", "fig5", "fig6", "fig7"):
            name = self.grid[figure]["extractor"]
            if name not in known or name in taken:
                raise ConfigError(
                    f"config: {PLACE}.{figure}.extractor is {name!r}: name one under extractors that neither "
                    "steers nor judges"
                )

    def checkpoint(self, block: Block) -> Artifact:
        """The model of a block, of the first training seed. ConfigError: it cannot be had."""
        seed = self.plan.config["seeds"][0]
        return self.plan.models.pretrained(block["model"], block["dataset"], seed)

    def blocks(self) -> list[Block]:
        """The models of Table 2 and Figure 3 with their data sets: those that the config names, else every
        one whose volumes can be had."""
        if self.grid["blocks"] is not None:
            return self.grid["blocks"]
        models = self.plan.models
        return [
            {"model": model, "dataset": dataset}
            for model, dataset in models.pairs()
            if models.declaration(model)["no_jacobian"] is None
        ]

    def spaces(self, block: Block) -> list[Space]:
        """Spaces of Table 2 in which the volumes of a model can be had."""
        features = self.grid["table2"]["features"]
        wanted = [
            own["extractor"] for own in features if own["blocks"] is None or block in own["blocks"]
        ]
        mapped = self.plan.models.declaration(block["model"])["w_space"]
        found = [{"space": space, "extractor": None} for space in ("pixel", "style")[: 1 + mapped]]
        return found + [{"space": "feature", "extractor": name} for name in wanted]

    def polarity(
        self, block: Block, exponents: Sequence[float], space: Space = PIXEL
    ) -> list[dict[str, Any]]:
        """Points of polarity with replacement, as in Algorithm 1, with the settings of the config.

        space: of the volumes, which share one sweep with those of the model's other spaces. ConfigError: the
        model cannot serve it.
        """
        grid = {"exponents": exponents, "replacement": [True]}
        found = self.sets.points(block["model"], "polarity", grid)
        if not found:
            reason = self.plan.models.declaration(block["model"])["no_jacobian"]
            raise ConfigError(
                f"config: {PLACE} asks for polarity of {block['model']}, but it {reason}"
            )
        names = [space_name(one) for one in self.spaces(block)]
        return [point | space | {"beside": names} for point in found]

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
        # Far more latents than other targets have: no other space makes them dearer, and every k is of one sweep.
        kept = max(points[0]["kept"], *self.grid["fig2"]["top"])
        points = [point | {"beside": [], "kept": kept} for point in points]
        return [dict(PLAIN)] + [point | {dial: value} for value in values for point in points]
