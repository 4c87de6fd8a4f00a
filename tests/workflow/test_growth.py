"""The growth law: what is added changes nothing that stands, and an edit reruns exactly what uses it.

A copy of the workflow is planned in a process of its own, before and after something was added to it.
The plan says for every artefact its path (which holds the digest of all that defines it) and the digest
of the code that makes it: Snakemake reruns a job when one of the two changes.
"""

import json
import subprocess
import sys

import pytest
import yaml

PLAN = """
import json, sys
from pathlib import Path
from pseudodensity.plan.code import code_digest
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
here = Path.cwd()
config = load_config(here / "config/config.yaml", [here / name for name in sys.argv[1:]], {})
plan = Plan(config, here / "workflow/schemas", here / "config/papers")
scripts = here / "workflow/scripts"
jobs = {
    path: code_digest(scripts / f"{made.kind}.py", made.modules)
    for path, made in plan.artifacts.items()
    if not made.given
}
targets = {}
for kind, known in (("table", plan.tables), ("figure", plan.figures)):
    for name, target in known.items():
        settings = json.dumps([target.paths, target.settings], sort_keys=True, default=str)
        targets[f"{kind} {name}"] = [code_digest(scripts / f"{kind}.py", target.modules), settings]
assert "torch" not in sys.modules, "the plan loads torch"
print(json.dumps({"jobs": jobs, "targets": targets}))
"""


def planned(workflow, *overlays: str) -> dict:
    """All jobs and targets of a copy: path -> digest of the code; name -> code and settings."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN, *overlays],
        cwd=workflow.folder,
        env=workflow.environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """The default config as it is."""
    from conftest import Workflow

    return planned(Workflow(tmp_path_factory.mktemp("before")))


def add(workflow, path: str, text: str) -> None:
    """Write a file of the package."""
    file = workflow.folder / "workflow/pseudodensity" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def edit(workflow, path: str, old: str, new: str) -> None:
    """Change a file of the package."""
    file = workflow.folder / "workflow/pseudodensity" / path
    text = file.read_text()
    assert old in text, f"{path} has no {old!r}"
    file.write_text(text.replace(old, new, 1))


def grown(before: dict, after: dict) -> set[str]:
    """New jobs, where none of the old ones changed."""
    changed = {p for p, digest in before["jobs"].items() if after["jobs"].get(p) != digest}
    assert not changed, sorted(changed)[:5]
    return set(after["jobs"]) - set(before["jobs"])


def test_a_data_set_is_an_entry(workflow, before):
    toy = {"kind": "procedural", "scene": "faces", "title": "toy", "stands_for": None}
    toy |= {"images": 50, "resolution": 16, "mirror": False, "density_k": 3}
    workflow.write("toy.yaml", {"datasets": {"toy": toy}})
    new = grown(before, planned(workflow, "toy.yaml"))
    assert {path.split("/")[1] for path in new} == {"data", "features", "density"}


GENERATOR = '''
"""A generator that a test adds."""

import torch

from pseudodensity.generators.generator import BaseGenerator

DECLARATION = {
    "name": "linear",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": "control.train.diffusion:DiffusionTrainer",
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": [],
}


class Linear(BaseGenerator):
    """z -> images, by one matrix."""


def build_generator(resolution: int, *, z_dim: int) -> Linear:
    """A linear generator."""
    return Linear()
'''


def test_a_model_is_a_file_and_an_entry(workflow, before):
    add(workflow, "generators/linear.py", GENERATOR)
    model = {"title": "Linear", "architecture": "linear", "generator": {"z_dim": 4}}
    model |= {"recipe": {"base": "diffusion"}, "pretraining": {"faces": {"iterations": 3}}}
    workflow.write("toy.yaml", {"models": {"linear": model}})
    after = planned(workflow, "toy.yaml")
    new = grown(before, after)
    assert any("trained/linear-faces" in path for path in new)
    # It is served by every method that asks for nothing more than it declares, without an edit.
    assert "table frontier/linear-faces" in after["targets"]


def test_a_key_of_a_recipe_that_does_nothing_changes_no_artefact(workflow, before):
    gan = {"accumulate": 1, "gradient_penalty": 0.0, "drift": 0, "ada": None}
    workflow.write("toy.yaml", {"recipes": {"gan": gan, "diffusion": {"accumulate": 1}}})
    assert planned(workflow, "toy.yaml") == before
    workflow.write("toy.yaml", {"recipes": {"gan": {"drift": 0.001}}})
    after = planned(workflow, "toy.yaml")["jobs"]
    changed = {path for path in before["jobs"] if path not in after}
    assert any("trained/stylegan2" in path for path in changed)
    assert not any("trained/iddpm" in path for path in changed)
    workflow.write("toy.yaml", {"recipes": {"diffusion": {"accumulate": 2}}})
    after = planned(workflow, "toy.yaml")["jobs"]
    changed = {path for path in before["jobs"] if path not in after}
    assert any("trained/iddpm" in path for path in changed)
    assert not any("trained/stylegan2" in path for path in changed)


METHOD = '''
"""Every second proposal: a method that a test adds."""

import numpy as np

from pseudodensity.control.choice import Choice, no_column_settings

NAME = "every_second"
TITLE = "every second"
PAPER = "none"
SOURCE = "a test"
NEEDS = ()
POOL = "model"
DEFAULTS = {}
GRID = {}

column_settings = no_column_settings


def points(grid, settings, generator):
    """One."""
    return [{"method": NAME}]


def label(point):
    """Its name."""
    return NAME


def why_not(generator):
    """Never."""
    return None


def proposals(point, images, repeats):
    """Twice as many."""
    return 2 * images * repeats


def choose(pool, point, images, repeats):
    """Even rows."""
    rows = [2 * (np.arange(images) + images * i) for i in range(repeats)]
    return Choice(rows, 2 * images * repeats, 0.5)
'''


def test_a_method_is_a_file_and_an_entry(workflow, before):
    add(workflow, "control/select/every_second.py", METHOD)
    config = yaml.safe_load((workflow.folder / "config/config.yaml").read_text())
    asked = config["frontier"]["methods"]["stylegan2"]
    overlay = {"frontier": {"methods": {"stylegan2": [*asked, "every_second"]}}}
    workflow.write("toy.yaml", overlay)
    after = planned(workflow, "toy.yaml")
    new = grown(before, after)
    assert {path.split("/")[1] for path in new} == {"scores"}
    assert all("every_second" in path for path in new)
    assert "every_second" in after["targets"]["table frontier/stylegan2-faces"][1]


METRIC = '''
"""Distance of the means: a metric that a test adds."""

import numpy as np

NAME = "mean_distance"
TITLE = "distance of the means"
SOURCE = "a test"
NEEDS = ("features",)
SCORES = {"mean_distance": -1}


def prepare(real):
    """The mean."""
    return np.asarray(real["features"]).mean(0)


def score(side, fake):
    """Its distance."""
    return {"mean_distance": float(np.linalg.norm(fake["features"].mean(0) - side))}
'''


def test_a_metric_is_a_file_and_an_entry(workflow, before):
    add(workflow, "metrics/mean_distance.py", METRIC)
    workflow.write("toy.yaml", {"metrics": {"mean_distance": {"extractor": "judge_cnn"}}})
    new = grown(before, planned(workflow, "toy.yaml"))
    assert {path.split("/")[1] for path in new} == {"scores"}
    assert all("mean_distance" in path for path in new)


def test_a_metric_with_a_judge_of_its_own_adds_columns(workflow, before):
    add(workflow, "metrics/mean_distance.py", METRIC)
    config = yaml.safe_load((workflow.folder / "config/config.yaml").read_text())
    workflow.write(
        "toy.yaml",
        {
            # Neither of the default judges, and no backbone of a model, which may not judge.
            "extractors": {"further_cnn": config["extractors"]["judge_cnn"] | {"size": 12}},
            "metrics": {"mean_distance": {"extractor": "further_cnn"}},
            "frontier": {"methods": {"every": ["plain", "importance"]}},
            "papers": {"pseudo_density": {"blocks": []}},
        },
    )
    after = planned(workflow, "toy.yaml")
    kept = {p: d for p, d in after["jobs"].items() if p in before["jobs"]}
    assert all(before["jobs"][path] == digest for path, digest in kept.items())
    new = set(after["jobs"]) - set(before["jobs"])
    assert any("/features-" in path and path.startswith("results/pools") for path in new)


TARGETS = '''
"""A paper that a test adds."""

from pseudodensity.plan.target import Target


def targets(plan, grid):
    """One table."""
    yield Target("toy/table1", "table", "papers.toy.targets:table", settings=grid)


def table(inputs, settings):
    """Never called here."""
'''


def test_a_paper_is_a_folder(workflow, before):
    add(workflow, "papers/toy/targets.py", TARGETS)
    add(workflow, "papers/toy/__init__.py", '"""Toy."""\n')
    (workflow.folder / "config/papers/toy.yaml").write_text("size: 3\n")
    schema = "type: object\nadditionalProperties: false\nproperties: {size: {type: integer}}\n"
    (workflow.folder / "workflow/schemas/toy.yaml").write_text(schema)
    after = planned(workflow)
    assert grown(before, after) == set()
    old = {name: after["targets"][name] for name in before["targets"]}
    assert old == before["targets"]
    assert set(after["targets"]) - set(before["targets"]) == {"table toy/table1"}


# ---------------------------------------------------------------- edits

COSMETIC = [
    ("rng.py", "import hashlib\n", "import hashlib  # a comment\n\n\n"),
    (
        "generators/fastgan.py",
        '"""The FastGAN generator',
        '"""A new docstring of the FastGAN generator',
    ),
    ("plan/pools.py", '    """Pools of a config.', '    """All pools of a config.'),
]


@pytest.mark.parametrize(("path", "old", "new"), COSMETIC, ids=[c[0] for c in COSMETIC])
def test_comments_docstrings_and_formatting_rerun_nothing(workflow, before, path, old, new):
    edit(workflow, path, old, new)
    assert planned(workflow) == before


# Parts of the paths of experiments on polarity.
POLARITY = ("/known-maps-", "-nearest-", "-samples-", "-classes-", "-paths-")
# Parts of those of low-density diffusion, some of which are called alike.
GUIDED = ("/adm_", "-of-adm-", "-of-classes-")


def draws_by_polarity(path: str) -> bool:
    """Whether a job chooses by polarity, or under truncation too, or is an experiment on polarity."""
    parts = (*POLARITY, "-polarity-", "_polarity-", "-polarity_inside-")
    return any(part in path for part in parts) and not any(part in path for part in GUIDED)


def tangents_of_stylegan(path: str) -> bool:
    """Whether a job takes derivatives of a StyleGAN's images."""
    return "stylegan" in path and any(part in path for part in ("/singular_values-", "-paths-"))


MEANT = [
    # Edited module; which jobs run again, by a part of their path.
    ("metrics/frechet.py", "scores/", lambda path: "-frechet-" in path),
    (
        "generators/stylegan3.py",
        "stylegan3",
        # The tangents of both StyleGANs stand in one module.
        lambda path: "stylegan3" in path or tangents_of_stylegan(path),
    ),
    (
        "control/select/polarity.py",
        "-polarity-",
        draws_by_polarity,
    ),
    (
        "generators/stylegan_tangents.py",
        "/singular_values-",
        tangents_of_stylegan,
    ),
    ("columns/logits.py", "logits", lambda path: "/logits-" in path),
]


@pytest.mark.parametrize(("module", "part", "uses"), MEANT, ids=[m[0] for m in MEANT])
def test_an_edit_reruns_what_uses_the_module_and_nothing_else(workflow, before, module, part, uses):
    file = workflow.folder / "workflow/pseudodensity" / module
    file.write_text(file.read_text() + "\n\nEDITED = 1\n")
    after = planned(workflow)
    assert set(after["jobs"]) == set(before["jobs"])
    rerun = {path for path, digest in after["jobs"].items() if before["jobs"][path] != digest}
    assert rerun, "an edit of code in use reruns nothing"
    assert any(part in path for path in rerun)
    # Measured costs use every method of their model, and scores of DRS its logits' module.
    unrelated = {path for path in rerun if not uses(path) and "/costs/" not in path}
    assert not unrelated, sorted(unrelated)[:5]
    expected = {path for path in before["jobs"] if uses(path) and _made_by_model(path, module)}
    assert expected <= rerun, sorted(expected - rerun)[:5]


def _made_by_model(path: str, module: str) -> bool:
    """Scores and samples read no generator: an edit of one reruns them only through their pools."""
    reads_none = path.split("/")[1] == "scores" or "-samples-" in path
    return "generators/" not in module or not reads_none


def test_runtime_settings_are_no_part_of_any_digest(workflow, before):
    workflow.write("fast.yaml", {"runtime": {"batch_size": 7, "stored_mb": 0, "device": "cuda"}})
    assert planned(workflow, "fast.yaml")["jobs"] == before["jobs"]
    # Smaller parts of a pool have other paths, but what is measured on them has not.
    workflow.write("parts.yaml", {"runtime": {"proposals_per_file": 5000}})
    after = planned(workflow, "parts.yaml")["jobs"]
    scores = {path for path in before["jobs"] if path.startswith("results/scores/")}
    assert scores <= set(after)
