"""Exact nearest neighbours and ball membership over tiles of two feature sets.

Speed comes from float32 matrix products, exactness from never trusting them: with `a` and `b`
centred, `|a|^2 + |b|^2 - 2ab` is off by at most `margin * (|a|^2 + |b|^2)`, in whatever order the
product is summed. So a tile holds LOWER BOUNDS of squared distances, and the pairs that the bound
leaves open are decided by differences, squared and summed in float64 in one fixed order. Hence the
answers depend on no tile size, number of threads, device or order of the samples, and no more than
one tile of distances exists at a time.
"""

import math
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

Features = np.ndarray | Tensor
Pairs = tuple[Tensor, Tensor]

TILE = 2048  # side of a tile: 16 MB in float32, long enough for full matrix-product speed
SPARE = 8  # candidates kept beyond k, so that rounding seldom hides a neighbour
GROUPS = 128  # minima per row of a tile: one cheap pass finds the few parts worth a look
PIECE = 2**15  # groups opened at once; bounds the memory when a whole tile qualifies
PAIR_BUFFER = 2**19  # float64 numbers per buffer of the exact check
OPEN_SHARE = 64  # above one undecided pair in 64, a float64 product is cheaper than the differences


def knn(
    queries: Features, references: Features, k: int, exclude_self: bool = False
) -> tuple[Features, Features]:
    """The k nearest references of every query, in Euclidean distance, nearest first.

    queries `(m, d)` and references `(n, d)`: NumPy arrays, or tensors on one device. Returns
    distances `(m, k)` and indices `(m, k)` int64 of the same kind and device. The distances are
    float64 if both inputs are float64 or integers, else float32. The order is that of float64
    differences; equal distances come in order of the index. `exclude_self` says that query i IS
    reference i and drops that index; a copy of it under another index stays a neighbour. Passing
    one object as queries and references halves the work.

    Raises ValueError for shapes that do not fit, rows with NaN or infinity, or k out of
    `1 <= k <= n` (`n - 1` without self).
    """
    alike = queries is references
    sets = {"references": references} if alike else {"references": references, "queries": queries}
    points = frame(**sets)
    references_, queries_ = points[0], points[-1]
    if exclude_self and len(queries_) != len(references_):
        raise ValueError(
            f"exclude_self needs query i to be reference i, but there are {len(queries_)} queries "
            f"and {len(references_)} references"
        )
    squared, indices = nearest(queries_, references_, k, exclude_self)
    double = all(p.features.dtype == torch.float64 for p in points)
    distances = (squared.sqrt() / references_.scale).to(torch.float64 if double else torch.float32)
    if isinstance(references, np.ndarray):
        return distances.numpy(), indices.numpy()
    return distances, indices


class Points:
    """A feature set in the frame of its distances: centred, and scaled by a power of two.

    features `(n, d)` stay as they came; blocks of them are centred when needed, so that no copy
    of the set is held. norms `(n,)` float64 are the squared lengths in the frame.
    """

    def __init__(self, features: Tensor, centre: Tensor) -> None:
        self.features, self.scale = features, 1.0
        self._offset = -centre
        self.norms = torch.empty(len(self), dtype=torch.float64, device=features.device)
        buffer = self.norms.new_empty(256, features.shape[1])
        for rows in _blocks(len(self), 256):
            block = self.block(rows, torch.float64, out=buffer[: rows.stop - rows.start])
            torch.sum(block.square_(), 1, out=self.norms[rows])

    def rescale(self, scale: float) -> None:
        """Multiply the frame by a power of two."""
        self.scale *= scale
        self._offset *= scale
        self.norms *= scale**2

    def __len__(self) -> int:
        return len(self.features)

    def block(self, rows: slice | Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """Some rows in the frame, each number rounded once to `dtype`."""
        # A float64 offset is kept for a float32 block too: rounding it would move the centre.
        offset = self._offset.to(torch.promote_types(self._offset.dtype, dtype))
        return torch.add(offset, self.features[rows], alpha=self.scale, out=out)


def frame(**sets: Features) -> list[Points]:
    """Check named feature sets and put them in one frame, centred on the mean of the first.

    The scale of the frame brings the longest row to a length in [1/2, 1), so that no square over-
    or underflows in float32. Checks and errors are those of `as_tensors`.
    """
    tensors = as_tensors(**sets)
    dtype = torch.float64
    if any(t.dtype != torch.float64 for t in tensors):
        dtype = torch.float32  # one centre for all, exact in the narrower type
    centre = mean(tensors[0]).to(dtype)
    points = [Points(t, centre) for t in tensors]
    longest = max(p.norms.max().item() for p in points)
    if not math.isfinite(longest):
        raise ValueError("the features are too large to square in float64; scale them down")
    exponent = math.frexp(math.sqrt(longest))[1] if longest else 0
    for p in points:
        p.rescale(2.0 ** -max(-100, min(100, exponent)))
    return points


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
        if bad := sum(_bad_rows(tensor[rows]) for rows in _blocks(len(tensor), 256)):
            raise ValueError(f"{name}: {bad} of {len(tensor)} rows hold NaN or infinity; drop them")
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


def _bad_rows(features: Tensor) -> int:
    if torch.isfinite(features.sum()):  # ten times as fast as looking at each number
        return 0
    return int((~torch.isfinite(features).all(1)).sum())


def mean(features: Tensor) -> Tensor:
    """The mean row `(d,)` of `(n, d)` features, summed in float64."""
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    for rows in _blocks(len(features), 256):
        total += features[rows].sum(0, dtype=torch.float64)
    return total / len(features)


def _blocks(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def squared_distances(a: Points, i: Tensor, b: Points, j: Tensor) -> Tensor:
    """Squared distances `(p,)` float64 of the pairs `(a[i], b[j])`, the yardstick of this module.

    Differences of the features as they came, squared and added in float64 by halves: the order
    depends on d alone, so equal pairs get equal bits on any device, in any batch.
    """
    width = a.features.shape[1]
    rows = max(1, PAIR_BUFFER // width)
    buffers = torch.empty(2, min(rows, len(i)), width, dtype=torch.float64, device=i.device)
    result = torch.empty(len(i), dtype=torch.float64, device=i.device)
    for part in _blocks(len(i), rows):
        left, right = buffers[:, : part.stop - part.start]
        left.copy_(a.features.index_select(0, i[part]))
        right.copy_(b.features.index_select(0, j[part]))
        left.sub_(right).mul_(a.scale).square_()
        result[part] = _sum_by_halves(left)
    return result


def _sum_by_halves(terms: Tensor) -> Tensor:
    while (width := terms.shape[1]) > 1:
        half = (width + 1) // 2
        terms[:, : width - half] += terms[:, half:]
        terms = terms[:, :half]
    return terms[:, 0]


class _Tiles:
    """Tiles of lower bounds of squared distances between rows of one set and rows of another."""

    def __init__(self, left: Points, right: Points, dtype: torch.dtype) -> None:
        self.left, self.right, self.dtype = left, right, dtype
        width = left.features.shape[1]
        info = torch.finfo(dtype)
        # Standard bound of an inner product of d + 2 terms whose sizes add up to 2 (|a|^2 + |b|^2),
        # plus the roundings of centring and of the norms. eps / 2 is the unit roundoff.
        self.margin = 1.01 * (width + 16) * info.eps
        self.floor = 8 * (width + 2) * info.tiny  # what underflow may lose
        self._buffers: dict[str, Tensor] = {}
        self._rows: slice | Tensor | None = None
        self._left_block: Tensor | None = None

    def slack(self, i: Tensor | slice, j: Tensor | slice) -> Tensor:
        """What to add to a lower bound of pair (i, j) for an upper bound."""
        return 2 * (self.margin * (self.left.norms[i] + self.right.norms[j]) + self.floor)

    def kth_limits(self, minima: Tensor, k: int, own: slice | Tensor, others: slice) -> Tensor:
        """Upper bounds of the k-th distance of `own`, from group minima: k minima, k references."""
        if k > minima.shape[1]:
            return minima.new_full((len(minima),), math.inf, dtype=torch.float64)
        farthest = others.start + self.right.norms[others].argmax()
        return minima.kthvalue(k, dim=1).values + self.slack(own, farthest)

    def __call__(self, rows: slice | Tensor, columns: slice) -> Tensor:
        """The tile `(rows, columns)`; overwritten by the next call."""
        if rows is not self._rows:  # columns run fastest, so a block of rows serves many tiles
            a = self._block("left", self.left, rows)
            a[:, :-2] *= -2
            a[:, -2] = (1 - self.margin) * self.left.norms[rows] - self.floor
            a[:, -1] = 1
            self._rows, self._left_block = rows, a
        b = self._block("right", self.right, columns)
        b[:, -2] = 1
        b[:, -1] = (1 - self.margin) * self.right.norms[columns]
        a = self._left_block
        tile = self._buffer("tile", len(a), len(b))
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # TF32 and bfloat16 break the margin
        try:
            return torch.mm(a, b.T, out=tile)
        finally:
            torch.set_float32_matmul_precision(precision)

    def _block(self, name: str, points: Points, rows: slice | Tensor) -> Tensor:
        count = len(points.norms[rows])
        block = self._buffer(name, count, points.features.shape[1] + 2)
        points.block(rows, self.dtype, out=block[:, :-2])
        return block

    def _buffer(self, name: str, *shape: int) -> Tensor:
        # Fresh pages for every tile would cost as much as a pass over it.
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < size:
            device = self.left.features.device
            self._buffers[name] = torch.empty(size, dtype=self.dtype, device=device)
        return self._buffers[name][:size].view(shape)


def _group_minima(tile: Tensor, dim: int, groups: int) -> Tensor:
    """Minima `(owners, groups)` over each groups-th entry of rows (dim 1) or columns (dim 0)."""
    size = tile.shape[dim]
    groups = min(size, groups)
    whole = size // groups * groups
    minima = tile.narrow(dim, 0, whole).unflatten(dim, (-1, groups)).amin(dim)
    if rest := size - whole:
        first = minima.narrow(dim, 0, rest)
        torch.minimum(first, tile.narrow(dim, whole, rest), out=first)
    return minima if dim else minima.T


def _below(
    tile: Tensor, minima: Tensor, limits: Tensor, dim: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Entries of a tile up to the limit of their owner, a row (dim 1) or a column (dim 0).

    Pieces (owner, other, value) in order of the owner. `limits` `(owners,)` float64.
    """
    by_owner = tile if dim else tile.T
    size, groups = by_owner.shape[1], minima.shape[1]
    owners, members = (minima <= limits[:, None]).nonzero(as_tuple=True)
    steps = torch.arange(0, size, groups, device=tile.device)
    for part in _blocks(len(owners), PIECE):
        owner, other = owners[part, None], members[part, None] + steps
        value = by_owner[owner, other.clamp(max=size - 1)]
        keep = (value <= limits[owner]) & (other < size)
        yield owner.expand_as(other)[keep], other[keep], value[keep]


def _merge(values: Tensor, indices: Tensor, owner: Tensor, other: Tensor, value: Tensor) -> Tensor:
    """Put new entries (other, value) into the lists of their owners; returns the owners touched.

    values and indices `(n, m)` keep, in place and in order, the m smallest by (value, index). The
    new entries come in order of the owner.
    """
    rows, counts = torch.unique_consecutive(owner, return_counts=True)
    line = torch.repeat_interleave(counts)
    place = torch.arange(len(owner), device=owner.device) - (counts.cumsum(0) - counts)[line]
    shape = (len(rows), int(counts.max()) if len(rows) else 0)
    fresh = values.new_full(shape, math.inf)
    fresh[line, place] = value
    names = indices.new_zeros(shape)
    names[line, place] = other
    fresh, names = torch.cat([values[rows], fresh], 1), torch.cat([indices[rows], names], 1)
    names, order = names.sort(dim=1)
    fresh, ranks = fresh.gather(1, order).sort(dim=1, stable=True)
    values[rows] = fresh[:, : values.shape[1]]
    indices[rows] = names.gather(1, ranks)[:, : values.shape[1]]
    return rows


class _Candidates:
    """The references of the smallest lower bounds for each query, and a limit for its k nearest."""

    def __init__(self, tiles: _Tiles, k: int) -> None:
        self.tiles, self.k = tiles, k
        count, norms = len(tiles.left), tiles.left.norms
        self.lows = norms.new_full((count, k + SPARE), math.inf, dtype=tiles.dtype)
        self.indices = norms.new_zeros((count, k + SPARE), dtype=torch.int64)
        self.limits = norms.new_full((count,), math.inf)

    def absorb(self, tile: Tensor, dim: int, own: slice, others: slice) -> None:
        """Take what may be among the k nearest of queries `own`, rows or columns of the tile."""
        minima = _group_minima(tile, dim, max(GROUPS, 4 * self.k))
        limits = self.limits[own]
        if limits.isinf().any():
            limits = torch.minimum(limits, self.tiles.kth_limits(minima, self.k, own, others))
        for owner, other, low in _below(tile, minima, limits, dim):
            owner, other = owner + own.start, other + others.start
            rows = _merge(self.lows, self.indices, owner, other, low.clamp_(min=0))
            slack = self.tiles.slack(rows[:, None], self.indices[rows, : self.k])
            self.limits[rows] = (self.lows[rows, : self.k] + slack).amax(1)


def nearest(queries: Points, references: Points, k: int, exclude_self: bool) -> Pairs:
    """Squared distances (float64, in the frame) and indices of the k nearest, `(m, k)` each.

    See `knn` for the order and `exclude_self`. Raises ValueError if k does not fit.
    """
    available = len(references) - exclude_self
    if not 1 <= k <= available:
        raise ValueError(f"k must lie in 1..{available} for {len(references)} references, got {k}")
    candidates = _search(queries, references, k, exclude_self)
    lows, indices = candidates.lows, candidates.indices
    rows, places = (lows <= candidates.limits[:, None]).nonzero(as_tuple=True)
    exact = torch.full_like(lows, math.inf, dtype=torch.float64)
    exact[rows, places] = squared_distances(queries, rows, references, indices[rows, places])
    indices, order = indices.sort(dim=1)
    exact, ranks = exact.gather(1, order).sort(dim=1, stable=True)
    squared, indices = exact[:, :k].clone(), indices.gather(1, ranks)[:, :k].clone()
    # What fell off a full list may be as near as the k-th. Not at distance 0, where all lower
    # bounds are 0 and the list is in order of the index.
    hidden = (lows[:, -1] <= squared[:, -1]) & (squared[:, -1] > 0)
    if hidden.any():
        rows = hidden.nonzero().squeeze(1)
        squared[rows], indices[rows] = _search_exactly(queries, rows, references, k, exclude_self)
    return squared, indices


def _search(queries: Points, references: Points, k: int, exclude_self: bool) -> _Candidates:
    tiles = _Tiles(queries, references, torch.float32)
    candidates = _Candidates(tiles, k)
    symmetric = queries is references  # a tile then serves its rows and its columns
    for rows in _blocks(len(queries), TILE):
        for columns in _blocks(len(references), TILE):
            if symmetric and columns.start < rows.start:
                continue
            tile = tiles(rows, columns)
            if exclude_self and rows == columns:
                tile.fill_diagonal_(math.inf)
            candidates.absorb(tile, 1, rows, columns)
            if symmetric and rows != columns:
                candidates.absorb(tile, 0, columns, rows)
    return candidates


def _search_exactly(
    queries: Points, rows: Tensor, references: Points, k: int, exclude_self: bool
) -> Pairs:
    """`nearest` of some queries: float64 products, differences for all that is near the k-th."""
    tiles = _Tiles(queries, references, torch.float64)
    squared = tiles.left.norms.new_full((len(rows), k), math.inf)
    indices = rows.new_zeros((len(rows), k))
    for part in _blocks(len(rows), TILE):
        chosen = rows[part]
        for columns in _blocks(len(references), TILE):
            tile = tiles(chosen, columns)
            if exclude_self:
                own = ((chosen >= columns.start) & (chosen < columns.stop)).nonzero().squeeze(1)
                tile[own, chosen[own] - columns.start] = math.inf
            minima = _group_minima(tile, 1, max(GROUPS, 4 * k))
            limits = tiles.kth_limits(minima, k, chosen, columns)
            limits = torch.minimum(limits, squared[part, -1])
            for owner, other, low in _below(tile, minima, limits, 1):
                owner, other = _only(low < math.inf, owner, other + columns.start)
                exact = squared_distances(queries, chosen[owner], references, other)
                _merge(squared, indices, owner + part.start, other, exact)
    return squared, indices


def _only(keep: Tensor, *tensors: Tensor) -> list[Tensor]:
    return [tensor[keep] for tensor in tensors]


def ball_members(
    real: Points, fake: Points, real_radii: Tensor, fake_radii: Tensor, inclusive: bool = True
) -> Iterator[tuple[Pairs, Pairs]]:
    """All pairs of a real and a fake sample with one inside the ball of the other, tile by tile.

    Radii `(n,)` and `(m,)` float64 are SQUARED and in the frame, as `nearest` gives them. Each item
    is `(in_real, in_fake)`: index tensors `(real, fake)` of the pairs whose fake sample lies in the
    ball of the real one, and of those whose real sample lies in the ball of the fake one. A ball
    holds its border if `inclusive`.
    """
    single = _Tiles(real, fake, torch.float32)
    double = _Tiles(real, fake, torch.float64)
    for rows in _blocks(len(real), TILE):
        for columns in _blocks(len(fake), TILE):
            for tiles in (single, double):
                tile = tiles(rows, columns)
                in_real = _members(tiles, tile, 1, rows, columns, real_radii, inclusive)
                in_fake = _members(tiles, tile, 0, columns, rows, fake_radii, inclusive)
                if in_real is not None and in_fake is not None:
                    break
            yield in_real, in_fake[::-1]


def _members(
    tiles: _Tiles, tile: Tensor, dim: int, own: slice, others: slice, radii: Tensor, inclusive: bool
) -> Pairs | None:
    """Pairs (owner, other) with the other in the owner's ball; None if float32 decides too few."""
    found = []
    undecided = 0
    radii = radii[own]
    for owner, other, low in _below(tile, _group_minima(tile, dim, GROUPS), radii, dim):
        i, j = owner + own.start, other + others.start
        left, right = (i, j) if dim else (j, i)
        inside = low + tiles.slack(left, right) < radii[owner]
        check = (~inside).nonzero().squeeze(1)
        undecided += len(check)
        if tiles.dtype == torch.float32 and undecided > tile.numel() / OPEN_SHARE:
            return None
        exact = squared_distances(tiles.left, left[check], tiles.right, right[check])
        limit = radii[owner[check]]
        inside[check] = exact <= limit if inclusive else exact < limit
        found.append(_only(inside, i, j))
    if not found:
        return (torch.empty(0, dtype=torch.int64, device=tile.device),) * 2
    return torch.cat([i for i, _ in found]), torch.cat([j for _, j in found])
