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


def smoke_config() -> dict:
    """The config of seconds."""
    return yaml.safe_load((ROOT / "config/smoke.yaml").read_text())


def one_block() -> dict:
    """Of it the block with all there is: frozen features, filtered fakes, real images."""
    config = smoke_config()
    config["table1"]["blocks"] = ["projectedgan-digits"]
    config["datasets"] = {"digits": config["datasets"]["digits"]}
    config["models"] = {"projectedgan": config["models"]["projectedgan"]}
    methods = config["frontier"]["methods"]
    config["frontier"]["methods"] = {"projectedgan": methods["projectedgan"]}
    for extractor in config["extractors"].values():
        extractor["trained_on"] = ["digits"]
    # One number of images for all rows, so that one control serves them all.
    tuning = config["models"]["projectedgan"]["finetuning"]
    tuning["fid_images"] = tuning["images"]
    return config


class Workflow:
    """A copy of the workflow in a folder of its own, and Snakemake on it.

    The copy imports its own package, not the installed one, so that a test may edit files.
    """

    command = ("--cores", "2", "--configfile", "config.yaml", "--")
    command += ("all", "results/density/digits.csv", "results/fig4.svg", "results/table2.csv")
    command += ("results/fig2.png", "results/fig8.png")

    def __init__(self, folder: Path, source: Path = ROOT):
        self.folder = folder
        for name in ("workflow", "config", "profiles", "envs"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source / name, folder / name, symlinks=True, ignore=ignored)
        shutil.copy(source / "Snakefile", folder)

    def write_config(self, name: str, config: dict) -> str:
        """Write a config; its path, to hand to ``--configfile``."""
        (self.folder / name).write_text(yaml.safe_dump(config, sort_keys=False))
        return name

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        """Snakemake in a process group of its own."""
        binaries = Path(sys.executable).parent
        environment = os.environ | {
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "workflow"),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.Popen(
            [str(binaries / "snakemake"), *arguments],
            cwd=self.folder,
            env=environment,
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
    workflow.write_config("config.yaml", one_block())
    with open(workflow.folder / "output", "w") as output:
        process = workflow.start(*workflow.command, stdout=output, stderr=output)
        try:
            yield workflow, process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
