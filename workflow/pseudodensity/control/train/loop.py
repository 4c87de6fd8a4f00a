"""The training loop that every model shares: resumable, locked, and loud when it diverges.

All randomness of step ``i`` comes from ``(seed, i)``, never from what ran before. A loop that
was killed and started again therefore ends with bit-identical weights on the same machine.
"""

from __future__ import annotations

import fcntl
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.progress import Progress
from pseudodensity.tensors import NonFiniteError, load_tensors, non_finite, save_tensors

__all__ = [
    "ExponentialAverage",
    "Trainer",
    "exclusive",
    "linear_decay",
    "linear_warmup",
    "optimizer_state",
    "restore_optimizer",
    "run",
]


class Trainer(Protocol):
    """What :func:`run` needs of a model's trainer."""

    batch_size: int

    def step(self, iteration: int) -> dict[str, float]:
        """Do optimisation step ``iteration`` (from 0) and return losses to show."""

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as nested dicts of tensors."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` returned."""

    def weights_to_keep(self) -> dict[str, dict[str, torch.Tensor]]:
        """State dicts of the finished model: average, generator and, for a GAN, discriminator."""

    def facts(self) -> dict[str, float]:
        """What is worth knowing of the run (the realised acceptance of fakes)."""


class ExponentialAverage:
    """Exponential moving average ``module`` of a ``source``: parameters averaged, buffers copied.

    Buffers of a source in eval mode do not move; then the average keeps its own. Which tensors
    the two modules have is settled here: their values may change later, by loading too.

    The decay of one step of ``b`` images is ``0.5 ** (b / half_life)``; with ``ramp_up`` r the
    half-life is at most r times the images seen so far (the StyleGAN convention), so that the
    average of a run from scratch forgets its random start.
    """

    def __init__(
        self, module: nn.Module, source: nn.Module, half_life: float, ramp_up: float | None
    ) -> None:
        self.module, self.source = module.requires_grad_(False).eval(), source
        self.half_life, self.ramp_up = float(half_life), ramp_up
        # Walking through a deep module at every step would cost as much as the average itself.
        self.parameters = list(module.parameters()), list(source.parameters())
        self.buffers = list(zip(module.buffers(), source.buffers(), strict=True))

    @torch.no_grad()
    def update(self, images_seen: int, batch_size: int) -> None:
        """Move towards the source after a step of ``batch_size`` images."""
        half_life = self.half_life
        if self.ramp_up is not None:
            half_life = min(half_life, self.ramp_up * images_seen)
        decay = 0.5 ** (batch_size / max(half_life, 1e-8))
        torch._foreach_lerp_(*self.parameters, 1.0 - decay)
        if self.source.training:
            for average, buffer in self.buffers:
                average.copy_(buffer)


def linear_decay(iteration: int, iterations: int, fraction: float) -> float:
    """Learning-rate factor: 1, then linearly to 0 over the last ``fraction`` of the run."""
    if fraction <= 0:
        return 1.0
    return min(1.0, (iterations - iteration) / (fraction * iterations))


def linear_warmup(iteration: int, iterations: int) -> float:
    """Learning-rate factor: linearly from 0 over the first ``iterations`` steps, then 1."""
    return min(1.0, (iteration + 1) / max(1, iterations))


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Per-parameter tensors of an optimiser by position (learning rates follow from the step)."""
    state = optimizer.state_dict()["state"]
    return {str(index): dict(entry) for index, entry in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Put :func:`optimizer_state` back into a freshly made optimiser."""
    groups = optimizer.state_dict()["param_groups"]
    entries = {int(index): dict(entry) for index, entry in state.items()}
    optimizer.load_state_dict({"state": entries, "param_groups": groups})


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}|")
        else:
            flat[f"{prefix}{key}"] = torch.as_tensor(value)
    return flat


def _unflatten(flat: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, leaf = path.split("|")
        node = nested
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return nested


@contextmanager
def exclusive(workdir: str | Path, progress: Progress) -> Iterator[None]:
    """Hold the run's folder: a killed pipeline can leave an orphan that still trains in it."""
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / "lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process trains this model already: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _resume(trainer: Trainer, path: Path, spec: Mapping[str, Any], progress: Progress) -> int:
    if not path.exists():
        return 0
    try:
        flat, meta = load_tensors(path, spec)
    except ArtifactError as error:
        progress.say(f"cannot resume, starting again: {error}")
        return 0
    trainer.load_state(_unflatten(flat))
    return int(meta["iteration"])


def run(
    trainer: Trainer,
    iterations: int,
    workdir: str | Path,
    spec: Mapping[str, Any],
    progress: Progress,
    save_seconds: float = 30.0,
) -> None:
    """Train for ``iterations`` steps, resuming from the partial state in ``workdir`` if any.

    A state is written only while all of it is finite, so the one on disk is always a good one.
    Where another process may train the same model, call it under :func:`exclusive`.

    Args:
        trainer: model, data and optimisers; see :class:`Trainer`.
        iterations: number of steps of the complete run.
        workdir: folder of the partial state (the caller removes it once the result is safe).
        spec: what is being trained; a partial state of another spec is not resumed.
        progress: counts images.
        save_seconds: seconds between two writes of the partial state.

    Raises:
        FloatingPointError: a loss, a weight or a fake is no longer finite; it says which and when,
            and where the last good state is.
    """
    Path(workdir).mkdir(parents=True, exist_ok=True)
    state_path = Path(workdir) / "state.safetensors"
    start = _resume(trainer, state_path, spec, progress)
    saved, good = time.monotonic(), start
    progress.update(start * trainer.batch_size)
    for iteration in range(start, iterations):
        try:
            numbers = trainer.step(iteration)
            _check_losses(numbers)
            progress.update((iteration + 1) * trainer.batch_size, **numbers)
            if time.monotonic() - saved > save_seconds or iteration + 1 == iterations:
                _save(trainer, state_path, spec, iteration + 1)
                saved, good = time.monotonic(), iteration + 1
        except NonFiniteError as error:
            kept = f"; its state after {good} steps is kept in {state_path}" if good else ""
            raise FloatingPointError(
                f"{progress.label} diverged at step {iteration} ({error}): lower its learning "
                f"rate in the config{kept}"
            ) from None


def _check_losses(numbers: Mapping[str, float]) -> None:
    if bad := [f"{n} is {value}" for n, value in numbers.items() if not math.isfinite(value)]:
        raise NonFiniteError(", ".join(bad))


def _save(trainer: Trainer, path: Path, spec: Mapping[str, Any], done: int) -> None:
    """Write the state after some steps. NonFiniteError: it is no good one."""
    flat = _flatten(trainer.state())
    if bad := non_finite(flat):
        raise NonFiniteError(f"{len(bad)} of {len(flat)} tensors are not finite, first {bad[0]}")
    save_tensors(path, flat, spec, {"iteration": done})
