"""The tables and figures about images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from pseudodensity.papers.polarity.images import CATEGORY, HERE, PLAIN, Images
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.target import Target

__all__ = ["image_targets", "judges", "missing"]

# Setting of polarity that a table varies -> the table.
TABLES = {"top": "table3", "volumes": "table4"}
REPORTED = "config/reported/polarity.csv"
ALONG = f"{HERE}.singular_values:along"


def image_targets(images: Images) -> Iterator[Target]:
    """Table 1; Figure 2 with Tables 3 and 4; Figure 3 and Table 2, of all models."""
    yield from _beside_others(images)
    yield from _singular_values(images)
    yield from _all_models(images)


def _beside_others(images: Images) -> Iterator[Target]:
    name, function = "polarity/table1", f"{HERE}.table1:table1"
    try:
        checkpoint = images.checkpoint(images.grid["table1"]["block"])
        sets = list(images.beside_others())
        scores = {f"scores_{own.images}": own.scores(checkpoint, points) for own, points in sets}
        rows = {f"scores_{own.images}": own.rows(checkpoint, points) for own, points in sets}
    except ConfigError as error:
        yield missing(name, "table", function, error)
        return
    yield Target(
        name,
        "table",
        function,
        scores | {"reported": REPORTED},
        {"rows": rows},
        "Polarity beside SIR, DOT and latent reweighting, all with the same number of images.",
        CATEGORY,
    )


def _singular_values(images: Images) -> Iterator[Target]:
    grid = images.grid["fig2"]
    captions = {
        "top": "FID, precision and recall of polarity by the number of singular values that count.",
        "volumes": "FID, precision and recall of polarity by the number of latents.",
    }
    for dial, name in TABLES.items():
        path = f"polarity/{name}"
        try:
            checkpoint = images.checkpoint(grid["block"])
            points = images.along(
                f"papers.polarity.fig2.{dial}", grid["block"], grid["polarity"], dial, grid[dial]
            )
            scores = images.sets.scores(checkpoint, points)
            rows = images.sets.rows(checkpoint, points)
        except ConfigError as error:
            yield missing(path, "table", ALONG, error)
            continue
        settings = {"rows": rows, "dial": dial, "target": name}
        yield Target(path, "table", ALONG, {"scores": scores}, settings, captions[dial], CATEGORY)
    tables = [f"results/polarity/{name}.csv" for name in TABLES.values()]
    yield Target(
        "polarity/fig2",
        "figure",
        f"{HERE}.fig2_figure:fig2_figure",
        {"tables": tables},
        {"extractors": judges(images)},
        "FID, precision and recall along polarity, for some numbers of singular values and of latents.",
        CATEGORY,
    )


def _all_models(images: Images) -> Iterator[Target]:
    rows: dict[str, list[dict[str, Any]]] = {"table2": [], "fig3": []}
    scores: dict[str, list[Artifact]] = {"table2": [], "fig3": []}
    try:
        for block in images.blocks():
            checkpoint = images.checkpoint(block)
            exponents = images.grid["polarity"]
            spaces = [images.polarity(block, exponents, space) for space in images.spaces(block)]
            both = {
                "table2": [dict(PLAIN), *chain(*spaces)],
                "fig3": [dict(PLAIN), *spaces[0], *images.rivals(block)],
            }
            for name, own in both.items():
                rows[name] += images.sets.rows(checkpoint, own)
                scores[name] += images.sets.scores(checkpoint, own)
        if not rows["table2"]:
            raise ConfigError("config: none of the models has volumes that can be had")
    except ConfigError as error:
        yield missing("polarity/table2", "table", f"{HERE}.table2:table2", error)
        yield missing("polarity/fig3", "table", f"{HERE}.fig3:fig3", error)
        yield missing("polarity/fig3", "figure", f"{HERE}.fig3_figure:fig3_figure", error)
        return
    yield Target(
        "polarity/table2",
        "table",
        f"{HERE}.table2:table2",
        {"scores": scores["table2"], "reported": REPORTED},
        {"rows": rows["table2"], "judges": sorted(set(judges(images).values()))},
        "FID, precision and recall of every model at its best polarity, chosen on other repeats.",
        CATEGORY,
    )
    caption = "Precision and recall of polarity, of truncation, and of polarity under truncation."
    yield Target(
        "polarity/fig3",
        "table",
        f"{HERE}.fig3:fig3",
        {"scores": scores["fig3"]},
        {"rows": rows["fig3"]},
        caption,
        CATEGORY,
    )
    yield Target(
        "polarity/fig3",
        "figure",
        f"{HERE}.fig3_figure:fig3_figure",
        {"table": "results/polarity/fig3.csv"},
        {"extractors": judges(images)},
        caption,
        CATEGORY,
    )


def judges(images: Images) -> dict[str, str]:
    """Name of a metric -> whose features judge."""
    return extractors_of(images.plan.config["metrics"])


def missing(path: str, kind: Any, function: str, error: ConfigError) -> Target:
    """A target that the config cannot make, and why."""
    return Target(path, kind, function, category=CATEGORY, missing=str(error))
