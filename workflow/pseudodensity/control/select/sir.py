"""Sampling-importance-resampling by a discriminator's density ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.auxiliary.ratio import why_not
from pseudodensity.control.choice import Choice, Point, Pool
from pseudodensity.control.select.ratio import block_choice, burn_in_of, tuned_logits

__all__ = ["choose", "column_settings", "label", "points", "proposals", "why_not"]

NAME = "sir"
TITLE = "SIR"
PAPER = "003"
SOURCE = "equation 3; Grover et al. 2019"
NEEDS = ("logits",)
POOL = "model"
# calibration: of logits to density ratios, see `Calibration.fit`.
DEFAULTS = {"calibration": "isotonic"}
CHOICES = {"calibration": ["isotonic", "logistic"]}
# candidates: proposals out of which one is taken; the paper's n.
GRID = {"candidates": [2, 10]}
LIMITS = {"candidates": (1, 10_000)}

column_settings = tuned_logits


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per number of candidates."""
    return [{"method": NAME, "candidates": n, **settings} for n in grid["candidates"]]


def label(point: Point) -> str:
    """With the paper's n."""
    return f"SIR, n = {point['candidates']}"


def proposals(point: Point, images: int, repeats: int) -> int:
    """Its candidates, and a burn-in of one repeat that calibrates."""
    return images * (1 + point["candidates"] * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each output has candidates of its own, so outputs are independent and none comes twice."""
    from pseudodensity.control.select.discriminator import calibrated_ratios
    from pseudodensity.control.select.schemes import sir
    from pseudodensity.rng import generator as stream_of

    start, length = burn_in_of(pool, images), point["candidates"]
    found = calibrated_ratios(pool.column("logits"), start, point["calibration"])
    chosen = sir(found.proposals[start:], length, stream_of(pool.seed, "sir"))
    return block_choice(chosen, length, start, images, repeats, found.note)
