"""Laws that the checks draw from: float64 draws of a NumPy stream, `(n, d)`."""

from __future__ import annotations

import numpy as np

__all__ = ["cube", "modes", "normal", "pareto", "shell", "torus", "two_modes"]

Stream = np.random.Generator


def normal(stream: Stream, n: int, d: int) -> np.ndarray:
    """Standard normal."""
    return stream.standard_normal((n, d))


def cube(stream: Stream, n: int, d: int) -> np.ndarray:
    """Uniform in [0, 1)^d."""
    return stream.random((n, d))


def shell(stream: Stream, n: int, d: int, radius: float) -> np.ndarray:
    """Uniform on the surface of a ball around 0."""
    points = normal(stream, n, d)
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


def torus(stream: Stream, n: int, radius: float, thickness: float) -> np.ndarray:
    """Uniform angles on a tube of radius `thickness` around a circle of `radius` in the plane, d = 3."""
    around, across = 2 * np.pi * stream.random((2, n))
    out = radius + thickness * np.cos(across)
    return np.stack([out * np.cos(around), out * np.sin(around), thickness * np.sin(across)], 1)


def pareto(stream: Stream, n: int, d: int, tail: float) -> np.ndarray:
    """Pareto numbers of 1 or more, P(x > t) = t^-tail."""
    return (1 - stream.random((n, d))) ** (-1 / tail)


def modes(stream: Stream, n: int, d: int, weights: np.ndarray) -> np.ndarray:
    """Normal modes of sd 1 on a ring of radius 20, of the weights `(k,)`."""
    which = stream.choice(len(weights), n, p=weights)
    angles = 2 * np.pi * which / len(weights)
    centres = np.zeros((n, d))
    centres[:, 0], centres[:, 1] = 20 * np.cos(angles), 20 * np.sin(angles)
    return centres + normal(stream, n, d)


def two_modes(stream: Stream, n: int, dense_share: float, error: float) -> np.ndarray:
    """A dense mode (sd .3) and a sparse one (sd 1), far apart, d = 16, and noise of one size on all."""
    dense = stream.random(n) < dense_share
    points = normal(stream, n, 16) * np.where(dense, 0.3, 1.0)[:, None]
    points[dense, 0] += 20
    return points + error * normal(stream, n, 16)
