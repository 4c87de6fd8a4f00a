"""Whether a value of a config fits what a function says it takes, read from its annotation as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_keys", "check_kind"]

WORDS = {
    "int": "a whole number from 0",
    "float": "a number from 0",
    "bool": "true or false",
    "str": "a text",
    "dict": "`name: value` lines",
    "None": "null",
}


def check_keys(place: str, given: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    """ConfigError: a setting that nobody knows, or one that is needed and not given.

    Args:
        place: where the config has the settings.
        known: setting -> whether it must be given.
    """
    for key in given:
        if key not in known:
            raise ConfigError(
                f"config: {place}.{key} is no setting of it; known settings: {', '.join(known)}"
            )
    for key, needed in known.items():
        if needed and key not in given:
            raise ConfigError(f"config: {place}.{key} is missing")


def check_kind(place: str, value: Any, annotation: str) -> None:
    """ConfigError: the value is of another kind, or a negative number where a network or a metric
    counts or measures something.

    Args:
        place: where the config has the value.
        annotation: such as ``int``, ``float | None`` or ``Sequence[int]``; others allow anything.
    """
    if not any(_fits(value, one) for one in annotation.split(" | ")):
        wanted = " or ".join(_words(one) for one in annotation.split(" | "))
        raise ConfigError(f"config: {place} is {value!r:.60}: write {wanted}")


def _inner(annotation: str) -> str | None:
    """What a sequence holds."""
    name, bracket, rest = annotation.partition("[")
    return rest.removesuffix("]") if bracket and name == "Sequence" else None


def _words(annotation: str) -> str:
    inner = _inner(annotation)
    return f"a list of which each is {WORDS[inner]}" if inner in WORDS else WORDS[annotation]


def _fits(value: Any, annotation: str) -> bool:
    inner = _inner(annotation)
    if inner in WORDS:
        return isinstance(value, list) and all(_fits(one, inner) for one in value)
    if annotation not in WORDS:
        return True
    if annotation == "None":
        return value is None
    if annotation in ("bool", "str", "dict"):
        return type(value).__name__ == annotation
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or annotation == "float" and isinstance(value, float)) and value >= 0
