"""What adaptive augmentation (`ada` of a recipe) goes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_adaptive"]


def check_adaptive(place: str, recipe: Mapping[str, Any]) -> None:
    """ConfigError: adaptive augmentation beside what it does not go with."""
    if not recipe.get("ada"):
        return
    if recipe["loss"] == "wasserstein":
        raise ConfigError(
            f"config: {place} follows the signs of logits, which the loss wasserstein gives no meaning: "
            "write null, or take another loss"
        )
    if recipe["augment"]:
        raise ConfigError(
            f"config: {place} is in the place of augment: write `augment: []` beside it"
        )
