"""Real images that no model has seen: what a perfect generator would score. A ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Point, all_proposals, no_column_settings, one_each

NAME = "held_out"
TITLE = "held-out real images"
PAPER = "project"
SOURCE = "a control of this project"
NEEDS = ()
POOL = "reals"
DEFAULTS = {}
GRID = {}

choose = all_proposals
proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """The one point there is."""
    return [{"method": NAME}]


def label(point: Point) -> str:
    """How tables call it."""
    return "held-out real images"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks nothing of a generator."""
    return None
