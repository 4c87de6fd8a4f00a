"""One run at a time in a folder: the engine removes the outputs of a job before it makes them.

The lock is an open file (flock), so that the end of the process frees it, whatever ended it: after a kill
the same command goes on. The file stays; it says who held it last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

__all__ = ["RunLock", "RunLockError"]

# What a file system says that keeps no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
TRIES, PAUSE = 10, 0.1  # another command may look at the file for a moment


class RunLockError(ValueError):
    """Another run works in this folder, or did when this one was planned."""


class RunLock:
    """The lock of a whole run, made before the run is planned.

    What was made while this run was being planned is unknown to its plan: it would be removed and made
    again. So a run that finds another one at that time does not start either.
    """

    def __init__(self, path: str | Path):
        """path: of the lock file. Nothing is made or held yet."""
        self.path = Path(path).absolute()
        self._held: IO[str] | None = None
        self._was_held, self._last_holder = self._look()

    def _look(self) -> tuple[bool, str]:
        """Whether a process holds the lock, and which one did so last."""
        try:
            with open(self.path) as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True, file.read().strip()
                return False, file.read().strip()
        except OSError:  # no file yet, or no locks: `hold` says so
            return False, ""

    def hold(self) -> str:
        """Take the lock until this process ends.

        Returns:
            A warning where the file system keeps no locks, else nothing.

        Raises:
            RunLockError: another process holds it or held it since this object was made; the file cannot
                be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self.path, "a+")  # noqa: SIM115 (it is open as long as the process lives)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            self._take(file)
            file.seek(0)
            holder = file.read().strip()
            if self._was_held or holder != self._last_holder:
                raise RunLockError(
                    f"{holder} worked in this folder while this run was being planned, and has ended: "
                    "run the same command again"
                )
            file.truncate(0)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {started},\n")
            file.flush()
        except RunLockError:
            file.close()
            raise
        except OSError as error:
            file.close()
            if error.errno not in NO_LOCKS:
                raise self._unwritable(error) from None
            return (
                f"the file system of {self.path.parent} keeps no locks: see to it yourself that no other "
                "run works in this folder"
            )
        self._held = file
        return ""

    def _take(self, file: IO[str]) -> None:
        for _ in range(TRIES):
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE)
        file.seek(0)
        raise RunLockError(
            f"{file.read().strip() or 'another process'} works in this folder already: wait for it or end it, "
            "then run the same command again"
        )

    def _unwritable(self, error: OSError) -> RunLockError:
        return RunLockError(
            f"{self.path} cannot be written ({error.strerror}): make room in its folder, or make it "
            "writable, or start in another folder"
        )
