"""The loop survives every kind of death with the same weights, and its small laws hold."""

import copy
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from pseudodensity.control.train.loop import (
    ExponentialAverage,
    exclusive,
    linear_decay,
    optimizer_state,
    restore_optimizer,
    run,
)
from pseudodensity.plan.artifact import STATE_FILE
from pseudodensity.progress import Progress
from pseudodensity.rng import generator
from pseudodensity.tensors import load_tensors

torch.set_num_threads(1)

STEPS, SPEC = 100, {"kind": "test", "seed": 0}


class LineTrainer:
    """Fits a line by Adam: an optimiser with state, an average with a buffer, random batches."""

    batch_size = 4

    def __init__(self, pause: float = 0.0, die_at: int | None = None, nan_at: int | None = None):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.average = ExponentialAverage(copy.deepcopy(self.model), self.model, 20, 0.05)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.05)
        self.pause, self.die_at, self.nan_at = pause, die_at, nan_at
        self.steps: list[int] = []

    def step(self, iteration):
        time.sleep(self.pause)
        if iteration == self.die_at:
            raise KeyboardInterrupt
        x = torch.randn(self.batch_size, 3, generator=generator(0, "step", iteration))
        self.optimizer.zero_grad()
        loss = (self.model(x).squeeze(1) - x.sum(1)).square().mean()
        loss.backward()
        self.optimizer.step()
        self.average.update((iteration + 1) * self.batch_size, self.batch_size)
        self.steps.append(iteration)
        return {"loss": math.nan if iteration == self.nan_at else loss.item()}

    def state(self):
        return {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": optimizer_state(self.optimizer),
        }

    def load_state(self, state):
        self.model.load_state_dict(state["model"])
        self.average.module.load_state_dict(state["average"])
        restore_optimizer(self.optimizer, state["optimizer"])


def train(workdir, trainer=None, steps=STEPS, spec=SPEC, save_seconds=0.0, log=None):
    trainer = trainer or LineTrainer()
    progress = Progress("line", steps * trainer.batch_size, log=log, every=1e9)
    with exclusive(workdir, progress):
        run(trainer, steps, workdir, spec, progress, save_seconds=save_seconds)
    return trainer


def assert_same(ours: LineTrainer, theirs: LineTrainer):
    for part in ("model", "average"):
        for name, value in ours.state()[part].items():
            assert torch.equal(value, theirs.state()[part][name]), (part, name)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"), save_seconds=1e9)


@pytest.mark.parametrize("die_at", [0, 1, 37, STEPS - 1])
def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, uninterrupted, die_at):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, LineTrainer(die_at=die_at))
    resumed = train(tmp_path, save_seconds=1e9)
    assert resumed.steps == list(range(die_at, STEPS))
    assert_same(resumed, uninterrupted)


def test_a_run_that_dies_between_two_saves_repeats_those_steps(tmp_path, uninterrupted):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, LineTrainer(die_at=5), save_seconds=1e9)
    assert not (tmp_path / "state.safetensors").exists()
    for die_at in (10, 11, 20):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, LineTrainer(die_at=die_at))
    assert_same(train(tmp_path, save_seconds=1e9), uninterrupted)


def test_a_finished_run_is_not_trained_again(tmp_path, uninterrupted):
    train(tmp_path, save_seconds=1e9)
    again = train(tmp_path)
    assert again.steps == []
    assert_same(again, uninterrupted)


def test_the_state_of_another_spec_is_not_resumed(tmp_path, uninterrupted):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, LineTrainer(die_at=5), spec=SPEC | {"seed": 1})
    log = tmp_path / "log"
    fresh = train(tmp_path, log=log, save_seconds=1e9)
    assert len(fresh.steps) == STEPS and "another spec (it differs in seed)" in log.read_text()
    assert_same(fresh, uninterrupted)


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_state_is_trained_again_and_said_so(tmp_path, uninterrupted, cut):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, LineTrainer(die_at=5))
    state = tmp_path / STATE_FILE  # as the plan knows it
    content = bytearray(state.read_bytes())
    content[-7] ^= 1  # one bit of a weight
    state.write_bytes(content[:-7] if cut else content)
    log = tmp_path / "log"
    assert_same(train(tmp_path, log=log, save_seconds=1e9), uninterrupted)
    assert "starting again" in log.read_text()


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    with pytest.raises(FloatingPointError, match="line diverged at step 7") as error:
        train(tmp_path, LineTrainer(nan_at=7))
    assert "\n" not in str(error.value)
    # The diverged step is not part of the state.
    assert load_tensors(tmp_path / "state.safetensors")[1] == {"iteration": 7}


def _child(workdir: Path) -> subprocess.Popen:
    code = f"import test_train_loop as t; t.train({str(workdir)!r}, t.LineTrainer(pause=0.05))"
    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


def _iteration(workdir: Path) -> int:
    state = workdir / "state.safetensors"
    return load_tensors(state)[1]["iteration"] if state.exists() else 0


def test_kill_9_frees_the_waiting_process_which_ends_with_the_same_weights(tmp_path, uninterrupted):
    child = _child(tmp_path)
    try:
        deadline = time.monotonic() + 60
        while _iteration(tmp_path) < 5:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        log, second = tmp_path / "log", LineTrainer()
        options = {"log": log, "save_seconds": 1e9}
        waiting = threading.Thread(target=train, args=(tmp_path, second), kwargs=options)
        waiting.start()
        while not log.exists():
            time.sleep(0.01)
        assert "another process trains this model already" in log.read_text()
        seen = _iteration(tmp_path)
        while _iteration(tmp_path) < seen + 3:  # the first goes on, the second does not start
            time.sleep(0.02)
        assert second.steps == []
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    assert 5 <= second.steps[0] and second.steps == list(range(second.steps[0], STEPS))
    assert_same(second, uninterrupted)


# ------------------------------------------------------------------------------- small laws


def moved_average(images: int, batch: int, half_life: float, ramp_up: float | None) -> float:
    """Weight of the start after ``images``, by averaging towards a constant."""
    target = nn.Linear(1, 1, bias=False).double()
    average = ExponentialAverage(copy.deepcopy(target), target, half_life, ramp_up)
    nn.init.ones_(average.module.weight)
    nn.init.zeros_(target.weight)
    for seen in range(batch, images + 1, batch):
        average.update(seen, batch)
    return average.module.weight.item()


@pytest.mark.parametrize("batch", [1, 8, 50])
@pytest.mark.parametrize("half_lives", [1, 2, 3])
def test_after_a_half_life_of_images_half_of_the_old_remains(batch, half_lives):
    assert moved_average(400 * half_lives, batch, 400, None) == pytest.approx(0.5**half_lives)


def test_the_ramp_shortens_the_half_life_of_the_first_images():
    # Step i has half-life min(100, 0.25 * 10 i): the logs of the decays add up.
    expected = 0.5 ** sum(10 / min(100, 2.5 * i) for i in range(1, 61))
    assert moved_average(600, 10, 100, 0.25) == pytest.approx(expected)
    assert moved_average(600, 10, 100, 0.25) < 1e-4 < moved_average(600, 10, 100, None)


def test_the_average_copies_buffers_and_is_frozen():
    torch.manual_seed(0)
    source = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = ExponentialAverage(copy.deepcopy(source), source, 100, None)
    before = average.module[0].weight.clone()
    source(torch.randn(16, 2) * 5 + 3)
    with torch.no_grad():
        source[0].weight += 1
    average.update(8, 8)
    ours, theirs = dict(average.module.named_buffers()), dict(source.named_buffers())
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    decay = 0.5 ** (8 / 100)
    torch.testing.assert_close(average.module[0].weight, before + (1 - decay))
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())


def test_linear_decay():
    assert [linear_decay(i, 10, 0.0) for i in (0, 5, 9)] == [1, 1, 1]
    assert [linear_decay(i, 10, 0.4) for i in range(10)] == pytest.approx(
        [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    )
    assert [linear_decay(i, 4, 1.0) for i in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
