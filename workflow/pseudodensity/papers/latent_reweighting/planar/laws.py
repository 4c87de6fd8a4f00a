"""The two laws of the plane that Table 1 is about, in the settings of DOT (Tanaka 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pseudodensity.generators.toy import GaussianGrid

__all__ = ["LAWS", "Law"]

OFF = 3  # standard deviations of the noise that still count as on the manifold
ROLL_NOISE, ROLL_SCALE = 0.25, 7.5


@dataclass(frozen=True)
class Law:
    """A law of points in the plane.

    draw: (count, stream) -> (count, 2) float32. skeleton: (k, 2), where its points lie without
    noise. noise: standard deviation of the noise.
    """

    draw: Callable[[int, torch.Generator], Tensor]
    skeleton: np.ndarray
    noise: float

    def is_off(self, points: Tensor) -> np.ndarray:
        """Which points (n, 2) lie further than three deviations of the noise from the skeleton."""
        return cKDTree(self.skeleton).query(points.numpy())[0] > OFF * self.noise


def _draw_roll(count: int, stream: torch.Generator) -> Tensor:
    from sklearn.datasets import make_swiss_roll  # slow to import

    seed = int(torch.randint(2**31 - 1, (), generator=stream))
    points, _ = make_swiss_roll(count, noise=ROLL_NOISE, random_state=seed)
    return torch.from_numpy(points[:, [0, 2]] / ROLL_SCALE).float()


def _draw_gaussians(count: int, stream: torch.Generator) -> Tensor:
    return GaussianGrid()(torch.randn(count, 2, generator=stream))


def _roll() -> np.ndarray:
    """The spiral of scikit-learn's roll: 1.5 pi (1 + 2 u) is the angle and the radius."""
    angle = 1.5 * np.pi * (1 + 2 * np.linspace(0, 1, 20_000))
    return np.stack([np.cos(angle), np.sin(angle)], 1) * angle[:, None] / ROLL_SCALE


def _centres() -> np.ndarray:
    grid = GaussianGrid()
    ticks = (np.arange(grid.side) - (grid.side - 1) / 2) * grid.spacing
    return np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)


LAWS = {
    "swiss_roll": Law(_draw_roll, _roll(), ROLL_NOISE / ROLL_SCALE),
    "gaussians": Law(_draw_gaussians, _centres(), GaussianGrid().deviation),
}
