"""What all tests share: one thread of torch, and a copy of the workflow to run for real."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

# Before torch is imported anywhere: tests run beside each other and beside trainings.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]
SMOKE = "config/scales/smoke.yaml"


def one_block() -> dict:
    """An overlay of the smoke scale: the block with frozen features, filtered fakes, real images."""
    model = yaml.safe_load((ROOT / SMOKE).read_text())["models"]["projectedgan"]
    # One number of images for all rows, so that one control serves them all.
    tuning = {"fid_images": model["finetuning"]["images"]}
    every = ["plain", "importance", "oracle", "training_copies"]
    extractors = ("density_vit", "judge_cnn", "backbone_cnn")
    return {
        "extractors": {name: {"trained_on": ["digits"]} for name in extractors},
        "models": {"projectedgan": {"finetuning": tuning}},
        "frontier": {"methods": {"every": every, "projectedgan": ["truncation", "budgeted"]}},
        "papers": {"pseudo_density": {"blocks": ["projectedgan-digits"]}},
    }


class Workflow:
    """A copy of the workflow in a folder of its own, and Snakemake on it.

    The copy imports its own package, not the installed one, so that a test may edit files.
    """

    overlays = (SMOKE, "one_block.yaml")
    targets = ("all", "results/density/digits.csv", "results/fig4.svg", "results/table2.csv")
    targets += ("results/fig2.png", "results/fig8.png")
    targets += ("results/frontier/projectedgan-digits.wanted.csv",)

    def __init__(self, folder: Path, source: Path = ROOT):
        self.folder = folder
        for name in ("workflow", "config", "profiles", "envs"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, folder / name, symlinks=True, ignore=ignored)
        shutil.copy(source / "Snakefile", folder)
        self.write("one_block.yaml", one_block())

    @property
    def command(self) -> tuple[str, ...]:
        """Arguments of Snakemake for the one block."""
        return ("--cores", "2", "--configfile", *self.overlays, "--", *self.targets)

    def write(self, name: str, content: dict) -> str:
        """Write an overlay; its path, to hand to ``--configfile``."""
        (self.folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
        return name

    @property
    def environment(self) -> dict[str, str]:
        """Where the copy's own package and the tests' own programs are found first."""
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "workflow"),
            "OMP_NUM_THREADS": "1",
        }

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Snakemake in a process group of its own."""
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "snakemake"), *arguments],
            cwd=self.folder,
            env=self.environment,
            start_new_session=True,
            text=True,
            **options,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        """Snakemake to its end: return code, stdout and stderr."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = self.start(*arguments, **pipes)
        out, error = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, error)


@pytest.fixture
def workflow(tmp_path) -> Workflow:
    """A fresh copy of the workflow."""
    return Workflow(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def smoke_run(request, tmp_path_factory) -> Iterator[tuple[Workflow, subprocess.Popen] | None]:
    """One block of Table 1, being made from nothing while the other tests run.

    It takes minutes and most of the others need one core, so it starts with the first test of
    a session in which some test asks for what it makes (``made`` in tests/workflow/test_dag.py).
    """
    if not any("made" in item.fixturenames for item in request.session.items):
        yield None
        return
    workflow = Workflow(tmp_path_factory.mktemp("made"))
    with open(workflow.folder / "output", "w") as output:
        process = workflow.start(*workflow.command, stdout=output, stderr=output)
        try:
            yield workflow, process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
