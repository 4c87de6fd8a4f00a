"""The parts that a batch of training is worked through in (`accumulate` of a recipe)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_accumulate"]


def check_accumulate(place: str, recipe: Mapping[str, Any]) -> None:
    """ConfigError: a batch that cannot be cut into so many equal parts."""
    parts, batch = recipe.get("accumulate", 1), recipe["batch_size"]
    if batch % parts:
        whole = ", ".join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise ConfigError(
            f"config: {place} is {parts}, which does not divide the batch_size of {batch}: choose one of {whole}"
        )
