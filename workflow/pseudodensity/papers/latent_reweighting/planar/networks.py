"""Small networks of points in the plane, and how they lie in the file of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pseudodensity.control.train.weight_network import WeightNetwork
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.rng import generator as stream_of
from pseudodensity.tensors import join_parts, load_tensors, split_parts

__all__ = [
    "Perceptron",
    "PointGenerator",
    "open_base",
    "open_critic",
    "open_weights",
    "stored",
    "weight_network",
]


class Perceptron(nn.Module):
    """Points (n, 2) -> scores (n,): layers of ReLUs, drawn from a stream."""

    def __init__(self, widths: Sequence[int], stream: torch.Generator):
        super().__init__()
        self.layers = _layers([2, *widths, 1], stream)

    @property
    def first(self) -> nn.Linear:
        """The layer that sees the points."""
        return self.layers[0]

    def forward(self, points: Tensor) -> Tensor:
        return self.layers(points).squeeze(1)


class PointGenerator(BaseGenerator):
    """Latents (n, 2) -> points (n, 2)."""

    latent_shape = (2,)

    def __init__(self, widths: Sequence[int], stream: torch.Generator):
        super().__init__()
        self.layers = _layers([2, *widths, 2], stream)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


def _layers(sizes: Sequence[int], stream: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=stream)
        nn.init.uniform_(layer.bias, -(inputs**-0.5), inputs**-0.5, generator=stream)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def stored(**modules: nn.Module) -> dict[str, Tensor]:
    """Tensors of modules by name, for the file of an experiment."""
    return join_parts({part: module.state_dict() for part, module in modules.items()})


def open_base(path: str | Path) -> tuple[PointGenerator, Perceptron]:
    """Generator and critic of a file of `train_base`, in eval mode and frozen."""
    tensors, facts = load_tensors(path)
    generator = PointGenerator(facts["widths"], stream_of(0))
    critic = Perceptron(facts["widths"], stream_of(0))
    return _filled(generator, tensors, "generator"), _filled(critic, tensors, "critic")


def open_critic(path: str | Path) -> tuple[Perceptron, dict]:
    """The discriminator of a file of `train_discriminator`, frozen, and the facts of its training."""
    tensors, facts = load_tensors(path)
    return _filled(Perceptron(facts["widths"], stream_of(0)), tensors, "critic"), facts


def open_weights(path: str | Path) -> tuple[WeightNetwork, dict]:
    """The weight network of a file of `train_weights`, frozen, and the facts of its training."""
    tensors, facts = load_tensors(path)
    return weight_network(tensors, facts), facts


def weight_network(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> WeightNetwork:
    """The weight network, frozen, of what `train_weights` or `fit_weights` gave."""
    network = WeightNetwork(
        (2,), facts["widths"], stream_of(0), output=facts["output"], largest=facts["largest"]
    )
    return _filled(network, tensors, "network")


def _filled(module: nn.Module, tensors: Mapping[str, Tensor], part: str) -> nn.Module:
    module.load_state_dict(split_parts(tensors)[part])
    return module.eval().requires_grad_(False)
