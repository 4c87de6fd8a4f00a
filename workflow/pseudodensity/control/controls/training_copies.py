"""Copies of training images: fidelity without anything new. It shows which metrics do not notice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Choice, Point, Pool, no_column_settings, one_each

NAME = "training_copies"
TITLE = "copies of training images"
PAPER = "project"
SOURCE = "a control of this project"
NEEDS = ()
POOL = "training"
DEFAULTS = {}
GRID = {}

proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """The one point there is."""
    return [{"method": NAME}]


def label(point: Point) -> str:
    """How tables call it."""
    return "copies of training images"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It asks nothing of a generator."""
    return None


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Training images at random, with replacement."""
    from pseudodensity.rng import numpy_generator

    stream = numpy_generator(pool.seed, "training copies")
    rows = [stream.integers(len(pool), size=images) for _ in range(repeats)]
    return Choice(rows, len(pool), ess=float(len(pool)))
