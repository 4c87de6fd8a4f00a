"""Figures 4 to 9 and Table 6: what is shown and timed of single models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.latent_reweighting.image_targets import (
    CATEGORY,
    HERE,
    REPORTED,
    Images,
    judges,
)
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.models import generator_modules
from pseudodensity.plan.target import Target

__all__ = ["Shown", "shown_targets"]

Block = Mapping[str, Any]


class Shown:
    """Experiments on single models. grid: ``shown`` of the paper's list of runs."""

    def __init__(self, images: Images, grid: Mapping[str, Any]):
        self.images, self.grid, self.plan = images, grid, images.plan
        self.k = images.grid["metrics"]["manifold"]["k"]
        self.seed = self.plan.config["sampling"]["seed"]

    def accepted(self, block: Block) -> Artifact:
        """Samples with their acceptance."""
        settings = dict(self.grid["acceptance"]) | {"seed": self.seed, "k": self.k}
        return self._job("acceptance", block, "images.shown:acceptances", settings, judged=True)

    def climbed(self, block: Block) -> Artifact:
        """Samples on their way up, by the settings of latentGA."""
        (point,) = self.images.sets.points(block["model"], "latent_ga", {"steps": [1]})
        how = {name: point[name] for name in ("step_size", "projection")}
        settings = dict(self.grid["ascents"]["samples"]) | how | {"seed": self.seed, "k": self.k}
        return self._job("ascents", block, "images.shown:ascents", settings, judged=True)

    def passes(self, block: Block) -> Artifact:
        """Times of the graphs."""
        settings = dict(self.grid["passes"]) | {"seed": self.seed}
        return self._job("passes", block, "images.passes:measure_passes", settings)

    def judge(self, block: Block) -> str:
        """The extractor in whose features realism is measured."""
        return self.images.metrics(block)["manifold"]["extractor"]

    def panel(self, block: Block) -> dict[str, Any]:
        """What tables and figures call a block."""
        checkpoint = self.images.checkpoint(block)
        return self.images.sets.titles(checkpoint) | {"seed": checkpoint.facts["seed"]}

    def _job(
        self,
        name: str,
        block: Block,
        function: str,
        settings: Mapping[str, Any],
        *,
        judged: bool = False,
    ) -> Artifact:
        checkpoint, models = self.images.checkpoint(block), self.plan.models
        facts = checkpoint.facts
        needs = {"checkpoint": checkpoint, **models.backbone(facts["model"])}
        needs["latent_weight"] = self.plan.pools.auxiliaries.of("latent_weight", checkpoint)
        imports = generator_modules(facts["architecture"], discriminator=True)
        imports += models.backbone_modules(facts["model"])
        if judged:
            judge = self.judge(block)
            needs["extractor"] = self.plan.data.extractor(judge)
            needs["real"] = self.plan.data.features(facts["dataset"], judge)
            imports += self.plan.data.extractor_modules(judge)
        slug = f"{name}-{facts['model']}-{facts['dataset']}"
        return experiment(slug, f"{HERE}.{function}", settings, needs, imports)


def shown_targets(shown: Shown) -> Iterator[Target]:
    """Figures 4 to 9 with their tables, and Table 6."""
    blocks = [*shown.images.grid["labelled"], *shown.images.grid["blocks"]]
    yield from _acceptance(shown, blocks)
    yield from _ascents(shown, blocks)
    yield from _passes(shown, blocks)


def _look(shown: Shown, blocks: Sequence[Block]) -> dict[str, Any]:
    extractor = judges(shown.images, blocks)["manifold"]
    return {"k": shown.k, "extractor": extractor, "seed": shown.seed}


def _made(
    shown: Shown, blocks: list[Block], make: Callable[[Block], Artifact]
) -> tuple[list[Artifact], list[dict[str, Any]]]:
    """Artefacts and panels of blocks. ConfigError: a block that the config cannot make."""
    return [make(block) for block in blocks], [shown.panel(block) for block in blocks]


def _acceptance(shown: Shown, blocks: list[Block]) -> Iterator[Target]:
    name, table = "latent_reweighting/fig4", f"{HERE}.shown_tables:acceptance"
    try:
        made, panels = _made(shown, blocks, shown.accepted)
    except ConfigError as error:
        for kind in ("table", "figure"):
            yield Target(name, kind, table, missing=str(error))
        return
    caption = (
        "Samples from the least to the most accepted by latentRS, and acceptance against realism."
    )
    inputs, settings = {"samples": made}, {"panels": panels, **_look(shown, blocks)}
    yield Target(name, "table", table, inputs, settings, caption, category=CATEGORY)
    figure = f"{HERE}.shown_figures:acceptance"
    yield Target(name, "figure", figure, inputs, settings, caption, category=CATEGORY)


def _ascents(shown: Shown, blocks: list[Block]) -> Iterator[Target]:
    place, grid = "latent_reweighting", shown.grid["ascents"]
    table, figure = f"{HERE}.shown_tables:ascents", f"{HERE}.shown_figures:ascents"
    caption = "Latents that climb their weights (latentGA), with the probability of being accepted."
    steps = {"steps": grid["samples"]["steps"]}
    try:
        made, panels = _made(shown, blocks, shown.climbed)
    except ConfigError as error:
        yield Target(f"{place}/ascents", "table", table, missing=str(error))
        for name in grid["figures"]:
            yield Target(f"{place}/{name}", "figure", figure, missing=str(error))
        return
    panels = [panel | steps for panel in panels]
    settings = {"panels": panels, **_look(shown, blocks)}
    yield Target(
        f"{place}/ascents", "table", table, {"samples": made}, settings, caption, category=CATEGORY
    )
    of_block = {(b["model"], b["dataset"]): i for i, b in enumerate(blocks)}
    for name, drawn in grid["figures"].items():
        wanted = [tuple(pair) for pair in drawn["blocks"]] or list(of_block)
        rows = [of_block[pair] for pair in wanted if pair in of_block]
        if not rows:
            reason = f"config: papers.latent_reweighting.images has no block {drawn['blocks'][0]}"
            yield Target(f"{place}/{name}", "figure", figure, missing=reason)
            continue
        own = _look(shown, [blocks[row] for row in rows]) | {"shown": grid["samples"]["images"]}
        own |= {"panels": [panels[row] for row in rows]}
        own |= {"first": drawn["first"], "count": drawn["count"]}
        own["step_size"] = made[0].spec["settings"]["step_size"]
        inputs = {"samples": [made[row] for row in rows]}
        yield Target(f"{place}/{name}", "figure", figure, inputs, own, caption, category=CATEGORY)


def _passes(shown: Shown, blocks: list[Block]) -> Iterator[Target]:
    name, table = "latent_reweighting/table6", f"{HERE}.table6:table6"
    try:
        made, panels = _made(shown, blocks, shown.passes)
    except ConfigError as error:
        yield Target(name, "table", table, missing=str(error))
        return
    panels = [
        panel | {"of_paper": block["reported"]} for panel, block in zip(panels, blocks, strict=True)
    ]
    settings = {"panels": panels, "batch": shown.grid["passes"]["batch"]}
    caption = "The time of one pass of each graph that the methods run."
    inputs = {"passes": made, "reported": REPORTED}
    yield Target(name, "table", table, inputs, settings, caption, category=CATEGORY)
