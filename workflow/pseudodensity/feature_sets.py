"""Feature sets as all distances see them: checked, in one frame, with one exact yardstick."""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

Features = np.ndarray | Tensor

PAIR_BUFFER = 2**19  # float64 numbers per buffer of the exact distances
# Rows at these distances from the mean have squares, and sums of squares, that float64 holds to
# the last bit, with room for the width and for the factor between a row and a distance.
SHORTEST, LONGEST = 1e-140, 1e150
SINGLE = 2.0**100  # scales up to this one, and from its inverse on, fit a float32


class FeatureSet:
    """A feature set in the frame of its distances: centred, and scaled by a power of two.

    features `(n, d)` stay as they came; blocks of them are centred when needed, so that no copy
    of the set is held. norms `(n,)` float64 are the squared lengths in the frame.
    """

    def __init__(self, features: Tensor, centre: Tensor) -> None:
        self.features, self.scale = features, 1.0
        self._offset = -centre
        self.norms = torch.empty(len(self), dtype=torch.float64, device=features.device)
        buffer = self.norms.new_empty(256, features.shape[1])
        for rows in blocks(len(self), 256):
            block = self.block(rows, torch.float64, out=buffer[: rows.stop - rows.start])
            torch.sum(block.square_(), 1, out=self.norms[rows])

    def rescale(self, scale: float) -> None:
        """Multiply the frame by a power of two."""
        self.scale *= scale
        if not 1 / SINGLE <= self.scale <= SINGLE:
            self._offset = self._offset.double()  # blocks are then made in float64
        self._offset *= scale
        self.norms *= scale**2

    def __len__(self) -> int:
        return len(self.features)

    def block(self, rows: slice | Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """Some rows in the frame, each number rounded once to `dtype`."""
        # A float64 offset is kept for a float32 block too: rounding it would move the centre.
        offset = self._offset.to(torch.promote_types(self._offset.dtype, dtype))
        return torch.add(offset, self.features[rows], alpha=self.scale, out=out).to(dtype)


def frame(**sets: Features) -> list[FeatureSet]:
    """Check named feature sets and put them in one frame, centred on the mean of the first.

    The scale of the frame brings the longest row to a length in [1/2, 1), so that no square over-
    or underflows in float32. Distances below 1e-150 of that length count as 0. Checks and errors
    are those of `as_tensors`; ValueError also for rows so far from the mean, or all so near to it,
    that their squares leave the range of float64.
    """
    tensors = as_tensors(**sets)
    dtype = torch.float64
    if any(t.dtype != torch.float64 for t in tensors):
        dtype = torch.float32  # one centre for all, exact in the narrower type
    centre = mean(tensors[0]).to(dtype)
    framed = [FeatureSet(t, centre) for t in tensors]
    longest = max(p.norms.max().item() for p in framed)
    if not longest <= LONGEST**2:
        raise ValueError(
            f"the features are too large to square in float64: a row is farther than {LONGEST:g} "
            "from the mean; scale them down"
        )
    if longest < SHORTEST**2:
        if not _all_equal(tensors):
            raise ValueError(
                f"the features are too small to square in float64: no row is {SHORTEST:g} from the "
                "mean; scale them up"
            )
        return framed
    exponent = math.frexp(math.sqrt(longest))[1]
    for p in framed:
        p.rescale(2.0**-exponent)
    return framed


def _all_equal(tensors: list[Tensor]) -> bool:
    """Whether all rows of all sets are copies of one."""
    first = tensors[0][0].double()
    parts = (t[rows].double() for t in tensors for rows in blocks(len(t), 256))
    return all(bool((part == first).all()) for part in parts)


def as_tensors(**sets: Features) -> list[Tensor]:
    """Named feature sets `(n, d)` as floating tensors, in the same memory where that can be.

    Integers become float64. Raises ValueError, with the set's name, for a wrong shape or dtype, a
    mix of kinds, dimensions or devices, or rows that hold NaN or infinity.
    """
    if len({isinstance(s, Tensor) for s in sets.values()}) > 1:
        raise ValueError(f"{' and '.join(sets)} must all be arrays or all be tensors; convert one")
    tensors = {name: _as_tensor(name, features) for name, features in sets.items()}
    if len({t.shape[1] for t in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())
        raise ValueError(f"the feature sets differ in dimension: {shapes}")
    if len({t.device for t in tensors.values()}) > 1:
        raise ValueError(f"{' and '.join(sets)} must be on one device; move one with .to()")
    for name, tensor in tensors.items():
        if bad := [
            rows.start + row for rows in blocks(len(tensor), 256) for row in _bad_rows(tensor[rows])
        ]:
            raise ValueError(
                f"{name}: {len(bad)} of {len(tensor)} rows hold NaN or infinity, first row {bad[0]}; "
                "drop them"
            )
    return list(tensors.values())


def _as_tensor(name: str, features: Features) -> Tensor:
    if isinstance(features, np.ndarray):
        if features.dtype.kind not in "fiub":
            raise ValueError(f"{name} must hold real numbers, got dtype {features.dtype}")
        if features.dtype not in (np.float16, np.float32, np.float64):
            features = features.astype(np.float64)
        if any(stride < 0 for stride in features.strides):
            features = features.copy()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")  # nothing here writes to it
            features = torch.from_numpy(features)
    if not isinstance(features, Tensor) or features.is_complex():
        raise ValueError(f"{name} must be an array or a tensor of real numbers")
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"{name} must be (n, d) with n, d >= 1, got {tuple(features.shape)}")
    features = features.detach()
    return features if features.is_floating_point() else features.double()


def _bad_rows(features: Tensor) -> list[int]:
    if torch.isfinite(features.sum()):  # ten times as fast as looking at each number
        return []
    return (~torch.isfinite(features).all(1)).nonzero().squeeze(1).tolist()


def mean(features: Tensor) -> Tensor:
    """The mean row `(d,)` of `(n, d)` features, summed in float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for rows in blocks(len(features), 256):
        total += features[rows].sum(0, dtype=torch.float64)
    return total / len(features)


def blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def squared_distances(a: FeatureSet, i: Tensor, b: FeatureSet, j: Tensor) -> Tensor:
    """Squared distances float64 in the frame of pairs of rows, the yardstick of this package.

    i `(p,)` are rows of a; j are rows of b, `(p,)` for one partner of each or `(p, r)` for r. The
    result has the shape of j. Differences of the features as they came, squared and added in
    float64 by halves: the order depends on d alone, so equal pairs get equal bits on any device,
    in any batch.
    """
    width = a.features.shape[1]
    rows = max(1, min(PAIR_BUFFER // width, len(i)))
    left, right = torch.empty(2, rows, width, dtype=torch.float64, device=i.device)
    partners = j if j.ndim == 2 else j[:, None]
    result = torch.empty(partners.shape, dtype=torch.float64, device=i.device)
    for part in blocks(len(i), rows):
        count = part.stop - part.start
        left[:count].copy_(a.features.index_select(0, i[part]))
        for place in range(partners.shape[1]):
            right[:count].copy_(b.features.index_select(0, partners[part, place]))
            result[part, place] = _sum_by_halves(right[:count].sub_(left[:count]).square_())
    return result.mul_(a.scale**2).view(j.shape)


def _sum_by_halves(terms: Tensor) -> Tensor:
    while (width := terms.shape[1]) > 1:
        half = (width + 1) // 2
        terms[:, : width - half].add_(terms[:, half:])
        terms = terms[:, :half]
    return terms[:, 0]
