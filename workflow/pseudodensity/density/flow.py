"""A normalising flow on vectors.

A Gaussian is fitted, with a covariance shrunk as Ledoit and Wolf (2004) say, and affine couplings (Dinh et
al. 2017) learn what it misses. They start as the identity, so that on held-out vectors no flow is worse
than its Gaussian.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from zuko.flows.coupling import GeneralCouplingTransform, RealNVP

from pseudodensity.density.gaussian import Gaussian
from pseudodensity.progress import Progress
from pseudodensity.rng import generator

__all__ = ["Flow", "Training", "train"]

SEEN = 5.0  # standard deviations of a component that a coupling tells apart
HELD_OUT_BATCH = 1000

# Rows (m,) int64 of the training set and a stream -> vectors (m, d).
Draw = Callable[[Tensor, torch.Generator], Tensor]


class Flow(Gaussian):
    """A density of vectors: a Gaussian, and affine couplings in its principal components.

    The couplings take every second component: strong and weak ones in both halves.
    """

    def __init__(self, dimensions: int, transforms: int = 6, width: int = 256):
        """dimensions: d, 2 or more. transforms: couplings, each with a network of two hidden layers of
        `width`. ValueError: d below 2."""
        if dimensions < 2:
            raise ValueError(f"a flow couples 2 or more dimensions, got {dimensions}")
        super().__init__(dimensions)
        self.settings = {"dimensions": dimensions, "transforms": transforms, "width": width}
        self.couplings = RealNVP(
            dimensions, transforms=transforms, hidden_features=(width, width), activation=nn.SiLU
        )
        for module in self.couplings.modules():
            if isinstance(module, GeneralCouplingTransform):
                nn.init.zeros_(module.hyper[-1].weight)
                nn.init.zeros_(module.hyper[-1].bias)
                # Far from all training images a coupling goes on as at their border: else its scale would
                # grow with the distance, and one coupling would blow up what the next one sees.
                module.hyper = nn.Sequential(nn.Hardtanh(-SEEN, SEEN), module.hyper)

    def log_density(self, vectors: Tensor) -> Tensor:
        """Log-density in nats (n,) of vectors (n, d), differentiable."""
        logs = self.couplings().log_prob(self.whitened(vectors))
        return logs - self.spreads.log().sum()

    def from_noise(self, noise: Tensor) -> Tensor:
        """The vectors (n, d) that standard normal noise (n, d) becomes."""
        whitened = self.couplings().transform.inv(noise)
        return (whitened * self.spreads) @ self.axes.T + self.centre


class Training:
    """Maximum likelihood, epoch by epoch; the weights that are best on held-out vectors are kept.

    flow: what is trained. kept: state dict of the best epoch so far. optimizer: AdamW. stream: all chance
    there is. found: mean log-density of the held-out vectors before the first epoch and after each, nats.
    """

    def __init__(
        self,
        flow: Flow,
        draw: Draw,
        count: int,
        held_out: Tensor,
        *,
        seed: int,
        patience: int = 10,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
    ):
        """draw: gives the training vectors of some rows, with fresh noise if they have any. count: rows of the
        training set. held_out: (m, d). patience: epochs without a better held-out likelihood after which it
        is finished."""
        self.flow, self.draw, self.count, self.held_out = flow, draw, count, held_out
        self.patience, self.batch_size = patience, batch_size
        self.stream = generator(seed, "training of the flow")
        self.optimizer = torch.optim.AdamW(flow.parameters(), lr=learning_rate, weight_decay=1e-4)
        self.found = [_mean_log_density(flow, held_out)]
        self.kept = copy.deepcopy(flow.state_dict())

    @property
    def epochs(self) -> int:
        """How many there were."""
        return len(self.found) - 1

    @property
    def best(self) -> int:
        """The epoch that is kept, 0 for the Gaussian."""
        return self.found.index(max(self.found))

    @property
    def finished(self) -> bool:
        """Whether the patience is at its end."""
        return self.epochs - self.best >= self.patience

    def epoch(self) -> float:
        """See all training vectors once; the mean log-density of the held-out ones then, nats.
        FloatingPointError: it is not finite."""
        for rows in torch.randperm(self.count, generator=self.stream).split(self.batch_size):
            loss = -self.flow.log_density(self.draw(rows, self.stream)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.flow.parameters(), 5.0)
            self.optimizer.step()
        reached = _mean_log_density(self.flow, self.held_out)
        if not math.isfinite(reached):
            raise FloatingPointError(
                f"the flow diverged in epoch {self.epochs + 1} (its held-out log-density is {reached}): "
                "take a lower learning rate"
            )
        self.found.append(reached)
        if self.best == self.epochs:
            self.kept = copy.deepcopy(self.flow.state_dict())
        return reached

    @property
    def report(self) -> dict[str, Any]:
        """``epochs`` and ``best``; ``held_out``, mean log-density of the held-out vectors before the first
        epoch and of the best, nats."""
        held_out = [self.found[0], self.found[self.best]]
        return {"epochs": self.epochs, "best": self.best, "held_out": held_out}


def train(
    flow: Flow,
    draw: Draw,
    count: int,
    held_out: Tensor,
    *,
    seed: int,
    epochs: int = 200,
    patience: int = 10,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train in one go and take the best weights. Arguments as of `Training`; progress counts epochs.

    Returns: `Training.report`. FloatingPointError: the likelihood is not finite.
    """
    training = Training(
        flow,
        draw,
        count,
        held_out,
        seed=seed,
        patience=patience,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    while training.epochs < epochs and not training.finished:
        if progress is not None:
            progress.update(training.epochs)
        training.epoch()
    flow.load_state_dict(training.kept)
    return training.report


@torch.no_grad()
def _mean_log_density(law: Gaussian, vectors: Tensor) -> float:
    """Mean log-density of vectors (m, d), nats."""
    parts = [law.log_density(part).double().sum() for part in vectors.split(HELD_OUT_BATCH)]
    return float(sum(parts) / len(vectors))
