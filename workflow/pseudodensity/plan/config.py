"""The config: a default that is always loaded, and overlays that say what differs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pseudodensity.plan.errors import ConfigError

__all__ = ["load_config", "merge", "read_yaml"]

# An entry of one of these sections that names its kind is described whole.
KIND_OF = {"datasets": "kind", "extractors": "kind", "models": "architecture"}

# No config comes near; what exceeds them is another file, or one that holds itself.
MOST_BYTES = 1_000_000
MOST_LEVELS = 20
MOST_VALUES = 100_000
PLAIN = (str, int, float, bool, type(None))

MERGE_TAG = "tag:yaml.org,2002:merge"
# 1e-3, which YAML 1.1 takes for text: the point or the sign of the exponent may be missing.
NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")
# 016 would be 14, and 1:30 would be 90.
MISREAD = re.compile(r"[-+]?0[0-9_]+|.*:.*")


class _StrictLoader(yaml.SafeLoader):
    """YAML in which nothing is taken for something else without a word: a key given twice, a key that
    is no text, a number that is read in another base."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE_TAG:
            continue
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if not isinstance(key, str):
            what = key_node.value if isinstance(key_node, yaml.ScalarNode) else "of several values"
            raise ConfigError(
                f"{loader.name}, line {line}: the key {what} is no text: put it in quotes"
            )
        if key in seen:
            raise ConfigError(
                f"{loader.name}, line {line}: the key {key!r} stands twice: keep one of them"
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep)


def _whole(loader: _StrictLoader, node: yaml.ScalarNode) -> int:
    if MISREAD.fullmatch(node.value):
        raise ConfigError(
            f"{loader.name}, line {node.start_mark.line + 1}: YAML reads {node.value} as another "
            "number: write it without leading zeros and colons, or in quotes if it is text"
        )
    return loader.construct_yaml_int(node)


def _text(loader: _StrictLoader, node: yaml.ScalarNode) -> str:
    return loader.construct_yaml_str(node)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.add_constructor("tag:yaml.org,2002:int", _whole)
# A date is nothing that a config knows; as a title it is what it looks like.
_StrictLoader.add_constructor("tag:yaml.org,2002:timestamp", _text)
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER, list("-+.0123456789"))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a dict.

    Raises:
        ConfigError: no file, no YAML, a key that stands twice, something other than a mapping, or
            more than a config can be.
    """
    text = _content(Path(path))
    try:
        loader = _StrictLoader(text)
        loader.name = str(path)
        content = loader.get_single_data()
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{path} is no YAML ({reason[:200]}): correct that line, or take what follows a second --- "
            "into a file of its own"
        ) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply: write fewer brackets") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no keys: write `name: value` lines")
    _check_plain(content, str(path))
    return content


def _content(path: Path) -> str:
    """The text of a file. ConfigError: it is none, or too large."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is no file: name a YAML file")
        with open(path, "rb") as handle:
            content = handle.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}): correct the path") from None
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"{path} is larger than {MOST_BYTES:,} bytes: name a YAML file of a config"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no YAML ({error.reason}): save it as UTF-8 text") from None


def _check_plain(content: Any, where: str) -> None:
    """ConfigError: values of a kind that only YAML has, or without end."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, level = waiting.pop()
        seen += 1
        if level > MOST_LEVELS or seen > MOST_VALUES:
            raise ConfigError(
                f"{where} has more than {MOST_LEVELS} levels or {MOST_VALUES:,} values: does an anchor "
                "(&name) hold itself?"
            )
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(one, level + 1) for one in inner]
        elif not isinstance(value, PLAIN):
            raise ConfigError(
                f"{where} holds a {type(value).__name__}: write texts, numbers, lists and mappings"
            )


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
    """Values of a command line as YAML has them: Snakemake hands on the inner ones as strings, and a
    list or mapping in quotes as one."""
    if isinstance(value, Mapping):
        return {key: _resolved(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner) for inner in value]
    if not isinstance(value, str):
        return value
    loader = _StrictLoader(value)
    loader.name = "--config"
    try:
        scalar = loader.get_single_data()
    except (yaml.YAMLError, RecursionError):
        return value
    # `a: b` is a title, `[0, 1]` is a list.
    whole = not isinstance(scalar, dict | list) or value.lstrip().startswith(("[", "{"))
    return scalar if whole else value


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
            base = recipes.get(recipe["base"]) if isinstance(recipe["base"], str) else None
            if not isinstance(base, Mapping):
                raise ConfigError(
                    f"config: models.{name}.recipe.base is {recipe['base']!r}, which is not under "
                    f"recipes; there are {', '.join(recipes)}"
                )
            own = {key: value for key, value in recipe.items() if key != "base"}
            resolved[name] = {**model, "recipe": merge(base, own)}
    return {**config, "models": resolved}
