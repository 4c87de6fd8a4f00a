"""Importance sampling by pseudo density: who is accepted, and how real images are weighted.

Main paper, section 5.1 and Algorithm 2; the weights of Algorithm 3. As a method at inference its point is
(tau, w): tau a percentile of the real images' densities, w the relative weight of images at or above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    no_column_settings,
    proposals_for,
)
from pseudodensity.control.select.acceptance import expected_acceptance, importance_acceptance

NAME = "importance"
TITLE = "importance sampling"
PAPER = "000"
SOURCE = "Algorithm 2"
NEEDS = ("density",)
POOL = "model"
DEFAULTS = {}
# The paper's choices for precision and recall (appendix A.1).
GRID = {"tau": [20, 50, 80], "w": [0.03, 33.0]}
LIMITS = {"tau": (0, 100), "w": (1e-9, 1e9)}

column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every (tau, w); w = 1 is plain sampling, left out."""
    return grid_points(NAME, grid)


def grid_points(method: str, grid: Mapping[str, Iterable[float]]) -> list[Point]:
    """Points of a method that takes tau and w."""
    return [{"method": method, "tau": t, "w": w} for t in grid["tau"] for w in grid["w"] if w != 1]


def label(point: Point) -> str:
    """In the paper's words."""
    return f"importance sampling, tau {point['tau']:g} %, w {point['w']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks for nothing but images."""
    return None


def proposals(point: Point, images: int, repeats: int) -> int:
    """By the closed form, as if a model had the real images' share below tau."""
    share = float(expected_acceptance(point["tau"] / 100, point["w"]))
    return proposals_for(share, images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Algorithm 2 on the pseudo density."""
    return choose_by(pool, "density", point, images, repeats)


def choose_by(pool: Pool, column: str, point: Point, images: int, repeats: int) -> Choice:
    """Algorithm 2 on any column of one number per image whose real side is known.

    All points of a pool share one uniform draw per proposal, and keep it when the pool grows.
    ``expected`` is the closed form at the measured share below the threshold.
    """
    import torch

    from pseudodensity.density.percentile import threshold as percentile_threshold
    from pseudodensity.rng import generator as stream_of

    scored = pool.column(column)
    threshold = percentile_threshold(scored.real, point["tau"])
    chances = importance_acceptance(torch.from_numpy(scored.values).double(), threshold, point["w"])
    stream = stream_of(pool.seed, "acceptance")
    choice = accepted_stretches(chances.log(), stream, images, repeats)
    low = float((scored.values[: choice.used] < threshold).mean())
    expected = float(expected_acceptance(low, point["w"]))
    return Choice(choice.rows, choice.used, choice.acceptance, expected, choice.ess, choice.note)
