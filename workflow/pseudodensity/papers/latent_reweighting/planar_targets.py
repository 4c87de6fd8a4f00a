"""What Table 1 and Figure 2 are made from: trainings in the plane, each a job of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.target import Target

__all__ = ["Planar", "planar_targets"]

HERE = "papers.latent_reweighting"
REPORTED = "config/reported/latent_reweighting.csv"
CATEGORY = "Latent reweighting"


class Planar:
    """The experiments in the plane. grid: ``planar`` of the paper's list of runs.

    ConfigError: fewer points may be proposed than a set of the config takes.
    """

    def __init__(self, grid: Mapping[str, Any]):
        self.grid = grid
        _check_proposals(grid)

    @cached_property
    def trainings(self) -> list[dict[str, Any]]:
        """Law and seed of each training, in the order of `evaluated`."""
        return [{"law": law, "seed": s} for law in self.grid["laws"] for s in self.grid["seeds"]]

    def base(self, law: str, seed: int) -> Artifact:
        """A WGAN-GP of points."""
        settings = {"law": law, "seed": seed, "widths": self.grid["widths"], **self.grid["base"]}
        return _job(f"{law}-base-{seed}", "training:train_base", settings)

    def discriminator(self, law: str, seed: int) -> Artifact:
        """Its critic, fine-tuned for density ratios."""
        settings = {"law": law, "seed": seed, **self.grid["discriminator"]}
        needs = {"base": self.base(law, seed)}
        return _job(f"{law}-discriminator-{seed}", "training:train_discriminator", settings, needs)

    def weights(self, law: str, seed: int, changes: Mapping[str, Any]) -> Artifact:
        """Latent weights for its generator."""
        settings = {"law": law, "seed": seed, **self.weight_settings(changes)}
        needs = {"base": self.base(law, seed)}
        return _job(f"{law}-weights-{seed}", "training:train_weights", settings, needs)

    def weight_settings(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What weights are trained by, whatever they are trained on."""
        own = self.grid["weights"]
        return {
            "widths": self.grid["widths"],
            "output": own["output"],
            "iterations": own["iterations"],
            "recipe": own["recipe"] | changes,
        }

    def tools(self, law: str, seed: int) -> dict[str, Artifact | tuple[Artifact, ...]]:
        """What the methods need of a training."""
        own = self.grid["weights"]
        return {
            "base": self.base(law, seed),
            "discriminator": self.discriminator(law, seed),
            "weights": tuple(self.weights(law, seed, one) for one in own["candidates"]),
            "printed": self.weights(law, seed, own["printed"]),
        }

    def evaluation(self, law: str, seed: int) -> Artifact:
        """All methods on one training."""
        candidates = range(len(self.grid["weights"]["candidates"]))
        methods = {"plain": [{}], **self.grid["methods"]}
        # The ascents climb what rejection by weight has chosen.
        ascents = {name: methods.pop(name) for name in ("latent_ga", "latent_rs_ga")}
        methods |= {"latent_rs": [{"weights": i} for i in candidates], **ascents}
        methods |= {"latent_rs_printed": [{}]}
        settings = {"law": law, "seed": seed, "methods": methods, **self.grid["evaluation"]}
        return _job(
            f"{law}-evaluation-{seed}", "evaluation:evaluate", settings, self.tools(law, seed)
        )

    def evaluated(self) -> list[Artifact]:
        """Of every training, in the order of `trainings`."""
        return [self.evaluation(one["law"], one["seed"]) for one in self.trainings]

    def costs(self, law: str) -> Artifact:
        """CPU time of the methods, on the first training."""
        seed, own = self.grid["seeds"][0], self.grid["evaluation"]
        settings = {"law": law, "seed": seed, **self.grid["costs"]}
        settings |= {key: own[key] for key in ("held_out", "burn_in", "most")}
        needs = {**self.tools(law, seed), "evaluated": self.evaluation(law, seed)}
        return _job(f"{law}-costs", "costs:measure_costs", settings, needs)

    def manifolds(self) -> Artifact:
        """Figure 2."""
        settings = {**self.grid["fig2"], "widths": self.grid["widths"]}
        settings |= {"weights": self.weight_settings(settings.pop("recipe"))}
        settings |= {"discriminator": self.grid["discriminator"]}
        return _job("manifolds", "manifolds:compare", settings)


def _job(
    slug: str,
    function: str,
    settings: Mapping[str, Any],
    needs: Mapping[str, Artifact | tuple[Artifact, ...]] | None = None,
) -> Artifact:
    return experiment(slug, f"{HERE}.planar.{function}", settings, needs)


def _check_proposals(grid: Mapping[str, Any]) -> None:
    own, methods = grid["evaluation"], grid["methods"]
    sizes = [("sir", "n", one["n"]) for one in methods["sir"]]
    sizes += [("mh", "length", one["length"]) for one in methods["mh"]]
    for name, key, size in sizes:
        if size * own["count"] > own["most"]:
            raise ConfigError(
                f"config: papers.latent_reweighting.planar.methods.{name} has {key}: {size}, which "
                f"takes {size * own['count']} proposals for {own['count']} points: lower it or raise "
                "planar.evaluation.most"
            )


def planar_targets(planar: Planar) -> Iterator[Target]:
    """Table 1 and Figure 2, each with its picture."""
    evaluated = planar.evaluated()
    laws = planar.grid["laws"]
    yield Target(
        "latent_reweighting/table1",
        "table",
        f"{HERE}.table1:table1",
        inputs={
            "evaluated": evaluated,
            "costs": [planar.costs(law) for law in laws],
            "reported": REPORTED,
        },
        settings={"evaluated": planar.trainings, "laws": laws},
        caption="Earth mover's distance of every method on two laws of the plane, chosen and judged alike.",
        category=CATEGORY,
    )
    first = [planar.evaluation(law, planar.grid["seeds"][0]) for law in laws]
    yield Target(
        "latent_reweighting/table1",
        "figure",
        f"{HERE}.table1_figure:table1_figure",
        inputs={"evaluated": first},
        settings={"laws": laws, "seed": planar.grid["seeds"][0]},
        caption="Points of every method of Table 1, with real ones beside them.",
        category=CATEGORY,
    )
    compared = {"compared": planar.manifolds()}
    yield Target(
        "latent_reweighting/fig2",
        "table",
        f"{HERE}.fig2:fig2",
        inputs=compared,
        settings={"gap": planar.grid["fig2"]["gap"]},
        caption="Rejection by density ratio and by latent weight where the proposal narrowly misses half.",
        category=CATEGORY,
    )
    yield Target(
        "latent_reweighting/fig2",
        "figure",
        f"{HERE}.fig2_figure:fig2_figure",
        inputs=compared,
        settings={key: planar.grid["fig2"][key] for key in ("gap", "noise", "seed")},
        caption="Density ratio and latent weights over the plane and over the latents.",
        category=CATEGORY,
    )
