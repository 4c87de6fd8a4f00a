"""The config: a default that is always loaded, overlays that say what differs, and checks before any run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from pseudodensity.plan.errors import ConfigError

__all__ = ["check_schema", "load_config", "merge", "read_yaml"]

# An entry of one of these sections that names its kind is described whole.
KIND_OF = {"datasets": "kind", "extractors": "kind", "models": "architecture"}


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice: the second would win without a word."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise ConfigError(
                f"{loader.name}, line {line}: the key {key!r} stands twice: keep one of them"
            )
        seen.add(key)
    return loader.construct_mapping(node, deep)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a dict.

    Raises:
        ConfigError: no file, no YAML, a key that stands twice, or something other than a mapping.
    """
    try:
        with open(path, encoding="utf-8") as handle:
            content = yaml.load(handle, _StrictLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): correct the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no keys: write `name: value` lines")
    return content


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with what `over` says otherwise: mappings key by key, all else replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """As `merge`, but an entry of a data set, extractor or model that names its kind replaces the
    one of that name: keys of another kind would be left over."""
    merged = merge(base, over)
    for section, kind in KIND_OF.items():
        entries = over.get(section)
        for name, entry in (entries if isinstance(entries, Mapping) else {}).items():
            if isinstance(entry, Mapping) and kind in entry:
                merged[section][name] = dict(entry)
    return merged


def load_config(
    default: str | Path, overlays: Sequence[str | Path], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The resolved config, with the recipe of each model written out.

    Args:
        default: config/config.yaml.
        overlays: of the user, each with what it changes; the later one wins.
        given: on the command line; wins over all.

    ConfigError: as `read_yaml`; a recipe that is not there.
    """
    config = read_yaml(default)
    for path in overlays:
        config = _overlay(config, read_yaml(path))
    return _with_recipes(_overlay(config, _resolved(given)))


def _resolved(value: Any) -> Any:
    """Values of a command line as YAML has them: Snakemake hands on the inner ones as strings."""
    if isinstance(value, Mapping):
        return {key: _resolved(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        scalar = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(scalar, dict | list) else scalar


def _with_recipes(config: dict[str, Any]) -> dict[str, Any]:
    """Recipes of models written out: the one named as `base`, with what the model says otherwise."""
    recipes, models = config.get("recipes"), config.get("models")
    if not isinstance(recipes, Mapping) or not isinstance(models, Mapping):
        return config  # the schema says so better
    resolved = {}
    for name, model in models.items():
        resolved[name] = model
        recipe = model.get("recipe") if isinstance(model, Mapping) else None
        if isinstance(recipe, Mapping) and "base" in recipe:
            if recipe["base"] not in recipes:
                raise ConfigError(
                    f"config: models.{name}.recipe.base is {recipe['base']!r}, which is not under "
                    f"recipes; there are {', '.join(recipes)}"
                )
            own = {key: value for key, value in recipe.items() if key != "base"}
            resolved[name] = {**model, "recipe": merge(recipes[recipe["base"]], own)}
    return {**config, "models": resolved}


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a config with its dotted place."""
    if isinstance(value, Mapping | list):
        pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves(inner, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def check_schema(config: Mapping[str, Any], schema: Mapping[str, Any], label: str) -> None:
    """Validate against a JSON Schema.

    Raises:
        ConfigError: one line with the place, what is wrong and what is allowed.
    """
    for place, value in _leaves(config):
        # Comparisons with NaN are false, so it would pass for any number.
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{label}, {place}: {value} is not a finite number: write one")
    error = best_match(Draft202012Validator(schema).iter_errors(config))
    if error is None:
        return
    place = ".".join(map(str, error.absolute_path)) or "top level"
    hint = ""
    if error.validator == "additionalProperties":
        hint = f"; known keys: {', '.join(sorted(error.schema.get('properties', {})))}"
    if error.validator == "oneOf" and all("required" in one for one in error.validator_value):
        ways = (", ".join(one["required"]) for one in error.validator_value)
        hint = f": give either {' or '.join(ways)}, and nothing of the other"
    raise ConfigError(f"{label}, {place}: {error.message[:300]}{hint}")
