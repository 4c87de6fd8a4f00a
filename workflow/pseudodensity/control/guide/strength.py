"""Strengths of guides: numbers from 0, at which a guide does nothing."""

from __future__ import annotations

import math

__all__ = ["check_strength"]


def check_strength(said: str, value: float) -> None:
    """ValueError, in one line that begins with what is said of the value: it is below 0, or no number."""
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{said} {value:g}: give a number from 0 up")
