"""The first look: the samples of one generator by pseudo density, and what the methods make of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.methods import check_grid, method_module, points
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.pools import images_of
from pseudodensity.plan.target import Target

__all__ = ["targets"]

HERE = "papers.faces"
CATEGORY = "Faces"
ELSEWHERE = (
    "config: results/faces shows a generator of config/scales/faces.yaml: run `make faces`, which "
    "installs the packages that hold it (envs/faces.txt) and asks for it"
)


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """A table of images, a table of scores, and the picture of both."""
    if grid["model"] not in plan.config["models"] or grid["dataset"] not in plan.config["datasets"]:
        for name, kind in (("faces", "table"), ("faces.frontier", "table"), ("faces", "figure")):
            yield Target(name, kind, f"{HERE}.samples:samples", missing=ELSEWHERE)
        return
    checkpoint = plan.models.pretrained(grid["model"], grid["dataset"], plan.config["seeds"][0])
    pool = plan.pools.proposals(checkpoint, grid["generations"])
    moved = [
        plan.samples.moved(checkpoint, "density", move, grid["columns"]) for move in grid["moves"]
    ]
    settings = {key: grid[key] for key in ("columns", "generations", "importance", "moves")}
    yield Target(
        "faces",
        "table",
        f"{HERE}.samples:samples",
        inputs={
            "described": pool,
            "density": plan.data.density(grid["dataset"]),
            "moved": moved,
        },
        settings=settings | {"seed": plan.pools.seed},
        caption="Which images results/faces.png shows, with their pseudo densities.",
        category=CATEGORY,
        imports=(method_module("importance"),),
    )
    yield _frontier(plan, grid, checkpoint)
    yield Target(
        "faces",
        "figure",
        f"{HERE}.picture:picture",
        inputs={
            "table": "results/faces.csv",
            "frontier": "results/faces.frontier.csv",
            "described": pool,
            "pixels": [images_of(part) for part in pool],
            "moved": moved,
        },
        settings=settings | _said(plan, grid),
        caption="A generator's samples by pseudo density, chosen by it, and moved along it.",
        category=CATEGORY,
    )


def _frontier(plan: Plan, grid: Mapping[str, Any], checkpoint: Artifact) -> Target:
    """Precision and recall of every point, judged against the data set."""
    declared, asked = plan.models.declaration(grid["model"]), [{"method": "plain"}]
    asked += [{"method": "importance", **point} for point in grid["importance"].values()]
    for name, own in grid["frontier"].items():
        check_grid("papers.faces.frontier", name, own)
        asked += points(name, own, plan.config["methods"], declared)
    asked = [point for i, point in enumerate(asked) if point not in asked[:i]]
    how = (grid["images"], 1)
    items = [plan.pools.item(checkpoint, point, *how) for point in asked]
    made = plan.pools.scores(f"{checkpoint.slug}-faces", grid["dataset"], items, *how)
    names = {"block": f"{grid['model']}-{grid['dataset']}"}
    names |= {"model": plan.models.title(grid["model"])}
    names |= {"dataset": plan.config["datasets"][grid["dataset"]]["title"]}
    rows = [
        names | {"pool": item.pool, "point": point}
        for item, point in zip(items, asked, strict=True)
    ]
    return Target(
        "faces.frontier",
        "table",
        f"{HERE}.frontier:frontier",
        inputs={"scores": [made["manifold"]]},
        settings={"rows": rows},
        caption="Precision and recall of importance sampling and truncation on this generator.",
        category=CATEGORY,
    )


def _said(plan: Plan, grid: Mapping[str, Any]) -> dict[str, Any]:
    """What the caption says of networks, counts and seeds."""
    dataset = plan.config["datasets"][grid["dataset"]]
    return {
        "title": plan.models.title(grid["model"]),
        "steering": plan.data.steering,
        "judge": plan.config["metrics"]["manifold"]["extractor"],
        "density_k": dataset["density_k"],
        "reference": dataset["images"],
        "seed": plan.pools.seed,
    }
