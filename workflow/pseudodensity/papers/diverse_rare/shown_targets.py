"""Figures 1, 4, 5, 7, 10 to 12, 14 and 16 to 18: references and what was searched around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.diverse_rare.attribute_targets import (
    REFERENCES,
    SEARCHED,
    Attributes,
)
from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLACE, Block, Rare
from pseudodensity.papers.diverse_rare.shown import Shown
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["shown_targets"]

TABLE = f"{HERE}.shown_table:shown_table"
# In this order each figure goes on where the one before ends.
MAIN, SMALL = ("fig1", "fig5", "fig11", "fig4", "fig12"), ("fig14", "fig7", "fig16")
BIG, CELL, SMALLER = 0.85, 0.62, 0.5  # inches of an image
LIKELY_OF = {"fig17": slice(0, 1), "fig18": slice(1, 3)}  # models of small data sets


def shown_targets(rare: Rare) -> Iterator[Target]:
    """Each a figure, and a table of what it shows."""
    for names, of in ((MAIN, "the main model"), (SMALL, "models of small data sets")):
        for name in names:
            if name in rare.grid["shown"]["variants"]:
                caption = f"References and all samples that were searched around each, by {of}."
                drawn = "variants_figure"
            else:
                caption = f"References, each beside the rarest sample that was searched, by {of}."
                drawn = "variant_pairs_figure"
            yield from _target(
                name, drawn, caption, lambda name=name, names=names: _first(rare, name, names)
            )
    for name in LIKELY_OF:
        caption = "References of highest likelihood, and a sample that was searched around each."
        yield from _target(name, "likely_figure", caption, lambda name=name: _likely(rare, name))
    caption = "Samples around a reference by the weights of similarity and diversity."
    yield from _target("fig10", "weights_figure", caption, lambda: _weights(rare))


def _target(name: str, drawn: str, caption: str, make: Any) -> Iterator[Target]:
    functions: dict[Kind, str] = {"table": TABLE, "figure": f"{HERE}.{drawn}:{drawn}"}
    yield from targets_of(f"diverse_rare/{name}", functions, caption, CATEGORY, make)


def _parts(
    name: str, said: str, shown: Sequence[Shown], made: Sequence[Artifact], look: Mapping[str, Any]
) -> Parts:
    settings = {
        "title": f"Figure {name.removeprefix('fig')} of diverse rare samples: {said}",
        "panels": [own.panel() for own in shown],
        "points": [own.labels() for own in shown],
    }
    inputs = {"sets": list(made)}
    return {"table": (inputs, settings), "figure": (inputs, settings | look)}


def _searches(rare: Rare, name: str, blocks: Sequence[Block]) -> list[Shown]:
    """The search of Table 1 of the main model, or those of Table 4."""
    steps = rare.grid["table1"]["steps"]
    return [
        Shown(
            rare,
            name,
            rare.sets_of(block),
            block,
            [rare.search(block, steps, **rare.changed(block))],
        )
        for block in blocks
    ]


def _first(rare: Rare, name: str, names: Sequence[str]) -> Parts:
    """References as they were drawn. names: of the figures that share them."""
    grid = rare.grid["shown"]
    counts = grid["variants"] | grid["pairs"]
    start = sum(counts[other] for other in names[: names.index(name)])
    blocks = rare.grid["small"] if names == SMALL else [rare.grid["block"]]
    if not blocks:
        raise ConfigError(
            f"config: {PLACE}.small names no model, and {name} shows those of small data sets: name one"
        )
    shown, all_of_them = _searches(rare, name, blocks), name in grid["variants"]
    made = [
        own.images("first", start, counts[name], "rarest", own.samples if all_of_them else 1)
        for own in shown
    ]
    if all_of_them:
        said = "references and all samples around each"
        look: dict[str, Any] = {"cell": BIG if name == MAIN[0] else CELL}
    else:
        said, many = "references, each beside a rare sample", counts[name] > 16
        look = {"cell": SMALLER if many else CELL, "across": 8 if many else 6}
    parts = _parts(name, said, shown, made, look)
    return parts if all_of_them else _with_attributes(rare, blocks, parts)


def _with_attributes(rare: Rare, blocks: Sequence[Block], parts: Parts) -> Parts:
    """The figure with what changed named under each pair, where the attributes of all models can be had."""
    try:
        measured = [Attributes(rare).measured(block) for block in blocks]
    except ConfigError:
        return parts
    inputs, settings = parts["figure"]
    told = {"attribute_sets": [REFERENCES, SEARCHED]}
    return {**parts, "figure": ({**inputs, "attributes": measured}, {**settings, **told})}


def _likely(rare: Rare, name: str) -> Parts:
    """Figure 17: the main model and the first of a small data set. Figure 18: the next two."""
    counts, small = rare.grid["shown"]["likely"], rare.grid["small"][LIKELY_OF[name]]
    shown = _searches(rare, "likely.small", small)
    made = [own.images("likely", 0, counts["small"], "drawn", 1) for own in shown]
    if name == "fig17":
        main = _searches(rare, "likely.main", [rare.grid["block"]])
        made = [*(own.images("likely", 0, counts["main"], "drawn", 1) for own in main), *made]
        shown = [*main, *shown]
    if not shown:
        raise ConfigError(
            f"config: {PLACE}.small names {len(rare.grid['small'])} of the models of small data sets, and {name} "
            "shows the second and the third: name more"
        )
    said = "references of highest likelihood and what was searched around them"
    return _parts(name, said, shown, made, {})


def _weights(rare: Rare) -> Parts:
    """Figure 10."""
    own, values = rare.grid["shown"]["fig10"], rare.grid["table9"]
    block, steps = rare.grid["block"], rare.grid["table1"]["steps"]
    points = [
        rare.search(block, steps, similarity=similarity, diversity=diversity)
        for similarity in values["similarity"]
        for diversity in values["diversity"]
    ]
    shown = Shown(rare, "fig10", rare.few, block, points)
    made = shown.images("first", 0, own["references"], "drawn", own["samples"])
    across = len(values["diversity"])
    cells = [list(range(start, start + across)) for start in range(0, len(points), across)]
    look = {"similarity": values["similarity"], "diversity": values["diversity"], "cells": cells}
    return _parts("fig10", "samples by λ1 and λ2", [shown], [made], look)
