"""Which models a guide can steer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["needs_classes", "needs_diffusion"]


def needs_diffusion(generator: Mapping[str, Any]) -> str | None:
    """`why_not` of what changes reverse steps; generator: a declaration."""
    # Of the models of many calls the autoregressive ones know the likelihood of their samples.
    if generator["calls_per_image"] == "many" and not generator["likelihood"]:
        return None
    return "steers the steps of a diffusion model, and this is none"


def needs_classes(generator: Mapping[str, Any]) -> str | None:
    """`why_not` of what steers away from a class; generator: a declaration."""
    reason = needs_diffusion(generator)
    if reason or generator["classes"]:
        return reason
    return "tells the classes of a model apart, and this one has none"
