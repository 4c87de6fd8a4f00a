"""What no search costs: of a pool of fakes, the rarest near each reference that lie in the real manifold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    needs_one_pass,
    no_column_settings,
)
from pseudodensity.control.move.rare_ground import (
    LIMITING,
    rows_per_file,
    rows_per_group,
    with_changes,
)
from pseudodensity.control.move.rare_ground import all_of_references as proposals

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "choose",
    "column_settings",
    "label",
    "maker",
    "points",
    "proposals",
    "rows_per_file",
    "rows_per_group",
    "why_not",
]

NAME = "rare_pick"
TITLE = "pool pick"
PAPER = "project"
SOURCE = "a baseline of papers/004: the rarest of a pool within d*"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "search_extractor", "search_features", "feature_density")
# As of the rare search, whose limits it keeps.
DEFAULTS = {
    "extractor": None,
    "estimator": "flow",
    "space": "z",
    "manifold_k": 3,
    "neighbours": 40,
    "fakes": 4000,
    "samples": 10,
    "distance": "euclidean",
}
CHOICES = {
    "estimator": ["flow", "gaussian"],
    "space": ["z", "w"],
    "distance": ["euclidean", "manhattan", "cosine"],
}
# pool: fakes to pick from.
GRID = {"pool": [4000]}
LIMITS = {
    "pool": (1, 10_000_000),
    "manifold_k": (1, 10_000),
    "neighbours": (1, 1_000_000),
    "fakes": (2, 10_000_000),
    "samples": (1, 1000),
}

choose = all_proposals
column_settings = no_column_settings
why_not = needs_one_pass


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per size of the pool."""
    return [{"method": NAME, "pool": size, **settings} for size in dict.fromkeys(grid["pool"])]


def label(point: Point) -> str:
    """With the size of the pool, and what of the limits is not the default."""
    return with_changes(f"{TITLE} of {point['pool']}", point, LIMITING, DEFAULTS)


def maker(context: Tools) -> Maker:
    """Images of the pool that were picked, with the columns of a rare search.

    Where fewer than ``samples`` of the pool can be had, the reference itself stands in, and
    ``search.found`` says so.
    """
    import torch

    from pseudodensity.control.move.feature_distance import apart
    from pseudodensity.control.move.rare_ground import Ground, around_references
    from pseudodensity.control.move.rare_references import pool_pick

    point, ground = context.settings, Ground.of(context)
    points_, fakes = ground.fakes(max(point["fakes"], point["pool"]))
    counted, pool, pooled = (
        fakes[: point["fakes"]],
        points_[: point["pool"]],
        fakes[: point["pool"]],
    )
    with torch.no_grad():
        rarity = torch.cat(
            [ground.space.log_density(part) for part in pooled.split(context.batch_size)]
        )
        inside = ground.space.manifold.inside(pooled)

    def find(references: Tensor, numbers: Sequence[int]) -> tuple[Tensor, Mapping[str, Tensor]]:
        starts, features, log_density = ground.references(references)
        limits = ground.limits(features, counted)
        rows = pool_pick(
            pooled,
            rarity,
            inside,
            features,
            limits,
            point["samples"],
            distance=point["distance"],
        )
        found = rows >= 0
        wide = found.view(*found.shape, *[1] * (starts.ndim - 1))
        reached = torch.where(wide, pool[rows], starts[:, None])
        away = apart(pooled[rows], features[:, None], point["distance"])
        own, each = log_density[:, None], found.shape
        return reached, {
            "found": found.float(),
            "step": torch.zeros_like(limits)[:, None].expand(each),
            "distance": torch.where(found, away, 0),
            "limit": limits[:, None].expand(each),
            "log_density": torch.where(found, rarity[rows], own),
            "reference_log_density": own.expand(each),
            "reference_inside": ground.space.manifold.inside(features)[:, None]
            .expand(each)
            .float(),
            "feasible": found.float().mean(1)[:, None, None].expand(*each, 1),
        }

    # The pool serves all references; counted as if it were drawn for one.
    calls = -(-point["pool"] // point["samples"]) + 1
    return around_references(point, context, find, ground.images, calls)
