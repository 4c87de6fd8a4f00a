"""Polarity and truncation together: the images of a truncated generator, chosen by the volumes of the whole one.

Weights come from the volumes at psi = 1, as in the authors' code: they are those of the latents, computed
once and shared by every psi.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Point
from pseudodensity.control.move import truncation
from pseudodensity.control.select import polarity
from pseudodensity.control.select.polarity import choose, column_settings, proposals

__all__ = ["choose", "column_settings", "label", "points", "proposals", "shown", "why_not"]

NAME = "truncated_polarity"
TITLE = "polarity under truncation"
PAPER = "001"
SOURCE = "section 4.1, figure 3"
NEEDS = ("singular_values",)
POOL = "moved"
# As of polarity.
DEFAULTS = {
    "volumes": 2000,
    "top": 30,
    "kept": 64,
    "route": "auto",
    "space": "pixel",
    "extractor": None,
    "beside": [],
    "prior": "model",
}
CHOICES = {
    "route": ["auto", "exact", "mapping"],
    "space": ["pixel", "style", "feature"],
    "prior": ["model", "uniform"],
}
# psi by family, and polarity.
GRID = {"style": [0.7], "scale": [0.85], "resample": [1.0], "exponents": [-0.1, 0.1]}
LIMITS = {
    "volumes": (2, 100_000_000),
    "top": (1, 1_000_000),
    "kept": (1, 1_000_000),
    "style": (-10, 10),
    "scale": (0, 10),
    "resample": (0, 10),
}


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every exponent at every psi of the customary family, with replacement as in Algorithm 1."""
    family = generator["truncation"][0]
    return [
        {"method": NAME, "family": family, "psi": psi, "polarity": exponent, "replacement": True}
        | settings
        for psi in grid[family]
        for exponent in grid["exponents"]
    ]


def shown(point: Point) -> Point:
    """The truncation whose images of the same latents are chosen from."""
    return {"method": truncation.NAME, "family": point["family"], "psi": point["psi"]}


def label(point: Point) -> str:
    """With polarity and psi."""
    return f"polarity {point['polarity']:g} under {truncation.label(point)}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It needs both."""
    return polarity.why_not(generator) or truncation.why_not(generator)
