"""The tables and figures of latent reweighting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.latent_reweighting.image_targets import Images, image_targets
from pseudodensity.papers.latent_reweighting.planar_targets import Planar, planar_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

CATALOGUE = "config/reported/claims.csv"


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """Table 1 and Figure 2, which are about points in the plane; what is about images; the claims."""
    planar = Planar(grid["planar"])
    yield from planar_targets(planar)
    yield from image_targets(Images(plan, grid["images"]))
    yield Target(
        "latent_reweighting/claims",
        "table",
        "papers.latent_reweighting.claims:claims",
        inputs={"catalogue": CATALOGUE, "evaluated": planar.evaluated()},
        settings={"evaluated": planar.trainings},
        caption="What the paper on latent reweighting claims, each claim put to the test.",
        category="Latent reweighting",
    )
