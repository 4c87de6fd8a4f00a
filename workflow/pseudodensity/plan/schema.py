"""A config against its JSON Schema: the first mistake as one line that says how to mend it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_schema"]

KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list, such as [...]",
    "object": "`name: value` lines",
    "null": "null",
}
LONGEST = 160  # characters of what is wrong


def _is_whole(checker: Any, value: Any) -> bool:
    # 5000.0 counts nothing, and its digest is another than that of 5000.
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole),
)


def check_schema(config: Mapping[str, Any], schema: Mapping[str, Any], label: str) -> None:
    """Validate against a JSON Schema, in which a `description` says what to write.

    Raises:
        ConfigError: one line with the place, what is wrong and what is allowed.
    """
    for place, value in _leaves(config):
        # Comparisons with NaN are false, so it would pass for any number.
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{label}, {place}: {value} is not a finite number: write one")
    error = _first(list(_Validator(schema).iter_errors(config)))
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "top level"
        raise ConfigError(f"{label}, {place}: {_complaint(error)}")


def _first(errors: list[ValidationError]) -> ValidationError | None:
    """The error to speak of: a wrong kind before what that kind lacks, and where there are two ways to
    describe something, the one that was taken."""
    kinds = [one for one in errors if one.absolute_path and one.absolute_path[-1] == "kind"]
    error = best_match(kinds or errors)
    if error is None or error.validator != "oneOf" or not isinstance(error.instance, Mapping):
        return error
    ways = [set(way.get("required", ())) <= set(error.instance) for way in error.validator_value]
    if sum(ways) != 1:
        return error
    return _first([one for one in error.context if one.relative_schema_path[0] == ways.index(True)])


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a config with its dotted place."""
    if isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _complaint(error: ValidationError) -> str:
    message = error.message.replace("\n", " ")
    if len(message) > LONGEST:
        message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
    if error.validator == "not" and error.validator_value == {}:
        return f"the key {error.absolute_path[-1]!r} is nothing that it takes here: take it out"
    if error.validator == "additionalProperties":
        return f"{message}; {_known(error)}"
    if error.validator == "oneOf" and all("required" in one for one in error.validator_value):
        ways = (", ".join(one["required"]) for one in error.validator_value)
        return f"{message}: give either {' or '.join(ways)}, and nothing of the other"
    if error.validator == "required":
        return f"{message}: add it"
    if error.validator == "uniqueItems":
        return f"{message}: name each once"
    return f"{message}: write {_wanted(error.schema)}"


def _known(error: ValidationError) -> str:
    known = sorted(error.schema.get("properties", {}))
    unknown = next(key for key in error.instance if key not in known)
    near = get_close_matches(unknown, known, n=1)
    return f"known keys: {', '.join(known)}" + (f" (did you mean {near[0]}?)" if near else "")


def _wanted(schema: Mapping[str, Any]) -> str:
    """What a schema allows, in words."""
    if "description" in schema:
        return schema["description"]
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "oneOf" in schema:
        return " or ".join(map(_wanted, schema["oneOf"]))
    kinds = schema.get("type", "object")
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}
    within = "".join(f" {word} {schema[key]}" for key, word in bounds.items() if key in schema)
    words = " or ".join(
        KINDS[kind] + (within if kind in ("integer", "number") else "")
        for kind in ([kinds] if isinstance(kinds, str) else kinds)
    )
    if "multipleOf" in schema:
        words += f" that is a multiple of {schema['multipleOf']}"
    if schema.get("minItems") or schema.get("minProperties"):
        words += " with at least one entry"
    return words
