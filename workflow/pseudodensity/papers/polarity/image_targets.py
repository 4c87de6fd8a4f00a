"""The tables and figures about images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pseudodensity.papers.polarity.images import CATEGORY, HERE, PLAIN, Images
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.target import Target

__all__ = ["image_targets"]

# Setting of polarity that a table varies -> the table.
TABLES = {"top": "table3", "volumes": "table4"}
REPORTED = "config/reported/polarity.csv"
ALONG = f"{HERE}.singular_values:along"


def image_targets(images: Images) -> Iterator[Target]:
    """Figure 2 with Tables 3 and 4; Figure 3 and Table 2, of all models;
    Figure 6."""
    yield from _singular_values(images)
    yield from _all_models(images)
    yield from _nearest(images)


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
            yield _missing(path, "table", ALONG, error)
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
            points = [dict(PLAIN), *images.polarity(block, images.grid["polarity"])]
            both = {"table2": points, "fig3": points + images.rivals(block)}
            for name, own in both.items():
                rows[name] += images.sets.rows(checkpoint, own)
                scores[name] += images.sets.scores(checkpoint, own)
        if not rows["table2"]:
            raise ConfigError("config: none of the models has volumes that can be had")
    except ConfigError as error:
        yield _missing("polarity/table2", "table", f"{HERE}.table2:table2", error)
        yield _missing("polarity/fig3", "table", f"{HERE}.fig3:fig3", error)
        yield _missing("polarity/fig3", "figure", f"{HERE}.fig3_figure:fig3_figure", error)
        return
    yield Target(
        "polarity/table2",
        "table",
        f"{HERE}.table2:table2",
        {"scores": scores["table2"], "reported": REPORTED},
        {"rows": rows["table2"]},
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


def _nearest(images: Images) -> Iterator[Target]:
    table, figure = f"{HERE}.fig6:fig6", f"{HERE}.fig6_figure:fig6_figure"
    try:
        measured = images.nearest()
        names = images.sets.titles(images.checkpoint(images.grid["fig6"]["block"]))
    except ConfigError as error:
        yield _missing("polarity/fig6", "table", table, error)
        yield _missing("polarity/fig6", "figure", figure, error)
        return
    settings = {"names": names, "k": images.grid["fig6"]["k"]}
    caption = "Distance of samples to their nearest training images, by polarity."
    for kind, function in (("table", table), ("figure", figure)):
        yield Target(
            "polarity/fig6", kind, function, {"measured": measured}, settings, caption, CATEGORY
        )


def judges(images: Images) -> dict[str, str]:
    """Name of a metric -> whose features judge."""
    metrics = images.plan.config["metrics"]
    return {name: m["extractor"] for name, m in metrics.items() if "extractor" in m}


def _missing(path: str, kind: Any, function: str, error: ConfigError) -> Target:
    return Target(path, kind, function, category=CATEGORY, missing=str(error))
