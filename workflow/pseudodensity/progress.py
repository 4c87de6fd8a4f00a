"""Progress of long work: a line now and then, on the terminal and in a log file.

Lines, not bars: the pipeline runs several jobs on one terminal, where bars overwrite each other.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pseudodensity.artifacts import one_line

__all__ = ["Progress", "Work", "logged", "read_log"]

# What goes wrong by the user's hand, said in one line; all else is a fault of the program.
EXPECTED = (ValueError, OSError, RuntimeError, FloatingPointError, MemoryError)

AGAIN = "then run the same command again"
FULL = ("the disk is full", f"make room where the results lie, {AGAIN}")
FEWER = "or run fewer jobs side by side (--cores), or take a machine with more"
MEMORY = ("the memory is not enough", f"lower runtime.batch_size, which changes no number, {FEWER}")
CLOSED = ("a file or folder is closed to you", f"ask for the right to use it, {AGAIN}")
# What a machine lacks, by the number of the error: what it means and what to do.
LACKS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: (
        "no file may become as large as this one",
        f"raise the limit (ulimit -f), {AGAIN}",
    ),
    errno.EROFS: ("a folder is read-only", f"make it writable or start in another one, {AGAIN}"),
    errno.EACCES: CLOSED,
    errno.EPERM: CLOSED,
    errno.ENOMEM: MEMORY,
}
# Libraries that do not raise an OSError say it in their own words; numpy's are the first.
WORDS = [
    (re.compile(r"\d+ requested and \d+ written"), FULL),
    *((re.compile(re.escape(os.strerror(number))), said) for number, said in LACKS.items()),
    (
        re.compile(r"out of memory|not enough memory|can't allocate|bad_alloc", re.IGNORECASE),
        MEMORY,
    ),
]


def _in_one_line(error: Exception) -> str:
    """What went wrong, for people; with what to do where the machine is at its limits."""
    said = one_line(error)
    lack = MEMORY if isinstance(error, MemoryError) else None
    if isinstance(error, OSError):
        lack = LACKS.get(error.errno)
    # A ValueError of ours tells already what to do, and may quote what the system said of a file.
    if lack is None and not isinstance(error, ValueError):
        lack = next((known for words, known in WORDS if words.search(said)), None)
    if lack:
        return f"{lack[0]} ({said}): {lack[1]}"
    return said if isinstance(error, EXPECTED) else f"{type(error).__name__}: {said}"


# The lines of a log that say what a job did in all, as they are written below.
ENDED = re.compile(
    r"^\S+ \S+  (?P<label>.*): (?P<done>\d+)/(?P<total>\d+) (?P<unit>\S+), (?P<rate>[0-9.e+-]+) (?P=unit)/s"
)
PEAK = re.compile(
    r"^\S+ \S+  peak memory (?P<main>\d+) MB(, (?P<card>\d+) MB of the GPU)?"
    r"(; (?P<busy>[0-9.]+) s of CPU time in (?P<passed>[0-9.]+) s)?$"
)


@dataclass(frozen=True)
class Work:
    """What a job did, by its log.

    items, unit, rate: how many, of what, and how many in a second, of the part of the job that took longest,
    without the start of the program; None where nothing was counted. memory_mb, card_mb: the most memory of the
    process and what torch held on the GPU, in MB of 10^6 bytes; None where it was not said. cores: how many it kept
    busy on average, less than its threads where it waited for other jobs; None where it was not said.
    """

    items: int | None
    unit: str | None
    rate: float | None
    memory_mb: int | None
    card_mb: int | None
    cores: float | None


def read_log(path: str | Path) -> Work:
    """What the last run of a job did, by its log; nothing but None where there is no log."""
    longest, ended, memory, card, cores = 0.0, None, None, None, None
    text = Path(path).read_text(encoding="utf-8") if Path(path).is_file() else ""
    for line in text.splitlines():
        if found := PEAK.match(line):
            memory, card = int(found["main"]), found["card"] and int(found["card"])
            passed = float(found["passed"] or 0)
            cores = float(found["busy"]) / passed if passed else None
            longest = 0.0  # what follows is another run
        found = ENDED.match(line)
        if not found or found["done"] != found["total"] or not float(found["rate"]):
            continue
        seconds = int(found["done"]) / float(found["rate"])
        if seconds > longest:
            longest, ended = seconds, found
    if ended is None:
        return Work(None, None, None, memory, card, cores)
    return Work(int(ended["total"]), ended["unit"], float(ended["rate"]), memory, card, cores)


def _peak_memory() -> str:
    """The most memory that this process had, as a line of its log.

    Snakemake measures it too, but looks at a long job only twice a minute.
    """
    said = f"peak memory {_peak_kilobytes() * 1024 / 1e6:.0f} MB"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        said += f", {torch.cuda.max_memory_allocated() / 1e6:.0f} MB of the GPU"
    return said


def _peak_kilobytes() -> int:
    # What getrusage says begins with what the process that started this one had, so it stands in only.
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.is_file() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def logged(log: str | Path) -> Iterator[None]:
    """The body of a job: warnings, the traceback of a failure, how much memory and CPU time it took go to its log.

    A job that is told to end (SIGTERM) removes what it has half written, and says no word.

    Raises:
        SystemExit: with one line for people, where the body failed; the traceback is in the log.
    """
    log = Path(log)

    def write(text: str) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as handle:
            handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text.rstrip()}\n")

    def keep(message, category, filename, lineno, file=None, line=None) -> None:
        write(warnings.formatwarning(message, category, filename, lineno))

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    began, busy = time.monotonic(), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = keep
            yield
        busy, passed = time.process_time() - busy, time.monotonic() - began
        write(f"{_peak_memory()}; {busy:.2f} s of CPU time in {passed:.2f} s")
    except Exception as error:  # noqa: BLE001 (whatever it is, the log must have it)
        said, where = _in_one_line(error), f"traceback: {log}"
        try:
            write(traceback.format_exc())
        except OSError as unwritten:
            where = f"{log} cannot be written: {one_line(unwritten)}"
        raise SystemExit(f"{said} ({where})") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """Report how far a job is, at most once every ``every`` seconds.

    Args:
        label: what is being done, as a person would say it. Digests of names are left out: the name of
            the log has them.
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
        self.label = re.sub(r"-[0-9a-f]{10}(?![0-9a-z])", "", label)
        self.total, self.unit, self.every = total, unit, every
        self.log = Path(log) if log is not None else None
        self._first: tuple[float, int] | None = None
        self._last_line = 0.0
        self._was_whole = False

    def update(self, done: int, now: str = "", **numbers: float) -> None:
        """Say that ``done`` of ``total`` items exist.

        Args:
            done: items that exist. The first call tells the total, and where a resumed job starts.
            now: what comes next.
            numbers: shown with their names (losses).
        """
        clock = time.monotonic()
        if self._first is None:
            self._first = (clock, done)
            self._last_line = clock
            start = f"resuming at {done} of " if done else ""
            self.say(f"{start}{self.total} {self.unit}")
            return
        # A second pass over the same items (a measured repeat) has no news at its end.
        if (self._was_whole or done < self.total) and clock - self._last_line < self.every:
            return
        self._was_whole = self._was_whole or done >= self.total
        self._last_line = clock
        elapsed, count = clock - self._first[0], done - self._first[1]
        rate = count / elapsed if elapsed > 0 else 0.0
        left = (
            f", {_duration((self.total - done) / rate)} left" if rate and done < self.total else ""
        )
        shown = "".join(f", {name} {value:.3g}" for name, value in numbers.items())
        what = f"; {now}" if now and done < self.total else ""
        self.say(f"{done}/{self.total} {self.unit}, {rate:.3g} {self.unit}/s{shown}{left}{what}")

    def say(self, text: str) -> None:
        """Print one line for a person and append it to the log with a clock time."""
        print(f"{self.label}: {text}", file=sys.stderr, flush=True)
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with open(self.log, "a") as handle:
                handle.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {self.label}: {text}\n")
