"""Diverse rare images near a reference, by a search from many starts in latent space (papers/004).

Equation 2 is minimised by Adam, and of all that the search passed through the best is kept that lies in
the manifold of the real images and is no farther than d* from the reference. Log-densities fall without
end outside the manifold: what is left of a search late on are the few that stayed, so that the share of
feasible samples is told for each step.

Distances are those of the features as they come, and lambda1 and lambda2 go with the inverse square of
their scale: the paper's 30 and .002 belong to VGG16. A scaler of the flow belongs to `log_density`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pseudodensity.control.move.feature_distance import DISTANCES, Distance, apart
from pseudodensity.control.move.gradient import Score, scores
from pseudodensity.control.move.rare_best import Best, Iterate, Select
from pseudodensity.control.move.rare_objective import excess, objective
from pseudodensity.rng import normal

__all__ = ["Manifold", "RareSamples", "Settings", "Space", "search", "starts"]

STREAM = "starts of the rare search"
UNSEEN = 10  # the authors' code looks at no iterate whose number is a multiple of this


class Manifold(Protocol):
    """What the search asks of the real images, such as a `RealManifold`."""

    def inside(self, features: Tensor) -> Tensor:
        """(m, d) -> (m,) bool."""

    def gap(self, features: Tensor) -> Tensor:
        """(m, d) -> (m,): distance to the border, negative inside, differentiable."""


@dataclass(frozen=True)
class Space:
    """Where the search goes on. No sample may see another of its batch: networks are in eval mode.

    generate: latents (m, *shape), z or w, -> images. features: images -> (m, d). log_density: features
    -> (m,) nats. All three are differentiable.
    """

    generate: Callable[[Tensor], Tensor]
    features: Callable[[Tensor], Tensor]
    log_density: Score
    manifold: Manifold


@dataclass(frozen=True)
class Settings:
    """Of a search; the defaults are the paper's for StyleGAN2 on faces (section 4.1, appendix B).

    count: N, samples of each reference. steps: updates, so that there are steps + 1 iterates.
    similarity, diversity: lambda1 and lambda2. sigma: of the noise of the starts.
    select: "per_sample" keeps the best feasible iterate of each sample, so that samples of one reference
        come from different steps. "joint" keeps one step for all: the one where most samples are
        feasible, and of several the one where the sum of their objectives is lowest.
    impl: "paper", or "authors" for what the released code does: distances, also the feasible ones, are
        taken from each sample's own start and not from the reference; the diversity of all pairs is in
        the loss of every sample (lambda2 counts N / 2 times); the rate never falls; iterates 0, 10, 20
        and so on are not looked at. Its fifth and sixth deviation lie in features and flow.
    hinge: weight of max(0, gap + margin)^2, which steers back to the manifold; it has no say in what is
        best. margin: in units of the features. distance: d of both terms and of what is feasible.

    ValueError: settings that make no sense.
    """

    count: int = 10
    steps: int = 200
    similarity: float = 30.0
    diversity: float = 0.002
    sigma: float = 0.1
    learning_rate: float = 2e-2
    decay_every: int = 50
    decay: float = 0.9
    select: Select = "per_sample"
    impl: Literal["paper", "authors"] = "paper"
    hinge: float = 0.0
    margin: float = 0.2
    distance: Distance = "euclidean"

    def __post_init__(self) -> None:
        least = {"count": 1, "steps": 0, "decay_every": 1}
        for name in (
            "similarity",
            "diversity",
            "sigma",
            "learning_rate",
            "decay",
            "hinge",
            "margin",
        ):
            least[name] = 0
        for name, low in least.items():
            value = getattr(self, name)
            if not (value >= low and math.isfinite(value)):
                raise ValueError(f"{name} must be finite and {low} or more, got {value}")
        choices = {
            "select": ("per_sample", "joint"),
            "impl": ("paper", "authors"),
            "distance": DISTANCES,
        }
        for name, words in choices.items():
            if getattr(self, name) not in words:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} unknown: use {' or '.join(words)}"
                )


@dataclass(frozen=True)
class RareSamples:
    """What a search found for r references, n samples each.

    latents (r, n, *shape), features (r, n, d), log_density (r, n); distances (r, n) from the reference.
    found (r, n) bool: the sample is feasible. Where nothing feasible was seen, it is the start instead;
    the authors' code looks at no start and saves nothing there.
    steps (r, n) int64: number of the iterate, 0 for the start.
    feasible (r, steps + 1): share of the n samples that are feasible at each iterate.
    reference_inside (r,) bool: whether the reference lies in the manifold.
    """

    latents: Tensor
    features: Tensor
    log_density: Tensor
    distances: Tensor
    found: Tensor
    steps: Tensor
    feasible: Tensor
    reference_inside: Tensor


def starts(references: Tensor, settings: Settings, *, seed: int, numbers: Sequence[int]) -> Tensor:
    """z* + sigma eps: (r, *shape) -> (r, n, *shape); those of a reference hang on seed and its number."""
    noise = normal(seed, STREAM, numbers, (settings.count, *references.shape[1:]))
    return references[:, None] + settings.sigma * noise.to(references)


def search(
    space: Space,
    references: Tensor,
    limits: Tensor,
    settings: Settings,
    *,
    seed: int,
    numbers: Sequence[int],
    seen: Callable[[Iterate, Tensor], None] | None = None,
) -> RareSamples:
    """Search for rare images around each of r references, all at once.

    Which references come together changes nothing but rounding: each has its own starts, and no term
    joins two of them.

    Args:
        references: z*, (r, *shape) float, in the latent space of `space.generate`.
        limits: d* (r,), in units of the features; see `neighbour_distances`.
        numbers: of the references, for their random streams.
        seen: gets every iterate in turn, and which of its samples are feasible (r, n) bool. It changes nothing.

    ValueError: other shapes, a limit below 0, an objective that is not finite.
    """
    _check(references, limits, numbers)
    with torch.no_grad():
        reference = _features(space, references)
    limits = limits.to(reference)[:, None]
    latents = starts(references.detach(), settings, seed=seed, numbers=numbers)
    parameter = latents.clone().requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=settings.learning_rate)
    decay = settings.decay if settings.impl == "paper" else 1.0
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, settings.decay_every, decay)
    anchors, shares = reference[:, None], []
    for step in range(settings.steps + 1):
        with torch.enable_grad():
            iterate = _evaluate(space, parameter, step)
            if step == 0 and settings.impl == "authors":
                anchors = iterate.features.detach().clone()  # may be the latents themselves
            away = apart(iterate.features, anchors, settings.distance)
            losses = _losses(iterate, excess(away, limits), settings)
            steered = losses + _hinge(space.manifold, iterate.features, settings)
        _refuse_non_finite(steered, "value", step)
        iterate = Iterate(*(part.detach().clone() for part in iterate))
        feasible = _inside(space.manifold, iterate.features) & (away.detach() <= limits)
        shares.append(feasible.float().mean(1))
        if seen is not None:
            seen(iterate, feasible)
        if step == 0:
            best = Best(iterate, settings.select)
        if settings.impl == "paper" or step % UNSEEN:
            best.offer(iterate, losses.detach(), feasible)
        if step < settings.steps:
            (parameter.grad,) = torch.autograd.grad(steered.sum(), parameter)
            _refuse_non_finite(parameter.grad, "gradient", step)
            optimizer.step()
            schedule.step()
    return RareSamples(
        latents=best.kept.latents,
        features=best.kept.features,
        log_density=best.kept.log_density,
        distances=apart(best.kept.features, reference[:, None], settings.distance),
        found=best.found,
        steps=best.kept.steps,
        feasible=torch.stack(shares, 1),
        reference_inside=space.manifold.inside(reference),
    )


def _features(space: Space, latents: Tensor) -> Tensor:
    found = space.features(space.generate(latents))
    if found.ndim != 2 or len(found) != len(latents):
        raise ValueError(
            f"features of {len(latents)} images must be ({len(latents)}, d), got {tuple(found.shape)}"
        )
    return found


def _evaluate(space: Space, latents: Tensor, step: int) -> Iterate:
    """latents: (r, n, *shape)."""
    features = _features(space, latents.flatten(0, 1))
    log_density = scores(space.log_density, features)
    shape = latents.shape[:2]
    number = torch.full(shape, step, device=features.device)
    return Iterate(latents, features.unflatten(0, shape), log_density.view(shape), number)


def _losses(iterate: Iterate, beyond: Tensor, settings: Settings) -> Tensor:
    return objective(
        iterate.log_density,
        iterate.features,
        beyond,
        settings.similarity,
        settings.diversity,
        coupled=settings.impl == "authors",
        distance=settings.distance,
    )


def _hinge(manifold: Manifold, features: Tensor, settings: Settings) -> Tensor | float:
    if not settings.hinge:
        return 0.0
    gap = manifold.gap(features.flatten(0, 1)).view(features.shape[:2])
    return settings.hinge * (gap + settings.margin).clamp(min=0).square()


def _inside(manifold: Manifold, features: Tensor) -> Tensor:
    return manifold.inside(features.flatten(0, 1)).view(features.shape[:2])


def _refuse_non_finite(values: Tensor, what: str, step: int) -> None:
    """values: (r, n, ...)."""
    broken = int((~torch.isfinite(values)).view(*values.shape[:2], -1).any(2).sum())
    if broken:
        raise ValueError(
            f"the objective has no finite {what} at {broken} samples in step {step} of the search: take "
            "fewer steps or a hinge, or check the weights of generator, extractor and density"
        )


def _check(references: Tensor, limits: Tensor, numbers: Sequence[int]) -> None:
    if references.ndim < 2 or not len(references):
        raise ValueError(
            f"references are latents (r, ...) of one or more, got {tuple(references.shape)}"
        )
    if limits.shape != (len(references),) or len(numbers) != len(references):
        raise ValueError(
            f"each of {len(references)} references has a limit and a number, got limits "
            f"{tuple(limits.shape)} and {len(numbers)} numbers"
        )
    if not bool((limits >= 0).all() and torch.isfinite(limits).all()):
        raise ValueError("limits d* must be finite and not negative: take them from fake features")
