"""What the table and the figure of memorisation are made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pseudodensity.papers.pseudo_density.paper import Paper
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.pools import images_of
from pseudodensity.plan.target import Target

__all__ = ["memorisation"]

TABLE, FIGURE = "memorisation_table:memorisation", "memorisation_figure:memorisation"
CAPTION = (
    "Whether samples lie nearer to training images than to as many held-out real images, with the pairs "
    "of lowest ratio."
)
WHY_NOT = (
    "does not apply: the models were trained on all images of this data set, and its law cannot be drawn "
    "from anew"
)


def memorisation(paper: Paper) -> Iterator[Target]:
    """The models of every block, first seed, against training and held-out real images."""
    blocks = paper.blocks
    judged = [name for name in blocks.names if _has_law(paper, name)]
    if not judged:
        reason = "memorisation needs a block on a procedural data set, whose law gives held-out real images"
        yield from paper.missing("memorisation", f"config: {reason}: add one")
        return
    judge = paper.plan.config["judges"][0]
    sides = {name: _Sides(paper, name, judge) for name in judged}
    settings: dict[str, Any] = {
        "judge": judge,
        "blocks": [
            blocks.titles(name) | (sides[name].told if name in sides else {"why": WHY_NOT})
            for name in blocks.names
        ],
        "mirrored": [
            blocks.titles(name)["dataset"]
            for name in judged
            if paper.plan.config["datasets"][blocks.run(name)["dataset"]]["mirror"]
        ],
    }
    drawn = [part for side in sides.values() for part in side.parts]
    described = {part.path: part for part in drawn}
    features = {side.features.path: side.features for side in sides.values()}
    inputs = {"described": list(described.values()), "training": list(features.values())}
    yield paper.table("memorisation", TABLE, inputs, settings, CAPTION)
    data = {side.data.path: side.data for side in sides.values()}
    shown = {"described": inputs["described"], "training": list(data.values())}
    shown["stored"] = list(dict.fromkeys(images_of(part) for part in drawn))
    yield paper.figure("memorisation", FIGURE, shown, settings, CAPTION)


def _has_law(paper: Paper, block: str) -> bool:
    """Whether fresh images of its data set can be drawn, which no model has seen."""
    return paper.plan.pools.reals(paper.blocks.run(block)["dataset"], 1)[0].rows != "all"


class _Sides:
    """A block with its real images: as many held-out ones as there are for training, then those that are
    compared like samples.

    told: what the table and the figure read: files and rows. parts: of all pools.
    """

    def __init__(self, paper: Paper, block: str, judge: str):
        plan, dataset = paper.plan, paper.blocks.run(block)["dataset"]
        count, samples = (
            plan.config["datasets"][dataset]["images"],
            plan.config["sampling"]["images"],
        )
        self.data, self.features = plan.data.dataset(dataset), plan.data.features(dataset, judge)
        reals = plan.pools.reals(dataset, count + samples)
        self.parts = list(reals)
        rows = []
        for setting, checkpoint in paper.blocks.checkpoints(block, paper.blocks.seeds[0]).items():
            made = plan.pools.proposals(checkpoint, samples)
            self.parts += made
            row = {"setting": setting, "tau": checkpoint.facts["tau"], "w": checkpoint.facts["w"]}
            rows.append(row | {"pool": _files(made), "first": 0})
        further = {"setting": "held_out", "tau": None, "w": None}
        rows.append(further | {"pool": _files(reals), "first": count})
        self.told = {
            "training": {"features": self.features.path, "images": self.data.path},
            "held_out": _files(reals),
            "reals": count,
            "samples": samples,
            "rows": rows,
        }


def _files(parts: Sequence[Artifact]) -> list[dict[str, Any]]:
    """Parts of a pool in order: the row that each begins with, and its files."""
    return [
        {
            "start": part.span[0],
            "described": part.path,
            "images": images_of(part),
        }
        for part in parts
    ]
