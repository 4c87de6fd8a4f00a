"""Jobs that a killed run left behind are found among all of a user, and waited for."""

import os
from pathlib import Path

import pytest

from pseudodensity.plan import orphans as module
from pseudodensity.plan.orphans import OrphanError, orphans, wait_for_orphans

RUN = "3f2b8c1e-0d4a-4b6f-9a52-7f6f0c1d2e3f"


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A program of that name, first on the path. Its answers are files: one for each call, the last for all
    that follow."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "squeue"
    program.write_text(
        f'#!/bin/sh\ncd {folder}\necho "$@" > asked\n'
        "now=$(ls answer* | head -n 1)\ncat $now\n"
        '[ "$(ls answer* | wc -l)" = 1 ] || rm $now\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "PAUSE", 0.01)

    def answer(*texts: str) -> Path:
        for number, text in enumerate(texts):
            (folder / f"answer{number}").write_text(text)
        return folder / "asked"

    return answer


def test_only_jobs_of_a_run_in_this_folder_count(squeue, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    asked = squeue(
        f"7|{RUN}|{tmp_path}\n"
        f"8|mine_{RUN}|{tmp_path}/link\n"
        f"9|{RUN}|{tmp_path}/other\n"  # another checkout
        f"10|wrap|{tmp_path}\n"  # the run itself, where that was submitted
        f"11|{RUN}x|{tmp_path}\n"
    )
    assert orphans(tmp_path) == ["7", "8"]
    # Those of others are none of ours, and what is over writes no more.
    assert "--me" in asked.read_text() and "COMPLETED" not in asked.read_text()


def test_a_run_waits_until_the_last_has_ended_and_says_so_once(squeue, tmp_path):
    both = f"7|{RUN}|{tmp_path}\n8|{RUN}|{tmp_path}\n"
    squeue(both, both, f"8|{RUN}|{tmp_path}\n", "")
    said: list[str] = []
    assert wait_for_orphans(tmp_path, said.append, submits=True) is True
    (line,) = said
    assert line.startswith("2 jobs of an earlier run") and "scancel 7 8" in line
    assert wait_for_orphans(tmp_path, said.append, submits=True) is False and len(said) == 1


def test_without_slurm_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert orphans(tmp_path) == []


def test_a_silent_slurm_stops_only_a_run_that_submits_jobs(squeue, tmp_path):
    program = squeue("").with_name("squeue")
    program.write_text("#!/bin/sh\necho 'Unable to contact\nslurm controller' >&2\nexit 1\n")
    assert wait_for_orphans(tmp_path, print, submits=False) is False
    with pytest.raises(OrphanError) as raised:
        wait_for_orphans(tmp_path, print, submits=True)
    said = str(raised.value)
    assert "(Unable to contact slurm controller)" in said and "run the same command again" in said
