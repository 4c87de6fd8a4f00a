"""Pools of guided points with the classes of their images, and what experiments measure of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pseudodensity.papers.low_density.guided import HERE, PLACE, Guided
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.models import generator_modules

__all__ = [
    "Needs",
    "check_looker",
    "hardness_of",
    "opened",
    "shown_metrics",
    "summed_variances",
    "titles",
]

Needs = dict[str, Artifact | tuple[Artifact, ...]]

SAMPLER = ("step", "steps", "from_time", "to_time")
WATCHED = 20  # images whose variances are summed up


def opened(guided: Guided, sets: MethodSets, points: Sequence[Mapping[str, Any]]) -> Needs:
    """``set_i`` and ``label_i`` of the points: see `measured.sets.open_sets`."""
    pools, needs = guided.plan.pools, Needs()
    for number, point in enumerate(points):
        item = pools.item(guided.checkpoint, point, *sets.how(point["method"]))
        needs[f"set_{number}"] = item.parts
        needs[f"label_{number}"] = pools.column("label", {}, item.parts, item.count)
    return needs


def titles(guided: Guided) -> dict[str, Any]:
    """How tables and figures call the model."""
    checkpoint = guided.checkpoint
    return guided.sets.titles(checkpoint) | {"seed": checkpoint.facts["seed"]}


def shown_metrics(guided: Guided) -> dict[str, Any]:
    """What judges figures of precision, recall and hardness alone."""
    metrics = guided.grid["images"]["metrics"]
    return {name: metrics[name] for name in ("manifold", "hardness") if name in metrics}


def check_looker(guided: Guided, key: str, name: str) -> None:
    """ConfigError: an extractor that there is not, or one that steers or judges.

    key: where the paper's list of runs has it.
    """
    plan, judged = guided.plan, guided.grid["images"]["metrics"].values()
    taken = {plan.data.steering, *plan.config["judges"]}
    taken |= {own["extractor"] for own in judged if "extractor" in own}
    if name not in plan.config["extractors"] or name in taken:
        raise ConfigError(
            f"config: {PLACE}.{key} is {name!r}: name one under extractors that neither steers nor judges"
        )


def hardness_of(guided: Guided, points: Sequence[Mapping[str, Any]]) -> Artifact:
    """The hardness of every image of some guided points. ConfigError: no judge says what is hard."""
    plan, checkpoint = guided.plan, guided.checkpoint
    judge = guided.grid["images"]["metrics"].get("hardness", {}).get("extractor")
    if judge not in plan.config["judges"]:
        raise ConfigError(
            f"config: {PLACE}.images.metrics.hardness.extractor is {judge!r}: name one of `judges`"
        )
    dataset = checkpoint.facts["dataset"]
    needs = opened(guided, guided.sets, points)
    needs["data"] = plan.data.dataset(dataset)
    needs["features"] = plan.data.features(dataset, judge)
    settings = {"extractor": judge, "seed": plan.pools.seed}
    slug = f"{checkpoint.facts['model']}-{dataset}-hardness"
    return experiment(slug, f"{HERE}.measured.hardness:hardnesses", settings, needs)


def summed_variances(guided: Guided, points: Sequence[Mapping[str, Any]]) -> Artifact:
    """What the pushes of guided points are scaled by, for each of their samplers. ConfigError: the model cannot be
    had."""
    checkpoint, samplers = guided.checkpoint, list[dict[str, Any]]()
    for point in points:
        own = {key: point[key] for key in SAMPLER if key in point}
        samplers += [own] if own and own not in samplers else []
    facts = checkpoint.facts
    return experiment(
        f"{facts['model']}-{facts['dataset']}-summed-variance",
        f"{HERE}.measured.summed_variance:summed_variances",
        {"samplers": samplers, "images": WATCHED, "seed": guided.plan.pools.seed},
        {"checkpoint": checkpoint},
        generator_modules(facts["architecture"]),
    )
