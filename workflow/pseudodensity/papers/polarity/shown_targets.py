"""Figures 1 and 4 to 7: samples of single models, their nearest training images, and path lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pseudodensity.papers.polarity.image_targets import judges, missing
from pseudodensity.papers.polarity.images import CATEGORY, HERE
from pseudodensity.papers.polarity.single_models import SingleModels
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.target import Parts, Target, targets_of

__all__ = ["shown_targets"]

Made = tuple[Artifact | Sequence[Artifact], Mapping[str, Any]]


def shown_targets(models: SingleModels) -> Iterator[Target]:
    """Figure 1; of the others each a table and a figure."""
    yield _dials(models)
    captions = {
        "fig4": "Samples by polarity in two spaces, with the nearest training image under each.",
        "fig5": "Modes of some models, with the nearest training image under each.",
    }
    for name, caption in captions.items():
        yield from _both(name, "fig4", caption, lambda name=name: _samples(models, name))
    yield from _both(
        "fig6",
        "fig6",
        "Distance of samples to their nearest training images, by polarity.",
        lambda: _nearest(models),
    )
    yield from _both(
        "fig7",
        "fig7",
        "Perceptual path length by polarity, between latents and in style space.",
        lambda: _paths(models),
    )


def _dials(models: SingleModels) -> Target:
    """Figure 1, which takes what Figure 3 measured of one model; with samples where they can be had."""
    grid, function = models.images.grid["fig1"], f"{HERE}.fig1_figure:fig1_figure"
    try:
        drawn = models.titles(grid["block"])
        models.images.polarity(grid["block"], [0])
    except ConfigError as error:
        return missing("polarity/fig1", "figure", function, error)
    inputs: dict[str, Any] = {"table": "results/polarity/fig3.csv"}
    settings = {"block": drawn["block"], "extractors": judges(models.images)}
    with suppress(ConfigError):
        inputs["samples"] = models.of_classes()
        settings["samples"] = models.titles(grid["samples"]["block"])
    caption = (
        "Precision and recall along truncation and along polarity, and samples of some classes."
    )
    return Target("polarity/fig1", "figure", function, inputs, settings, caption, CATEGORY)


def _both(name: str, drawn: str, caption: str, make: Callable[[], Made]) -> Iterator[Target]:
    """The table and the figure of what is measured. drawn: the module that does both."""
    functions = {
        "table": f"{HERE}.{drawn}:{drawn}",
        "figure": f"{HERE}.{drawn}_figure:{drawn}_figure",
    }

    def parts() -> Parts:
        measured, settings = make()
        return dict.fromkeys(functions, ({"measured": measured}, settings))

    yield from targets_of(f"polarity/{name}", functions, caption, CATEGORY, parts)


def _samples(models: SingleModels, name: str) -> Made:
    panels = models.images.grid[name]["panels"]
    made = [models.samples(name, panel["block"], panel["space"]) for panel in panels]
    named = [models.titles(panel["block"]) | {"space": panel["space"]} for panel in panels]
    return made, {"panels": named, "figure": int(name.removeprefix("fig"))}


def _nearest(models: SingleModels) -> Made:
    grid = models.images.grid["fig6"]
    made = [models.nearest(panel["block"]) for panel in grid["panels"]]
    named = [models.titles(panel["block"]) | {"kind": panel["kind"]} for panel in grid["panels"]]
    return made, {"panels": named, "k": grid["k"]}


def _paths(models: SingleModels) -> Made:
    return models.paths(), {"names": models.titles(models.images.grid["fig7"]["block"])}
