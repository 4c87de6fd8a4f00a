"""From noise to images by any diffusion model: deterministic or ancestral steps, guided or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.guidance import Guide, Step
from pseudodensity.rng import normal

__all__ = ["StepNoise", "reverse_process", "sample"]

KINDS = ("ddim", "ancestral")
SUM_ERROR = 1e-4  # of shares in single precision


@dataclass(frozen=True)
class StepNoise:
    """Noise of the ancestral steps of samples ``rows``: that of a sample and a step depends on the seed,
    its row and the number of the step only, never on the batch or on a guide."""

    seed: int
    rows: Sequence[int]

    def draw(self, index: int, shape: Sequence[int]) -> Tensor:
        """Standard normal (len(rows), *shape) float32 of step ``index``."""
        return normal(self.seed, f"reverse step {index}", self.rows, shape)


def sample(
    model: BaseGenerator,
    latents: Tensor,
    *,
    step: str = "ddim",
    steps: int | None = None,
    guide: Guide | None = None,
    labels: Tensor | None = None,
    noise: StepNoise | None = None,
) -> Tensor:
    """Images (n, 3, R, R) in [-1, 1] of a diffusion model, x_0 clamped in every step.

    Args:
        latents: (n, *latent_shape) standard normal.
        step: ``ddim``, deterministic (Song et al. 2021, equation 12 with sigma = 0), or ``ancestral``
            with the variance that the network has learned (IDDPM, equation 15).
        steps: a divisor of the steps of the process; the model's own number where none is given.
        guide: adds variance times its gradient to the mean of an ancestral step (papers/002 Algorithm
            1), and takes sqrt(1 - abar) times it from the predicted noise of a DDIM step (appendix A.7;
            Dhariwal and Nichol 2021, Algorithm 2). The last step is not pushed.
        labels: (n,) int64, in place of the classes that the latents choose; or shares of the classes
            (n, classes) float, whose embeddings the network then mixes, without a guide.
        noise: of ancestral steps.

    Without a guide differentiable in the latents: each step is recomputed in the backward pass, so that
    memory does not grow with the whole chain's activations. A guided chain has no derivative.

    ValueError, in one line: no diffusion model; an unknown kind of step; steps that do not divide; labels
    of a model without classes, out of range or of another number; shares with a guide; an ancestral step without the noise of
    each image.
    """
    if not isinstance(model, Denoiser):
        kind = type(model).__name__
        raise ValueError(f"a {kind} takes no reverse steps and no guide: give a diffusion model")  # noqa: TRY004
    start, chosen = model.split(latents)
    if labels is not None:
        _check_labels(labels, len(latents), model.classes, guided=guide is not None)
    chain = _Chain(
        model=model,
        process=reverse_process(model, step, steps),
        guide=guide,
        labels=chosen if labels is None else labels.to(latents.device),
        noise=_noise(step, noise, len(latents)),
    )
    with torch.set_grad_enabled(torch.is_grad_enabled() and guide is None):
        # A step treats every pixel alike, so that one folding serves them all.
        return model.unfold(chain.run(model.fold(start)))


@dataclass(frozen=True)
class _Chain:
    """What one call of `sample` runs on folded images; without noise its steps are those of DDIM."""

    model: Denoiser
    process: GaussianDiffusion
    guide: Guide | None
    labels: Tensor | None
    noise: StepNoise | None

    def run(self, x: Tensor) -> Tensor:
        for index in range(self.process.steps - 1, -1, -1):
            if torch.is_grad_enabled():
                x = checkpoint(self.step, x, index, use_reentrant=False)
            else:
                x = self.step(x, index)
        return x

    def step(self, x: Tensor, index: int) -> Tensor:
        i = torch.tensor([index], device=x.device)  # of all images
        clock = self.model.clock(self.process.times[i])
        output = self.output(x, index, clock)
        if self.noise is None:
            moved = self.process.ddim_step(output, x, i)
        else:
            moved = self.process.ancestral_step(output, x, i, self.drawn(x, index))
        if self.guide is None or index == 0:
            return moved
        variance = self.process.log_variance(output, x, i).exp()
        told = Step(
            index=index,
            time=clock[0],
            abar=self.process.abar[index].to(x.dtype),
            variance=self.model.unfold(variance),
            x0=self.model.unfold(self.process.x0(output, x, i).clamp(-1, 1)),
            labels=self.labels,
        )
        gradient = self.guide.gradient(self.model.unfold(x), told)
        if gradient is None:
            return moved
        share = self.process.ddim_share(x, i) if self.noise is None else variance
        return moved + share * self.model.fold(gradient)

    def output(self, x: Tensor, index: int, clock: Tensor) -> Tensor:
        output = self.model.folded_output(x, clock, self.labels)
        if self.guide is None:
            return output
        plain, noisy = self.model.unfold(output), self.model.unfold(x)
        changed = self.guide.predicted(plain, noisy, index, clock[0], self.labels)
        return self.model.fold(changed)

    def drawn(self, x: Tensor, index: int) -> Tensor:
        """Noise of a step for folded images x; none in the last one."""
        if index == 0:
            return torch.zeros_like(x)
        shape = (3, self.model.resolution, self.model.resolution)
        return self.model.fold(self.noise.draw(index, shape).to(x))


def reverse_process(model: Denoiser, step: str, steps: int | None) -> GaussianDiffusion:
    """The process whose steps `sample` takes, see there. ValueError: an unknown kind of step; steps that
    do not divide."""
    if step not in KINDS:
        raise ValueError(f"there are no {step!r} steps: choose one of {', '.join(KINDS)}")
    if step == "ancestral":
        return model.process.even(model.sampler.steps if steps is None else steps)
    return model.sampler if steps is None else model.process.leading(steps)


def _noise(step: str, noise: StepNoise | None, count: int) -> StepNoise | None:
    if step == "ddim":
        return None
    if noise is None or len(noise.rows) != count:
        known = "none" if noise is None else f"that of {len(noise.rows)}"
        raise ValueError(
            f"ancestral steps of {count} images need the noise of each, and there is {known}: give noise"
        )
    return noise


def _check_labels(labels: Tensor, count: int, classes: int | None, *, guided: bool) -> None:
    if classes is None:
        raise ValueError("labels are given, but this model has no classes: leave them out")
    if labels.is_floating_point() and labels.ndim == 2:
        _check_shares(labels, (count, classes), guided)
        return
    if labels.dtype != torch.int64 or tuple(labels.shape) != (count,):
        shape = tuple(labels.shape)
        raise ValueError(
            f"labels must be ({count},) int64, one per latent, not {shape} {labels.dtype}"
        )
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise ValueError(f"there is no class {int(wrong[0])}: labels go from 0 to {classes - 1}")


def _check_shares(shares: Tensor, shape: tuple[int, int], guided: bool) -> None:
    if guided:
        raise ValueError("a guide asks for the class of each image: give labels in place of shares")
    if tuple(shares.shape) != shape or not bool((shares.sum(1) - 1).abs().max() < SUM_ERROR):
        raise ValueError(
            f"shares of classes must be {shape}, one row of sum 1 per latent, not {tuple(shares.shape)}"
        )
