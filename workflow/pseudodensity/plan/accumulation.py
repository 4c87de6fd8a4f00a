"""What a batch that is worked through in parts (`accumulate`) goes with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_accumulate"]


def check_accumulate(place: str, settings: Mapping[str, Any]) -> None:
    """ConfigError: parts that do not divide the batch of a recipe, or of other settings, equally."""
    if "accumulate" not in settings:
        return
    parts, batch = settings["accumulate"], settings["batch_size"]
    if batch % parts:
        able = ", ".join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise ConfigError(
            f"config: {place} is {parts}, which does not divide batch_size, {batch}, into equal parts: "
            f"give one of {able}"
        )
