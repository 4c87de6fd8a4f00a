"""Lines about progress: seldom, with a rate and what is left, on the terminal and in the log."""

import re

import pytest

from pseudodensity import progress
from pseudodensity.progress import Progress


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
    assert lines(capsys) == ["x: 10/10 steps, 2 steps/s, loss 0.123, accepted 1"]


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
    assert len(shown) == len(logged) == 3
    for line, text in zip(logged, shown, strict=True):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  " + re.escape(text), line)


def test_a_job_that_takes_no_time_divides_by_nothing(clock, capsys):
    report = Progress("x", 5)
    report.update(0)
    report.update(5)
    assert lines(capsys) == ["x: 5/5 images, 0 images/s"]
