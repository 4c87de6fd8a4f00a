"""Importance sampling by exact likelihood in the place of pseudo density (main paper, appendix A.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Choice, Point, Pool, no_column_settings
from pseudodensity.control.select import importance

NAME = "likelihood"
TITLE = "sampling by likelihood"
PAPER = "000"
SOURCE = "appendix A.5, figure 7"
NEEDS = ("likelihood",)
POOL = "model"
DEFAULTS = {}
GRID = {"tau": [20, 50, 80], "w": [0.03, 33.0]}
LIMITS = {"tau": (0, 100), "w": (1e-9, 1e9)}

proposals = importance.proposals
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every (tau, w): tau a percentile of the log-likelihoods of the real images' codes."""
    return importance.grid_points(NAME, grid)


def label(point: Point) -> str:
    """In the paper's words."""
    return f"sampling by likelihood, tau {point['tau']:g} %, w {point['w']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It needs a model that knows its likelihood."""
    return None if generator["likelihood"] else "needs an exact likelihood, and there is none"


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Algorithm 2 on the log-likelihood."""
    return importance.choose_by(pool, "likelihood", point, images, repeats)
