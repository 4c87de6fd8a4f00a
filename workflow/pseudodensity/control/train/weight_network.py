"""The network of latent importance weights, w(z) >= 0 (latent reweighting, section 3.1, appendix E)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ["WeightNetwork", "start_kinks"]

ACTIVATIONS = {"relu": 0.0, "leaky": 0.2}
OUTPUTS = ("relu", "sigmoid")


class WeightNetwork(nn.Module):
    """z (n, *shape) -> weights (n,), none negative.

    The output is a ReLU as in the paper, or `largest` times a sigmoid, which the paper names too and
    which keeps w <= m exactly. Either starts at about 1 everywhere: a ReLU that starts at 0 has no
    gradient and never leaves it.

    Args:
        shape: of one latent, or of one w where it stands behind a mapping network.
        widths: of the hidden layers (the paper: four of 400 to 512, three for StyleGAN2).
        stream: what the weights are drawn from.
        activation: relu | leaky (slope .2).
        output: relu | sigmoid.
        largest: m, the largest weight of a sigmoid.

    ValueError: an unknown word; no layer; a sigmoid that cannot start at 1.
    """

    def __init__(
        self,
        shape: Sequence[int],
        widths: Sequence[int],
        stream: torch.Generator,
        *,
        activation: str = "relu",
        output: str = "relu",
        largest: float = 3.0,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation {activation!r} of a weight network unknown: {known}")
        if output not in OUTPUTS:
            raise ValueError(f"output {output!r} of a weight network unknown: {', '.join(OUTPUTS)}")
        if not widths or min(widths) < 1:
            raise ValueError(f"widths of a weight network are whole numbers from 1, got {widths}")
        if output == "sigmoid" and not largest > 1:
            raise ValueError(f"m must be above 1 for weights of mean 1, got {largest}")
        self.output, self.largest = output, float(largest)
        sizes = [math.prod(shape), *widths]
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, widths, strict=False))
        self.last = nn.Linear(sizes[-1], 1)
        self.slope = ACTIVATIONS[activation]
        self._start(stream)

    @torch.no_grad()
    def _start(self, stream: torch.Generator) -> None:
        for layer in self.hidden:
            nn.init.kaiming_uniform_(layer.weight, a=self.slope, generator=stream)
            layer.bias.zero_()
        nn.init.kaiming_uniform_(self.last.weight, a=self.slope, generator=stream)
        self.last.weight.mul_(0.1)
        self.last.bias.fill_(1.0 if self.output == "relu" else -math.log(self.largest - 1))

    @torch.no_grad()
    def start_near_one(self, z: Tensor, spread: float = 0.1) -> None:
        """Put the last layer so that weights of latents z (n, ...) have the mean 1 and little spread,
        after the first layer was changed: else a start may be dead in places or everywhere.

        spread: standard deviation before the output function.
        """
        values = self._before(z)
        self.last.weight.mul_(spread / values.std().clamp(min=1e-8))
        start = 1.0 if self.output == "relu" else -math.log(self.largest - 1)
        self.last.bias.add_(start - self._before(z).mean())

    def _before(self, z: Tensor) -> Tensor:
        values = z.flatten(1)
        for layer in self.hidden:
            values = nn.functional.leaky_relu(layer(values), self.slope)
        return self.last(values).squeeze(1)

    def forward(self, z: Tensor) -> Tensor:
        found = self._before(z)
        return found.relu() if self.output == "relu" else self.largest * found.sigmoid()


@torch.no_grad()
def start_kinks(
    layer: nn.Linear, samples: Tensor, stream: torch.Generator, scale: float = 4.0
) -> None:
    """Put the kinks of a first layer of ReLUs where the data are.

    Each row becomes a random direction of length `scale` and its kink runs through a sample. With
    the usual start most kinks of a low-dimensional input lie in one place, and a narrow bridge
    between two modes stays unseen for thousands of steps.

    Args:
        samples: (k, d), d inputs of the layer; taken with replacement.
    """
    rows = torch.randn(layer.weight.shape, generator=stream)
    rows = scale * normalize(rows, dim=1)
    through = samples[torch.randint(len(samples), (len(rows),), generator=stream)].cpu()
    layer.weight.copy_(rows)
    layer.bias.copy_(-(rows * through.flatten(1)).sum(1))
