"""One run at a time in a folder, and a killed one is in nobody's way."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pseudodensity.plan import run_lock
from pseudodensity.plan.run_lock import RunLock, RunLockError

HOLDER = """
import sys, time
from pseudodensity.plan.run_lock import RunLock
lock = RunLock(sys.argv[1])
lock.hold()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the lock lies: in a folder that a first run makes."""
    return tmp_path / "results/.lock"


@pytest.fixture
def other(path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env=os.environ | {"PYTHONPATH": str(Path(run_lock.__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def refused(lock: RunLock) -> str:
    """What a run is told that must not start."""
    with pytest.raises(RunLockError) as raised:
        lock.hold()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_the_second_run_is_told_who_works_here_and_a_kill_frees_the_lock(path, other):
    message = refused(RunLock(path))
    assert f"process {other.pid} on {socket.gethostname()}, since 20" in message
    assert "works in this folder already" in message
    other.kill()
    other.wait()
    assert RunLock(path).hold() == ""
    assert f"process {os.getpid()} " in path.read_text()


def test_a_run_that_was_planned_while_another_one_worked_does_not_start(path, other):
    """What the other one made meanwhile would be removed."""
    planned = RunLock(path)
    other.kill()
    other.wait()
    assert "run the same command again" in refused(planned)


def test_nor_does_one_that_another_run_came_and_went_beside(path):
    planned = RunLock(path)
    other = RunLock(path)
    other.hold()
    del other  # the file is closed, as at the end of a process
    assert "has ended: run the same command again" in refused(planned)


def test_to_look_makes_nothing_and_holds_nothing(path):
    first = RunLock(path)
    assert not path.parent.exists()
    RunLock(path)
    assert first.hold() == ""


def test_a_file_system_without_locks_is_named_and_the_run_goes_on(path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", unsupported)
    assert "keeps no locks" in RunLock(path).hold()


def test_a_folder_that_cannot_be_written_is_one_line(path):
    path.parent.write_text("a file where the folder should be")
    assert "results/.lock cannot be written (File exists)" in refused(RunLock(path))
