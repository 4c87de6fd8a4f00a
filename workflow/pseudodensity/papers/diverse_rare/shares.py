"""Shares of the values of an attribute among images, corrected for a classifier's errors, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from pseudodensity.report.statistics import CONFIDENCE, Estimate

__all__ = [
    "Resampled",
    "Resampling",
    "Shares",
    "corrected",
    "expected",
    "group_counts",
    "mean_interval",
    "paired_means",
    "shares_of",
]

BEYOND = (1 - CONFIDENCE) / 2  # what either end may miss
STRICT = 1e3  # weight of "shares sum to 1" beside the equations of single values
BATCH = 2**22  # numbers of one batch of resamples


@dataclass(frozen=True)
class Resampling:
    """A bootstrap of groups. Equal ones draw equal groups of equally many: differences are paired then."""

    seed: int
    count: int
    stream: str

    def weights(self, groups: int) -> Iterator[np.ndarray]:
        """How often (batch, groups) each group is drawn, batch after batch of all resamples."""
        stream, size = _stream(self.seed, "groups", self.stream), max(1, BATCH // groups)
        for start in range(0, self.count, size):
            batch = min(size, self.count - start)
            drawn = stream.integers(0, groups, (batch, groups)) + groups * np.arange(batch)[:, None]
            yield np.bincount(drawn.ravel(), minlength=batch * groups).reshape(batch, groups)


@dataclass(frozen=True)
class Resampled:
    """Numbers (k,) float64 of a set of images, and those of resamples (r, k)."""

    found: np.ndarray
    resampled: np.ndarray

    def estimate(self, place: int) -> Estimate:
        """A number with its 95 % interval: the middle of the resamples."""
        return Estimate(float(self.found[place]), *_middle(self.resampled[:, place]))

    def minus(self, other: Resampled, place: int) -> Estimate:
        """The difference to another set, paired where both were resampled with the same groups."""
        low, high = _middle(self.resampled[:, place] - other.resampled[:, place])
        return Estimate(float(self.found[place] - other.found[place]), low, high)


@dataclass(frozen=True)
class Shares(Resampled):
    """Shares of the values of an attribute. groups: how many were resampled."""

    groups: int

    def estimate(self, place: int) -> Estimate:
        """A share with its 95 % interval.

        Resamples of a value that no image has, or all have, do not differ. Then the far end is what the
        share of groups with such an image may be (Clopper and Pearson 1934), which is not less.
        """
        share = super().estimate(place)
        if share.effect == share.high == 0:
            return Estimate(0.0, 0.0, 1 - BEYOND ** (1 / self.groups))
        if share.effect == share.low == 1:
            return Estimate(1.0, BEYOND ** (1 / self.groups), 1.0)
        return share


def shares_of(
    counts: np.ndarray,
    confusion: np.ndarray | None,
    resampling: Resampling,
) -> Shares:
    """Shares of values among images, by a bootstrap of groups; images of one group depend on each other.

    counts: (groups, k) images of each value in each group, see `group_counts`. confusion: (k, k) counts on
    held-out reals, true value by row, by which shares are corrected; its rows are resampled too. None for
    the shares as they are.
    """
    drawn = np.concatenate([weights @ counts for weights in resampling.weights(len(counts))])
    found, resampled = counts.sum(0) / counts.sum(), drawn / drawn.sum(1, keepdims=True)
    if confusion is not None:
        # The same errors in every set, and others of every attribute.
        stream = _stream(resampling.seed, "confusion", *confusion.ravel())
        tables = [_resampled_rows(confusion, stream) for _ in resampled]
        found = corrected(found, confusion)
        resampled = np.stack([corrected(*each) for each in zip(resampled, tables, strict=True)])
    return Shares(found, resampled, len(counts))


def expected(shares: Sequence[Shares], values: Sequence[np.ndarray]) -> Resampled:
    """The mean (1,) over images of a sum over attributes of what each of their values is worth (k,)."""
    pairs = list(zip(shares, values, strict=True))
    found = sum(each.found @ worth for each, worth in pairs)
    return Resampled(
        np.array([found]), sum(each.resampled @ worth for each, worth in pairs)[:, None]
    )


def corrected(shares: np.ndarray, confusion: np.ndarray) -> np.ndarray:
    """True shares (k,) of which a classifier predicts `shares`, if it errs on these images as on reals.

    confusion: (k, k) counts, true value by row. Predicted shares are true ones times the rows' shares;
    the least squares of that over shares of at least 0 that sum to 1, by non-negative least squares
    (Lawson and Hanson 1974). Without errors nothing changes. NaN where a value has no held-out real. What
    reals do not show, such as an attribute that another one hides more often, is not corrected.
    """
    totals = confusion.sum(1, keepdims=True)
    if not totals.all():
        return np.full(len(shares), np.nan)
    equations = np.vstack([(confusion / totals).T, np.full(len(shares), STRICT)])
    solved, _ = nnls(equations, np.append(shares, STRICT))
    return solved / solved.sum()


def group_counts(values: np.ndarray, groups: np.ndarray, cardinality: int) -> np.ndarray:
    """How many images (groups, k) of each group (n,) have each value (n,), groups in rising order."""
    _, places = np.unique(groups, return_inverse=True)
    counts = np.zeros((places.max() + 1, cardinality), np.int64)
    np.add.at(counts, (places, values), 1)
    return counts


def mean_interval(values: np.ndarray, groups: np.ndarray, resampling: Resampling) -> Estimate:
    """Mean of values (n,) of images with its interval, by a bootstrap of groups (n,)."""
    _, places = np.unique(groups, return_inverse=True)
    sums, sizes = np.bincount(places, values), np.bincount(places)
    drawn = np.concatenate([(w @ sums) / (w @ sizes) for w in resampling.weights(len(sizes))])
    return Estimate(float(np.mean(values)), *_middle(drawn))


def paired_means(
    values: np.ndarray, groups: np.ndarray, others: np.ndarray, other_groups: np.ndarray
) -> np.ndarray:
    """Mean of a group's values minus that of the same group in another set (g,), of groups in both."""
    common = np.intersect1d(groups, other_groups)
    return _means(values, groups, common) - _means(others, other_groups, common)


def _means(values: np.ndarray, groups: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    known, places = np.unique(groups, return_inverse=True)
    means = np.bincount(places, values) / np.bincount(places)
    return means[np.searchsorted(known, wanted)]


def _stream(seed: int, *names: object) -> np.random.Generator:
    """A stream by names. Not one of `rng`, which imports torch: tables are made without it."""
    words = [seed, *"/".join(map(str, names)).encode()]
    return np.random.Generator(np.random.Philox(seed=words))


def _resampled_rows(confusion: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    totals = confusion.sum(1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    return stream.multinomial(totals[:, 0], np.where(totals, shares, 1 / len(confusion)))


def _middle(values: np.ndarray | Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [BEYOND, 1 - BEYOND])
    return float(low), float(high)
