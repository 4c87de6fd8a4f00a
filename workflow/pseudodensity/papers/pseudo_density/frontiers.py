"""Which points each model's frontier has, and where their scores lie: figures 4, 6 and 7, tables 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.papers.pseudo_density.blocks import PLAIN, Blocks
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import check_grid, method, methods, metric_module, points
from pseudodensity.plan.plan import Plan

__all__ = ["Frontiers"]

Point = Mapping[str, Any]


class Frontiers:
    """Frontiers of every model of a config with every data set that it has weights for.

    ConfigError: a method is asked of one model that cannot serve it, or is unknown.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any], blocks: Blocks):
        self.plan, self.grid, self.blocks = plan, grid, blocks
        self.settings = plan.config["frontier"]
        known = set(plan.config["models"]) | {"every"}
        for model, names in self.settings["methods"].items():
            if model not in known:
                raise ConfigError(f"config: frontier.methods names {model!r}, not under models")
            for name in names:
                _check_method(f"frontier.methods.{model}", name)
                self._check_serves(model, name)
        for name, values in grid["fig4"].items():
            check_grid("papers.pseudo_density.fig4", name, values)
        self._check_wanted()

    def _check_wanted(self) -> None:
        known = [
            s for m in self.plan.config["metrics"] for s in declared(metric_module(m), "SCORES")
        ]
        for goal in self.settings["wanted"]:
            if goal["score"] not in known:
                raise ConfigError(
                    f"config: frontier.wanted names {goal['score']!r}; scores of the metrics are "
                    f"{', '.join(known)}"
                )

    def _check_serves(self, model: str, name: str) -> None:
        if model == "every":
            return
        reason = method(name).why_not(self.plan.models.declaration(model))
        if reason:
            raise ConfigError(
                f"config: frontier.methods: {name} is asked of {model}, but it {reason}: take it out"
            )

    # ---------------------------------------------------------------- points and scores

    def asked(self, model: str) -> list[str]:
        """Methods of a model's frontier, whether it can serve them or not, plain first."""
        names = [*self.settings["methods"]["every"], *self.settings["methods"].get(model, [])]
        return list(dict.fromkeys(["plain", *names]))

    def points(self, model: str, name: str) -> list[dict[str, Any]]:
        """Points of a method on a model, none twice; none where the model cannot serve it."""
        declared = self.plan.models.declaration(model)
        if method(name).why_not(declared):
            return []
        settings = self.plan.config["methods"]
        found = points(name, self.grid["fig4"].get(name, {}), settings, declared)
        if name == "importance":
            found += points(name, self.grid["fid_sweep"], settings, declared)
        return [point for i, point in enumerate(found) if point not in found[:i]]

    def how(self, name: str) -> tuple[int, int]:
        """Images and repeats of the points of a method."""
        own = method(name).POOL == "own"
        repeats = self.settings["set_repeats" if own else "repeats"]
        return self.settings["images"], repeats

    def scores(self, checkpoint: Artifact, points: Sequence[Point]) -> list[Artifact]:
        """Scores of points of a checkpoint, one artefact per method and metric, so that a further
        method adds a job and changes none."""
        made: list[Artifact] = []
        for name in dict.fromkeys(point["method"] for point in points):
            how = self.how(name)
            own = [point for point in points if point["method"] == name]
            items = [self.plan.pools.item(checkpoint, point, *how) for point in own]
            dataset = checkpoint.facts["dataset"]
            # Real images are the same for every model of a data set.
            of_model = method(name).POOL in ("model", "own")
            slug = f"{checkpoint.slug if of_model else dataset}-{name}"
            made += self.plan.pools.scores(slug, dataset, items, *how).values()
        return made

    def rows(
        self, checkpoint: Artifact, points: Sequence[Point], **more: Any
    ) -> list[dict[str, Any]]:
        """Points of a checkpoint as rows of a table; more: further keys of each row."""
        titles, rows = self.titles(checkpoint), []
        for point in points:
            item = self.plan.pools.item(checkpoint, point, *self.how(point["method"]))
            row = titles | {"pool": item.pool, "point": dict(point)}
            rows.append(row | {"seed": checkpoint.facts["seed"]} | more)
        return rows

    def titles(self, checkpoint: Artifact) -> dict[str, Any]:
        """How tables call a checkpoint."""
        model, name = checkpoint.facts["model"], checkpoint.facts["dataset"]
        dataset = self.plan.config["datasets"][name]
        return {
            "block": f"{model}-{name}",
            "model": self.plan.models.title(model),
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
        }

    # ---------------------------------------------------------------- one model's frontier

    def frontier(
        self, checkpoint: Artifact, names: Sequence[str]
    ) -> tuple[list[Artifact], list[dict[str, Any]]]:
        """Scores and rows of some methods on a checkpoint, with a row for each that is not served."""
        model = checkpoint.facts["model"]
        found = [point for name in names for point in self.points(model, name)]
        rows = self.rows(checkpoint, found)
        for name in names:
            reason = method(name).why_not(self.plan.models.declaration(model))
            if reason:
                seed = {"seed": checkpoint.facts["seed"], "method": name, "not_served": reason}
                rows.append(self.titles(checkpoint) | seed)
        return self.scores(checkpoint, found), rows

    def combined(self, group: Mapping[str, Any], block: str) -> list[dict[str, Any]]:
        """Truncation, of the family that is customary, and importance sampling of Table 3."""
        family = self.blocks.declaration(block)["truncation"][0]
        return [
            {"method": "truncation", "family": family, "psi": group["psi"]},
            {"method": "importance", "tau": group["tau"], "w": group["w"]},
        ]

    def table3(self) -> tuple[list[Artifact], list[dict[str, Any]]]:
        """Scores and rows of fine-tuned models combined with methods at inference."""
        block = self.blocks.nearest(self.grid["table3"]["block"])
        made = self.blocks.checkpoints(block, self.blocks.seeds[0])
        asked: dict[str, list[Point]] = {"pretrained": [PLAIN]}
        lines: list[tuple[str | None, str, Point]] = [(None, "pretrained", PLAIN)]
        for group in self.grid["table3"]["groups"]:
            setting, own = group["setting"], self.combined(group, block)
            asked["pretrained"] += own
            asked[setting] = [PLAIN, *own]
            lines.append((setting, setting, PLAIN))
            lines += [(setting, "pretrained", point) for point in own]
            lines += [(setting, setting, point) for point in own]
        scores = [s for setting, own in asked.items() for s in self.scores(made[setting], own)]
        rows = []
        for group, setting, point in lines:
            facts = made[setting].facts
            more = {"group": group, "setting": setting, "tau": facts["tau"], "w": facts["w"]}
            (row,) = self.rows(made[setting], [point], **more)
            rows.append(row | {"reported": self.blocks.run(block)["reported"]})
        return scores, rows


def _check_method(place: str, name: str) -> None:
    if name not in methods():
        raise ConfigError(f"config: {place} names {name!r}; methods are {', '.join(methods())}")
