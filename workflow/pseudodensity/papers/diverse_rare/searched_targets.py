"""Tables 1, 4, 7, 9, 10 and 11: the search in numbers, beside its references, baselines and rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLAIN, Block, Rare
from pseudodensity.plan.method_sets import MethodSets
from pseudodensity.plan.target import Target, targets_of

__all__ = ["searched_targets", "table_parts"]

TABLE = f"{HERE}.searched_table:searched_table"
SEARCHES = ("rare_search", "rare_pick")


def searched_targets(rare: Rare) -> Iterator[Target]:
    """Table 1 of the main model; Table 4 of those of small data sets."""
    main, small = rare.grid["block"], rare.grid["small"]
    yield from targets_of(
        "diverse_rare/table1",
        {"table": TABLE},
        "Rarity, fidelity and diversity of searched images, of references, baselines and polarity sampling.",
        CATEGORY,
        lambda: {"table": table_parts(rare, rare.sets, [main], _compared(rare), 1)},
    )
    yield from targets_of(
        "diverse_rare/table4",
        {"table": TABLE},
        "The same of generators that were trained on few images.",
        CATEGORY,
        lambda: {"table": table_parts(rare, rare.few, small, _compared(rare), 4)},
    )


def _compared(rare: Rare) -> Any:
    """block -> points of the main comparison, controls first."""

    def points(block: Block) -> Iterator[Mapping[str, Any]]:
        grid, model = rare.grid["table1"], block["model"]
        yield from rare.sets.points(model, "held_out", {})
        yield PLAIN
        yield rare.search(block, 0)
        yield rare.search(block, grid["steps"])
        yield rare.search(block, grid["steps"], density="gaussian")
        yield rare.search(block, grid["steps"], hinge=grid["hinge"])
        for size in grid["pools"]:
            yield rare.pick(block, size)
        rival = {"exponents": grid["polarity"], "replacement": [False]}
        yield from rare.sets.points(model, "polarity", rival)

    return points


def table_parts(
    rare: Rare, sets: MethodSets, blocks: Sequence[Block], points: Any, number: int
) -> tuple[dict[str, Any], dict[str, Any]]:
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
    }
    return {"scores": scores, "around": measured}, settings
