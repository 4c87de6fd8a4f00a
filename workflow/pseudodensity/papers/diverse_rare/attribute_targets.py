"""Tables 2, 3, 5, 6, 12, 13 and 14: shares of attributes; and how rare the attributes of each set are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLACE, Block, Rare
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["REFERENCES", "SEARCHED", "Attributes", "attribute_targets"]

NETWORK = ("features.small",)  # the classifier imports it by the name of its kind
REFERENCES, SEARCHED = "references", "search"
LABELLED = ("procedural", "digits")  # kinds of data sets that know the attributes of their images
TITLES = {
    REFERENCES: "references",
    "starts": "starts without search",
    SEARCHED: "rare search",
    "pick": "pool pick",
}
WHAT = {"table": f"{HERE}.attribute_table:attribute_table"}
RARITY = {"table": f"{HERE}.attribute_table:rarity_of_attributes"}


class Attributes:
    """Attributes of the references of a model, and of what is made around them."""

    def __init__(self, rare: Rare):
        self.rare, self.grid = rare, rare.grid["attributes"]

    def points(self, block: Block) -> dict[str, Mapping[str, Any]]:
        """Name of a set -> its point, of the sets that are made around references."""
        rare, grid = self.rare, self.rare.grid["table1"]
        changed = rare.changed(block)
        return {
            "starts": rare.search(block, 0, **changed),
            SEARCHED: rare.search(block, grid["steps"], **changed),
            "pick": rare.pick(block, max(rare.pools(block))),
        }

    def measured(self, block: Block) -> Artifact:
        """Predicted attributes of every set, and of the real images. ConfigError: the model cannot be searched; a
        data set without labels, and no predictions."""
        rare, sets = self.rare, self.rare.sets_of(block)
        count, samples = sets.images * sets.repeats, rare.samples(block)
        told = {REFERENCES: {"count": count // samples, "group": 1}}
        told |= {name: {"count": count, "group": samples} for name in self.points(block)}
        slug = f"{block['model']}-{block['dataset']}".replace("_", "-")
        key = f"{block['model']}-{block['dataset']}"
        predicted = self.grid["predicted"].get(key)
        if predicted is not None:
            if not os.path.exists(predicted["file"]):
                raise ConfigError(
                    f"config: {PLACE}.attributes.predicted.{key}.file is {predicted['file']!r}, which does not exist: "
                    "put the predictions there or correct the path"
                )
            own = f"{HERE}.measured.predicted_attributes:predicted_attributes"
            files = {"file": predicted["file"]}
            return experiment(
                f"predicted-attributes-{slug}", own, {**predicted, "sets": told}, files=files
            )
        checkpoint, pools = rare.checkpoint(block), rare.plan.pools
        needs: dict[str, Any] = {
            "classifier": self._classifier(block["dataset"]),
            "data": rare.plan.data.dataset(block["dataset"]),
            REFERENCES: pools.proposals(checkpoint, count // samples),
        }
        for name, point in self.points(block).items():
            needs[name] = pools.proposals(checkpoint, count, point)
        named = self.grid["value_names"].get(self._scene(block["dataset"]), {})
        settings = {"sets": told, "seed": pools.seed, "value_names": named}
        function = f"{HERE}.measured.attributes:attributes"
        return experiment(f"attributes-{slug}", function, settings, needs, imports=NETWORK)

    def _scene(self, dataset: str) -> str:
        """What a data set shows: its scene, or its kind."""
        described = self.rare.plan.config["datasets"][dataset]
        return described.get("scene", described["kind"])

    def _classifier(self, dataset: str) -> Artifact:
        plan = self.rare.plan
        described = plan.config["datasets"][dataset]
        if described["kind"] not in LABELLED and "labels" not in described:
            raise ConfigError(
                f"config: {dataset} knows no attributes of its images: give a file of predicted ones under "
                f"{PLACE}.attributes.predicted"
            )
        settings = self.grid["classifier"] | {"mirror": plan.config["datasets"][dataset]["mirror"]}
        needs = {"data": plan.data.dataset(dataset)}
        function = f"{HERE}.measured.attribute_classifier:attribute_classifier"
        slug = f"attribute-classifier-{dataset}".replace("_", "-")
        return experiment(slug, function, settings, needs, imports=NETWORK)

    def settings(self, block: Block, title: str) -> dict[str, Any]:
        """What both tables are told."""
        return {
            "title": title,
            "names": self.rare.titles(block),
            "sets": [REFERENCES, *self.points(block)],
            "titles": TITLES,
            "reference": REFERENCES,
            "seed": self.rare.plan.pools.seed,
            "resamples": self.grid["resamples"],
        }


def attribute_targets(rare: Rare) -> Iterator[Target]:
    """A table of shares for each that the config lists, and one of log-probabilities for the main model."""
    own = Attributes(rare)
    for name, table in own.grid["tables"].items():
        yield from targets_of(
            f"diverse_rare/{name}",
            WHAT,
            "Shares of attributes among real images, references and what was made around these.",
            CATEGORY,
            lambda name=name, table=table: _shares(own, name, table),
        )
    yield from targets_of(
        "diverse_rare/attribute_rarity",
        RARITY,
        "How probable the attributes of references are, and of what was made around these.",
        CATEGORY,
        lambda: _rarity(own),
    )


def _shares(own: Attributes, name: str, table: Mapping[str, Any]) -> Parts:
    block = {key: table[key] for key in ("model", "dataset")}
    own.rare.check_block(f"attributes.tables.{name}", block)
    number = name.removeprefix("table")
    settings = own.settings(block, f"Table {number} of diverse rare samples: shares of attributes")
    settings |= {"attributes": table["attributes"], "order": table["order"]}
    return {"table": ({"measured": own.measured(block)}, settings)}


def _rarity(own: Attributes) -> Parts:
    block = own.rare.grid["block"]
    title = "Diverse rare samples: how probable attributes are"
    return {"table": ({"measured": own.measured(block)}, own.settings(block, title))}
