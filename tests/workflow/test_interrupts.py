"""Two runs in one folder, and Ctrl-C, for real."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pseudodensity.plan.run_lock import RunLock
from pseudodensity.plan.stopping import STOPPED


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def interruptible():
    """Children of a shell's background job would ignore Ctrl-C, these shall not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def half_written(folder: Path) -> list[Path]:
    return list(folder.glob("results/data/faces-*/.images.npy.*.partial"))


def test_a_second_run_is_refused_and_ctrl_c_ends_the_first_with_one_line(workflow, interruptible):
    # One job, of a minute or more: the density of `faces` needs no other data set.
    overlay = {"datasets": {"faces": {"images": 100_000}}}
    overlay |= {"extractors": {"density_vit": {"trained_on": ["faces"]}}}
    many = workflow.write("many.yaml", overlay)
    command = ("--cores", "1", "--configfile", *workflow.overlays, many, "--until", "data", "--")
    command += ("results/density/faces.csv",)
    with open(workflow.folder / "said", "w") as said:
        first = workflow.start(*command, stdout=said, stderr=said)
    try:
        wait_for(lambda: half_written(workflow.folder) or first.poll() is not None)
        assert first.poll() is None, (workflow.folder / "said").read_text()

        second = workflow.run(*command)
        assert second.returncode != 0
        told = [line for line in second.stderr.splitlines() if "works in this folder" in line]
        assert len(told) == 1 and f"process {first.pid} " in told[0]
        assert "Traceback" not in second.stderr
        assert half_written(workflow.folder) and first.poll() is None  # and nothing was removed

        before = (workflow.folder / "said").read_text()
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(timeout=60) != 0
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    after = (workflow.folder / "said").read_text().removeprefix(before).splitlines()
    progress = [line for line in after if line.startswith("data of faces: ")]
    assert [line for line in after if line not in progress] == [STOPPED]
    assert not list(workflow.folder.glob("results/data/**/*.partial"))
    assert RunLock(workflow.folder / "results/.lock").hold() == ""


SQUEUE = """#!/bin/sh
[ -e {folder}/asked ] && exit
touch {folder}/asked
echo '7|3f2b8c1e-0d4a-4b6f-9a52-7f6f0c1d2e3f|{folder}'
"""


@pytest.mark.slow
def test_a_run_waits_for_jobs_that_were_left_in_a_queue_and_starts_anew(workflow, monkeypatch):
    """A stand-in for SLURM's list, which has one job and then none; for real: tests/cluster."""
    programs = workflow.folder / "programs"
    programs.mkdir()
    (programs / "squeue").write_text(SQUEUE.format(folder=workflow.folder))
    (programs / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    command = ("--cores", "1", "--configfile", *workflow.overlays, "--until", "data", "--")
    done = workflow.run(*command, "results/density/digits.csv")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert said.count("1 jobs of an earlier run still work in this folder") == 1
    assert said.count("Building DAG of jobs") == 2
    assert list(workflow.folder.glob("results/data/digits-*/images.npy"))
