"""Latent rejection sampling: a latent is rejected by its learned weight, before the generator runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pseudodensity.control.auxiliary.latent_weight import why_not
from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    no_column_settings,
    proposals_for,
)

__all__ = ["choose", "column_settings", "label", "points", "proposals", "why_not"]

NAME = "latent_rs"
TITLE = "latentRS"
PAPER = "003"
SOURCE = "Algorithm 3; the optimal acceptance of its rate (Verine et al. 2024)"
NEEDS = ("latent_weight",)
POOL = "model"
# drawn_for: the acceptance that the pool is drawn for; about E w / m.
DEFAULTS = {"drawn_for": 0.3}
GRID = {}
LIMITS = {"drawn_for": (0.001, 1)}

column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One."""
    return [{"method": NAME, **settings}]


def label(point: Point) -> str:
    """In the paper's word."""
    return TITLE


def proposals(point: Point, images: int, repeats: int) -> int:
    """For the acceptance of the settings."""
    return proposals_for(point["drawn_for"], images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each latent is accepted with probability min(w / m, 1)."""
    import torch

    from pseudodensity.control.select.latent import latent_log_acceptance
    from pseudodensity.rng import generator as stream_of

    column = pool.column("latent_weight")
    chances = latent_log_acceptance(torch.from_numpy(column.values), column.facts["largest"])
    found = accepted_stretches(
        chances, stream_of(pool.seed, "latent_rs"), images, repeats, note=column.facts["note"]
    )
    return replace(found, generated=images * len(found.rows))
