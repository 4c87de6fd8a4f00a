"""Lines about progress: seldom, with a rate and what is left, on the terminal and in the log."""

import errno
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch

from pseudodensity import progress
from pseudodensity.artifacts import ArtifactError
from pseudodensity.progress import Progress, Work, logged, read_log


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets: ``clock(seconds)``."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def set_to(seconds: float) -> None:
        now[0] = 1000.0 + seconds

    return set_to


def lines(capsys) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout belongs to what a command returns
    return captured.err.splitlines()


def test_rate_and_time_left(clock, capsys):
    report = Progress("train faces", 1000, "images", every=10)
    for seconds, done in [(0, 0), (4, 40), (10, 100), (15, 150), (20, 240), (40, 1000)]:
        clock(seconds)
        report.update(done)
    assert lines(capsys) == [
        "train faces: 1000 images",
        "train faces: 100/1000 images, 10 images/s, 1 min 30 s left",
        "train faces: 240/1000 images, 12 images/s, 1 min 03 s left",
        "train faces: 1000/1000 images, 25 images/s",
    ]


@pytest.mark.parametrize(
    ("total", "left"), [(130, "12 s"), (1000, "1 min 39 s"), (100000, "2 h 46 min")]
)
def test_durations_read_as_a_person_says_them(clock, capsys, total, left):
    report = Progress("x", total, every=1)
    report.update(0)
    clock(1)
    report.update(10)
    assert lines(capsys)[-1].endswith(f", {left} left")


def test_numbers_are_shown(clock, capsys):
    report = Progress("x", 10, "steps")
    report.update(0)
    clock(5)
    report.update(10, loss=0.123456, accepted=1.0)
    assert lines(capsys)[1:] == ["x: 10/10 steps, 2 steps/s, loss 0.123, accepted 1"]


def test_what_comes_next_is_said_and_nothing_of_it_at_the_end(clock, capsys):
    report = Progress("score x", 10, "repeats", every=1)
    for done in (0, 5, 10):
        clock(done)
        report.update(done, now=f"repeat {done} of DOT")
    assert lines(capsys)[1:] == [
        "score x: 5/10 repeats, 1 repeats/s, 5 s left; repeat 5 of DOT",
        "score x: 10/10 repeats, 1 repeats/s",
    ]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("data of mine-3de87f7389", "data of mine"),
        ("volumes-0123456789 of gan-faces-seed0-abcdef0123", "volumes of gan-faces-seed0"),
        # No digest: too long, or a word.
        ("data of run-20240101123", "data of run-20240101123"),
        ("data of my-photographs", "data of my-photographs"),
    ],
)
def test_digests_are_for_the_log_not_for_the_terminal(capsys, label, shown):
    Progress(label, 5).update(0)
    assert lines(capsys) == [f"{shown}: 5 images"]


def test_a_resumed_job_says_so_and_rates_its_own_work_only(clock, capsys):
    report = Progress("x", 100, "steps", every=1)
    report.update(60)
    clock(10)
    report.update(80)
    assert lines(capsys) == [
        "x: resuming at 60 of 100 steps",
        "x: 80/100 steps, 2 steps/s, 10 s left",
    ]


def test_the_log_collects_all_runs_with_their_time(clock, capsys, tmp_path):
    log = tmp_path / "deep" / "x.log"
    for start in (0, 5):
        report = Progress("x", 10, log=log)
        report.update(start)
        clock(1)
        report.update(10)
    shown = lines(capsys)
    logged = log.read_text().splitlines()
    assert len(shown) == len(logged) == 4
    for line, text in zip(logged, shown, strict=True):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  " + re.escape(text), line)


def test_a_job_that_takes_no_time_divides_by_nothing(clock, capsys):
    report = Progress("x", 5)
    report.update(0)
    report.update(5)
    assert lines(capsys)[1:] == ["x: 5/5 images, 0 images/s"]


def test_passes_over_the_same_items_are_no_flood(clock, capsys):
    report = Progress("x", 5)
    for seconds in range(9):
        clock(seconds)
        report.update(0)
        report.update(5)
    assert len(lines(capsys)) == 2


# ------------------------------------------------------------------------------ the log of a job


def failed(log, error: BaseException) -> str:
    """What a job says that ends with an error."""
    with pytest.raises(SystemExit) as ended, logged(log):
        raise error
    return ended.value.code


def test_the_traceback_of_a_failure_is_in_the_log_and_one_line_is_said(tmp_path):
    log = tmp_path / "deep" / "job.log"
    assert failed(log, ValueError("k must be 3: set k")) == f"k must be 3: set k (traceback: {log})"
    text = log.read_text()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  Traceback \(most recent call last\)", text)
    assert "raise error" in text and text.endswith("ValueError: k must be 3: set k\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        # What a user can mend is said as it is.
        (ArtifactError("a is damaged"), "a is damaged"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
        (FloatingPointError("it diverged"), "it diverged"),
        # What torch says has ten lines; they are in the log.
        (
            RuntimeError("CUDA error:\n  bad launch\n\nCompile with"),
            "CUDA error: bad launch Compile",
        ),
        (ValueError(), "ValueError"),
        # A fault of the program says what kind of one it is.
        (KeyError("fid"), "KeyError: 'fid'"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
def test_any_failure_is_said_in_one_line(error, said, tmp_path):
    message = failed(tmp_path / "job.log", error)
    assert message.startswith(said) and "\n" not in message
    # All that was said is in the log.
    assert all(line in (tmp_path / "job.log").read_text() for line in str(error).splitlines())


@pytest.mark.parametrize(
    ("error", "said", "cure"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "the disk is full", "make room"),
        # As numpy and safetensors say it.
        (OSError("4096 requested and 96 written"), "the disk is full", "make room"),
        (Exception("I/O error: No space left on device (os error 28)"), "the disk is full", "room"),
        (OSError(errno.EFBIG, "File too large"), "no file may become", "ulimit -f"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "a folder is read-only", "writable"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "a file or folder is", "right"),
        (MemoryError("Unable to allocate 3 GiB"), "the memory is not enough", "runtime.batch_size"),
        (RuntimeError("[enforce fail] can't allocate memory: you"), "the memory is", "--cores"),
        (torch.OutOfMemoryError("CUDA out of memory."), "the memory is not enough", "batch_size"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_machine_at_its_limits_is_told_with_what_to_do(error, said, cure, tmp_path):
    message = failed(tmp_path / "job.log", error)
    assert message.startswith(said) and "\n" not in message
    assert str(error) in message and cure in message.partition(str(error))[2]


def test_what_a_message_of_ours_quotes_is_not_taken_for_the_machine(tmp_path):
    error = ValueError("1 of 9 files cannot be read (Permission denied): mend or remove it")
    assert failed(tmp_path / "job.log", error).startswith(str(error))


def test_a_log_that_cannot_be_written_is_no_second_failure(tmp_path):
    """The disk that is full is that of the log, too."""
    (tmp_path / "logs").write_text("a file where the folder should be")
    message = failed(tmp_path / "logs/job.log", OSError(errno.ENOSPC, "No space left on device"))
    assert message.startswith("the disk is full") and "\n" not in message
    assert "job.log cannot be written: " in message and "traceback" not in message


def test_a_job_that_is_told_to_end_cleans_up_and_says_nothing(tmp_path):
    half = tmp_path / "whole.npy"
    code = (
        "import time\n"
        "from pseudodensity.artifacts import atomic_path\n"
        "from pseudodensity.progress import logged\n"
        f"with logged({str(tmp_path / 'job.log')!r}), atomic_path({str(half)!r}) as path:\n"
        "    path.write_bytes(b'half')\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(progress.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "writing\n" and list(tmp_path.iterdir())
    process.terminate()
    assert process.communicate()[1] == ""
    assert process.returncode == 128 + signal.SIGTERM and not list(tmp_path.iterdir())


def test_signals_are_as_before_after_a_job(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with logged(tmp_path / "job.log"):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_log_keeps_what_earlier_runs_wrote(tmp_path):
    log = tmp_path / "job.log"
    for number in (1, 2):
        failed(log, ValueError(f"failure {number}"))
    assert [f"failure {n}" in log.read_text() for n in (1, 2)] == [True, True]


def test_warnings_go_to_the_log_and_nowhere_else(tmp_path, capsys):
    log, before = tmp_path / "job.log", warnings.showwarning
    with logged(log):
        warnings.simplefilter("always")
        warnings.warn("the network is large", stacklevel=1)
    assert "UserWarning: the network is large" in log.read_text()
    assert lines(capsys) == [] and warnings.showwarning is before


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_end_that_was_asked_for_is_no_failure(error, tmp_path):
    """A job that is stopped from outside, or that ends itself, ends as it would without a log."""
    with pytest.raises(type(error)) as ended, logged(tmp_path / "job.log"):
        raise error
    assert ended.value is error and not (tmp_path / "job.log").exists()


def test_a_job_that_fails_ends_with_one_line_on_stderr_and_a_code(tmp_path):
    code = (
        "from pseudodensity.progress import logged\n"
        f"with logged({str(tmp_path / 'job.log')!r}):\n"
        "    raise RuntimeError('first\\nsecond')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(Path(progress.__file__).parents[1])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"first second (traceback: {tmp_path / 'job.log'})\n"
    assert "Traceback" in (tmp_path / "job.log").read_text()


def test_a_log_tells_what_a_job_did_without_its_start(clock, tmp_path):
    """Of two parts the longer one, of two runs the last one."""
    log = tmp_path / "job.log"
    for rate in (1, 4):
        with logged(log):
            short, long = Progress("columns", 8, log=log), Progress("train", 40, "steps", log=log)
            clock(0)
            short.update(0)
            long.update(0)
            clock(2)
            short.update(8)
            clock(20)
            long.update(20)
            clock(40 / rate)
            long.update(40)
    work = read_log(log)
    assert (work.items, work.unit, work.rate) == (40, "steps", 4.0)
    assert work.card_mb is None


def test_a_log_tells_the_most_memory_of_the_job_and_nothing_of_who_started_it(tmp_path):
    log, large = tmp_path / "job.log", bytearray(b"1" * 1_000_000_000)
    code = "from pseudodensity.progress import logged\nwith logged('job.log'):\n    x = b'1' * 300_000_000\n    del x"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert 300 < read_log(log).memory_mb < 600 < len(large) / 1e6


def test_a_log_tells_how_many_cores_a_job_kept_busy(tmp_path):
    """One that computes for as long as it waits: a half."""
    log = tmp_path / "job.log"
    with logged(log):
        start = time.process_time()
        while (busy := time.process_time() - start) < 0.2:
            pass
        time.sleep(busy)
    assert read_log(log).cores <= 0.55
    log.write_text(
        "2026-01-01 00:00:00  peak memory 5 MB, 7 MB of the GPU; 6.00 s of CPU time in 4.00 s\n"
    )
    assert read_log(log) == Work(None, None, None, 5, 7, 1.5)


def test_what_is_not_in_a_log_is_not_known(tmp_path):
    log = tmp_path / "job.log"
    assert read_log(log) == Work(None, None, None, None, None, None)
    report = Progress("train", 10, log=log)
    report.update(0)
    report.update(5)  # killed here
    assert read_log(log) == Work(None, None, None, None, None, None)
