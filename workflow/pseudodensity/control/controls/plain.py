"""The model as it is: every proposal is taken. What any method is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Point, all_proposals, no_column_settings, one_each

NAME = "plain"
TITLE = "plain"
PAPER = "000"
SOURCE = "pre-trained rows of Table 1"
NEEDS = ()
POOL = "model"
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
    return "plain"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """Every generator can be sampled."""
    return None
