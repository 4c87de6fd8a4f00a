"""The workflow itself, run for real on a config of seconds: complete, lazy, and hard to kill."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import ROOT, SMOKE, Workflow

from pseudodensity.plan.resources import ON_DEVICE

EMBEDDED = yaml.safe_load((ROOT / "config/config.yaml").read_text())
BLOCKS = yaml.safe_load((ROOT / SMOKE).read_text())["papers"]["pseudo_density"]["blocks"]


def jobs(done: subprocess.CompletedProcess) -> dict[str, int]:
    """Number of jobs of each rule that a dry run announces."""
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    if "Nothing to be done" in done.stdout + done.stderr:
        return {}
    lines = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in lines if rule != "total"}


def loud(workflow: Workflow) -> tuple[str, str]:
    """Arguments under which Snakemake says what each job does, as the default profile does not."""
    profile = yaml.safe_load((workflow.folder / "profiles/default/config.yaml").read_text())
    del profile["quiet"]
    (workflow.folder / "loud").mkdir(exist_ok=True)
    workflow.write("loud/config.yaml", profile)
    return "--workflow-profile", "loud"


# ------------------------------------------------------------------------------- without running


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Workflow:
    """A copy in which nothing has been made."""
    return Workflow(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def smoke_jobs(bare) -> dict[str, int]:
    """What Table 1 of the smoke scale asks for."""
    return jobs(bare.run("-n", "--configfile", SMOKE))


def test_table1_of_the_smoke_scale_resolves(smoke_jobs):
    planned = smoke_jobs
    assert planned["trained"] == len(BLOCKS)
    # Precision, recall, FID, control; and a control of the FID rows where they are shorter.
    assert 4 * len(BLOCKS) <= planned["finetuned"] <= 5 * len(BLOCKS)
    assert planned["pool"] == planned["trained"] + planned["finetuned"]
    # The table, its blocks, its claims; its picture.
    assert (planned["table"], planned["figure"]) == (2 + len(BLOCKS), 1)
    assert not {"moved", "extremes", "costs", "column", "imported"} & set(planned)


def test_the_embedded_config_resolves_without_a_word(bare):
    planned = jobs(bare.run("-n", "results/table1.csv"))
    blocks = EMBEDDED["papers"]["pseudo_density"]["blocks"]
    assert planned["trained"] == len(blocks) * len(EMBEDDED["seeds"])
    assert planned["table"] == 1 + len(blocks)
    assert not {"imported", "column", "figure"} & set(planned)


def test_one_name_makes_all_of_a_paper(bare):
    planned = jobs(bare.run("-n", "pseudo_density"))
    pairs = [(m, d) for m, model in EMBEDDED["models"].items() for d in model["pretraining"]]
    assert planned["trained"] == len(pairs)
    # Figures 2, 3, 4 and 6 to 14, Table 1's, those of the quality of models and of memorisation, and each
    # model's frontier.
    assert planned["figure"] == 12 + 3 + len(pairs)
    assert set(planned) >= {"moved", "extremes", "costs", "column", "reals", "density_table"}


def test_latent_reweighting_in_the_plane_needs_no_image(bare):
    names = ("table1.csv", "table1.png", "fig2.csv", "fig2.png")
    asked = [f"results/latent_reweighting/{name}" for name in names]
    planned = jobs(bare.run("-n", "--configfile", SMOKE, "--", *asked))
    # Two trainings: base, discriminator, one candidate of weights and the printed form, evaluation; the
    # cost of the methods; Figure 2.
    assert planned == {
        "experiment": 2 * 5 + 1 + 1,
        "table": 2,
        "figure": 2,
    }


def test_the_page_of_real_images_needs_table1_and_figure_4_only(bare):
    planned = jobs(bare.run("-n", "--configfile", SMOKE, "--", "docs/findings_real.md"))
    assert planned["findings"] == 1 and planned["figure"] == 2
    # Table 1, its blocks and its claims, and figure 4.
    assert planned["table"] == 3 + len(BLOCKS) and planned["trained"] == len(BLOCKS)


SAMPLE_FIGURES = ["fig2", "fig3", "fig8", *(f"fig{number}" for number in range(9, 15))]


def test_the_figures_of_samples_and_costs_resolve(bare):
    targets = [f"results/{name}.png" for name in SAMPLE_FIGURES]
    targets += ["results/overhead.md", "results/fig7.csv"]
    planned = jobs(bare.run("-n", "--configfile", SMOKE, "--", *targets))
    # Density for every block of the config, and the other two objectives of Figure 8.
    assert planned["moved"] == len(BLOCKS) + 2
    assert planned["extremes"] == len(BLOCKS) and planned["costs"] == 1
    assert planned["figure"] == len(SAMPLE_FIGURES)
    assert planned["table"] == len(SAMPLE_FIGURES) + 2
    # The three, and the model of Figure 7. Of costs only the settings of a training are read.
    assert planned["trained"] == len(BLOCKS) + 1 and "finetuned" not in planned


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("results/fig8.png", "needs a block whose model has a discriminator in papers."),
        ("results/fig7.svg", "fig7 needs a model with an exact likelihood (architecture vqgpt)"),
    ],
)
def test_a_figure_that_this_config_cannot_make_says_so_in_one_line(workflow, target, complaint):
    overlay = {
        "papers": {"pseudo_density": {"blocks": ["iddpm-bedroom"]}},
        # Nothing can be taken out of a config, but one entry can stand in another's place.
        "models": {"vqgpt": EMBEDDED["models"]["iddpm"]},
        "frontier": {"methods": {"vqgpt": []}},
    }
    other = workflow.write("other.yaml", overlay)
    done = workflow.run("-n", "--configfile", other, "--", target)
    assert done.returncode != 0
    (line,) = [n for n in (done.stdout + done.stderr).splitlines() if complaint in n]
    assert line.strip().startswith("config: ") and len(line) < 200


def test_a_file_of_another_day_is_told_so_in_one_line(bare):
    done = bare.run("-n", "results/features/faces-density_vit-0123456789.npy")
    assert done.returncode != 0
    (line,) = [n for n in (done.stdout + done.stderr).splitlines() if "ask for a table" in n]
    assert "faces-density_vit-0123456789.npy is nothing that this config makes" in line


def test_lint_finds_nothing(bare):
    done = bare.run("--lint", "--configfile", SMOKE)
    assert done.returncode == 0 and "good condition" in done.stdout + done.stderr


def test_the_rules_are_formatted():
    done = subprocess.run(
        [Path(sys.executable).parent / "snakefmt", "--check", "Snakefile", "workflow/rules"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_graph_is_all_that_reaches_stdout(bare):
    done = bare.run("--dag", "--configfile", SMOKE)
    head, *body, foot = done.stdout.strip().splitlines()
    assert done.returncode == 0 and head == "digraph snakemake_dag {" and foot == "}"
    nodes = {m[1] for line in body if (m := re.match(r"\s*(\d+)\[label = \"", line))}
    edges = [m.groups() for line in body if (m := re.match(r"\s*(\d+) -> (\d+)", line))]
    assert len(nodes) + len(edges) == len(body) - 3  # graph, node and edge styles
    assert edges and {end for edge in edges for end in edge} == nodes


def test_the_cluster_profile_resolves(bare, smoke_jobs):
    arguments = ("--workflow-profile", "workflow/profiles/slurm")
    assert jobs(bare.run("-n", *arguments, "--configfile", SMOKE)) == smoke_jobs


def test_every_job_that_runs_a_network_asks_for_a_gpu_memory_and_time(workflow):
    for rules in (workflow.folder / "workflow/rules").glob("*.smk"):
        # A message stands in the place of all that a job asks for.
        rules.write_text(
            re.sub(r"^    message:\n        .*\n", "", rules.read_text(), flags=re.MULTILINE)
        )
    gpu = workflow.write("gpu.yaml", {"runtime": {"device": "cuda"}})
    for overlays, wanted in (((), 0), ((gpu,), 1)):
        done = workflow.run("-n", *loud(workflow), *workflow.asking("all", overlays=overlays))
        assert done.returncode == 0, done.stderr
        asked = re.findall(r"^rule (\w+):\n((?:    .*\n)+)", done.stdout, re.MULTILINE)
        assert {rule for rule, _ in asked} > {"trained", "finetuned", "pool", "reals", "scores"}
        for rule, text in asked:
            found = re.search(r"^    resources: (.*)$", text, re.MULTILINE)
            given = dict(pair.split("=") for pair in found[1].split(", ")) if found else {}
            on_device = rule in ON_DEVICE
            assert int(given.get("gpu", 0)) == (wanted if on_device else 0), rule
            if on_device or rule == "data":
                assert int(given["mem_mb"]) >= 1000 and int(given["runtime"]) >= 10, rule


def test_a_mistake_in_the_config_is_one_line_before_anything_runs(workflow):
    """All kinds of mistakes: test_config.py."""
    path = workflow.write("wrong.yaml", {"denisty": {}})
    done = workflow.run("--cores", "1", "--configfile", path)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "denisty" in line]
    assert line.startswith("config") and "known keys" in line and len(line) < 300
    assert "Traceback" not in done.stderr and not (workflow.folder / "results").exists()


def test_a_job_that_fails_says_one_line_and_its_log_has_the_traceback(workflow):
    photos = workflow.folder / "photos"
    photos.mkdir()
    for number in range(10):
        (photos / f"{number}.png").write_bytes(b"no image")
    mine = {"kind": "folder", "path": "photos", "title": "mine", "images": None, "resolution": 16}
    mine |= {"mirror": False, "density_k": 3, "max_unreadable": 0}
    overlay = workflow.write("mine.yaml", {"datasets": {"mine": mine}})
    # Other jobs go on when one fails, so only those that decode images are asked for.
    command = ("--cores", "2", "--until", "data", "--configfile", SMOKE, overlay)
    done = workflow.run(*command, "--", "results/density/mine.csv")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    (log,) = (workflow.folder / "results/logs/data").glob("mine-*.log")
    assert "Traceback (most recent call last)" in log.read_text()
    name = log.relative_to(workflow.folder)
    (line,) = [line for line in said.splitlines() if f"(traceback: {name})" in line]
    assert "photos" in line and len(line) < 300


# ------------------------------------------------------------------------------- for real


def again(workflow: Workflow, overlay: dict | None = None) -> tuple[dict[str, int], set[str]]:
    """What the same command would do now, also with a further overlay: the number of jobs of each rule, and
    what each job says of itself."""
    overlays = () if overlay is None else (workflow.write("further.yaml", overlay),)
    command = workflow.asking(*workflow.targets, overlays=overlays)
    done = workflow.run("-n", *loud(workflow), *command)
    return jobs(done), set(re.findall(r"^Job \d+: (.+)$", done.stdout, re.MULTILINE))


@contextmanager
def edited(file: Path, text: str) -> Iterator[None]:
    """Text is appended to a file, and taken back at the end."""
    before = file.read_text()
    file.write_text(before + text)
    try:
        yield
    finally:
        file.write_text(before)


COMMENT, CODE = "\n# A comment.\n", "\n\nEDITED = 1\n"
# What is drawn from which scores: all tables and figures but those of single samples and of costs.
OF_SCORES = {
    *("Write results/table1.csv", "Write results/table1/projectedgan-digits.csv"),
    *("Write results/table1.claims.csv", "Write results/claims.csv", "Draw results/table1.svg"),
    *("Write results/fig4.csv", "Draw results/fig4.svg", "Write results/table2.csv"),
    *("Write results/fig6.csv", "Draw results/fig6.svg"),
    *("Write results/fig7.csv", "Draw results/fig7.svg", "Write results/table3.csv"),
    *("Write results/frontier/projectedgan-digits.wanted.csv", "Write the findings of this run"),
}
OF_CLAIMS = {
    *("Write results/table1.claims.csv", "Write results/claims.csv"),
    "Write the findings of this run",
}


def test_all_is_made(made_block):
    results, rows = made_block.folder / "results", 5
    table = pd.read_csv(results / "table1.csv")
    # The rows of the checkpoints, and the oracle of each of them but the control.
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
    assert "latent_rs" in set(pd.read_csv(results / "latent_reweighting/fig2.csv")["method"])
    # The rows, the control of the FID rows, and the density ratio that DRS asks for.
    assert len(list((results / "checkpoints").rglob("*.safetensors"))) == rows + 2
    assert "results/table1.csv" in (made_block.folder / "docs/findings.md").read_text()
    # No partial files, no partial trainings: what stays says that the networks were checked.
    assert not list(results.rglob("*.partial"))
    assert [path.name.split("-")[0] for path in (results / "work").iterdir()] == ["networks"]


def test_every_rule_ran_but_those_of_public_files_and_the_page(made_block):
    """The page is written after a run, by the run itself: test_page_run.py. `shrunk`: of the faces; `paper_scale`: of
    a rehearsal."""
    text = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):", text, re.MULTILINE))
    done = set(re.findall(r"\(Rule: (\w+)\)", (made_block.folder / "output").read_text()))
    assert rules - done == {"imported", "page", "paper_scale", "shrunk"}


def test_a_block_is_printed_as_soon_as_it_is_there(made_block):
    """Before the whole table, and with its numbers."""
    said = (made_block.folder / "output").read_text()
    (row,) = re.findall(r"^\| pre-trained .*$", said, re.MULTILINE)
    assert said.index(row) < said.rindex("(Rule: table)")
    precision = pd.read_csv(made_block.folder / "results/table1.csv")["precision"][0]
    assert f"{precision:.3f}" in row


def test_the_same_command_again_does_nothing(made_block):
    done = made_block.run(*made_block.command)
    assert done.returncode == 0 and "Nothing to be done" in done.stdout + done.stderr


def test_comments_docstrings_and_modification_times_run_nothing_again(made_block):
    package = made_block.folder / "workflow/pseudodensity"
    for name in ("generators/fastgan.py", "images/building.py"):
        (package / name).touch()
    (made_block.folder / "workflow/scripts/pool.py").touch()
    with ExitStack() as edits:
        for file in (package / "rng.py", made_block.folder / "workflow/scripts/scores.py"):
            edits.enter_context(edited(file, COMMENT))
        docstring = '\n\ndef unused():\n    """{} of a function."""\n'
        edits.enter_context(edited(package / "progress.py", docstring))
        assert again(made_block) == ({}, set())


def test_code_of_claims_runs_again_the_tables_that_use_it(made_block):
    package = made_block.folder / "workflow/pseudodensity"
    with edited(package / "papers/pseudo_density/claims.py", CODE):
        planned, said = again(made_block)
    assert said == OF_CLAIMS
    assert set(planned) == {"table", "findings", "all"}


def test_code_of_a_metric_runs_again_its_scores_and_what_is_drawn_from_them(made_block):
    with edited(made_block.folder / "workflow/pseudodensity/metrics/frechet.py", CODE):
        planned, said = again(made_block)
    assert set(planned) == {"scores", "table", "figure", "findings", "all"}
    scores = {line for line in said if line.startswith("Measure ")}
    made_scores = (made_block.folder / "results/scores").glob("*-frechet-*.json")
    assert scores == {f"Measure {path.stem}" for path in made_scores}
    assert said - scores == OF_SCORES


def test_code_that_this_config_has_no_use_for_runs_nothing_again(made_block):
    package = made_block.folder / "workflow/pseudodensity"
    with ExitStack() as edits:
        for name in ("generators/stylegan3.py", "generators/diffusion.py", "checkpoints/openai.py"):
            edits.enter_context(edited(package / name, CODE))
        assert again(made_block) == ({}, set())


def test_a_setting_runs_again_what_depends_on_it_and_no_more(made_block):
    overlay = {"models": {"projectedgan": {"finetuning": {"fake_weight": 0.5}}}}
    planned, _ = again(made_block, overlay)
    found = {rule: n for rule, n in planned.items() if rule not in ("table", "figure")}
    # Precision and recall; the scores of their block by two metrics; the training that is timed.
    expected = {"finetuned": 2, "pool": 2, "scores": 2, "costs": 1, "findings": 1, "all": 1}
    assert found == expected


def test_settings_of_a_run_run_nothing_again(made_block):
    fast = {"runtime": {"batch_size": 7, "device": "cuda"}}
    _, said = again(made_block, fast)
    # The page says which files the config is made of, and here is one more.
    assert said <= {"Write the findings of this run"}


def test_another_title_runs_only_tables_again(made_block):
    planned, said = again(made_block, {"datasets": {"digits": {"title": "digits by hand"}}})
    assert set(planned) == {"table", "figure", "density_table", "findings", "all"}
    assert "Write results/table1.csv" in said


@pytest.mark.slow
def test_kill_9_of_everything_and_the_same_command_give_the_same_bytes(made_block, tmp_path):
    """Killed while a model is fine-tuned; what does not depend on it is taken over."""
    workflow = Workflow(tmp_path / "killed", source=made_block.folder)
    for name in ("results", ".snakemake"):
        shutil.copytree(made_block.folder / name, workflow.folder / name)
    results = workflow.folder / "results"
    patterns = ("table1*", "table1/*", "scores/projectedgan-digits-seed0-*", "**/*-recall-*")
    for path in {path for pattern in patterns for path in results.glob(pattern)}:
        if path.is_file():
            path.unlink()
        elif "-recall-" in path.name:
            shutil.rmtree(path)
    assert not list(results.glob("scores/projectedgan-digits-seed0-*"))

    command = workflow.asking("results/table1.csv", "results/table1.claims.csv")
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
        assert (results / name).read_bytes() == (
            made_block.folder / "results" / name
        ).read_bytes(), name


def test_claims_are_answered_from_the_tables_that_were_made(made_block):
    """Each claim whose table exists is measured, not passed over."""
    claims = (made_block.folder / "results/claims.csv").read_text()
    assert "makes no" not in claims
    assert {f"000-{i}" for i in range(1, 20)} <= {
        line.split(",")[0] for line in claims.splitlines()
    }
