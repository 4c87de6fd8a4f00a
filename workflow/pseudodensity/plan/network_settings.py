"""Settings of the networks of a model: what its builders take, and what a public file brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.declared import annotations, parameters
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.kinds import check_keys, check_kind

__all__ = ["SAMPLING", "check_network_settings"]

# Settings of a generator that no file of weights holds, so that they may be said of a public one.
SAMPLING = ("sampling_steps",)
# What builders take that the config says in another place.
GIVEN_ELSEWHERE = ("resolution", "backbone")


def check_network_settings(
    place: str,
    settings: Mapping[str, Any],
    module: str,
    described: Mapping[str, Any],
    *,
    trained: bool,
) -> None:
    """Check that of the settings of a model's networks none is unknown and none missing.

    Args:
        place: of the model in the config.
        settings: of the model.
        module: that builds its generator.
        described: what that module says of itself.
        trained: the networks are built here; else a public file brings them.

    ConfigError: one line, with the place of the setting.
    """
    parts = {"generator": module}
    if described["discriminator"]:
        parts["discriminator"] = described["discriminator"]
    elif settings.get("discriminator"):
        raise ConfigError(
            f"config: {place}.discriminator: a {settings['architecture']} model has none"
        )
    for part, builder in parts.items():
        known = parameters(builder, f"build_{part}") if described["trainer"] else {}
        if settings.get(part) and not trained:
            _check_brought(f"{place}.{part}", settings[part])
        if settings.get(part):
            own = {k: n and trained for k, n in known.items() if k not in GIVEN_ELSEWHERE}
            check_keys(f"{place}.{part}", settings[part], own)
            kinds = annotations(builder, f"build_{part}")
            for key, value in settings[part].items():
                check_kind(f"{place}.{part}.{key}", value, kinds[key])
        elif trained:
            raise ConfigError(f"config: {place}.{part} is missing: say how to build it")
        if "backbone" in known and trained:
            ways = ("backbone" in settings) + ("features" in settings[part])
            if ways != 1:
                raise ConfigError(
                    f"config: {place}.backbone: name one frozen extractor, or give {part}.features in "
                    "its place"
                )


def _check_brought(place: str, settings: Mapping[str, Any]) -> None:
    """ConfigError: a setting of a network that a public file brings."""
    for key in settings:
        if key not in SAMPLING:
            raise ConfigError(
                f"config: {place}.{key}: nothing is built here, the public file brings it: take it out"
            )
