"""Fronts of two scores that compete: what nothing beats, and which of two fronts lies further out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["net_share", "pareto_front"]


def pareto_front(precision: Sequence[float], recall: Sequence[float]) -> np.ndarray:
    """(n,) bool: no other point has at least as much of both, and more of one. NaN: not on it."""
    values = np.stack([np.asarray(precision, float), np.asarray(recall, float)], axis=1)
    no_less = (values[None] >= values[:, None]).all(2)
    more = (values[None] > values[:, None]).any(2)
    return ~(no_less & more).any(1) & ~np.isnan(values).any(1)


def net_share(
    points: Sequence[tuple[float, float]], rivals: Sequence[tuple[float, float]], start: float
) -> float:
    """How much of a region the front of `points` wins over that of `rivals`, in -1..1.

    A point is (x, y), and more of both is better. At a demand x >= t a front gives the largest y
    of its points that meet it. The region is the demands t from `start` to the largest x of all
    points: the share of it where `points` give more y, minus the share where `rivals` do. A front
    that cannot meet a demand gives less than one that can. Points with NaN are left out.

    NaN: no point lies beyond `start`, or a side has no point.
    """
    ours, theirs = (_complete(side) for side in (points, rivals))
    if not len(ours) or not len(theirs):
        return np.nan
    end = max(ours[:, 0].max(), theirs[:, 0].max())
    if not end > start:
        return np.nan
    # Both fronts are constant between the places where a point drops out.
    places = np.concatenate([ours[:, 0], theirs[:, 0], [start, end]])
    places = np.unique(places[(places >= start) & (places <= end)])
    middles, lengths = (places[1:] + places[:-1]) / 2, np.diff(places)
    lead = np.sign(_best(ours, middles) - _best(theirs, middles))
    return float((lead * lengths).sum() / (end - start))


def _complete(points: Sequence[tuple[float, float]]) -> np.ndarray:
    values = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return values[~np.isnan(values).any(axis=1)]


def _best(points: np.ndarray, demands: np.ndarray) -> np.ndarray:
    """Largest y among the points with x >= each demand; -1 where none has it (scores are >= 0)."""
    meets = points[None, :, 0] >= demands[:, None]
    return np.where(meets, points[None, :, 1], -1.0).max(axis=1)
