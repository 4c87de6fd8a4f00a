"""Every method of Table 1 in the plane, on one protocol: how it turns latents into points."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from torch import Tensor

from pseudodensity.control.move.latent_ascent import ascend
from pseudodensity.control.move.transport import lipschitz_estimate, transport_latents
from pseudodensity.control.select.budgeted import budgeted_log_acceptance
from pseudodensity.control.select.discriminator import Calibration, drs_log_acceptance
from pseudodensity.control.select.latent import latent_log_acceptance
from pseudodensity.control.select.schemes import metropolis, rejection, sir
from pseudodensity.control.train.weight_network import WeightNetwork
from pseudodensity.papers.latent_reweighting.planar.networks import Perceptron, PointGenerator
from pseudodensity.rng import generator as stream_of

__all__ = [
    "METHODS",
    "Drawn",
    "Proposals",
    "TooFew",
    "Tools",
    "accepted",
    "best_fakes",
    "weighted",
]

PAIRS = 1000  # of latents, for the Lipschitz constant of DOT


class TooFew(Exception):
    """A setting accepts so little that it cannot be used."""


class Proposals:
    """Normal latents of one evaluation, in blocks of one stream: all methods see the same first ones."""

    def __init__(self, block: int, most: int, seed: int, *names: object):
        self._stream, self._block, self._most = stream_of(seed, *names), block, most
        self._drawn = torch.empty(0, 2)

    def first(self, count: int) -> Tensor:
        """The first latents (count, 2). TooFew: more than there may be."""
        if count > self._most:
            raise TooFew
        missing = math.ceil((count - len(self._drawn)) / self._block)
        blocks = [torch.randn(self._block, 2, generator=self._stream) for _ in range(missing)]
        self._drawn = torch.cat([self._drawn, *blocks])
        return self._drawn[:count]


@dataclass(frozen=True)
class Drawn:
    """What a method made.

    points: (count, 2). acceptance: share of the proposals that were kept. calls: of the generator
    for each point, a gradient through it counted as one.
    """

    points: Tensor
    acceptance: float = 1.0
    calls: float = 1.0


@dataclass(frozen=True)
class Tools:
    """What the methods need beside latents.

    generator, critic: of the WGAN-GP. discriminator: fine-tuned. calibrations: by name. log_max: of
    each, the largest log ratio of a burn-in. real_logits: of reals that chains start from. weights:
    candidates of latent weights with m, of which that of number ``chosen`` is climbed; ``printed``: the one that was
    trained by the paper's own form.
    """

    generator: PointGenerator
    critic: Perceptron
    discriminator: Perceptron
    calibrations: Mapping[str, Calibration]
    log_max: Mapping[str, float]
    real_logits: Tensor
    weights: list[tuple[WeightNetwork, float]]
    printed: tuple[WeightNetwork, float]
    chosen: int = 0

    def log_ratio(self, points: Tensor, calibration: str) -> Tensor:
        """log p_data / p_g of points (n, 2), (n,) float64."""
        return self.calibrations[calibration].log_ratio(self.discriminator(points))


Setting = Mapping[str, Any]
Method = Callable[[Tools, Setting, int, Proposals, Callable[[], torch.Generator]], Drawn]


def plain(tools, setting, count, proposals, stream) -> Drawn:
    """The generator as it is."""
    return Drawn(tools.generator(proposals.first(count)))


def drs(tools, setting, count, proposals, stream) -> Drawn:
    """Discriminator rejection sampling; gamma: none, or a percentile."""
    name = setting["calibration"]

    def decide(latents: Tensor) -> tuple[Tensor, Tensor]:
        points = tools.generator(latents)
        chances = drs_log_acceptance(
            tools.log_ratio(points, name),
            log_max=tools.log_max[name],
            gamma_percentile=setting["gamma"],
        )
        return points, chances

    points, acceptance = accepted(decide, count, proposals, stream)
    return Drawn(points, acceptance, 1 / acceptance)


def obrs(tools, setting, count, proposals, stream) -> Drawn:
    """Budgeted rejection at a wanted acceptance."""

    def decide(latents: Tensor) -> tuple[Tensor, Tensor]:
        points = tools.generator(latents)
        ratios = tools.log_ratio(points, "isotonic")
        return points, budgeted_log_acceptance(ratios, setting["acceptance"])

    points, acceptance = accepted(decide, count, proposals, stream)
    return Drawn(points, acceptance, 1 / acceptance)


def sir_blocks(tools, setting, count, proposals, stream) -> Drawn:
    """Sampling-importance-resampling, one of n."""
    n = setting["n"]
    points = tools.generator(proposals.first(count * n))
    return Drawn(points[sir(tools.log_ratio(points, "isotonic"), n, stream())], 1 / n, float(n))


def mh(tools, setting, count, proposals, stream) -> Drawn:
    """MH-GAN: chains that start from the ratios of reals."""
    length = setting["length"]
    points = tools.generator(proposals.first(count * length))
    start = tools.calibrations["isotonic"].log_ratio(tools.real_logits)
    start = start[torch.arange(count) % len(start)]
    last = metropolis(tools.log_ratio(points, "isotonic"), length, stream(), start)
    return Drawn(points[last], 1 / length, float(length))


def dot(tools, setting, count, proposals, stream) -> Drawn:
    """Discriminator optimal transport of latents, with the estimated constant."""
    latents = proposals.first(count)
    constant = lipschitz_estimate(
        lambda z: tools.critic(tools.generator(z)), latents, stream(), pairs=PAIRS
    )
    moved = transport_latents(
        tools.generator,
        tools.critic,
        latents,
        lipschitz=constant,
        prior="none",
        steps=setting["steps"],
        step_size=setting["step_size"],
    )
    return Drawn(tools.generator(moved), 1.0, 1.0 + setting["steps"])


def latent_rs(tools, setting, count, proposals, stream) -> Drawn:
    """Latents are rejected by their weight before the generator runs."""
    latents, acceptance = weighted(tools.weights[setting["weights"]], count, proposals, stream)
    return Drawn(tools.generator(latents), acceptance)


def latent_rs_printed(tools, setting, count, proposals, stream) -> Drawn:
    """The same with weights that were trained by the paper's own form."""
    latents, acceptance = weighted(tools.printed, count, proposals, stream)
    return Drawn(tools.generator(latents), acceptance)


def latent_ga(tools, setting, count, proposals, stream) -> Drawn:
    """Latents climb the weight."""
    network, _ = tools.weights[tools.chosen]
    return Drawn(tools.generator(_climbed(network, proposals.first(count), setting)))


def latent_rs_ga(tools, setting, count, proposals, stream) -> Drawn:
    """Latents are rejected first, and those that are left climb."""
    network, largest = tools.weights[tools.chosen]
    latents, acceptance = weighted((network, largest), count, proposals, stream)
    return Drawn(tools.generator(_climbed(network, latents, setting)), acceptance)


METHODS: Mapping[str, Method] = {
    "plain": plain,
    "drs": drs,
    "sir": sir_blocks,
    "mh": mh,
    "obrs": obrs,
    "dot": dot,
    "latent_rs": latent_rs,
    "latent_ga": latent_ga,
    "latent_rs_ga": latent_rs_ga,
    "latent_rs_printed": latent_rs_printed,
}


def _climbed(network: WeightNetwork, latents: Tensor, setting: Setting) -> Tensor:
    # Two dimensions are on no sphere.
    return ascend(
        network,
        latents,
        steps=setting["steps"],
        step_size=setting["step_size"],
        projection="none",
    )


def weighted(weights, count, proposals, stream) -> tuple[Tensor, float]:
    """Latents that are accepted by their weight, and their share. weights: a network with its m."""
    network, largest = weights
    return accepted(
        lambda z: (z, latent_log_acceptance(network(z), largest)), count, proposals, stream
    )


def accepted(decide, count, proposals, stream) -> tuple[Tensor, float]:
    """The first accepted of as many proposals as it takes, and the share that is accepted.

    decide: latents -> what is kept of them, and their log-acceptances.
    """
    size = 2 * count
    while True:
        kept, chances = decide(proposals.first(size))
        rows = rejection(chances, stream()).nonzero().squeeze(1)
        if len(rows) >= count:
            return kept[rows[:count]], len(rows) / size
        # A quarter more than it would take at the rate so far.
        size = math.ceil(size * max(1.5, 1.25 * count / max(1, len(rows))))


def best_fakes(fakes: Tensor, guide: Tensor) -> Tensor:
    """The fakes (k, 2) that the reals of a guide (n, 2) take in the match of least cost, (n, 2)."""
    _, taken = linear_sum_assignment(cdist(guide.numpy(), fakes.numpy()))
    return fakes[torch.from_numpy(taken)]
