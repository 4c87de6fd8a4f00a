"""The control methods, columns and metrics that exist: found by what their files declare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from pseudodensity.plan.declared import (
    annotations,
    declared,
    declares,
    modules_declaring,
    parameters,
)
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.kinds import check_kind

__all__ = [
    "check_grid",
    "check_methods",
    "check_settings",
    "column_module",
    "column_settings",
    "extractor_of",
    "extractors_of",
    "method",
    "method_module",
    "methods",
    "metric_module",
    "metric_settings",
    "metrics",
    "points",
]

FAMILIES = ("controls", "select", "move", "guide")


@cache
def methods() -> dict[str, str]:
    """Name of a method -> its module, in the order of the families."""
    found: dict[str, str] = {}
    for family in FAMILIES:
        named = modules_declaring(f"control.{family}", "NAME")
        found |= {name: module for name, module in named.items() if name not in found}
    return found


def method_module(name: str) -> str:
    """Dotted module of a method. ConfigError: there is none of that name."""
    if name not in methods():
        raise ConfigError(f"unknown method {name!r}: choose one of {', '.join(methods())}")
    return methods()[name]


def method(name: str) -> ModuleType:
    """The module of a method. It is light: methods import torch where they compute."""
    return import_module(f"pseudodensity.{method_module(name)}")


def points(
    name: str,
    grid: Mapping[str, Any],
    settings: Mapping[str, Any],
    generator: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Points of a method on a generator.

    Args:
        grid: of a paper; what it leaves out is taken from the method's own GRID.
        settings: config `methods`; what is left out has the method's default.
        generator: its declaration.
    """
    module = method(name)
    resolved = {**module.DEFAULTS, **settings.get(name, {})}
    return [dict(point) for point in module.points({**module.GRID, **grid}, resolved, generator)]


def check_grid(place: str, name: str, grid: Mapping[str, Any]) -> None:
    """ConfigError: a grid names no method, a key that the method does not have, or values of another
    kind than its own.

    Args:
        place: where the config has the grid.
    """
    own = declared(_known(place, name), "GRID")
    for key, values in grid.items():
        if key not in own:
            able = ", ".join(own) or "none"
            raise ConfigError(f"config: {place}.{name}.{key} is no key of it; known keys: {able}")
        words = {value for value in own[key] if isinstance(value, str)}
        for value in values:
            if words and value not in words or not _is_alike(value, own[key][0]):
                like = " or ".join(map(repr, sorted(words) or own[key][:2]))
                raise ConfigError(
                    f"config: {place}.{name}.{key} has {value!r}: give values like {like}"
                )
            complaint = f"config: {place}.{name}.{key} has {value!r}"
            _check_limits(complaint, methods()[name], key, value)


def check_methods(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """ConfigError: config `methods` names no method, a setting that a method does not have, or a value
    of another kind than its default."""
    for name, given in settings.items():
        check_settings(f"methods.{name}", _known("methods", name), given)


def check_settings(place: str, module: str, given: Mapping[str, Any]) -> None:
    """ConfigError: a setting that a module does not declare, or a value of another kind than its default.

    Args:
        place: where the config has the settings.
        module: dotted, with DEFAULTS and, if it has them, CHOICES and LIMITS.
    """
    known = declared(module, "DEFAULTS")
    choices = declared(module, "CHOICES") if declares(module, "CHOICES") else {}
    for key, value in given.items():
        if key not in known:
            able = ", ".join(known) or "none"
            raise ConfigError(f"config: {place}.{key} is no setting of it; known settings: {able}")
        complaint = f"config: {place}.{key} is {value!r}"
        if key in choices and value not in choices[key]:
            raise ConfigError(f"{complaint}: give one of {', '.join(choices[key])}")
        if not _is_alike(value, known[key]):
            raise ConfigError(f"{complaint}: give a value like {known[key]!r}")
        _check_limits(complaint, module, key, value)


def _check_limits(complaint: str, module: str, key: str, value: Any) -> None:
    """ConfigError: a number beyond the limits that the module declares."""
    limits = declared(module, "LIMITS") if declares(module, "LIMITS") else {}
    low, high = limits.get(key, (-math.inf, math.inf))
    if isinstance(value, int | float) and not low <= value <= high:
        raise ConfigError(f"{complaint}: give a number from {low:g} to {high:g}")


def _known(place: str, name: str) -> str:
    if name not in methods():
        raise ConfigError(f"config: {place}.{name} is no method; known: {', '.join(methods())}")
    return methods()[name]


def _is_alike(value: Any, default: Any) -> bool:
    """Whether a value can stand where a default stands; a whole number can for any number."""
    if default is None or isinstance(default, bool) or isinstance(value, bool):
        return default is None or type(value) is type(default)
    return isinstance(value, (int, float) if isinstance(default, float) else type(default))


@cache
def _columns() -> dict[str, str]:
    return modules_declaring("columns", "NAME")


def column_module(name: str) -> str:
    """Dotted module of a column. ValueError: there is none of that name."""
    if name not in _columns():
        raise ValueError(f"unknown column {name!r}: choose one of {', '.join(_columns())}")
    return _columns()[name]


def column_settings(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a column, with its defaults."""
    return {**declared(column_module(name), "DEFAULTS"), **given}


@cache
def metrics() -> dict[str, str]:
    """Name of a metric -> its module."""
    return modules_declaring("metrics", "NAME")


def metric_module(name: str) -> str:
    """Dotted module of a metric. ConfigError: there is none of that name."""
    if name not in metrics():
        raise ConfigError(
            f"config: metrics.{name} is no metric; choose one of {', '.join(metrics())}"
        )
    return metrics()[name]


def extractor_of(config: Mapping[str, Any], module: str, settings: Mapping[str, Any]) -> str:
    """The extractor that the settings of a column or a method name. ConfigError: none of that name."""
    name, known = settings["extractor"], config["extractors"]
    if name not in known:
        raise ConfigError(
            f"config: {declared(module, 'NAME')} works in features of an extractor and is given {name!r}: name one "
            f"that is described under extractors: {', '.join(known)}"
        )
    return name


def extractors_of(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Name of a metric -> whose features it looks at, of those that look at some."""
    return {name: own["extractor"] for name, own in settings.items() if "extractor" in own}


def metric_settings(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a metric as `prepare` takes them. ConfigError: one that it does not know."""
    module = metric_module(name)
    own = {key: value for key, value in settings.items() if key != "extractor"}
    known = [key for key in parameters(module, "prepare") if key != "real"]
    kinds = annotations(module, "prepare")
    for key, value in own.items():
        if key not in known:
            raise ConfigError(
                f"config: metrics.{name}.{key} is no setting of it; known settings: "
                f"{', '.join(known) or 'none'}"
            )
        check_kind(f"metrics.{name}.{key}", value, kinds[key])
    if ("features" in declared(module, "NEEDS")) != ("extractor" in settings):
        raise ConfigError(
            f"config: metrics.{name} needs `extractor` exactly if it looks at features: "
            f"its NEEDS are {', '.join(declared(module, 'NEEDS'))}"
        )
    return own


def columns_needed(point: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Columns that a point reads beside those of every pool, with their settings: those of NEEDS, and what
    else its ``column_settings`` names."""
    module = method(point["method"])
    asked = module.column_settings(point)
    return {
        name: column_settings(name, asked.get(name, {}))
        for name in dict.fromkeys([*module.NEEDS, *asked])
        if name not in ALWAYS_THERE
    }


# Every pool has it, with the judges' features.
ALWAYS_THERE = ("density",)
