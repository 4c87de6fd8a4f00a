"""Figures 3, 6, 8, 9 and 19: the density that is searched by, beside that of neighbours, and where searches go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLACE, REPORTED, Block, Rare
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.experiments import experiment
from pseudodensity.plan.methods import method_module
from pseudodensity.plan.models import generator_modules
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["density_targets"]

# Rows of `extremes`.
OF_MAIN = (
    *("real, dense by neighbours", "real, sparse by neighbours"),
    *("real, dense by the flow", "real, sparse by the flow"),
    *("fake, dense by rarity", "fake, sparse by rarity"),
    *("fake, dense by the flow", "fake, sparse by the flow"),
    "outside, dense by the flow",
)
OF_SMALL = ("real, dense by the flow", "real, sparse by the flow")


def density_targets(rare: Rare) -> Iterator[Target]:
    """What is measured of the density, and what is shown of it."""
    main, small = rare.grid["block"], rare.grid["small"]
    yield from targets_of(
        "diverse_rare/fig8",
        _functions("fig8:fig8", "fig8_figure:fig8_figure"),
        "Negative log-density of the flow against k-NN distance and rarity score, beside a Gaussian's.",
        CATEGORY,
        lambda: _measured(rare, main, small),
    )
    for number, blocks, rows, caption in (
        (3, [main], OF_MAIN, "Real and fake images of high and of low density."),
        (6, small, OF_SMALL, "The same of real images of small data sets, by the flow."),
    ):
        yield from targets_of(
            f"diverse_rare/fig{number}",
            _functions("extremes_table:extremes_table", "extremes_figure:extremes_figure"),
            caption,
            CATEGORY,
            lambda number=number, blocks=blocks, rows=rows: _extremes(rare, number, blocks, rows),
        )
    for number, caption in (
        (9, "The path of a search over the density around its reference."),
        (19, "Paths of searches: rarity and log-density step by step, and where they go."),
    ):
        yield from targets_of(
            f"diverse_rare/fig{number}",
            _functions("paths_table:paths_table", f"paths_figure:fig{number}_figure"),
            caption,
            CATEGORY,
            lambda number=number: _paths(rare, main, number),
        )


def _functions(table: str, figure: str) -> dict[Kind, str]:
    return {"table": f"{HERE}.{table}", "figure": f"{HERE}.{figure}"}


# ---------------------------------------------------------------- Figures 3, 6 and 8


def _measured(rare: Rare, main: Block, small: Sequence[Block]) -> Parts:
    blocks = [main, *small]
    inputs: dict[str, Any] = {"measured": [_densities(rare, block) for block in blocks]}
    inputs["reported"] = REPORTED
    settings = _told(rare) | {
        "panels": [rare.titles(block) | {"paper": block is main} for block in blocks]
    }
    drawn = inputs | {"table": "results/diverse_rare/fig8.csv"}
    return {"table": (inputs, settings), "figure": (drawn, settings)}


def _extremes(rare: Rare, number: int, blocks: Sequence[Block], rows: Sequence[str]) -> Parts:
    """ConfigError: no blocks."""
    if not blocks:
        raise ConfigError(
            f"config: {PLACE}.small is empty: name a model and its data set there for Figure {number}"
        )
    inputs = {"sets": [_extreme(rare, block, rows) for block in blocks]}
    settings = _told(rare) | {"number": number, "panels": [rare.titles(block) for block in blocks]}
    return {"table": (inputs, settings), "figure": (inputs, settings)}


def _told(rare: Rare) -> dict[str, Any]:
    return {"extractor": rare.extractor, "k": _k(rare)}


def _k(rare: Rare) -> int:
    """Of the real balls of the search."""
    return rare.search(rare.grid["block"], 0)["manifold_k"]


def _densities(rare: Rare, block: Block) -> Artifact:
    """How dense each image of a block lies."""
    plan, pools, point = rare.plan, rare.plan.pools, rare.search(block, 0, estimator="flow")
    checkpoint, fakes, name = rare.checkpoint(block), rare.grid["density"]["fakes"], rare.extractor
    known = pools.inputs_of(method_module(point["method"]), checkpoint, point)
    needs: dict[str, Any] = {
        "real_features": known["search_features"],
        "feature_density": known["feature_density"],
    }
    needs["made"] = pools.proposals(checkpoint, fakes)
    if column := rare.features(name, needs["made"], fakes):
        needs["made_features"] = column
    fit = plan.config["feature_density"]
    settings = {
        "extractor": name,
        "fakes": fakes,
        "k": point["manifold_k"],
        "held_out": fit["held_out"],
        "fit_seed": fit["seed"],
        "seed": pools.seed,
    }
    slug = f"densities-{checkpoint.slug}"
    return experiment(slug, f"{HERE}.measured.densities:densities", settings, needs)


def _extreme(rare: Rare, block: Block, rows: Sequence[str]) -> Artifact:
    """Images of the highest and the lowest density of a block."""
    pools, grid, checkpoint = rare.plan.pools, rare.grid["density"], rare.checkpoint(block)
    needs: dict[str, Any] = {
        "densities": _densities(rare, block),
        "data": rare.plan.data.dataset(block["dataset"]),
    }
    if any(not row.startswith("real") for row in rows):
        needs["made"] = pools.proposals(checkpoint, grid["fakes"])
    settings = {"rows": list(rows), "shown": grid["shown"], "seed": pools.seed}
    slug = f"extremes-{checkpoint.slug}"
    return experiment(slug, f"{HERE}.measured.extremes:extremes", settings, needs)


# ---------------------------------------------------------------- Figures 9 and 19


def _paths(rare: Rare, block: Block, number: int) -> Parts:
    """Both figures show paths of the same searches."""
    grid, checkpoint, pools = rare.grid["paths"], rare.checkpoint(block), rare.plan.pools
    if grid["shown"] > grid["references"]:
        raise ConfigError(
            f"config: {PLACE}.paths.shown is {grid['shown']}, but paths.references, of which they are chosen, is "
            f"{grid['references']}: raise that"
        )
    point = rare.search(block, grid["steps"])
    module = method_module(point["method"])
    imports = (
        *pools.modules_of(module, checkpoint, point),
        *generator_modules(checkpoint.facts["architecture"]),
    )
    own = {key: grid[key] for key in ("references", "shown", "images")}
    measured = experiment(
        f"paths-{checkpoint.slug}",
        f"{HERE}.measured.paths:paths",
        own | {"point": point, "seed": pools.seed},
        pools.inputs_of(module, checkpoint, point),
        tuple(dict.fromkeys(imports)),
    )
    settings = {
        "number": number,
        "shown": 1 if number == 9 else grid["shown"],
        "panel": rare.titles(block),
        "point": point,
        "references": grid["references"],
        "extractor": rare.extractor,
    }
    inputs = {"measured": measured}
    return {"table": (inputs, settings), "figure": (inputs, settings)}
