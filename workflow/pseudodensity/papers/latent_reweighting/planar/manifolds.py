"""Experiment of Figure 2: four disconnected manifolds of which a proposal misses two by a little.

All is known here: reals lie on four arcs, the proposal on a whole circle. The upper arcs are part of
the circle, the lower ones run close beside it. So the density ratio is 0 on the lower half, and the
weights of least Wasserstein distance are the same on all four arcs and 0 between them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.select.discriminator import Calibration
from pseudodensity.control.select.latent import latent_log_acceptance
from pseudodensity.control.train.weight_network import start_kinks
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.metrics.earth_mover import matched_cost
from pseudodensity.papers.latent_reweighting.planar.methods import (
    Drawn,
    Proposals,
    accepted,
    best_fakes,
    weighted,
)
from pseudodensity.papers.latent_reweighting.planar.networks import Perceptron, weight_network
from pseudodensity.papers.latent_reweighting.planar.training import (
    KINKS,
    fit_discriminator,
    fit_weights,
    normal_latents,
)
from pseudodensity.rng import generator as stream_of

__all__ = ["Circle", "Manifolds", "compare"]

EXTENT, LATENT_EXTENT = 1.4, 2.5  # of the heat maps
SHOWN = 4000  # proposals in the colour of their weight
# How much denser reals are along an arc than proposals: 4 arcs of 60 degrees. Off the upper arcs the exact
# ratio has no bound, so the acceptance is cut at this one.
ON_ARCS = 1.5


class Circle(BaseGenerator):
    """Latents (n, 2) -> points near the unit circle: the first number is the angle, the other noise."""

    latent_shape = (2,)

    def __init__(self, noise: float):
        super().__init__()
        self.noise = noise

    def forward(self, z: Tensor) -> Tensor:
        angle = 2 * math.pi * torch.special.ndtr(z[:, 0])
        return _at(angle, 1 + self.noise * z[:, 1])


class Manifolds:
    """Four arcs of 60 degrees: the upper two on the unit circle, the lower two further out by `gap`."""

    def __init__(self, noise: float, gap: float):
        self.noise, self.gap = noise, gap

    def draw(self, count: int, stream: torch.Generator) -> Tensor:
        """Reals (count, 2), as many from each arc on average."""
        arc = torch.randint(4, (count,), generator=stream)
        angle = (arc + 0.5) * math.pi / 2 + (
            torch.rand(count, generator=stream) - 0.5
        ) * math.pi / 3
        radius = 1 + self.gap * (arc >= 2) + self.noise * torch.randn(count, generator=stream)
        return _at(angle, radius)

    def log_ratio(self, points: Tensor) -> Tensor:
        """log p_data / p_g for the proposal `Circle` of the same noise, exact, (n,) float64."""
        points = points.double()
        angle = torch.atan2(points[:, 1], points[:, 0]) % (2 * math.pi)
        on_arc = (angle % (math.pi / 2) - math.pi / 4).abs() < math.pi / 6
        # On the arcs reals are 1.5 times as dense along the circle.
        away = (points.norm(dim=1) - 1) / self.noise
        missed = self.gap / self.noise * torch.where(angle > math.pi, 1.0, 0.0)
        along = torch.where(on_arc, math.log(ON_ARCS), -math.inf)
        return along + (away.square() - (away - missed).square()) / 2


def _at(angle: Tensor, radius: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], 1) * radius[:, None]


def compare(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, Tensor | np.ndarray], dict[str, Any]]:
    """Rejection by density ratio and by latent weight, on proposals that miss half of the reals.

    settings: ``seed``, ``noise``, ``gap``, ``count`` and ``evaluations`` of a set, ``most``,
    ``held_out``, ``grid`` (points of a side of the heat maps), ``widths``, ``weights`` and
    ``discriminator`` (see `fit_weights` and `fit_discriminator`).

    arrays: ``w1``, ``squared``, ``acceptance``, ``lower`` (share of the points on the lower half),
    (rows, evaluations); ``points`` (rows, count, 2), ``reals``; ``plane`` and ``latents``, acceptance
    by the ratio over both, and ``weight_latents``, by the weight over latents, (grid, grid); ``moved``
    (n, 2), proposals, and ``moved_weight``, their acceptance by the weight. facts: ``rows``, and `weight_statistics`.
    """
    law, generator = Manifolds(settings["noise"], settings["gap"]), Circle(settings["noise"])
    generator.eval()
    seed = {"seed": settings["seed"]}
    stream = stream_of(settings["seed"], "critic")
    critic = Perceptron(settings["widths"], stream)
    start_kinks(critic.first, law.draw(KINKS, stream), stream)
    weights, facts = fit_weights(
        generator, critic, law.draw, settings["weights"] | seed, "weights of Figure 2"
    )
    network = weight_network(weights, facts)
    critic = Perceptron(settings["widths"], stream_of(settings["seed"], "discriminator"))
    _, found = fit_discriminator(
        generator, critic, law.draw, settings["discriminator"] | seed, "Figure 2"
    )
    judge = _calibrated(generator, critic, law, settings)
    samplers = {
        "plain": lambda count, proposals, stream: Drawn(generator(proposals.first(count))),
        "ratio": lambda *how: _by_ratio(generator, judge, *how),
        "exact_ratio": lambda *how: _by_ratio(
            generator, lambda points: law.log_ratio(points) - math.log(ON_ARCS), *how
        ),
        "latent_rs": lambda *how: _by_weight(generator, network, facts["largest"], *how),
        "oracle": lambda count, proposals, stream: Drawn(
            _best(generator, law, facts["largest"], count, proposals, stream())
        ),
        "real": lambda count, proposals, stream: Drawn(law.draw(count, stream())),
    }
    arrays = _scored(samplers, law, settings)
    arrays |= _maps(generator, judge, network, facts["largest"], settings["grid"])
    return arrays, {"rows": list(samplers), "auc": found["auc"], **facts}


def _calibrated(generator, critic, law, settings):
    """Points -> log density ratio by the discriminator, less the largest that was seen."""
    stream, count = stream_of(settings["seed"], "calibration"), settings["held_out"]
    fakes = critic(generator(normal_latents(count, stream)))
    calibration = Calibration.fit(critic(law.draw(count, stream)), fakes)
    largest = calibration.log_ratio(fakes).max()
    return lambda points: calibration.log_ratio(critic(points)) - largest


def _by_ratio(generator, log_ratio, count, proposals, stream) -> Drawn:
    """Rejection by exp(log_ratio), what is above 1 taken for 1."""

    def decide(latents):
        points = generator(latents)
        return points, log_ratio(points).clamp(max=0)

    points, acceptance = accepted(decide, count, proposals, stream)
    return Drawn(points, acceptance)


def _by_weight(generator, network, largest, count, proposals, stream) -> Drawn:
    latents, acceptance = weighted((network, largest), count, proposals, stream)
    return Drawn(generator(latents), acceptance)


def _best(generator, law, largest, count, proposals, stream) -> Tensor:
    """The fakes that other reals take in the best match of m times as many fakes."""
    fakes = generator(proposals.first(int(largest * count)))
    return best_fakes(fakes, law.draw(count, stream))


def _scored(samplers, law, settings) -> dict[str, np.ndarray]:
    count, seed = settings["count"], settings["seed"]
    scores = ("w1", "squared", "acceptance", "lower")
    shape = (len(samplers), settings["evaluations"])
    arrays = {name: np.zeros(shape) for name in scores}
    shown = []
    for row, (name, sample) in enumerate(samplers.items()):
        for number in range(settings["evaluations"]):
            proposals = Proposals(count, settings["most"], seed, "latents", number)
            made = sample(count, proposals, lambda n=name, i=number: stream_of(seed, n, i))
            points, real = made.points.numpy(), law.draw(count, stream_of(seed, "test", number))
            values = (
                matched_cost(real.numpy(), points),
                matched_cost(real.numpy(), points, 2),
                made.acceptance,
                (points[:, 1] < 0).mean(),
            )
            for score, value in zip(scores, values, strict=True):
                arrays[score][row, number] = value
            if number == 0:
                shown.append(points)
    return {
        **arrays,
        "points": np.stack(shown),
        "reals": law.draw(count, stream_of(seed, "test", 0)).numpy(),
    }


def _maps(generator, judge, network, largest, grid) -> dict[str, np.ndarray]:
    """Acceptance by ratio and by weight over the plane and over latents."""

    def square(extent):
        ticks = torch.linspace(-extent, extent, grid)
        x, y = torch.meshgrid(ticks, ticks, indexing="xy")
        return torch.stack([x.flatten(), y.flatten()], 1)

    latents, drawn = square(LATENT_EXTENT), normal_latents(SHOWN, stream_of(0, "shown"))
    maps = {
        "plane": judge(square(EXTENT)),
        "latents": judge(generator(latents)),
        "weight_latents": latent_log_acceptance(network(latents), largest),
    }
    return {
        **{name: found.exp().clamp(max=1).view(grid, grid).numpy() for name, found in maps.items()},
        "moved": generator(drawn).numpy(),
        "moved_weight": latent_log_acceptance(network(drawn), largest).exp().numpy(),
    }
