"""What the pictures of searches are made from: some references of a search, and what it found around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pseudodensity.papers.diverse_rare.rare import HERE, PLACE, Block, Rare
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.methods import method

__all__ = ["Shown", "panel_of"]

IMAGES = f"{HERE}.measured.searched_images:searched_images"

Point = Mapping[str, Any]


def panel_of(rare: Rare, block: Block) -> dict[str, Any]:
    """How captions call a model, and who judges its images."""
    rarity = rare.grid["metrics"]["rarity"]
    seed = rare.plan.config["seeds"][0]
    return rare.titles(block) | {"seed": seed, "judge": rarity["extractor"], "k": rarity["k"]}


@dataclass(frozen=True)
class Shown:
    """Searches of one model around the same references. sets: of which comparison they are.

    name: of the figure, for complaints. points: of the searches.
    """

    rare: Rare
    name: str
    sets: MethodSets
    block: Block
    points: Sequence[Point]

    @property
    def samples(self) -> int:
        """N, of each reference."""
        return self.points[0]["samples"]

    def panel(self) -> dict[str, Any]:
        """How captions call the model, the searches and the judge."""
        own = {"extractor": self.rare.extractor, "samples": self.samples}
        return panel_of(self.rare, self.block) | own | {"steps": self.points[0]["steps"]}

    def labels(self) -> list[str]:
        """How tables call the searches."""
        return [method(point["method"]).label(point) for point in self.points]

    def images(self, which: str, start: int, count: int, order: str, kept: int) -> Artifact:
        """The experiment `searched_images`. ConfigError: fewer references or samples than are asked for."""
        total = self.sets.images * self.sets.repeats
        references = total // self.samples
        if start + count > references:
            raise ConfigError(
                f"config: {PLACE}.shown.{self.name} asks for references {start} to {start + count - 1} of "
                f"{self.block['model']}, and {references} are searched: show fewer, or raise the counts of images"
            )
        if kept > self.samples:
            raise ConfigError(
                f"config: {PLACE}.shown.{self.name} asks for {kept} samples of a reference, and a search has "
                f"{self.samples}: show fewer, or raise methods.rare_search.samples"
            )
        pools, checkpoint = self.rare.plan.pools, self.rare.checkpoint(self.block)
        needs: dict[str, Any] = {"references": pools.proposals(checkpoint, references)}
        for number, point in enumerate(self.points):
            needs[f"made_{number}"] = pools.proposals(checkpoint, total, point)
            needs[f"around_{number}"] = self.rare.around(self.sets, self.block, point)
        settings: Mapping[str, Any] = {
            "searches": len(self.points),
            "samples": self.samples,
            "which": which,
            "start": start,
            "count": count,
            "order": order,
            "kept": kept,
            "seed": pools.seed,
        }
        slug = f"{checkpoint.slug}-searched-{which}-{kept}".replace("_", "-")
        return experiment(slug, IMAGES, settings, needs)
