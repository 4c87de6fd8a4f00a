"""Progress of long work: a line now and then, on the terminal and in a log file.

Lines, not bars: the pipeline runs several jobs on one terminal, where bars overwrite each other.
"""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pseudodensity.artifacts import one_line

__all__ = ["Progress", "logged"]

# What goes wrong by the user's hand, said in one line; all else is a fault of the program.
EXPECTED = (ValueError, OSError, RuntimeError, FloatingPointError)


@contextmanager
def logged(log: str | Path) -> Iterator[None]:
    """The body of a job: warnings and the traceback of a failure go to its log.

    Raises:
        SystemExit: with one line for people, where the body failed; the traceback is in the log.
    """
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)

    def write(text: str) -> None:
        with open(log, "a") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text.rstrip()}\n")

    def keep(message, category, filename, lineno, file=None, line=None) -> None:
        write(warnings.formatwarning(message, category, filename, lineno))

    with warnings.catch_warnings():
        warnings.showwarning = keep
        try:
            yield
        except Exception as error:  # noqa: BLE001 (whatever it is, the log must have it)
            write(traceback.format_exc())
            said = one_line(error)
            if not isinstance(error, EXPECTED):
                said = f"{type(error).__name__}: {said}"
            raise SystemExit(f"{said} (traceback: {log})") from None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Report how far a job is, at most once every ``every`` seconds.

    Args:
        label: what is being done, as a person would say it.
        total: number of items when the job is complete.
        unit: plural name of an item ("images", "steps").
        log: file to append plain lines to, or None.
        every: seconds between two lines.
    """

    def __init__(
        self,
        label: str,
        total: int,
        unit: str = "images",
        log: str | Path | None = None,
        every: float = 15.0,
    ) -> None:
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.log = Path(log) if log is not None else None
        self._first: tuple[float, int] | None = None
        self._last_line = 0.0

    def update(self, done: int, **numbers: float) -> None:
        """Say that ``done`` of ``total`` items exist; ``numbers`` (losses, rates) are shown."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
            self._last_line = now
            if done:
                self.say(f"resuming at {done} of {self.total} {self.unit}")
            return
        if now - self._last_line < self.every and done < self.total:
            return
        self._last_line = now
        elapsed, count = now - self._first[0], done - self._first[1]
        rate = count / elapsed if elapsed > 0 else 0.0
        left = (
            f", {_duration((self.total - done) / rate)} left" if rate and done < self.total else ""
        )
        shown = "".join(f", {name} {value:.3g}" for name, value in numbers.items())
        self.say(f"{done}/{self.total} {self.unit}, {rate:.3g} {self.unit}/s{shown}{left}")

    def say(self, text: str) -> None:
        """Print one line for a person and append it to the log with a clock time."""
        print(f"{self.label}: {text}", file=sys.stderr, flush=True)
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log, "a") as handle:
                handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {self.label}: {text}\n")
