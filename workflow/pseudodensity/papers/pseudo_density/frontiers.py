"""Which points each model's frontier has, and where their scores lie: figures 4, 6 and 7, tables 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.papers.pseudo_density.blocks import PLAIN, Blocks
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.methods import check_grid, method, methods, metric_module
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
        counts = ("images", "repeats", "set_repeats")
        self.sets = MethodSets(plan, *(self.settings[key] for key in counts))
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
        grids = [self.grid["fig4"].get(name, {})]
        grids += [self.grid["fid_sweep"]] if name == "importance" else []
        return self.sets.points(model, name, *grids)

    # ---------------------------------------------------------------- one model's frontier

    def frontier(
        self, checkpoint: Artifact, names: Sequence[str]
    ) -> tuple[list[Artifact], list[dict[str, Any]]]:
        """Scores and rows of some methods on a checkpoint, with a row for each that is not served."""
        model = checkpoint.facts["model"]
        found = [point for name in names for point in self.points(model, name)]
        rows = self.sets.rows(checkpoint, found) + self.sets.not_served(checkpoint, names)
        return self.sets.scores(checkpoint, found), rows

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
        scores = [s for setting, own in asked.items() for s in self.sets.scores(made[setting], own)]
        rows = []
        for group, setting, point in lines:
            facts = made[setting].facts
            more = {"group": group, "setting": setting, "tau": facts["tau"], "w": facts["w"]}
            (row,) = self.sets.rows(made[setting], [point], **more)
            rows.append(row | {"reported": self.blocks.run(block)["reported"]})
        return scores, rows


def _check_method(place: str, name: str) -> None:
    if name not in methods():
        raise ConfigError(f"config: {place} names {name!r}; methods are {', '.join(methods())}")
