"""Blocks of Table 1: a pre-trained model, its fine-tuned versions and controls, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pseudodensity.control.choice import needs_discriminator
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.pools import images_of

__all__ = ["Blocks"]

PLAIN = {"method": "plain"}
TUNED = ("precision", "recall", "fid")


class Blocks:
    """The blocks of Table 1 that a config makes.

    ConfigError: a block that the paper's list does not describe.
    """

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        self.names: list[str] = list(grid["blocks"])
        self.seeds: list[int] = plan.config["seeds"]
        for place, block in _named(grid):
            if block not in grid["runs"]:
                raise ConfigError(
                    f"config: papers.pseudo_density.{place} names {block!r}; known blocks: "
                    f"{', '.join(grid['runs'])}"
                )
        for block in self.names:
            # Whatever is wrong with one of them shall be said before anything runs.
            self.checkpoints(block, self.seeds[0])

    def run(self, block: str) -> Mapping[str, Any]:
        """Model, data set, tau and w of a block."""
        return self.grid["runs"][block]

    def pretrained(self, block: str, seed: int | None = None, times: int = 1) -> Artifact:
        """The pre-trained model of a block, trained for `times` its iterations."""
        run = self.run(block)
        seed = self.seeds[0] if seed is None else seed
        return self.plan.models.pretrained(run["model"], run["dataset"], seed, times)

    def checkpoints(self, block: str, seed: int, times: int = 1) -> dict[str, Artifact]:
        """Setting -> checkpoint, in the order of the table.

        A control (w = 1) exists for each number of images that is used: the FID rows of GANs are
        fine-tuned on fewer. times: as of `pretrained`.
        """
        run, models = self.run(block), self.plan.models
        parent = self.pretrained(block, seed, times)
        found = {"pretrained": parent}
        for setting in TUNED:
            tau, w = run[setting]["tau"], run[setting]["w"]
            found[setting] = models.finetuned(parent, setting, tau, w, setting == "fid")
        found["control"] = models.finetuned(parent, "control", None, 1.0, False)
        tuning = self.plan.config["models"][run["model"]]["finetuning"]
        if tuning["fid_images"] != tuning["images"]:
            found["control_fid"] = models.finetuned(parent, "control_fid", None, 1.0, True)
        return found

    def titles(self, block: str) -> dict[str, Any]:
        """How tables call a block."""
        run = self.run(block)
        dataset = self.plan.config["datasets"][run["dataset"]]
        return {
            "block": block,
            "dataset": dataset["title"],
            "stands_for": dataset.get("stands_for"),
            "model": self.plan.models.title(run["model"]),
        }

    def shown_for(self, block: str, wanted: str) -> dict[str, Any]:
        """How a block is called that is shown for one of the paper."""
        reported = self.run(wanted)["reported"]
        paper = f"{reported['model']} on {reported['dataset']}" if reported else wanted
        return {**self.titles(block), "paper": paper}

    def declaration(self, block: str) -> Mapping[str, Any]:
        """What the generator of a block says of itself."""
        return self.plan.models.declaration(self.run(block)["model"])

    def nearest(
        self, wanted: str, fits: Callable[[str], bool] = lambda block: True, what: str = "a block"
    ) -> str:
        """The block to show for one of the paper: itself, else the same model, else the same data,
        else the first. ConfigError: the config makes none that fits."""
        runs = self.grid["runs"]

        def distance(block: str) -> tuple[bool, bool, bool]:
            differs = (runs[block][key] != runs[wanted][key] for key in ("model", "dataset"))
            return (block != wanted, *differs)

        found = min(filter(fits, self.names), key=distance, default=None)
        if found is None:
            raise ConfigError(
                f"config: a figure of {wanted} needs {what} in papers.pseudo_density.blocks"
            )
        return found

    def with_discriminator(self, wanted: str) -> str:
        """As `nearest`, of those whose model has a discriminator of images alone."""

        def fits(block: str) -> bool:
            return needs_discriminator(self.declaration(block)) is None

        return self.nearest(wanted, fits, "a block whose model has a discriminator")

    # ---------------------------------------------------------------- rows of Table 1

    def rows(self, block: str) -> list[dict[str, Any]]:
        """Rows of a block for all seeds, then those of the oracle."""
        found, sampling = [], self.plan.config["sampling"]
        for seed in self.seeds:
            for setting, checkpoint in self.checkpoints(block, seed).items():
                item = self.plan.pools.item(
                    checkpoint, PLAIN, sampling["images"], sampling["repeats"]
                )
                row = {"setting": setting, "tau": checkpoint.facts["tau"]}
                row |= {"w": checkpoint.facts["w"], "seed": seed, "pool": item.pool}
                row["images"] = self.plan.models.training_images(checkpoint)
                found.append(self.titles(block) | row | {"point": dict(item.point)})
        for setting, point in self.oracle_points(block).items():
            item = self.plan.pools.item(
                self.pretrained(block), point, sampling["images"], sampling["repeats"]
            )
            row = {"setting": setting, "tau": point.get("tau"), "w": point.get("w", 1.0)}
            row |= {"seed": None, "images": None, "pool": item.pool, "point": point}
            found.append(self.titles(block) | row)
        return [row | {"reported": self.run(block)["reported"]} for row in found]

    def images(self, block: str) -> list[str]:
        """Files with the first images of each model's row, in the order of `rows`."""
        sampling, found = self.plan.config["sampling"], []
        for seed in self.seeds:
            for checkpoint in self.checkpoints(block, seed).values():
                item = self.plan.pools.item(
                    checkpoint, PLAIN, sampling["images"], sampling["repeats"]
                )
                found.append(images_of(item.parts[0]))
        return found

    def oracle_points(self, block: str) -> dict[str, dict[str, Any]]:
        """Setting -> point of the real images: as they are, then with the weights of the block."""
        points: dict[str, dict[str, Any]] = {"oracle": {"method": "held_out"}}
        for setting in TUNED:
            points[f"oracle_{setting}"] = {"method": "oracle", **self.run(block)[setting]}
        return points

    def _judged_together(self, block: str) -> list[dict[str, Any]]:
        """Points of the oracle of a block, or of all blocks of its data set: halves of a data set are
        judged with as many images as the strictest point leaves, which must be the same for all."""
        dataset = self.run(block)["dataset"]
        halves = self.plan.pools.reals(dataset, 1)[0].rows == "all"
        same = [name for name in self.names if self.run(name)["dataset"] == dataset]
        points = [p for name in (same if halves else [block]) for p in self._oracle(name)]
        return [point for i, point in enumerate(points) if point not in points[:i]]

    def _oracle(self, block: str) -> list[dict[str, Any]]:
        return list(self.oracle_points(block).values())

    def scores(self, block: str) -> list[Artifact]:
        """Scores of the rows of a block: of its models, per seed, and of the oracle."""
        pools, sampling = self.plan.pools, self.plan.config["sampling"]
        run, made = self.run(block), []
        how = (sampling["images"], sampling["repeats"])
        for seed in self.seeds:
            checkpoints = self.checkpoints(block, seed).values()
            items = [pools.item(checkpoint, PLAIN, *how) for checkpoint in checkpoints]
            slug = f"{run['model']}-{run['dataset']}-seed{seed}"
            made += pools.scores(slug, run["dataset"], items, *how).values()
        return made + self.oracle_scores(block)

    def oracle_scores(self, block: str) -> list[Artifact]:
        """Scores of the oracle of a block alone."""
        pools, sampling = self.plan.pools, self.plan.config["sampling"]
        dataset, how = self.run(block)["dataset"], (sampling["images"], sampling["repeats"])
        points = self._judged_together(block)
        items = [pools.item(self.pretrained(block), point, *how) for point in points]
        return list(pools.scores(f"{dataset}-oracle", dataset, items, *how).values())


def _named(grid: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every block that a grid names, with its place."""
    lists = {"blocks": grid["blocks"], "fig2.blocks": grid["fig2"]["blocks"]}
    lists |= {
        "quality.blocks": grid["quality"]["blocks"],
        "quality.reached": grid["quality"]["reached"],
    }
    for figure, described in grid["perturbation"]["figures"].items():
        lists[f"perturbation.figures.{figure}.blocks"] = described["blocks"]
    lists |= {f"{name}.block": [grid[name]["block"]] for name in ("fig6", "table3", "overhead")}
    for place, blocks in lists.items():
        yield from ((place, block) for block in blocks)
