"""What the tables and figures are made from: searches around references, and what they are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.declared import declared
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.method_sets import MethodSets, check_count
from pseudodensity.plan.methods import check_settings, extractors_of, method_module
from pseudodensity.plan.plan import Plan

__all__ = ["CATEGORY", "HERE", "PLACE", "PLAIN", "REPORTED", "Block", "Rare"]

HERE = "papers.diverse_rare"
PLACE = "papers.diverse_rare"
CATEGORY = "Diverse rare samples"
REPORTED = "config/reported/diverse_rare.csv"
PLAIN = {"method": "plain"}
SEARCH, PICK = "rare_search", "rare_pick"
KINDS = ("images", "small_images", "few")  # where the config says how many images are compared
AROUND = f"{HERE}.measured.around:around"

Point = Mapping[str, Any]
Block = Mapping[str, str]  # model and dataset


class Rare:
    """Searches for rare images of some models. grid: the paper's list of runs.

    sets: of the main comparison; small: of models of small data sets; few: of what is compared setting by
    setting, with fewer references.

    ConfigError: a judge in whose features is searched; an extractor that is not described.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        self._check_judges()
        self.sets, self.small, self.few = map(self._sets, KINDS)

    def _sets(self, key: str) -> MethodSets:
        own, known = self.grid[key], self.grid["metrics"]
        for name in ("manifold", "rarity", "pair_distance"):
            if name not in own["metrics"]:
                raise ConfigError(
                    f"config: {PLACE}.{key}.metrics lacks {name}, which every table shows: add it"
                )
        for name in own["metrics"]:
            if name not in known:
                raise ConfigError(
                    f"config: {PLACE}.{key}.metrics names {name!r}, which {PLACE}.metrics does not describe: it has "
                    f"{', '.join(known)}"
                )
        metrics = {name: dict(known[name]) for name in own["metrics"]}
        if pairs := metrics.get("pair_distance"):
            # Of some extractors the squared distance is the measure.
            pairs["squared"] = self.plan.data.distance(pairs["extractor"]) is not None
        return MethodSets(self.plan, own["count"], own["repeats"], own["repeats"], metrics)

    @property
    def extractor(self) -> str | None:
        """In whose features is searched."""
        return self.plan.config["methods"].get(SEARCH, {}).get("extractor")

    @property
    def pairs(self) -> int:
        """Pairs whose distance is taken in a repeat, where there are as many."""
        return self.grid["metrics"]["pair_distance"]["pairs"]

    def _check_judges(self) -> None:
        known = self.plan.config["extractors"]
        judges = {**extractors_of(self.grid["metrics"]), "second": self.grid["second"]}
        for key, name in judges.items():
            if name not in known:
                raise ConfigError(
                    f"config: {PLACE} judges {key} by {name!r}, which is not described under extractors"
                )
            if name == self.extractor:
                raise ConfigError(
                    f"config: {PLACE} judges {key} by {name!r}, in whose features methods.{SEARCH} searches: name "
                    "another one, or the search is graded by what it optimised"
                )

    def checkpoint(self, block: Block) -> Artifact:
        """The model of a block, of the first training seed. ConfigError: it cannot be had, or no pool may hold
        the images of one repeat."""
        for key in KINDS:
            check_count(f"{PLACE}.{key}", self.plan, self.grid[key]["count"])
        seed = self.plan.config["seeds"][0]
        return self.plan.models.pretrained(block["model"], block["dataset"], seed)

    def search(self, block: Block, steps: int, **changed: Any) -> dict[str, Any]:
        """A point of the rare search. ConfigError: the model cannot be searched, or settings that it does not
        have."""
        return self._point(SEARCH, block, {"steps": [steps]}, changed)

    def pick(self, block: Block, pool: int, **changed: Any) -> dict[str, Any]:
        """A point of the pool pick, within the limits of the search. ConfigError: as of `search`."""
        alike = self.search(block, 0, **self.changed(block))
        shared = {key: alike[key] for key in declared(method_module(PICK), "DEFAULTS")}
        return self._point(PICK, block, {"pool": [pool]}, shared | changed)

    def _point(
        self, name: str, block: Block, grid: Mapping[str, Any], changed: Mapping[str, Any]
    ) -> dict[str, Any]:
        check_settings(f"{PLACE}: {name}", method_module(name), changed)
        found = self.sets.points(block["model"], name, grid)
        if not found:
            raise ConfigError(
                f"config: {PLACE} searches {block['model']}, whose images take many passes: name a generator of "
                "one pass"
            )
        return found[0] | changed

    def changed(self, block: Block) -> dict[str, Any]:
        """Settings of the search of a model that are not those of the config's methods."""
        return {} if block == self.grid["block"] else dict(self.grid["small_search"])

    def samples(self, block: Block) -> int:
        """Samples of each reference of a model. ConfigError: as of `search`."""
        return self.search(block, 0, **self.changed(block))["samples"]

    def pools(self, block: Block) -> list[int]:
        """Sizes of the pools of a pick: as many as samples, as many as a search makes on its way, and those of the
        config."""
        samples, steps = self.samples(block), self.grid["table1"]["steps"]
        return sorted({samples, samples * steps, *self.grid["table1"]["pools"]})

    def sets_of(self, block: Block) -> MethodSets:
        """How many images of a model are compared in its main table."""
        return self.sets if block == self.grid["block"] else self.small

    def check_block(self, place: str, block: Block) -> None:
        """ConfigError: a model that is not one of those that are searched. place: where the config names it."""
        known = [self.grid["block"], *self.grid["small"]]
        if block not in known:
            words = ", ".join(f"{own['model']} of {own['dataset']}" for own in known)
            raise ConfigError(
                f"config: {PLACE}.{place} names {block['model']} of {block['dataset']}, which is not searched: there "
                f"are {words}"
            )

    def around(self, sets: MethodSets, block: Block, point: Point) -> Artifact:
        """Each sample of a search beside its reference, in features of the judge and of a second network.

        ConfigError: images of a repeat that are not those of whole references.
        """
        if sets.images % point["samples"]:
            raise ConfigError(
                f"config: {PLACE} compares {sets.images} images of a repeat, and each reference has "
                f"{point['samples']} samples: give a multiple of it"
            )
        checkpoint, pools = self.checkpoint(block), self.plan.pools
        count, judge = sets.images * sets.repeats, self.grid["metrics"]["rarity"]["extractor"]
        references = -(-count // point["samples"])
        made, plain = (
            pools.proposals(checkpoint, count, point),
            pools.proposals(checkpoint, references),
        )
        needs: dict[str, Any] = {"made": made, "references": plain}
        for role, name in (("judge", judge), ("second", self.grid["second"])):
            needs[f"{role}_real"] = self.plan.data.features(block["dataset"], name)
            for which, parts, first in (("made", made, count), ("references", plain, references)):
                if column := self.features(name, parts, first):
                    needs[f"{role}_{which}"] = column
        settings = {
            "judge": judge,
            "second": self.grid["second"],
            "samples": point["samples"],
            "count": count,
            "k": self.grid["metrics"]["rarity"]["k"],
            "seed": pools.seed,
        }
        slug = f"around-{checkpoint.slug}-{point['method']}".replace("_", "-")
        return experiment(slug, AROUND, settings, needs)

    def features(
        self, extractor: str, parts: tuple[Artifact, ...], count: int | None
    ) -> tuple[Artifact, ...] | None:
        """A column of features of a pool; None where the pool has them from the start, as those of a judge."""
        if extractor in self.plan.config["judges"]:
            return None
        return self.plan.pools.column("features", {"extractor": extractor}, parts, count)

    def titles(self, block: Block) -> dict[str, Any]:
        """How tables call a block."""
        return self.sets.titles(self.checkpoint(block))

    def row(self, sets: MethodSets, block: Block, point: Point, **more: Any) -> dict[str, Any]:
        """A point as a row of a table; more: further keys."""
        return sets.rows(self.checkpoint(block), [point], **more)[0]

    def scores(self, sets: MethodSets, block: Block, points: Sequence[Point]) -> list[Artifact]:
        """What the metrics say of some points."""
        return sets.scores(self.checkpoint(block), points)
