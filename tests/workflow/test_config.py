"""Configs are valid, schemas are closed and hold no defaults, references exist."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from jsonschema import Draft202012Validator

from pseudodensity.runs import check_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
PAPERS = sorted((ROOT / "config/papers").glob("*.yaml"))
SCHEMAS = sorted((ROOT / "workflow/schemas").glob("*.yaml"))

# Open on purpose: settings of networks differ, and the package names an unknown one.
OPEN = {
    "$defs.extractor",
    "$defs.model.properties.generator",
    "$defs.model.properties.discriminator",
}
# They constrain what another part of the schema closes.
CONDITIONS = {"if", "then", "else", "allOf"}


def read(path: Path):
    return yaml.safe_load(path.read_text())


def objects(schema, place=""):
    """Every subschema that describes an object, with its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" or schema.get("type") == ["object", "null"]:
            yield place, schema
        for key, value in schema.items():
            if key not in CONDITIONS:
                yield from objects(value, f"{place}.{key}" if place else key)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from objects(value, f"{place}.{index}")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_every_config_is_valid(path):
    check_config(read(path), read(ROOT / "workflow/schemas/config.yaml"), path.name)


@pytest.mark.parametrize("path", PAPERS, ids=lambda p: p.stem)
def test_every_list_of_runs_is_valid(path):
    check_config(read(path), read(ROOT / "workflow/schemas/paper.yaml"), path.name)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.stem)
def test_schemas_are_schemas_without_defaults_and_closed(path):
    schema = read(path)
    Draft202012Validator.check_schema(schema)
    assert not re.search(r"\bdefault:", path.read_text())
    found = dict(objects(schema))
    assert "" in found
    for place, inner in found.items():
        if place not in OPEN:
            assert "additionalProperties" in inner, f"{place or 'top level'} is open"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_blocks_models_and_data_sets_exist(path):
    config, paper = read(path), read(ROOT / "config/papers/pseudo_density.yaml")
    for block in config["table1"]["blocks"]:
        run = paper["table1"]["blocks"][block]
        assert run["dataset"] in config["models"][run["model"]]["pretraining"], block
        assert run["dataset"] in config["datasets"], block


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_the_judge_neither_steers_nor_trains(path):
    config = read(path)
    used = {config["density"]["extractor"]}
    used |= {m["backbone"] for m in config["models"].values() if "backbone" in m}
    assert not used & set(config["judges"].values())


def test_every_reported_row_exists():
    reported = pd.read_csv(ROOT / "config/reported/pseudo_density.csv")
    known = set(zip(reported["dataset"], reported["model"], strict=True))
    for block, run in read(ROOT / "config/papers/pseudo_density.yaml")["table1"]["blocks"].items():
        if run["reported"] is not None:
            assert (run["reported"]["dataset"], run["reported"]["model"]) in known, block


def test_no_line_is_left_unused_in_the_default_config():
    """A network that no block and no judge uses would be trained by nobody."""
    config = read(ROOT / "config/config.yaml")
    paper = read(ROOT / "config/papers/pseudo_density.yaml")
    runs = [paper["table1"]["blocks"][block] for block in config["table1"]["blocks"]]
    # Figure 7 shows what stands in no block.
    likely = {name for name, m in config["models"].items() if m["architecture"] == "vqgpt"}
    assert {run["model"] for run in runs} | likely == set(config["models"])
    assert {run["dataset"] for run in runs} == set(config["datasets"])
    used = {config["density"]["extractor"], *config["judges"].values()}
    used |= {m["backbone"] for m in config["models"].values() if "backbone" in m}
    assert used == set(config["extractors"])
