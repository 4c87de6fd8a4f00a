"""Which frontiers can be asked for: one per pre-trained model, all from one pool each.

Light, as `runs`: never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pseudodensity.runs import FORMAT, Artifact, Checkpoint, ConfigError, Plan
from pseudodensity.sweeps import (
    METHODS,
    PLAIN,
    check_methods,
    customary_family,
    frontier_points,
    join_points,
    why_not,
)

__all__ = ["FrontierRuns", "Task"]

GOALS = ("precision", "recall", "fid")
FIG4_METHODS = ("plain", "importance", "truncation", "polarity")


@dataclass(frozen=True)
class Task:
    """A checkpoint and the points of its frontier."""

    checkpoint: Checkpoint
    points: Sequence[Mapping[str, Any]]

    @property
    def needs_logits(self) -> bool:
        """Whether a point asks for the discriminator's opinion."""
        return any(point["method"] in ("drs", "dot") for point in self.points)

    @property
    def needs_volumes(self) -> bool:
        """Whether a point asks for Jacobian volumes."""
        return any(point["method"] == "polarity" for point in self.points)


class FrontierRuns:
    """The frontiers of a plan, first training seed.

    ConfigError: a method is asked of a model that lacks what it needs; an external generator's
    file or data set is missing.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.settings = plan.config["frontier"]
        for model, methods in self.settings["methods"].items():
            self._check(model, methods)
        self.tasks = self._tasks()

    def _check(self, model: str, methods: Sequence[str]) -> None:
        if model not in self.plan.config["models"]:
            raise ConfigError(f"config: frontier.methods names {model!r}, not under models")
        try:
            check_methods(model, self.plan.config["models"][model]["architecture"], methods)
        except ValueError as error:
            raise ConfigError(f"config: frontier.methods: {error}") from None
        images, volumes = self.settings["images"], self.settings["volumes"]
        if "polarity" in methods and volumes < images:
            raise ConfigError(
                f"config: frontier.volumes is {volumes}, fewer than frontier.images: polarity "
                f"sampling draws {images} of them"
            )

    # ---------------------------------------------------------------- pools

    def _tasks(self) -> dict[str, Task]:
        """<model>-<dataset> -> its pre-trained checkpoint and points, for every model of the
        config; <model>-<dataset>-<setting> -> a fine-tuned one that Table 3 combines."""
        grid, found = self.plan.paper["fig4"], {}
        for model, settings in self.plan.config["models"].items():
            methods = self.settings["methods"].get(model, [])
            for dataset in settings["pretraining"]:
                checkpoint = self._pretrained(model, dataset)
                if checkpoint is not None:
                    points = frontier_points(grid, methods)
                    found[f"{model}-{dataset}"] = Task(checkpoint, points)
        block = self._block_of("table3")
        tuned = self.plan.block(block, self.plan.config["seeds"][0]) if block else []
        tuned = {checkpoint.setting: checkpoint for checkpoint in tuned}
        for group in self.plan.paper["table3"]["groups"] if block else []:
            extra = self._combined(block, group)
            points = join_points(found[block].points, extra)
            found[block] = Task(found[block].checkpoint, points)
            name = f"{block}-{group['setting']}"
            found[name] = Task(tuned[group["setting"]], join_points([PLAIN], extra))
        return found

    def _pretrained(self, model: str, dataset: str) -> Checkpoint | None:
        """None: nothing in this config makes it."""
        if self.plan.config["models"][model]["architecture"] == "external":
            return self.plan.external(model, dataset)
        if dataset not in self.plan.config["datasets"]:
            return None
        checkpoint = self.plan.pretrained(model, dataset, self.plan.config["seeds"][0])
        return checkpoint if checkpoint.name in self.plan.checkpoints else None

    def _block_of(self, target: str) -> str | None:
        """The block that stands for the one of a figure or table, see `Plan.nearest_block`."""
        return self.plan.nearest_block(self.plan.paper[target]["block"], self.plan.block_ids)

    def _combined(self, block: str, group: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Truncation, of the family that is customary, and importance sampling of Table 3."""
        model = self.plan.paper["table1"]["blocks"][block]["model"]
        family = customary_family(self.plan.config["models"][model]["architecture"])
        return [
            {"method": "truncation", "family": family, "psi": group["psi"]},
            {"method": "importance", "tau": group["tau"], "w": group["w"]},
        ]

    @cached_property
    def pools(self) -> Mapping[str, Task]:
        """Name of the pool -> its task."""
        return {self.pool(task).name: task for task in self.tasks.values()}

    @cached_property
    def frontiers(self) -> Mapping[str, Task]:
        """Name of the frontier -> its task."""
        return {self.frontier(task).name: task for task in self.tasks.values()}

    # ---------------------------------------------------------------- artefacts

    def demand(self, task: Task) -> dict[str, Any]:
        """Arguments of ``Demand``: how much of a pool is needed. It is no part of what a proposal
        is, so a larger demand extends a pool."""
        keys = ("images", "repeats", "set_repeats", "volumes", "part", "most")
        return {key: self.settings[key] for key in keys} | {"points": task.points}

    def pool(self, task: Task) -> Artifact:
        """The proposals of a checkpoint."""
        judges = sorted(set(self.plan.config["judges"].values()))
        spec = {
            "kind": "pool",
            "format": FORMAT,
            "checkpoint": task.checkpoint.artifact.digest,
            "judges": {name: self.plan.extractor(name).digest for name in judges},
            "density": self.plan.density(task.checkpoint.dataset).digest,
            "seed": self.settings["seed"],
            "part": self.settings["part"],
            "logits": task.needs_logits,
        }
        return Artifact(task.checkpoint.artifact.slug, spec)

    def frontier(self, task: Task) -> Artifact:
        """Scores of all points of a checkpoint."""
        roles = {
            role: self.plan.features(task.checkpoint.dataset, name).digest
            for role, name in self.plan.config["judges"].items()
        }
        pool = self.pool(task)
        spec = {"kind": "frontier", "format": FORMAT, "pool": pool.digest, "real": roles}
        return Artifact(pool.slug, spec | self.plan.config["metrics"] | self.demand(task))

    # ---------------------------------------------------------------- figures and tables

    def _panel(self, name: str, methods: Sequence[str] | None = None) -> dict[str, Any]:
        """What a figure says of a task, and where its scores lie; methods: those to show."""
        checkpoint = self.tasks[name].checkpoint
        settings = self.plan.config["models"][checkpoint.model]
        dataset = self.plan.config["datasets"][checkpoint.dataset]
        reasons = {m: why_not(settings["architecture"], m) for m in METHODS}
        return {
            "block": name,
            "model": settings["title"],
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
            "seed": checkpoint.seed,
            "scores": f"results/frontier/{self.frontier(self.tasks[name]).name}.json",
            "methods": methods,
            "not_served": {method: reason for method, reason in reasons.items() if reason},
        }

    @property
    def figures(self) -> list[str]:
        """Figures of frontiers: ``fig4``, and ``frontier/<model>-<dataset>`` for each model."""
        blocks = [n for n, task in self.tasks.items() if task.checkpoint.setting == "pretrained"]
        return ["fig4", *(f"frontier/{name}" for name in blocks)]

    def figure(self, name: str) -> list[dict[str, Any]]:
        """Panels of a figure of :attr:`figures`."""
        if name == "fig4":
            return [self._panel(block, FIG4_METHODS) for block in self.plan.block_ids]
        return [self._panel(name.removeprefix("frontier/"))]

    def fig6(self) -> list[dict[str, Any]]:
        """The panel of figure 6, with every method that was run."""
        block = self._block_of("fig6")
        return [self._panel(block)] if block else []

    def table2_rows(self) -> list[dict[str, Any]]:
        """The panels of figure 4 with the paper's choice of tau and w for each goal."""
        blocks = self.plan.paper["table1"]["blocks"]
        return [
            self._panel(block, FIG4_METHODS)
            | {goal: blocks[block][goal] for goal in GOALS}
            | {"reported": blocks[block]["reported"] is not None}
            for block in self.plan.block_ids
        ]

    def table3_rows(self) -> list[dict[str, Any]]:
        """Combinations of a fine-tuned model with a method, each with its point and its scores."""
        block = self._block_of("table3")
        rows = [self._combination(block, None, PLAIN)] if block else []
        for group in self.plan.paper["table3"]["groups"] if block else []:
            setting, points = group["setting"], self._combined(block, group)
            rows.append(self._combination(block, setting, PLAIN))
            rows += [self._combination(block, None, point) for point in points]
            rows += [self._combination(block, setting, point) for point in points]
        return rows

    def _combination(
        self, block: str, setting: str | None, point: Mapping[str, Any]
    ) -> dict[str, Any]:
        name = f"{block}-{setting}" if setting else block
        checkpoint = self.tasks[name].checkpoint
        row = self._panel(name) | {"block": block, "point": dict(point)}
        row |= {"tau": checkpoint.tau, "w": checkpoint.w}
        return row | {"reported": self.plan.paper["table1"]["blocks"][block]["reported"]}
