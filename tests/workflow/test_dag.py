"""The workflow itself, run for real on a config of seconds: complete, lazy, and hard to kill."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Workflow, one_block, smoke_config


def jobs(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Number of jobs of each rule that a dry run announces."""
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in lines if rule != "total"}


# ------------------------------------------------------------------------------- without running


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Workflow:
    """A copy in which nothing has been made."""
    return Workflow(tmp_path_factory.mktemp("bare"))


def test_every_rule_of_the_smoke_config_resolves(bare):
    planned = jobs(bare.run("-n", "--configfile", "config/smoke.yaml"))
    assert planned["pretrain"] == len(smoke_config()["table1"]["blocks"])
    assert planned["sample"] == planned["pretrain"] + planned["finetune"]
    assert planned["metrics"] == planned["pretrain"]
    assert planned["table1"] == planned["table1_figure"] == 1


def test_the_embedded_config_resolves_without_a_word(bare):
    planned = jobs(bare.run("-n", "results/table1.csv"))
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert planned["pretrain"] == len(config["table1"]["blocks"]) * len(config["seeds"])
    assert "import_checkpoint" not in planned


SAMPLE_FIGURES = ["fig2", "fig3", "fig8", *(f"fig{number}" for number in range(9, 15))]


def test_the_figures_of_samples_and_costs_resolve(bare):
    targets = [f"results/{name}.png" for name in SAMPLE_FIGURES]
    targets += ["results/overhead.md", "results/fig7.csv"]
    planned = jobs(bare.run("-n", "--configfile", "config/smoke.yaml", "--", *targets))
    assert planned["perturbation_figure"] == len(SAMPLE_FIGURES) - 1
    # Density for every block of the config, and the other two objectives of Figure 8.
    blocks = len(smoke_config()["table1"]["blocks"])
    assert planned["perturb"] == blocks + 2 and planned["extremes"] == blocks
    for rule in ("extremes_figure", "overhead", "likelihood", "likelihood_figure"):
        assert planned[rule] == 1
    assert not {"finetune", "sample", "metrics"} & set(planned)


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("results/fig8.png", "needs a block whose model has a discriminator in table1.blocks"),
        ("results/fig7.svg", "fig7 needs a model of architecture vqgpt under models"),
    ],
)
def test_a_figure_that_this_config_cannot_make_says_so_in_one_line(workflow, target, complaint):
    config = smoke_config()
    config["table1"]["blocks"] = ["iddpm-bedroom"]
    del config["models"]["vqgpt"]
    path = workflow.write_config("other.yaml", config)
    done = workflow.run("-n", "--configfile", path, "--", target)
    assert done.returncode != 0
    (line,) = [n for n in (done.stdout + done.stderr).splitlines() if complaint in n]
    assert line.strip().startswith("config: ") and len(line) < 200


def test_lint_finds_nothing(bare):
    done = bare.run("--lint", "--configfile", "config/smoke.yaml")
    assert done.returncode == 0 and "good condition" in done.stdout + done.stderr


def test_the_graph_is_all_that_reaches_stdout(bare):
    done = bare.run("--dag", "--configfile", "config/smoke.yaml")
    head, *body, foot = done.stdout.strip().splitlines()
    assert done.returncode == 0 and head == "digraph snakemake_dag {" and foot == "}"
    nodes = {m[1] for line in body if (m := re.match(r"\s*(\d+)\[label = \"", line))}
    edges = [m.groups() for line in body if (m := re.match(r"\s*(\d+) -> (\d+)", line))]
    assert len(nodes) + len(edges) == len(body) - 3  # graph, node and edge styles
    assert edges and {end for edge in edges for end in edge} == nodes


def test_the_cluster_profile_resolves(bare):
    arguments = ("--workflow-profile", "workflow/profiles/slurm")
    planned = jobs(bare.run("-n", *arguments, "--configfile", "config/smoke.yaml"))
    assert planned == jobs(bare.run("-n", "--configfile", "config/smoke.yaml"))


def test_a_mistake_in_the_config_is_one_line_before_anything_runs(workflow):
    """All kinds of mistakes: tests/lib/test_runs.py."""
    path = workflow.write_config("wrong.yaml", smoke_config() | {"denisty": {}})
    done = workflow.run("--cores", "1", "--configfile", path)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "denisty" in line]
    assert line.startswith("config") and "known keys" in line and len(line) < 300
    assert "Traceback" not in done.stderr and not (workflow.folder / "results").exists()


# ------------------------------------------------------------------------------- for real


@pytest.fixture(scope="session")
def made(smoke_run) -> Workflow:
    """A copy in which one block has been made from nothing."""
    workflow, process = smoke_run
    assert process.wait() == 0, (workflow.folder / "output").read_text()[-3000:]
    return workflow


def dry(workflow: Workflow, config: dict | None = None) -> dict[str, int]:
    """What the same command would do now, with the same config or another one."""
    if config is not None:
        workflow.write_config("config.yaml", config)
    done = workflow.run("-n", *workflow.command)
    if config is not None:
        workflow.write_config("config.yaml", one_block())
    if "Nothing to be done" in done.stdout + done.stderr:
        assert done.returncode == 0
        return {}
    return jobs(done)


@contextmanager
def edited(file: Path) -> Iterator[None]:
    """A comment is appended to a file, and taken back at the end."""
    before = file.read_text()
    file.write_text(before + "\n# A comment.\n")
    try:
        yield
    finally:
        file.write_text(before)


def test_all_is_made(made):
    results, rows = made.folder / "results", 5
    table = pd.read_csv(results / "table1.csv")
    # The rows of the checkpoints, and the oracle of each of them but the pre-trained one.
    assert list(table["role"][:rows]) == ["pretrained", "precision", "recall", "fid", "control"]
    assert len(table) == rows + 4 and table["fid"].notna().all()
    for name in ("table1.md", "table1.tex", "table1.png", "table1.claims.csv", "table1.claims.md"):
        assert (results / name).stat().st_size > 100, name
    assert len(pd.read_csv(results / "density/digits.csv")) == 200
    points = pd.read_csv(results / "fig4.csv")
    assert points["precision"].notna().any() and (results / "fig4.svg").stat().st_size > 1000
    assert list(pd.read_csv(results / "table2.csv")["goal"]) == ["precision", "recall", "fid"]
    assert "paper" in (results / "table2.md").read_text()
    moved = pd.read_csv(results / "fig8.csv")
    assert list(moved["objective"].unique()) == ["density", "discriminator", "random"]
    assert (results / "fig8.png").stat().st_size > 1000
    assert set(pd.read_csv(results / "fig2.csv")["block"]) == {"projectedgan-digits"}
    assert len(list((results / "checkpoints").rglob("*.safetensors"))) == rows
    # No partial files, no partial trainings.
    assert not list(results.rglob("*.partial")) and not list((results / "work").glob("*"))


def test_the_same_command_again_does_nothing(made):
    done = made.run(*made.command)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr


EDITS = [
    # Edited files, and the rules that run again.
    (
        ["pseudodensity/claims.py"],
        {"table1", "table1_figure", "all", "frontier_figure", "table2"},
    ),
    (
        ["pseudodensity/metrics/frechet.py", "scripts/density_table.py"],
        {"metrics", "oracle", "density_table", "table1", "table1_figure", "all"}
        | {"frontier", "frontier_figure", "table2"},
    ),
    # Architectures and file formats that this block has no use for.
    (["pseudodensity/generators/stylegan3.py", "pseudodensity/checkpoints/openai.py"], set()),
]


@pytest.mark.parametrize(("files", "rules"), EDITS, ids=[Path(e[0][0]).stem for e in EDITS])
def test_an_edit_runs_again_what_imports_it_and_no_more(made, files, rules):
    with ExitStack() as edits:
        for file in files:
            edits.enter_context(edited(made.folder / "workflow" / file))
        assert set(dry(made)) == rules


def test_a_new_modification_time_alone_does_nothing(made):
    """Nor does an edit that was taken back, as those above were."""
    for name in (
        "pseudodensity/rng.py",
        "pseudodensity/generators/fastgan.py",
        "scripts/sample.py",
    ):
        (made.folder / "workflow" / name).touch()
    assert dry(made) == {}


def test_a_setting_runs_again_what_depends_on_it_and_no_more(made):
    config = one_block()
    config["models"]["projectedgan"]["finetuning"]["fake_weight"] = 0.5
    watched = {"density", "oracle", "metrics"}
    found = {k: n for k, n in dry(made, config).items() if n != 1 or k in watched}
    assert found == {"finetune": 2, "sample": 2, "metrics": 1}
    config = one_block()
    config["runtime"]["batch_size"] = 7
    assert dry(made, config) == {}


def test_kill_9_of_everything_and_the_same_command_give_the_same_bytes(made, tmp_path):
    """Killed while a model is fine-tuned; what does not depend on it is taken over."""
    workflow = Workflow(tmp_path / "killed", source=made.folder)
    for name in ("results", ".snakemake", "config.yaml"):
        copy = shutil.copytree if (made.folder / name).is_dir() else shutil.copy
        copy(made.folder / name, workflow.folder / name)
    results = workflow.folder / "results"
    made_again = (
        results.glob(pattern) for pattern in ("table1*", "metrics/*-seed*", "**/*-recall-*")
    )
    for file in {file for files in made_again for file in files}:
        file.unlink()

    command = (*workflow.command[:5], "results/table1.csv")
    process = workflow.start(*command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list((results / "work").glob("*/lock")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not list((results / "checkpoints").glob("finetuned/*-recall-*"))

    done = workflow.run(*command)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("table1.csv", "table1.md", "table1.claims.csv"):
        assert (results / name).read_bytes() == (made.folder / "results" / name).read_bytes(), name
