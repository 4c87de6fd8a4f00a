"""Tables 15 to 17: polarity sampling as the rival of the search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pseudodensity.papers.diverse_rare.rare import CATEGORY, HERE, PLAIN, REPORTED, Block, Rare
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.target import Target, targets_of

__all__ = ["polarity_points", "polarity_targets"]

TABLE = {"table": f"{HERE}.polarity_table:polarity_table"}
CAPTIONS = {
    15: "Polarity sampling by its exponent, beside the search.",
    16: "Polarity sampling with replacement, which repeats images.",
    17: "Polarity sampling that rejects what lies outside the real manifold, and what that takes.",
}


def polarity_targets(rare: Rare) -> Iterator[Target]:
    """Each of them on the main model, with the search of Table 1 beside."""
    for number, caption in CAPTIONS.items():
        yield from targets_of(
            f"diverse_rare/table{number}",
            TABLE,
            caption,
            CATEGORY,
            lambda number=number: {"table": _parts(rare, number)},
        )


def _parts(rare: Rare, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    block, grid = rare.grid["block"], rare.grid["polarity"]
    both = rare.grid["table1"]["polarity"]
    points = [PLAIN, rare.search(block, 0), rare.search(block, rare.grid["table1"]["steps"])]
    points.append(rare.pick(block, max(rare.pools(block))))
    if number == 15:
        points += polarity_points(rare, block, "polarity", grid["exponents"], replacement=False)
    elif number == 16:
        for replacement in (False, True):
            points += polarity_points(rare, block, "polarity", both, replacement)
    else:
        points += polarity_points(rare, block, "polarity", both, replacement=False)
        points += polarity_points(rare, block, "polarity_inside", both, replacement=False)
    rows = [rare.row(rare.sets, block, point) for point in points]
    inputs = {"scores": rare.scores(rare.sets, block, points), "reported": REPORTED}
    return inputs, {"rows": rows, "table": number}


def polarity_points(
    rare: Rare, block: Block, method: str, exponents: Sequence[float], replacement: bool
) -> list[Mapping[str, Any]]:
    """Points of polarity, or of the one that rejects by the manifold of the searched features.

    ConfigError: the model has no volumes."""
    grid = {"exponents": exponents, "replacement": [replacement]}
    found = rare.sets.points(block["model"], method, grid)
    if not found:
        reason = rare.plan.models.declaration(block["model"])["no_jacobian"]
        raise ConfigError(f"config: {method} is asked of {block['model']}, but it {reason}")
    # Without replacement the rarest are only chosen where there is much to choose from.
    volumes = rare.grid["table1"]["volumes_per_image"] * rare.sets_of(block).images
    more: dict[str, Any] = {"volumes": volumes}
    if method == "polarity_inside":
        more["manifold"] = rare.extractor  # a judge would grade what it chose
    return [point | more for point in found]
