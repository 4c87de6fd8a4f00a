"""Which frontiers can be asked for: one per pre-trained model, all from one pool each.

Light, as `runs`: never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pseudodensity.runs import FORMAT, Artifact, Checkpoint, ConfigError, Plan
from pseudodensity.sweeps import METHODS, check_methods, frontier_points, why_not

__all__ = ["FrontierRuns"]


class FrontierRuns:
    """The frontiers of a plan, first training seed.

    ConfigError: a method is asked of a model that lacks what it needs.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.settings = plan.config["frontier"]
        for model, methods in self.settings["methods"].items():
            if model not in plan.config["models"]:
                raise ConfigError(f"config: frontier.methods names {model!r}, not under models")
            try:
                check_methods(model, plan.config["models"][model]["architecture"], methods)
            except ValueError as error:
                raise ConfigError(f"config: frontier.methods: {error}") from None

    # ---------------------------------------------------------------- checkpoints

    @cached_property
    def checkpoints(self) -> Mapping[str, Checkpoint]:
        """<model>-<dataset> -> its pre-trained checkpoint, for every model of the config."""
        seed = self.plan.config["seeds"][0]
        return {
            f"{model}-{dataset}": self.plan.pretrained(model, dataset, seed)
            for model, settings in self.plan.config["models"].items()
            for dataset in settings["pretraining"]
        }

    @cached_property
    def pools(self) -> Mapping[str, Checkpoint]:
        """Name of the pool -> its checkpoint."""
        return {self.pool(c).name: c for c in self.checkpoints.values()}

    @cached_property
    def frontiers(self) -> Mapping[str, Checkpoint]:
        """Name of the frontier -> its checkpoint."""
        return {self.frontier(c).name: c for c in self.checkpoints.values()}

    def methods(self, checkpoint: Checkpoint) -> Sequence[str]:
        """Methods to run beside plain and importance sampling."""
        return self.settings["methods"].get(checkpoint.model, [])

    def needs_logits(self, checkpoint: Checkpoint) -> bool:
        """Whether a method asks for the discriminator's opinion."""
        return bool({"drs", "dot"} & set(self.methods(checkpoint)))

    # ---------------------------------------------------------------- artefacts

    def points(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        """Points of the frontier of a checkpoint."""
        return frontier_points(self.plan.paper["fig4"], self.methods(checkpoint))

    def demand(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Arguments of ``Demand``: how much of a pool is needed. It is no part of what a proposal
        is, so a larger demand extends a pool."""
        keys = ("images", "repeats", "set_repeats", "part", "most")
        return {key: self.settings[key] for key in keys} | {"points": self.points(checkpoint)}

    def pool(self, checkpoint: Checkpoint) -> Artifact:
        """The proposals of a checkpoint."""
        judges = sorted(set(self.plan.config["judges"].values()))
        spec = {
            "kind": "pool",
            "format": FORMAT,
            "checkpoint": checkpoint.artifact.digest,
            "judges": {name: self.plan.extractor(name).digest for name in judges},
            "density": self.plan.density(checkpoint.dataset).digest,
            "seed": self.settings["seed"],
            "part": self.settings["part"],
            "logits": self.needs_logits(checkpoint),
        }
        return Artifact(checkpoint.artifact.slug, spec)

    def frontier(self, checkpoint: Checkpoint) -> Artifact:
        """Scores of all points of a checkpoint."""
        roles = {
            role: self.plan.features(checkpoint.dataset, name).digest
            for role, name in self.plan.config["judges"].items()
        }
        pool = self.pool(checkpoint)
        spec = {"kind": "frontier", "format": FORMAT, "pool": pool.digest, "real": roles}
        spec |= self.plan.config["metrics"] | self.demand(checkpoint)
        return Artifact(pool.slug, spec)

    # ---------------------------------------------------------------- panels

    def panel(self, name: str) -> dict[str, Any]:
        """What a figure says of <model>-<dataset>, and where its scores lie."""
        checkpoint = self.checkpoints[name]
        settings = self.plan.config["models"][checkpoint.model]
        dataset = self.plan.config["datasets"][checkpoint.dataset]
        architecture = settings["architecture"]
        reasons = {method: why_not(architecture, method) for method in METHODS}
        return {
            "block": name,
            "model": settings["title"],
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
            "seed": checkpoint.seed,
            "scores": f"results/frontier/{self.frontier(checkpoint).name}.json",
            "not_served": {method: reason for method, reason in reasons.items() if reason},
        }

    @property
    def figures(self) -> list[str]:
        """Figures of frontiers: ``fig4``, and ``frontier/<model>-<dataset>`` for each model."""
        return ["fig4", *(f"frontier/{name}" for name in self.checkpoints)]

    def figure(self, name: str) -> list[dict[str, Any]]:
        """Panels of a figure of :attr:`figures`."""
        if name == "fig4":
            return [self.panel(block) for block in self.plan.block_ids]
        return [self.panel(name.removeprefix("frontier/"))]
