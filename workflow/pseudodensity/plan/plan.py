"""The plan: all artefacts and targets that a config asks for, found by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from pseudodensity.plan.artifact import PATHS, Artifact
from pseudodensity.plan.code import ROOT
from pseudodensity.plan.config import merge, read_yaml
from pseudodensity.plan.consistency import check_consistency
from pseudodensity.plan.data import Data
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import check_methods, metric_settings
from pseudodensity.plan.models import Models
from pseudodensity.plan.pools import Pools
from pseudodensity.plan.samples import Samples
from pseudodensity.plan.schema import check_schema
from pseudodensity.plan.target import Target

__all__ = ["Plan"]


class Plan:
    """Everything that can be made, by its path.

    Args:
        config: resolved, see `load_config`.
        schemas: folder of the JSON Schemas: config.yaml and one per paper.
        grids: folder of the papers' own lists of runs; config `papers` changes them.

    Attributes:
        data, models, pools, samples: what the artefacts are made from.
        papers: name -> grid of each paper that has targets.
        tables, figures: name -> target, of all papers.

    ConfigError, in one line: see the parts.
    """

    def __init__(self, config: Mapping[str, Any], schemas: Path, grids: Path):
        check_schema(config, read_yaml(schemas / "config.yaml"), "config")
        self.config = config
        self.data = Data(config)
        self.models = Models(config, self.data)
        self.pools = Pools(config, self.data, self.models)
        self.samples = Samples(config, self.data, self.models, self.pools)
        check_methods(config["methods"])
        for name, settings in config["metrics"].items():
            metric_settings(name, settings)
        check_consistency(config)
        for name in config["papers"]:
            if name not in paper_names():
                raise ConfigError(
                    f"config: papers.{name} is no paper; there are {', '.join(paper_names())}"
                )
        self.papers = {name: self._grid(name, schemas, grids) for name in paper_names()}
        self.artifacts: dict[str, Artifact] = {}
        self.tables: dict[str, Target] = {}
        self.figures: dict[str, Target] = {}
        self.of_paper: dict[str, list[Target]] = {}
        # What people may ask for without any paper: their own images.
        self.add(self.data.density(name) for name in config["datasets"])
        for name in config["datasets"]:
            self.add([self.data.features(name, self.data.steering)])
        for name in self.papers:
            self._add_paper(name)
        while lacking := self._lacking_a_table():
            for target, why in lacking:
                self._replace(target, replace(target, missing=why))

    def _grid(self, name: str, schemas: Path, grids: Path) -> dict[str, Any]:
        grid = merge(read_yaml(grids / f"{name}.yaml"), self.config["papers"].get(name, {}))
        check_schema(grid, read_yaml(schemas / f"{name}.yaml"), f"papers.{name}")
        return grid

    def _add_paper(self, name: str) -> None:
        module = import_module(f"pseudodensity.papers.{name}.targets")
        self.of_paper[name] = []
        for target in module.targets(self, self.papers[name]):
            known = self.tables if target.kind == "table" else self.figures
            if target.name in known:
                raise ValueError(f"two {target.kind}s are called {target.name!r}")
            known[target.name] = target
            self.of_paper[name].append(target)
            self.add(target.artifacts())

    def _lacking_a_table(self) -> list[tuple[Target, str]]:
        """Targets that are made from a table that cannot be made, and why."""
        why = {table.outputs[0]: table.missing for table in self.tables.values()}
        found = []
        for target in (one for made in self.of_paper.values() for one in made):
            lacks = next(filter(None, map(why.get, target.files())), None)
            if lacks and not target.missing:
                found.append((target, lacks))
        return found

    def _replace(self, old: Target, new: Target) -> None:
        known = self.tables if old.kind == "table" else self.figures
        known[old.name] = new
        for made in self.of_paper.values():
            made[:] = [new if one is old else one for one in made]

    def add(self, artifacts: Iterable[Artifact]) -> None:
        """Register artefacts with all that they are made from."""
        waiting = list(artifacts)
        while waiting:
            artifact = waiting.pop()
            if artifact.path not in self.artifacts:
                self.artifacts[artifact.path] = artifact
                waiting += artifact.upstream()

    def made(self, kind: str, wildcards: Mapping[str, str]) -> Artifact:
        """The artefact that a rule makes. ConfigError: this config makes none of that name; a file that it is made
        from is not there."""
        path = PATHS[kind].format(**wildcards)
        if path not in self.artifacts:
            raise ConfigError(
                f"{path} is nothing that this config makes: it belongs to another config, or to code "
                "or settings of another day; ask for a table or a figure instead"
            )
        if self.artifacts[path].absent:
            raise ConfigError(self.artifacts[path].absent)
        return self.artifacts[path]

    def target(self, kind: str, name: str) -> Target:
        """A table or a figure. ConfigError: this config cannot make it."""
        target = (self.tables if kind == "table" else self.figures)[name]
        if target.missing:
            raise ConfigError(target.missing)
        return target

    def jobs(self, target: Target) -> list[Artifact]:
        """All artefacts that a target is made from, each once."""
        found: dict[str, Artifact] = {}
        waiting, tables = list(target.artifacts()), self._tables_of(target)
        for name in tables:
            waiting += self.tables[name].artifacts()
        while waiting:
            artifact = waiting.pop()
            if artifact.path not in found and not artifact.given:
                found[artifact.path] = artifact
                waiting += artifact.upstream()
        return list(found.values())

    def _tables_of(self, target: Target) -> list[str]:
        """Tables that a target is made from, those that they are made from among them."""
        found: list[str] = []
        waiting = [target]
        while waiting:
            for path in waiting.pop().files():
                name = path.removeprefix("results/").removesuffix(".csv")
                if name in self.tables and name not in found:
                    found.append(name)
                    waiting.append(self.tables[name])
        return found


def paper_names() -> list[str]:
    """Papers that have targets."""
    return sorted(path.parent.name for path in (ROOT / "papers").glob("*/targets.py"))
