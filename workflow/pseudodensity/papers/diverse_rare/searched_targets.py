"""Tables 1, 4, 7, 9, 10 and 11: the search in numbers, beside its references, baselines and rivals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from pseudodensity.papers.diverse_rare.polarity_targets import polarity_points
from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLAIN, Block, Rare
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.methods import method
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["searched_targets", "table_parts"]

TABLE = f"{HERE}.searched_table:searched_table"
SEARCHES = ("rare_search", "rare_pick")

Points = Callable[[Block], Iterator[Mapping[str, Any]]]
Made = tuple[dict[str, Any], dict[str, Any]]  # inputs and settings of a target


def searched_targets(rare: Rare) -> Iterator[Target]:
    """Table 1 of the main model, Table 4 of those of small data sets, and what single settings do."""
    main, grid = [rare.grid["block"]], rare.grid
    yield from _table(
        1,
        "Rarity, fidelity and diversity of searched images, of references, baselines and polarity sampling.",
        lambda: table_parts(rare, rare.sets, main, _compared(rare), 1),
    )
    yield from _table(
        4,
        "The same of generators that were trained on few images.",
        lambda: table_parts(rare, rare.small, grid["small"], _compared(rare), 4),
    )
    functions: dict[Kind, str] = {
        "table": f"{HERE}.feasible:feasible",
        "figure": f"{HERE}.feasible:feasible_figure",
    }
    yield from targets_of(
        "diverse_rare/feasible",
        functions,
        "What is feasible, and what is kept, at each step of the searches of Table 1.",
        CATEGORY,
        lambda: _feasible(rare, main[0]),
    )
    for number, caption, dials in _single_settings(grid):
        yield from _table(
            number,
            caption,
            lambda number=number, dials=dials: table_parts(
                rare, rare.few, main, _varied(rare, dials), number
            ),
        )


def _table(number: int, caption: str, make: Callable[[], Made]) -> Iterator[Target]:
    name = f"diverse_rare/table{number}"
    yield from targets_of(name, {"table": TABLE}, caption, CATEGORY, lambda: {"table": make()})


def _feasible(rare: Rare, block: Block) -> Parts:
    searches = [p for p in _compared(rare)(block) if p["method"] == "rare_search" and p["steps"]]
    settings = {"names": rare.titles(block), "extractor": rare.extractor}
    inputs = {"around": [rare.around(rare.sets, block, point) for point in searches]}
    labels = [method(point["method"]).label(point) for point in searches]
    drawn = {"table": "results/diverse_rare/feasible.csv"}
    return {"table": (inputs, settings | {"labels": labels}), "figure": (drawn, settings)}


def _single_settings(
    grid: Mapping[str, Any],
) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    """Number, caption and settings of the tables in which one or two settings vary."""
    terms = [{"similarity": 0.0, "diversity": 0.0}, {"diversity": 0.0}, {}]
    yield 7, "What each term of the objective adds: rare, + similarity, + diversity.", terms
    weights = product(grid["table9"]["similarity"], grid["table9"]["diversity"])
    pairs = [{"similarity": one, "diversity": other} for one, other in weights]
    yield 9, "The search by the weights of its terms.", pairs
    limits = [{"neighbours": k} for k in grid["table10"]["neighbours"]]
    yield 10, "The search by the neighbour that the limit d* is the distance of.", limits
    distances = [{"distance": name} for name in grid["table11"]["distance"]]
    yield 11, "The search by the distance that its terms are made of.", distances


def _varied(rare: Rare, dials: Sequence[Mapping[str, Any]]) -> Points:
    """References, starts, the search with each of some settings, and with a Gaussian; pool picks within the same
    limits."""
    limits = [
        {key: dial[key]} for dial in dials for key in ("neighbours", "distance") if key in dial
    ]

    def points(block: Block) -> Iterator[Mapping[str, Any]]:
        steps = rare.grid["table1"]["steps"]
        yield PLAIN
        yield rare.search(block, 0)
        for dial in dials:
            yield rare.search(block, steps, **dial)
        yield rare.search(block, steps, estimator="gaussian")
        for limit in limits or [{}]:
            yield rare.pick(block, max(rare.pools(block)), **limit)

    return points


def _compared(rare: Rare) -> Points:
    """Points of the main comparison, controls first."""

    def points(block: Block) -> Iterator[Mapping[str, Any]]:
        grid, model, changed = rare.grid["table1"], block["model"], rare.changed(block)
        yield from rare.sets.points(model, "held_out", {})
        yield PLAIN
        yield rare.search(block, 0, **changed)
        for dial in ({}, {"estimator": "gaussian"}, {"hinge": grid["hinge"]}):
            yield rare.search(block, grid["steps"], **(changed | dial))
        for size in rare.pools(block):
            yield rare.pick(block, size)
        yield from polarity_points(rare, block, "polarity", grid["polarity"], replacement=False)

    return points


def table_parts(
    rare: Rare, sets: MethodSets, blocks: Sequence[Block], points: Points, number: int
) -> Made:
    """Inputs and settings of a table of the search. points: block -> its points. number: of the table."""
    scores, measured, rows = [], [], []
    for block in blocks:
        own = list(points(block))
        scores += rare.scores(sets, block, own)
        for point in own:
            around = None
            if point["method"] in SEARCHES:
                around = len(measured)
                measured.append(rare.around(sets, block, point))
            rows.append(rare.row(sets, block, point, around=around))
    settings = {
        "rows": rows,
        "number": number,
        "second": rare.grid["second"],
        "extractor": rare.extractor,
        "pairs": rare.pairs,
    }
    return {"scores": scores, "around": measured}, settings
