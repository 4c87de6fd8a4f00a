"""A Gaussian with a shrunk covariance: the density that a flow starts from, and its rival."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

__all__ = ["Gaussian"]


class Gaussian(nn.Module):
    """A Gaussian of vectors by its principal components; standard until `fit_gaussian`."""

    def __init__(self, dimensions: int):
        """dimensions: d, 1 or more."""
        super().__init__()
        self.settings = {"dimensions": dimensions}
        self.register_buffer("centre", torch.zeros(dimensions))
        self.register_buffer("axes", torch.eye(dimensions))
        self.register_buffer("spreads", torch.ones(dimensions))

    def fit_gaussian(self, vectors: Tensor) -> None:
        """Take the mean of vectors (n, d), and their covariance, shrunk as Ledoit and Wolf (2004) say.
        ValueError: they do not vary at all."""
        # Imported where it is asked for: it takes a second.
        from sklearn.covariance import ledoit_wolf

        covariance, _ = ledoit_wolf(vectors.double().numpy())
        variances, axes = np.linalg.eigh(covariance)
        if not variances[0] > 0:
            raise ValueError("all vectors are the same: a density needs different ones")
        self.centre.copy_(vectors.double().mean(0))
        self.axes.copy_(torch.from_numpy(axes))
        self.spreads.copy_(torch.from_numpy(np.sqrt(variances)))

    def whitened(self, vectors: Tensor) -> Tensor:
        """Principal components (n, d) of vectors (n, d), weakest first, in standard deviations."""
        return (vectors - self.centre) @ self.axes / self.spreads

    def log_density(self, vectors: Tensor) -> Tensor:
        """Log-density in nats (n,) of vectors (n, d), differentiable."""
        logs = Normal(0.0, 1.0).log_prob(self.whitened(vectors)).sum(1)
        return logs - self.spreads.log().sum()
