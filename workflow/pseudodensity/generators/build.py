"""Build a generator or a discriminator by the name of its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import nn

from pseudodensity.plan.declared import declared_by_name

__all__ = ["build_discriminator", "build_generator"]


def build_generator(name: str, resolution: int, settings: Mapping[str, Any]) -> nn.Module:
    """A freshly initialised generator of architecture ``name``. Seed torch before for
    repeatable weights. ValueError for an unknown name or settings that cannot be built."""
    module, _ = declared_by_name("generators", "DECLARATION", name)
    module = import_module(f"pseudodensity.{module}")
    return _build(module.build_generator, resolution, settings)


def build_discriminator(
    name: str, resolution: int, settings: Mapping[str, Any], backbone: nn.Module | None = None
) -> nn.Module:
    """A freshly initialised discriminator, on a frozen ``backbone`` if it is a projected one.
    ValueError as :func:`build_generator`, and for an architecture without a discriminator."""
    _, declaration = declared_by_name("generators", "DECLARATION", name)
    path = declaration["discriminator"]
    if path is None:
        raise ValueError(f"a {name} model has no discriminator")
    module = import_module(f"pseudodensity.{path}")
    parts = {} if backbone is None else {"backbone": backbone}
    return _build(module.build_discriminator, resolution, {**settings, **parts})


def _build(builder: Any, resolution: int, settings: Mapping[str, Any]) -> nn.Module:
    try:
        return builder(resolution, **settings)
    except TypeError as error:
        # A misspelt setting in a config, said as Python says it.
        raise ValueError(f"settings {dict(settings)} do not fit: {error}") from None
