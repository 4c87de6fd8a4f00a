"""What pools, columns, scores and moved samples are made from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pseudodensity.plan.artifact import Artifact, canonical
from pseudodensity.plan.auxiliaries import Auxiliaries, auxiliaries
from pseudodensity.plan.data import Data
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.item import Item
from pseudodensity.plan.methods import (
    column_module,
    columns_needed,
    extractor_of,
    method,
    method_module,
    metric_module,
    metric_settings,
)
from pseudodensity.plan.models import Models, declaration, generator_modules, tangent_modules
from pseudodensity.plan.work import rows_of_a_column, rows_of_a_part

__all__ = ["Pools", "images_of"]

Point = Mapping[str, Any]
FRESH = ("procedural",)  # kinds of data sets whose law can be drawn from anew
# Rows in one file of a column that covers no more than is asked for: who asks for more shares the first ones.
BLOCK = 4000


class Pools:
    """Pools of a config.

    A pool is drawn once per checkpoint, in parts of `runtime.proposals_per_file` proposals; more demand
    draws further parts and changes none.
    """

    def __init__(self, config: Mapping[str, Any], data: Data, models: Models):
        self.config, self.data, self.models = config, data, models
        self.auxiliaries = Auxiliaries(config, data, models)
        self.seed = config["sampling"]["seed"]
        self._part = cache(self._made_part)
        self._column_part = cache(self._made_column)

    # ---------------------------------------------------------------- what everything is judged by

    def _judging(self, dataset: str) -> dict[str, Artifact | tuple[Artifact, ...]]:
        return {
            "density": self.data.density(dataset),
            "steering": self.data.extractor(self.data.steering),
            "judges": tuple(self.data.extractor(name) for name in self.config["judges"]),
        }

    def _judging_modules(self) -> tuple[str, ...]:
        names = (self.data.steering, *self.config["judges"])
        found = (module for name in names for module in self.data.extractor_modules(name))
        return tuple(sorted(set(found)))

    # ---------------------------------------------------------------- pools

    def proposals(
        self, checkpoint: Artifact, count: int, point: Point | None = None
    ) -> tuple[Artifact, ...]:
        """Parts that hold the first `count` proposals of a checkpoint.

        point: of a method that makes its images itself; None for the generator's own. Its pool is as
        long as asked for.

        A part is no longer than a job may take; rows that belong together stay together.
        """
        key, size, group = None, self.config["runtime"]["proposals_per_file"], 1
        if point is not None:
            key, module = canonical(point), method(point["method"])
            per_file = getattr(module, "rows_per_file", None)
            size = count if per_file is None else min(count, per_file(point))
            group = getattr(module, "rows_per_group", lambda _: 1)(point)
        side = self.config["datasets"][checkpoint.facts["dataset"]]["resolution"]
        size = min(size, rows_of_a_part(checkpoint, point, side, group))
        # A pool of a method ends where what was asked for does.
        stop = count if point else count + size
        return tuple(
            self._part(checkpoint, start, min(start + size, stop), key)
            for start in range(0, count, size)
        )

    def _made_part(self, checkpoint: Artifact, start: int, stop: int, key: str | None) -> Artifact:
        point = None if key is None else json.loads(key)
        dataset, facts = checkpoint.facts["dataset"], checkpoint.facts
        needs = {"checkpoint": checkpoint, **self._judging(dataset)}
        modules = self._judging_modules()
        modules += generator_modules(facts["architecture"])
        slug = checkpoint.slug
        if point is not None:
            needs |= self.inputs_of(method_module(point["method"]), checkpoint, point)
            modules += self.modules_of(method_module(point["method"]), checkpoint, point)
            slug += f"-{point['method']}"
        spec = {"seed": self.seed, "point": point}
        return _in_folder("pool", slug, spec, needs, modules, f"{start:07d}-{stop:07d}")

    def reals(self, dataset: str, count: int) -> tuple[Artifact, ...]:
        """Real images as a pool: fresh ones where the law of the data is known, else the data set."""
        if self.config["datasets"][dataset]["kind"] not in FRESH:
            return self.training(dataset)
        size = self.config["runtime"]["proposals_per_file"]
        starts = range(0, -(-count // size) * size, size)
        return tuple(
            self._described_reals(dataset, f"{i:07d}-{i + size:07d}", fresh=True) for i in starts
        )

    def training(self, dataset: str) -> tuple[Artifact, ...]:
        """The data set itself as a pool."""
        return (self._described_reals(dataset, "all", fresh=False),)

    def _described_reals(self, dataset: str, rows: str, *, fresh: bool) -> Artifact:
        needs = {"data": self.data.dataset(dataset), **self._judging(dataset)}
        spec = {"seed": self.seed, "fresh": fresh}
        slug, modules = f"{dataset}-reals", self._judging_modules()
        return _in_folder("reals", slug, spec, needs, modules, rows)

    # ---------------------------------------------------------------- columns

    def column(
        self, name: str, settings: Mapping[str, Any], parts: Sequence[Artifact], count: int
    ) -> tuple[Artifact, ...]:
        """Files of a column of the first `count` proposals of a pool.

        ConfigError: a column that the pool's generator cannot have.
        """
        whole = declared(column_module(name), "COVERS") == "parts"
        found, key = [], canonical(settings)
        for part in parts:
            start, stop = part.span
            if start >= count:
                break
            last = stop if whole else min(stop, count)
            step = stop - start if whole else self._block(name, settings, part)
            for first in range(start, last, step):
                rows = f"{first:07d}-{min(first + step, last):07d}"
                found.append(self._column_part(name, key, part, rows))
        return tuple(found)

    def _block(self, name: str, settings: Mapping[str, Any], part: Artifact) -> int:
        """Rows of a file of a column: fewer where a job of them would take days."""
        checkpoint = part.needs["checkpoint"]
        side = self.config["datasets"][checkpoint.facts["dataset"]]["resolution"]
        return min(BLOCK, rows_of_a_column(checkpoint, name, settings, side))

    def _made_column(self, name: str, key: str, part: Artifact, rows: str) -> Artifact:
        settings, module = json.loads(key), column_module(name)
        checkpoint, point = part.needs["checkpoint"], part.spec["point"]
        needs = {"pool": part, **self.inputs_of(module, checkpoint, settings)}
        modules = generator_modules(checkpoint.facts["architecture"])
        modules += self.modules_of(module, checkpoint, settings)
        if point is not None:  # its images may have to be made again
            own = method_module(point["method"])
            needs |= self.inputs_of(own, checkpoint, point)
            modules += self.modules_of(own, checkpoint, point)
        spec = {"column": name, "settings": settings}
        files = {"images": images_of(part)}
        return Artifact("column", name, spec, needs, part.folder, rows, modules, files)

    def inputs_of(
        self, module: str, checkpoint: Artifact, settings: Mapping[str, Any]
    ) -> dict[str, Artifact | tuple[Artifact, ...]]:
        """What the INPUTS of a column or a method stand for.

        A column is made beside a pool with what its method needs, so that what a method searches in has names
        of its own: search_extractor, search_features.

        Beside what the branches name, INPUTS may name an auxiliary network, or say "auxiliary" or
        "auxiliaries": the one or those that the settings name, if they do.
        """
        model, dataset = checkpoint.facts["model"], checkpoint.facts["dataset"]
        found: dict[str, Artifact | tuple[Artifact, ...]] = {}
        for name in declared(module, "INPUTS"):
            if name == "checkpoint":
                found[name] = checkpoint
            elif name == "data":
                found[name] = self.data.dataset(dataset)
            elif name == "density":
                found[name] = self.data.density(dataset)
            elif name == "steering":
                found[name] = self.data.extractor(self.data.steering)
            elif name == "extractor":
                if settings[name] is not None:
                    found[name] = self.data.extractor(settings[name])
            elif name in ("real_features", "search_features"):
                found[name] = self.data.features(
                    dataset, extractor_of(self.config, module, settings)
                )
            elif name == "search_extractor":
                found[name] = self.data.extractor(extractor_of(self.config, module, settings))
            elif name == "feature_density":
                extractor = extractor_of(self.config, module, settings)
                found[name] = self.data.feature_density(dataset, extractor, settings["estimator"])
            elif name == "extractors":
                if settings[name]:
                    found[name] = tuple(map(self.data.extractor, settings[name]))
            elif name == "backbone":
                found |= self.models.backbone(model)
            elif name in auxiliaries():
                found[name] = self.auxiliaries.of(name, checkpoint)
            elif name == "auxiliaries":
                for wanted in settings[name]:
                    found[wanted] = self.auxiliaries.of(wanted, checkpoint)
            elif name == "auxiliary":
                if settings[name] is not None:
                    found[settings[name]] = self.auxiliaries.of(settings[name], checkpoint)
            else:
                raise ValueError(f"INPUTS names {name!r}, which the plan does not know")
        return found

    def modules_of(
        self, module: str, checkpoint: Artifact, settings: Mapping[str, Any]
    ) -> tuple[str, ...]:
        """A column or a method, and the modules that its inputs are opened with."""
        inputs, architecture = declared(module, "INPUTS"), checkpoint.facts["architecture"]
        modules = (module, *tangent_modules(architecture, (module,)))
        if {"extractor", "search_extractor"} & set(inputs) and settings["extractor"] is not None:
            modules += self.data.extractor_modules(settings["extractor"])
        if "steering" in inputs:
            modules += self.data.extractor_modules(self.data.steering)
        for name in settings["extractors"] if "extractors" in inputs else ():
            modules += self.data.extractor_modules(name)
        if "backbone" in inputs:  # what looks at it is a discriminator
            modules += generator_modules(architecture, discriminator=True)
            modules += self.models.backbone_modules(checkpoint.facts["model"])
        for made in self.inputs_of(module, checkpoint, settings).values():
            if isinstance(made, Artifact) and made.kind == "auxiliary":
                modules += made.modules
        return modules

    # ---------------------------------------------------------------- sets and scores

    def item(self, checkpoint: Artifact, point: Point, images: int, repeats: int) -> Item:
        """The pool and the columns that a point of a method reads.

        ConfigError: the method cannot be used on this generator.
        """
        module, dataset = method(point["method"]), checkpoint.facts["dataset"]
        reason = module.why_not(self.models.declaration(checkpoint.facts["model"]))
        if reason:
            raise ConfigError(
                f"config: {point['method']} is asked of {checkpoint.facts['model']}, but it {reason}"
            )
        if module.POOL == "training":
            return Item(self.training(dataset), {}, point, None)
        try:
            count = module.proposals(point, images, repeats)
            needed = columns_needed(point)
        except ValueError as error:
            raise ConfigError(f"config: {module.label(point)}: {error}") from None
        if module.POOL == "reals":
            parts = self.reals(dataset, count)
            return Item(parts, {}, point, count if parts[0].rows != "all" else None)
        if module.POOL == "own":
            return Item(self.proposals(checkpoint, count, point), {}, point, count)
        count = min(count, self.config["sampling"]["max_proposals"])
        parts = self.proposals(checkpoint, count)
        columns = {
            name: self.column(name, settings, parts, count) for name, settings in needed.items()
        }
        if module.POOL == "moved":  # the same latents, and what is known of them
            parts = self.proposals(checkpoint, count, module.shown(point))
        return Item(parts, columns, point, count)

    def scores(
        self,
        slug: str,
        dataset: str,
        items: Sequence[Item],
        images: int,
        repeats: int,
        metrics: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Artifact]:
        """One artefact per metric: what each metric says of some sets.

        Sets that are judged together share the real side, and nothing else. metrics: name -> settings;
        None for those of the config.
        """
        asked = self.config["metrics"] if metrics is None else metrics
        return {
            metric: self._scores(metric, settings, slug, dataset, items, images, repeats)
            for metric, settings in asked.items()
        }

    def _scores(
        self,
        metric: str,
        settings: Mapping[str, Any],
        slug: str,
        dataset: str,
        items: Sequence[Item],
        images: int,
        repeats: int,
    ) -> Artifact:
        module = metric_module(metric)
        extractor = settings.get("extractor")
        if extractor and extractor not in self.config["judges"]:
            items = [self._with_features(item, extractor) for item in items]
        if "labels" in declared(module, "NEEDS"):
            items = [self._with_labels(item) for item in items]
        needs: dict[str, Artifact | tuple[Artifact, ...]] = {
            "described": _unique(part for item in items for part in item.parts),
            "columns": _unique(c for item in items for made in item.columns.values() for c in made),
            "density": self.data.density(dataset),
            "data": self.data.dataset(dataset),
        }
        if extractor:
            needs["real"] = self.data.features(dataset, extractor)
        spec = {
            "metric": metric,
            "settings": metric_settings(metric, settings),
            "extractor": extractor,
            "images": images,
            "repeats": repeats,
            "items": [item.identity() for item in items],
        }
        modules = (module, *sorted({method_module(item.point["method"]) for item in items}))
        facts = {"items": [item.described() for item in items]}
        return Artifact("scores", f"{slug}-{metric}", spec, needs, modules=modules, facts=facts)

    def _with_features(self, item: Item, extractor: str) -> Item:
        """The same set with features by one more extractor."""
        if item.parts[0].kind != "pool":
            raise ConfigError(
                f"config: {extractor!r} judges real images too: name it under `judges` as well"
            )
        return self._with(item, f"features.{extractor}", "features", {"extractor": extractor})

    def _with_labels(self, item: Item) -> Item:
        """The same set with the classes of its images, where its generator chooses them. Real images
        have them from the start."""
        part = item.parts[0]
        if part.kind != "pool":
            return item
        chosen = declaration(part.needs["checkpoint"].facts["architecture"])["classes"]
        return self._with(item, "label", "label", {}) if chosen else item

    def _with(self, item: Item, key: str, name: str, settings: Mapping[str, Any]) -> Item:
        """The same set with one more column, called `key`."""
        stop = item.parts[-1].span[1]
        made = self.column(name, settings, item.parts, item.count or stop)
        return Item(item.parts, {**item.columns, key: made}, item.point, item.count)


def images_of(part: Artifact) -> str:
    """Where the stored images of a part of a pool lie: beside what describes them."""
    return part.path.replace("described.safetensors", "images.npy")


def _in_folder(
    kind: str,
    slug: str,
    spec: Mapping[str, Any],
    needs: Mapping[str, Any],
    modules: tuple[str, ...],
    rows: str,
) -> Artifact:
    """A part of a pool; all parts of one pool have its digest and lie in its folder."""
    folder = Artifact(kind, slug, spec, needs).name
    return Artifact(kind, slug, spec, needs, folder, rows, modules)


def _unique(artifacts: Iterable[Artifact]) -> tuple[Artifact, ...]:
    return tuple({artifact.path: artifact for artifact in artifacts}.values())
