"""What each method costs: seconds per 1,000 images, measured on one model (main paper, A.3)."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.control.move.transport import (
    fitting_prior,
    lipschitz_estimate,
    transport_latents,
)
from pseudodensity.control.select.critic import Critic
from pseudodensity.control.select.discriminator import (
    Calibration,
    drs_log_acceptance,
    paper_drs_log_acceptance,
)
from pseudodensity.control.select.importance import expected_acceptance, importance_acceptance
from pseudodensity.control.select.schemes import rejection
from pseudodensity.control.train.fakes import FakeFilter, weight_of_fakes
from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.generators.truncation import truncated_images
from pseudodensity.generators.volumes import log_volumes
from pseudodensity.images.transform import to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of
from pseudodensity.rng import normal

__all__ = ["Bench", "sampling_costs", "training_costs"]

Run = Callable[[Tensor], "Outcome"]


@dataclass(frozen=True)
class Outcome:
    """Images that a batch of proposals led to; the number expected by a closed form, if any;
    the share of proposals below the threshold, if any."""

    accepted: int
    expected: float | None = None
    low: float | None = None


@dataclass(frozen=True)
class Bench:
    """One model with what its rivals need. generator: in eval mode. critic: of its discriminator.
    real: (N, 3, R, R) uint8. proposals: per measurement. repeats: measurements per method."""

    generator: nn.Module
    critic: Critic
    density: PseudoDensity
    extractor: Extractor
    real: np.ndarray
    seed: int
    proposals: int
    repeats: int
    device: str = "cpu"

    def latents(self, repeat: int, count: int) -> Tensor:
        """Latents (count, *latent_shape) of a repeat."""
        index = range(repeat * self.proposals, repeat * self.proposals + count)
        return normal(self.seed, "latents", index, self.generator.latent_shape).to(self.device)

    def stream(self, *names: object) -> torch.Generator:
        """A random stream of this seed."""
        return stream_of(self.seed, *names)

    def images(self, latents: Tensor) -> Tensor:
        """Images (n, 3, R, R) in [-1, 1]."""
        with torch.no_grad():
            return self.generator(latents)

    def seconds(self) -> float:
        """A clock: CPU time of this process, which other work does not disturb; on a GPU wall
        time, after the work has ended."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


# ---------------------------------------------------------------- sampling


def sampling_costs(
    bench: Bench, settings: Mapping[str, Any], progress: Progress
) -> list[dict[str, Any]]:
    """Cost of every sampling method, plain first.

    Args:
        settings: ``sampling``: list of {tau, w}; ``dot``: {steps, step_size}; ``psi``;
            ``few``: proposals of a measurement of the methods that need derivatives.

    Returns:
        One dict per method: method, tau, w; before: seconds of what is done once per model;
        proposals, accepted, expected (sums over repeats), low; seconds: of each repeat, per
        1,000 accepted images (none accepted: inf).
    """
    methods: list[tuple[dict[str, Any], Callable[[Bench], Run], int]] = [
        ({"method": "plain"}, _plain, bench.proposals)
    ]
    for point in settings["sampling"]:
        named = {"method": "importance sampling", **point}
        methods.append((named, lambda b, p=point: _importance(b, **p), bench.proposals))
    for name, law in (("DRS, calibrated", _drs), ("DRS, setting of the paper", _paper_drs)):
        methods.append(({"method": name}, law, bench.proposals))
    dot, psi, few = settings["dot"], settings["psi"], settings["few"]
    methods.append(({"method": "DOT"}, lambda b: _dot(b, **dot), few))
    methods.append(
        ({"method": f"truncation, psi {psi:g}"}, lambda b: _truncation(b, psi), bench.proposals)
    )
    methods.append(({"method": "polarity, one volume each"}, _polarity, few))
    costs, progress.total = [], len(methods)
    for done, (named, prepare, proposals) in enumerate(methods):
        progress.update(done)
        costs.append({**named, **_measured(bench, prepare, proposals)})
    progress.update(len(methods))
    return costs


def _measured(bench: Bench, prepare: Callable[[Bench], Run], proposals: int) -> dict[str, Any]:
    began = bench.seconds()
    run = prepare(bench)
    before = bench.seconds() - began
    run(bench.latents(0, proposals))  # the first call allocates
    spent, outcomes = [], []
    for repeat in range(bench.repeats):
        latents = bench.latents(repeat, proposals)
        began = bench.seconds()
        outcomes.append(run(latents))
        spent.append(bench.seconds() - began)
    total = {"before": before, "proposals": proposals * bench.repeats}
    total["accepted"] = sum(outcome.accepted for outcome in outcomes)
    # Over the mean number accepted: where few are, a repeat may have none.
    thousands = total["accepted"] / bench.repeats / 1000
    total["seconds"] = [each / thousands if thousands else float("inf") for each in spent]
    for name in ("expected", "low"):
        values = [getattr(outcome, name) for outcome in outcomes]
        total[name] = None if None in values else float(np.mean(values))
    return total


def _plain(bench: Bench) -> Run:
    return lambda latents: Outcome(len(to_uint8(bench.images(latents))))


def _importance(bench: Bench, tau: float, w: float) -> Run:
    threshold, stream = bench.density.threshold(tau), bench.stream("importance", tau, w)

    def run(latents: Tensor) -> Outcome:
        images = to_uint8(bench.images(latents))
        values = bench.density(extract(bench.extractor, images, len(images), bench.device))
        acceptance = torch.from_numpy(importance_acceptance(values, threshold, w))
        accepted = int(rejection(acceptance.log(), stream).sum())
        low = float((values < threshold).mean())
        return Outcome(accepted, float(expected_acceptance(low, w)), low)

    return run


def _rejecting(bench: Bench, law: Callable[[Tensor], Tensor], name: str) -> Run:
    stream = bench.stream(name)

    def run(latents: Tensor) -> Outcome:
        images = bench.images(latents)
        with torch.no_grad():
            log_acceptance = law(bench.critic(images).cpu())
        accepted = rejection(log_acceptance, stream)
        to_uint8(images[accepted.to(images.device)])
        return Outcome(int(accepted.sum()), float(log_acceptance.exp().mean()))

    return run


def _drs(bench: Bench) -> Run:
    """Calibrated on half of as many held-out reals as fakes; M from the other fakes."""
    count = min(len(bench.critic.reals), bench.proposals)
    # Behind the proposals that are measured.
    latents = bench.latents(bench.repeats, 2 * count)
    with torch.no_grad():
        fakes = bench.critic(bench.images(latents)).cpu()
    reals = torch.from_numpy(bench.critic.real_logits())[:count]
    calibration = Calibration.fit(reals, fakes[:count])
    log_max = float(calibration.log_ratio(fakes[count:]).max())
    return _rejecting(
        bench, lambda x: drs_log_acceptance(calibration.log_ratio(x), log_max=log_max), "drs"
    )


def _paper_drs(bench: Bench) -> Run:
    return _rejecting(bench, paper_drs_log_acceptance, "paper drs")


def _dot(bench: Bench, steps: int, step_size: float) -> Run:
    points = bench.latents(bench.repeats, 200)
    slope = lipschitz_estimate(
        lambda z: bench.critic(bench.generator(z)), points, bench.stream("lipschitz")
    )
    settings = {"lipschitz": slope, "steps": steps, "step_size": step_size}
    settings["prior"] = fitting_prior(points)

    def run(latents: Tensor) -> Outcome:
        moved = transport_latents(bench.generator, bench.critic, latents, **settings)
        return Outcome(len(to_uint8(bench.images(moved))))

    return run


def _truncation(bench: Bench, psi: float) -> Run:
    family, stream = bench.generator.truncation[0], bench.stream("truncation")

    @torch.no_grad()
    def run(latents: Tensor) -> Outcome:
        images = truncated_images(bench.generator, latents, psi, family, stream)
        return Outcome(len(to_uint8(images)))

    return run


def _polarity(bench: Bench) -> Run:
    def run(latents: Tensor) -> Outcome:
        log_volumes(bench.generator, latents)
        return Outcome(len(to_uint8(bench.images(latents))))

    return run


# ---------------------------------------------------------------- training


def training_costs(
    bench: Bench,
    checkpoint: CheckpointFile,
    spec: Mapping[str, Any],
    steps: int,
    progress: Progress,
    *,
    backbone: nn.Module | None = None,
) -> list[dict[str, Any]]:
    """Cost of fine-tuning a GAN without and with importance sampling (Algorithm 3).

    Args:
        checkpoint: that training starts from.
        spec: ``recipe``, ``mirror``, ``seed`` and ``importance`` {tau, w, fake_weight} of a
            fine-tuned checkpoint.
        steps: per measurement, after one that is not counted.

    Returns:
        Dicts as `sampling_costs`, where ``accepted`` counts fakes and ``seconds`` are per 1,000
        real images; expected from the share of fakes below tau that plain samples have.
    """
    importance = spec["importance"]
    tau = bench.density.threshold(importance["tau"])
    weight = weight_of_fakes(importance)
    accept = weight and FakeFilter(bench.extractor, bench.density, tau, weight)
    images = to_uint8(bench.images(bench.latents(0, bench.proposals)))
    values = bench.density(extract(bench.extractor, images, len(images), bench.device))
    low = float((values < tau).mean())
    progress.update(0)
    plain = _trained(bench, checkpoint, spec, steps, None, backbone)
    progress.update(1)
    weighted = _trained(bench, checkpoint, spec, steps, accept, backbone)
    progress.update(2)
    facts = {"tau": importance["tau"], "w": importance["w"], "low": low}
    facts["expected"] = float(expected_acceptance(low, weight)) if accept else 1.0
    name = "training with importance sampling"
    return [{"method": "training", **plain}, {"method": name, **weighted, **facts}]


def _trained(
    bench: Bench,
    checkpoint: CheckpointFile,
    spec: Mapping[str, Any],
    steps: int,
    accept: FakeFilter | None,
    backbone: nn.Module | None,
) -> dict[str, Any]:
    trainer = GanTrainer(
        checkpoint.build("generator"),
        checkpoint.build("discriminator", backbone=backbone),
        bench.real,
        copy.deepcopy(spec["recipe"]),
        iterations=10**9,  # no decay within the measurement
        mirror=spec["mirror"],
        seed=spec["seed"],
        as_sampled=True,  # as fine-tuning trains
        accept=accept,
        device=bench.device,
    )
    trainer.step(0)
    trainer.proposed = trainer.accepted = 0
    seconds = []
    for repeat in range(bench.repeats):
        began = bench.seconds()
        for step in range(steps):
            trainer.step(1 + repeat * steps + step)
        seconds.append(1000 * (bench.seconds() - began) / (steps * trainer.batch_size))
    fakes = bench.repeats * steps * trainer.batch_size
    proposed, accepted = (trainer.proposed, trainer.accepted) if accept else (fakes, fakes)
    return {"before": 0.0, "proposals": proposed, "accepted": accepted, "seconds": seconds}
