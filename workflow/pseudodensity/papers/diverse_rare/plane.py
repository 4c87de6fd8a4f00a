"""A plane in a space of features: what is seen of points and balls on it. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Plane", "plane_of", "section_radii"]


@dataclass(frozen=True)
class Plane:
    """A plane of features: origin (d,), axes (2, d) orthonormal. share: of the squared length from the origin
    of the points that it was laid through, how much lies in it."""

    origin: np.ndarray
    axes: np.ndarray
    share: float

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places (n, 2) of points (n, d) on the plane, and their distances (n,) from it."""
        away = points.astype(np.float64) - self.origin
        places = away @ self.axes.T
        off = np.linalg.norm(away - places @ self.axes, axis=1)
        return places, off

    def lift(self, places: np.ndarray) -> np.ndarray:
        """Points (n, d) of places (n, 2): the exact inverse of `project` on the plane."""
        return self.origin + places @ self.axes


def plane_of(points: np.ndarray, origin: np.ndarray) -> Plane:
    """The plane through an origin (d,) that lies nearest to points (n, d), in squares: their first two
    principal components about the origin. Axes point to where the last point lies. d is 2 or more."""
    away = points - origin
    _, _, right = np.linalg.svd(away, full_matrices=len(away) < 2)
    axes = right[:2]
    signs = np.where(axes @ away[-1] < 0, -1.0, 1.0)
    axes = axes * signs[:, None]
    total = np.square(away).sum()
    inside = np.square(away @ axes.T).sum()
    return Plane(origin, axes, float(inside / total) if total else 1.0)


def section_radii(radii: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Radii (n,) of the discs in which balls cut a plane, from their radii and distances of their centres (n,);
    0 where they do not reach it."""
    return np.sqrt(np.clip(np.square(radii) - np.square(off), 0, None))
