"""The oracle: real images reweighted as Algorithm 2 would have a model's law reweighted.

A model that learned the reweighted law perfectly would score like the oracle, so a claim that does not
hold for the oracle cannot be expected of a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Choice, Point, Pool, no_column_settings
from pseudodensity.control.select import importance

NAME = "oracle"
TITLE = "oracle"
PAPER = "000"
SOURCE = "Algorithm 2 on real images; a control of this project"
NEEDS = ()
POOL = "reals"
DEFAULTS = {}
GRID = {"tau": [20, 50, 80], "w": [0.03, 33.0]}
LIMITS = {"tau": (0, 100), "w": (1e-9, 1e9)}

column_settings = no_column_settings
proposals = importance.proposals


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """The points of importance sampling, on real images."""
    drawn = importance.points(grid, settings, generator)
    return [{**point, "method": NAME} for point in drawn]


def label(point: Point) -> str:
    """In the paper's words."""
    return f"oracle, tau {point['tau']:g} %, w {point['w']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks nothing of a generator."""
    return None


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Importance sampling of the real images."""
    return importance.choose(pool, point, images, repeats)
