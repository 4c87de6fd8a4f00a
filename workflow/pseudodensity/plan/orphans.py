"""Jobs of SLURM that outlive the run that submitted them.

After a kill of the engine they go on, and the engine does not know them again: it would submit the same
jobs once more, and two processes would write one file. So a run first waits until they are gone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["OrphanError", "orphans", "wait_for_orphans"]

PAUSE = 10.0  # seconds between two questions to the scheduler
# The states of what may still write; finished jobs are listed for a while too.
ALIVE = "PENDING,CONFIGURING,RUNNING,COMPLETING,SUSPENDED,REQUEUED"
# Snakemake's executor names all jobs of one run after that run, by a UUID behind a prefix of your choice.
OF_A_RUN = re.compile(r"(?:^|_)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class OrphanError(RuntimeError):
    """SLURM does not say which jobs there are."""


def orphans(folder: str | Path) -> list[str]:
    """SLURM's numbers of all jobs of this user that a run in a folder has submitted and that are not over.

    None where there is no SLURM. OrphanError: it does not answer.
    """
    if shutil.which("squeue") is None:
        return []
    asked = ["squeue", "--me", "--noheader", f"--states={ALIVE}", "--format=%i|%j|%Z"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"code {done.returncode}"
        raise OrphanError(
            f"squeue does not say whether jobs of an earlier run still work here ({said}): wait until SLURM "
            "answers, then run the same command again"
        )
    jobs = (line.split("|", 2) for line in done.stdout.splitlines())
    here = os.path.realpath(folder)
    return [
        number
        for number, name, where in jobs
        if OF_A_RUN.search(name) and os.path.realpath(where) == here
    ]


def wait_for_orphans(folder: str | Path, say: Callable[[str], None], *, submits: bool) -> bool:
    """Wait until no job of an earlier run works in a folder.

    Args:
        folder: in which runs work.
        say: is given one line before the wait.
        submits: whether this run submits jobs; else SLURM need not answer.

    Returns:
        Whether there were any: what they made is unknown to whoever planned before.

    Raises:
        OrphanError: SLURM does not answer, and this run submits jobs.
    """
    try:
        left = orphans(folder)
    except OrphanError:
        if submits:
            raise
        return False
    if not left:
        return False
    say(
        f"{len(left)} jobs of an earlier run still work in this folder: waiting for them, as what they finish "
        f"is not made again (to end them: scancel {' '.join(left)})"
    )
    while left:
        time.sleep(PAUSE)
        left = orphans(folder)
    return True
