"""Small analytic generators: their laws and Jacobians are known, so every method can be checked.

As every generator they map standard normal latents ``(n, *latent_shape)``; their
outputs are points ``(n, d)`` in the plane or in space, not images.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator

__all__ = ["Affine", "GaussianGrid", "TwoPieces"]


class Affine(BaseGenerator):
    """z (n, d) -> z A^T + b (n, D). Its law is N(b, A A^T) and its Jacobian is A everywhere."""

    def __init__(self, matrix: Tensor, offset: Tensor | None = None):
        """matrix: A, (D, d) floating point. offset: b, (D,); zero if None.

        ValueError if the shapes do not fit.
        """
        super().__init__()
        if matrix.ndim != 2:
            raise ValueError(f"an affine map needs a matrix (D, d), not {tuple(matrix.shape)}")
        offset = matrix.new_zeros(len(matrix)) if offset is None else offset
        if offset.shape != matrix.shape[:1]:
            raise ValueError(f"{len(matrix)} outputs cannot take an offset {tuple(offset.shape)}")
        self.latent_shape = (matrix.shape[1],)
        self.register_buffer("matrix", matrix)
        self.register_buffer("offset", offset)

    def forward(self, z: Tensor) -> Tensor:
        return z @ self.matrix.t() + self.offset


class TwoPieces(BaseGenerator):
    """z (n, 1) -> (n, 2): a line bent at the origin, left part of one slope, right of another.

    Both parts carry half of the mass. The left one is ``left |z| (cos 120, sin 120)``, the right
    one lies on the first axis. The volume element is ``left`` where z < 0, else ``right``, so
    sampling at polarity rho gives the left part the mass 1 / (1 + (right / left)^rho).
    """

    latent_shape = (1,)

    def __init__(self, left: float = 1.0, right: float = 3.0):
        super().__init__()
        angle = 2 * math.pi / 3
        # A negative z must leave the origin in the direction of the angle.
        directions = [[-left * math.cos(angle), -left * math.sin(angle)], [right, 0.0]]
        self.register_buffer("pieces", torch.tensor(directions, dtype=torch.float64))

    def forward(self, z: Tensor) -> Tensor:
        left, right = self.pieces.to(z.dtype)
        return z * torch.where(z < 0, left, right)


class GaussianGrid(BaseGenerator):
    """z (n, 2) -> (n, 2): a grid of side x side equal, round Gaussians, exactly.

    The whole part of side * Phi(z) picks the column and the row, what is left of it becomes the
    deviation from the centre. The default is the usual 25 Gaussians: centres 2 (i, j) with
    i, j in -2 .. 2 and deviation 0.05, all divided by 2.828 (Azadi et al. 2019; Tanaka 2019).
    """

    latent_shape = (2,)

    def __init__(self, side: int = 5, spacing: float = 2 / 2.828, deviation: float = 0.05 / 2.828):
        super().__init__()
        self.side, self.spacing, self.deviation = side, spacing, deviation

    def forward(self, z: Tensor) -> Tensor:
        share = torch.special.ndtr(z.double()) * self.side
        # Phi rounds to 0 or 1 far out, where there is no deviation left to tell.
        share = share.clamp(1e-12, self.side - 1e-12)
        cell = share.floor()
        centre = (cell - (self.side - 1) / 2) * self.spacing
        within = (share - cell).clamp(1e-12, 1 - 1e-12)
        return (centre + self.deviation * torch.special.ndtri(within)).to(z.dtype)
