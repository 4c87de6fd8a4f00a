"""The search for diverse rare images as a method at inference; the search itself is in `rare_search`."""

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

    from pseudodensity.control.move.rare_search import Settings

__all__ = [
    "choose",
    "column_settings",
    "label",
    "maker",
    "points",
    "proposals",
    "rows_per_file",
    "rows_per_group",
    "search_settings",
    "why_not",
]

NAME = "rare_search"
TITLE = "rare search"
PAPER = "004"
SOURCE = "equation 2"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "search_extractor", "search_features", "feature_density")
# extractor: in whose features it searches, in standard deviations of the real ones. estimator: of the density that is
# descended. manifold_k: neighbours of the real manifold. neighbours, fakes: d* is the distance to such a neighbour among
# so many fakes (k' = 100 of 10,000 in the paper). samples: N. The others: see
# `pseudodensity.control.move.rare_search.Settings`.
DEFAULTS = {
    "extractor": None,
    "estimator": "flow",
    "space": "z",
    "manifold_k": 3,
    "neighbours": 40,
    "fakes": 4000,
    "samples": 10,
    "similarity": 30.0,
    "diversity": 0.002,
    "sigma": 0.1,
    "learning_rate": 0.02,
    "decay_every": 50,
    "select": "per_sample",
    "impl": "paper",
    "hinge": 0.0,
    "distance": "euclidean",
}
CHOICES = {
    "distance": ["euclidean", "manhattan", "cosine"],
    "estimator": ["flow", "gaussian"],
    "space": ["z", "w"],
    "select": ["per_sample", "joint"],
    "impl": ["paper", "authors"],
}
# steps: 0 are the starts, which nothing moves.
GRID = {"steps": [50]}
LIMITS = {
    "steps": (0, 100_000),
    "manifold_k": (1, 10_000),
    "neighbours": (1, 1_000_000),
    "fakes": (2, 10_000_000),
    "samples": (1, 1000),
    "similarity": (0, 1e9),
    "diversity": (0, 1e9),
    "sigma": (0, 1e3),
    "learning_rate": (1e-9, 1e3),
    "decay_every": (1, 1_000_000),
    "hinge": (0, 1e9),
}
# What a label names where it is not the default: key -> words.
NAMED = LIMITING | {
    "similarity": "lambda1 {:g}",
    "diversity": "lambda2 {:g}",
    "sigma": "sigma {:g}",
    "learning_rate": "rate {:g}",
    "decay_every": "decay every {}",
    "select": "best {}",
    "impl": "as the {}",
    "hinge": "hinge {:g}",
}

choose = all_proposals
column_settings = no_column_settings
why_not = needs_one_pass


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per number of steps."""
    return [{"method": NAME, "steps": steps, **settings} for steps in dict.fromkeys(grid["steps"])]


def label(point: Point) -> str:
    """With the steps, and what of the settings is not the default."""
    what = f"{TITLE}, {point['steps']} steps" if point["steps"] else "starts without search"
    return with_changes(what, point, NAMED, DEFAULTS)


def search_settings(point: Point) -> Settings:
    """How a point searches."""
    from pseudodensity.control.move.rare_search import Settings

    own = ("steps", "similarity", "diversity", "sigma", "learning_rate", "decay_every")
    return Settings(
        count=point["samples"],
        select=point["select"],
        impl=point["impl"],
        hinge=point["hinge"],
        distance=point["distance"],
        **{key: point[key] for key in own},
    )


def maker(context: Tools) -> Maker:
    """Images that were searched for around references, with what is known of each in `search` columns.

    ``search.found``: feasible; ``step``, ``distance`` from the reference, ``limit`` d*, ``log_density`` of the
    sample and ``reference_log_density``, both in nats per volume of standardised features;
    ``reference_inside``: the reference lies in the real manifold; ``feasible`` (n, steps + 1): the share of
    the samples of its reference that are feasible at each step. ValueError: as of the search.
    """
    from pseudodensity.control.move.rare_ground import Ground, around_references
    from pseudodensity.control.move.rare_search import search

    point, ground = context.settings, Ground.of(context)
    _, fakes = ground.fakes(point["fakes"])
    settings = search_settings(point)

    def find(references: Tensor, numbers: Sequence[int]) -> tuple[Tensor, Mapping[str, Tensor]]:
        starts, features, log_density = ground.references(references)
        limits = ground.limits(features, fakes)
        found = search(ground.space, starts, limits, settings, seed=context.seed, numbers=numbers)
        each = found.steps.shape
        return found.latents, {
            "found": found.found.float(),
            "step": found.steps.float(),
            "distance": found.distances,
            "limit": limits[:, None].expand(each),
            "log_density": found.log_density,
            "reference_log_density": log_density[:, None].expand(each),
            "reference_inside": found.reference_inside[:, None].expand(each).float(),
            "feasible": found.feasible[:, None].expand(*each, -1),
        }

    # One pass at every iterate, one back at every step, and one for the image that is kept.
    return around_references(point, context, find, ground.images, 2 + point["steps"])
