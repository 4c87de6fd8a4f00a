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
