"""Hardness: how unlikely a fake is under a Gaussian for each class of the reals.

H(x, y) = [(x - mu_y)' Sigma_y^-1 (x - mu_y) + ln det Sigma_y + k ln 2 pi] / 2 in nats, of features x
(k,) and class y. Sigma_y is the covariance shrunk as Ledoit and Wolf (2004) say, since a class has few
reals for so many dimensions. Hard features are judged by reals that did not fit them: a real counts
with the Gaussian of all OTHER reals of its class, or held-out reals would be harder than these.

Images whose class is not known count with the nearest class, that is with the least H: it is the class
that the Gaussians themselves would choose, and of a known class it is a lower bound. One Gaussian of all
reals would be no measure of the same thing, as it puts most mass between classes. Compare sets of which
both or neither have classes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pseudodensity.feature_sets import as_tensors

NAME = "hardness"
TITLE = "hardness"
SOURCE = "Sehwag et al. 2022, equation 3"
NEEDS = ("features", "labels")
SCORES = {"hardness": 0, "median_hardness": 0, "hard": 0}
RANGES = {"hard": (0, 1)}

HARD = 0.8  # of the reals are less hard than a hard image
FEWEST = 10  # reals of a class with a Gaussian of its own; fewer say little, however shrunk


@dataclass(frozen=True)
class Gaussian:
    """mean (k,); axes (k, k), whose columns are the principal ones; variances (k,) along them, as
    measured and divided by n; shrinkage in [0, 1] towards their mean; count: n, of the samples."""

    mean: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    shrinkage: float
    count: int

    def hardness(self, features: np.ndarray) -> np.ndarray:
        """H (m,) float64 in nats of features (m, k)."""
        variances = (1 - self.shrinkage) * self.variances
        variances = variances + self.shrinkage * self.variances.mean()
        apart = (features - self.mean) @ self.axes
        return _nats((apart**2 / variances).sum(1), np.log(variances).sum(), len(self.mean))

    def hardness_left_out(self, features: np.ndarray) -> np.ndarray:
        """H (n,) of the samples themselves (n, k), each under the Gaussian of the others.

        The others' covariance is n S / (n - 1) less a multiple of the outer product of x - mean with
        itself, so that its inverse and determinant follow from those of S. The shrinkage stays.
        """
        n, k, kept = self.count, len(self.mean), 1 - self.shrinkage
        apart = (features - self.mean) @ self.axes
        traces = n / (n - 1) * self.variances.sum() - n / (n - 1) ** 2 * (apart**2).sum(1)
        variances = kept * n / (n - 1) * self.variances + self.shrinkage / k * traces[:, None]
        squared = (apart**2 / variances).sum(1)
        # 0 where a sample alone spans a direction: rounding may make it negative.
        rest = np.maximum(1 - kept * n / (n - 1) ** 2 * squared, np.finfo(np.float64).tiny)
        logs = np.log(variances).sum(1) + np.log(rest)
        return _nats((n / (n - 1)) ** 2 * squared / rest, logs, k)


class ClassGaussians:
    """The Gaussians of the classes of some reals.

    features (n, k); labels (n,) whole numbers from 0, or None. A class with fewer than `FEWEST` reals
    has none, and if no class has one, all reals are one class. ValueError: bad features, fewer than 2
    reals, another number of labels, a class whose reals all have the same features.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray | None) -> None:
        self._features = _checked("real", features)
        classes = _classes(labels, len(self._features))
        counts = np.bincount(classes)
        named = np.flatnonzero(counts >= FEWEST)
        if len(named) == 0:
            classes, named = np.zeros(len(classes), np.int64), np.array([0])
        self._labels = classes
        self.of = {int(label): _fitted(self._features[classes == label]) for label in named}

    def hardness(self, features: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """H (m,) float64 in nats of fakes (m, k) for their own class, where that has a Gaussian, else
        for the nearest one. ValueError: bad features, another k, fewer than 2, other labels."""
        fakes = _checked("fake", features)
        as_tensors(real=self._features, fake=fakes)
        classes = None if labels is None else _classes(labels, len(fakes))
        return self._own_or_nearest(fakes, classes)

    def limit(self, labelled: bool) -> float:
        """The hardness that `HARD` of the reals do not exceed, their classes known or not."""
        return self._known_limit if labelled else self._nearest_limit

    @cached_property
    def _known_limit(self) -> float:
        return _percentile(self._own_or_nearest(self._features, self._labels, left_out=True))

    @cached_property
    def _nearest_limit(self) -> float:
        return _percentile(self._nearest(self._features, left_out=True))

    def _own_or_nearest(
        self, features: np.ndarray, labels: np.ndarray | None, *, left_out: bool = False
    ) -> np.ndarray:
        if labels is None:
            return self._nearest(features)
        found = np.empty(len(features))
        for label, gaussian in self.of.items():
            own = labels == label
            one = gaussian.hardness_left_out if left_out else gaussian.hardness
            found[own] = one(features[own])
        others = ~np.isin(labels, list(self.of))
        found[others] = self._nearest(features[others])
        return found

    def _nearest(self, features: np.ndarray, *, left_out: bool = False) -> np.ndarray:
        least = np.full(len(features), math.inf)
        for label, gaussian in self.of.items():
            found = gaussian.hardness(features)
            if left_out:
                own = self._labels == label
                found[own] = gaussian.hardness_left_out(features[own])
            np.minimum(least, found, out=least)
        return least


def prepare(real: Mapping[str, np.ndarray]) -> ClassGaussians:
    """The Gaussians of the real `features` (n, k) by their `labels` (n,), if there are any.

    ValueError: as of `ClassGaussians`.
    """
    return ClassGaussians(real["features"], real.get("labels"))


def score(side: ClassGaussians, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Scores of fake `features` (m, k), and their `labels` (m,) if there are any.

    hardness, median_hardness: mean and median of H in nats. hard: share of the fakes that are harder
    than 80 % of the reals; .2 for held-out reals. ValueError: bad features, another k, fewer than 2
    fakes, other labels.
    """
    labels = fake.get("labels")
    found = side.hardness(fake["features"], labels)
    return {
        "hardness": float(found.mean()),
        "median_hardness": float(np.median(found)),
        "hard": float((found > side.limit(labels is not None)).mean()),
    }


def _fitted(features: np.ndarray) -> Gaussian:
    # Imported where it is asked for: it takes a second.
    from sklearn.covariance import ledoit_wolf_shrinkage

    centre = features.mean(0)
    apart = features - centre
    variances, axes = np.linalg.eigh(apart.T @ apart / len(apart))
    variances = np.maximum(variances, 0)  # of what rounding made negative
    shrinkage = float(ledoit_wolf_shrinkage(features))
    if not (1 - shrinkage) * variances[0] + shrinkage * variances.mean() > 0:
        raise ValueError(
            f"{len(features)} real samples of a class differ in fewer than {features.shape[1]} directions: "
            "a Gaussian needs other features, or more samples"
        )
    return Gaussian(centre, axes, variances, shrinkage, len(features))


def _nats(squared: np.ndarray, log_determinant: np.ndarray | float, k: int) -> np.ndarray:
    return (squared + log_determinant + k * math.log(2 * math.pi)) / 2


def _percentile(hardness: np.ndarray) -> float:
    # A value of a real, since next to it there may be an infinite one.
    return float(np.quantile(hardness, HARD, method="inverted_cdf"))


def _checked(side: str, features: np.ndarray) -> np.ndarray:
    (found,) = as_tensors(**{side: features})
    if len(found) < 2:
        raise ValueError(f"hardness needs 2 or more {side} samples, got {len(found)}")
    return found.double().numpy()


def _classes(labels: np.ndarray | None, count: int) -> np.ndarray:
    if labels is None:
        return np.zeros(count, np.int64)
    if labels.shape != (count,) or labels.dtype.kind != "i" or labels.min() < 0:
        raise ValueError(
            f"labels must be {count} whole numbers from 0, one of each sample, got {labels.dtype} "
            f"{labels.shape}"
        )
    return labels
