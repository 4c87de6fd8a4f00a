"""Figures 1, 3, 5, 6, 10, 15, 20 and 21: the pictures, and what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, PLACE, Guided
from pseudodensity.papers.low_density.shown import CONTROL, Shown
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.methods import extractors_of
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["shown_targets"]

TABLE = f"{HERE}.same_seeds_table:same_seeds_table"
Point = Mapping[str, Any]


def shown_targets(guided: Guided) -> Iterator[Target]:
    """Each a figure, and a table of how hard its images are."""
    grid = guided.grid["shown"]
    yield from _target(
        "fig1",
        "fig1_figure",
        "Real images of high and of low density, a GAN, plain and guided diffusion.",
        lambda: _beside_reals(_shown(guided, "fig1"), grid["fig1"]),
    )
    yield from _target(
        "fig3",
        "fig3_figure",
        "One seed by the strengths alpha, to low density, and beta, to what looks real.",
        lambda: _strengths(_shown(guided, "fig3"), grid["fig3"]),
    )
    for name, own in grid["pairs"].items():
        yield from _target(
            name,
            "pairs_figure",
            "Plain and guided images of the same seeds, beside a push in a random direction.",
            lambda name=name, own=own: _pairs(_shown(guided, name, own), name, own),
        )
    yield from _target(
        "fig10",
        "fig10_figure",
        "One seed of each class as alpha rises, with the hardness of each image.",
        lambda: _progressive(_shown(guided, "fig10"), grid["fig10"]),
    )
    yield from _smoothing(guided)


def _shown(guided: Guided, name: str, own: Mapping[str, Any] | None = None) -> Shown:
    """own: of a pair; None for a figure whose entry has its name."""
    grid = guided.grid["shown"]
    entry = grid[name] if own is None else own
    shown = Shown(guided, grid["roles"][entry["role"]], f"{PLACE}.shown.roles.{entry['role']}")
    shown.check_classes(name if own is None else f"pairs.{name}", entry["classes"])
    return shown


def _target(name: str, drawn: str, caption: str, make: Any) -> Iterator[Target]:
    functions: dict[Kind, str] = {"table": TABLE, "figure": f"{HERE}.{drawn}:{drawn}"}
    yield from targets_of(f"low_density/{name}", functions, caption, CATEGORY, make)


def _title(name: str, said: str) -> str:
    return f"Figure {name.removeprefix('fig')} of low-density diffusion: {said}"


# ---------------------------------------------------------------- single figures


def _beside_reals(shown: Shown, grid: Mapping[str, Any]) -> Parts:
    """Figure 1: sets of images, each with its rows."""
    classes, per_class = grid["classes"], grid["per_class"]
    points, titles = shown.compared(), shown.titles()
    made = [shown.reals(classes, per_class)]
    panels = [titles | {"model": "real images"}]
    names = [["reals, high density", "reals, low density", "reals, any"]]
    if grid["gan"] is not None:
        made.append(shown.of_gan(grid["gan"], classes, per_class))
        names.append([shown.plan.models.title(grid["gan"])])
        panels.append(titles | {"model": names[-1][0]})
    made.append(shown.same_seeds("fig1-samplers", list(points.values()), classes, per_class))
    settings = {
        "title": _title("fig1", "real images by density, a GAN, plain and guided diffusion"),
        "panels": [*panels, titles],
        "names": [*names, list(points)],
        "points": [*([None] * len(own) for own in names), list(points.values())],
        "classes": classes,
    }
    look = settings | {"guided": shown.grid["guided"], "shown": grid["shown"]}
    return {"table": ({"sets": made}, settings), "figure": ({"sets": made}, look)}


def _strengths(shown: Shown, grid: Mapping[str, Any]) -> Parts:
    """Figure 3. The last column is the random direction, without beta."""
    loss = shown.grid["guided"]["loss"]
    cells = [
        [shown.one(loss, alpha, beta) for beta in grid["beta"]] + [shown.one(CONTROL, alpha, 0)]
        for alpha in grid["alpha"]
    ]
    points = _different([shown.plain(), *(point for row in cells for point in row)])
    made = shown.same_seeds("fig3-strengths", points, grid["classes"], 1)
    settings = _of_one(shown, points, _title("fig3", "one seed by alpha and beta"), grid["classes"])
    look = settings | {"alpha": grid["alpha"], "beta": grid["beta"], "loss": loss}
    look["cells"] = [[points.index(point) for point in row] for row in cells]
    return {"table": ({"sets": [made]}, settings), "figure": ({"sets": [made]}, look)}


def _pairs(shown: Shown, name: str, grid: Mapping[str, Any]) -> Parts:
    """Figures 5, 6, 20 and 21."""
    points, classes = shown.compared(), grid["classes"]
    made = shown.same_seeds(f"{name}-pairs", list(points.values()), classes, grid["per_class"])
    settings = {
        "title": _title(name, "plain and guided images of the same seeds"),
        "panels": [shown.titles()],
        "names": [list(points)],
        "points": [list(points.values())],
        "classes": classes,
    }
    look = settings | {"guided": shown.grid["guided"], "layout": grid["layout"]}
    return {"table": ({"sets": [made]}, settings), "figure": ({"sets": [made]}, look)}


def _progressive(shown: Shown, grid: Mapping[str, Any]) -> Parts:
    """Figure 10, with the random direction as a panel of its own."""
    losses = [shown.grid["guided"]["loss"], CONTROL]
    cells = [[shown.one(loss, alpha, 0) for alpha in grid["alpha"]] for loss in losses]
    points = _different([shown.plain(), *(point for row in cells for point in row)])
    made = shown.same_seeds("fig10-progressive", points, grid["classes"], 1)
    title = _title("fig10", "one seed of each class as alpha rises")
    settings = _of_one(shown, points, title, grid["classes"])
    look = settings | {"alpha": grid["alpha"], "losses": losses}
    look["cells"] = [[points.index(point) for point in row] for row in cells]
    return {"table": ({"sets": [made]}, settings), "figure": ({"sets": [made]}, look)}


def _of_one(
    shown: Shown, points: Sequence[Point], title: str, classes: Sequence[int]
) -> dict[str, Any]:
    """Settings of the table of one experiment."""
    return {
        "title": title,
        "panels": [shown.titles()],
        "names": [[_name(point) for point in points]],
        "points": [list(points)],
        "classes": list(classes),
    }


def _name(point: Point) -> str:
    """A point as a row of a table: plain, or its loss and strengths."""
    if not point["auxiliaries"]:
        return "plain"
    alpha = [f"{point['loss'].replace('_', ' ')}, α = {point['alpha']:g}"] if point["alpha"] else []
    beta = [f"β = {point['beta']:g}"] if point["beta"] else []
    return ", ".join(alpha + beta)


def _different(points: Sequence[Point]) -> list[Point]:
    return [point for i, point in enumerate(points) if point not in points[:i]]


# ---------------------------------------------------------------- smoothing


def _smoothing(guided: Guided) -> Iterator[Target]:
    """Figure 15: what smoothing does to sets of images, and to the images of one seed."""
    functions: dict[Kind, str] = {
        "table": f"{HERE}.fig15:fig15",
        "figure": f"{HERE}.fig15_figure:fig15_figure",
    }
    caption = (
        "Smoothing of the class embedding: images of the same seeds, precision, recall, hardness."
    )

    def parts() -> Parts:
        grid = guided.grid["shown"]["fig15"]
        shown = _shown(guided, "fig15")
        sets, checkpoint = shown.guided.sets, shown.guided.checkpoint
        points = [*shown.guided.controls(), *shown.smoothed(grid["smoothing"])]
        inputs = {"scores": sets.scores(checkpoint, points)}
        rows = {"rows": sets.rows(checkpoint, points)}
        pictured = [shown.plain(), *shown.smoothed(grid["smoothing"])]
        made = shown.same_seeds("fig15-smoothing", pictured, grid["classes"], 1)
        look = {
            "classes": grid["classes"],
            "smoothing": [0.0, *grid["smoothing"]],
            "extractors": extractors_of(guided.grid["images"]["metrics"]),
        }
        drawn: dict[str, Artifact | str] = {
            "samples": made,
            "table": "results/low_density/fig15.csv",
        }
        return {"table": (inputs, rows), "figure": (drawn, look)}

    yield from targets_of("low_density/fig15", functions, caption, CATEGORY, parts)
