"""What Figure 11 is made from: one experiment on generators whose law is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.target import Target

__all__ = ["toy_targets"]

HERE = "papers.polarity"
CATEGORY = "Polarity sampling"
PLANAR = "creases"  # the map whose regions are polygons


def toy_targets(grid: Mapping[str, Any]) -> Iterator[Target]:
    """Figure 11 and its table. grid: ``fig11`` of the paper's list of runs.

    ConfigError: a polarity is drawn that is not sampled; a burn-in as long as the proposals.
    """
    drawn = grid["drawn"]
    unknown = [polarity for polarity in drawn if polarity not in grid["polarity"]]
    if unknown:
        raise ConfigError(
            f"config: papers.polarity.fig11.drawn has {unknown[0]:g}, which fig11.polarity does not: add it "
            "there"
        )
    if grid["burn_in"] >= grid["volumes"]:
        raise ConfigError(
            f"config: papers.polarity.fig11.burn_in is {grid['burn_in']}, but there are {grid['volumes']} "
            "proposals: lower it or raise fig11.volumes"
        )
    settings = {key: value for key, value in grid.items() if key != "drawn"}
    inputs = {"drawn": experiment("known-maps", f"{HERE}.toy.sampling:sample", settings)}
    caption = "Both algorithms of polarity sampling on generators whose exact law is known."
    yield Target(
        "polarity/fig11", "table", f"{HERE}.fig11:fig11", inputs, caption=caption, category=CATEGORY
    )
    yield Target(
        "polarity/fig11",
        "figure",
        f"{HERE}.fig11_figure:fig11_figure",
        inputs,
        {"map": PLANAR, "polarity": drawn},
        caption,
        CATEGORY,
    )
