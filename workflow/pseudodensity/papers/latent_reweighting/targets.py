"""The tables and figures of latent reweighting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.latent_reweighting.image_targets import Images, image_targets
from pseudodensity.papers.latent_reweighting.planar_targets import Planar, planar_targets
from pseudodensity.papers.latent_reweighting.shown_targets import Shown, shown_targets
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

CATALOGUE = "config/reported/claims.csv"


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """Table 1 and Figure 2, which are about points in the plane; what is about images; the claims."""
    planar, images = Planar(grid["planar"]), Images(plan, grid["images"])
    yield from planar_targets(planar)
    of_images = [*image_targets(images), *shown_targets(Shown(images, grid["shown"]))]
    yield from of_images
    yield Target(
        "latent_reweighting/claims",
        "table",
        "papers.latent_reweighting.claims:claims",
        inputs={
            "catalogue": CATALOGUE,
            "evaluated": planar.evaluated(),
            **_tables(of_images),
        },
        settings={"evaluated": planar.trainings},
        caption="What the paper on latent reweighting claims, each claim put to the test.",
        category="Latent reweighting",
    )


def _tables(made: Sequence[Target]) -> dict[str, str | list[str]]:
    """Paths of the tables that answer claims, of those that this config can make."""
    there = [target for target in made if target.kind == "table" and target.missing is None]
    paths = {target.name.rpartition("/")[2]: target.outputs[0] for target in there}
    found: dict[str, str | list[str]] = {
        name: paths[name] for name in ("table2", "table3", "fig4") if name in paths
    }
    steps = [paths[name] for name in ("table4", "table5") if name in paths]
    return found | ({"steps": steps} if steps else {})
