"""Exact nearest neighbours and ball membership of two feature sets.

Speed comes from float32 matrix products, exactness from never trusting them: with `a` and `b`
centred, `|a|^2 + |b|^2 - 2ab` is off by at most `margin * (|a|^2 + |b|^2)`, in whatever order the
product is summed. So faiss gives candidates for neighbours and a tile of products gives LOWER
BOUNDS of squared distances, and what these leave open is decided by differences, squared and
summed in float64 in one fixed order. Hence the answers depend on no tile size, number of threads,
device or order of the samples, and no matrix of all distances ever exists.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pseudodensity.feature_sets import Features, FeatureSet, blocks, frame, squared_distances

Pairs = tuple[Tensor, Tensor]

SPARE = 8  # candidates beyond k, so that rounding seldom hides a neighbour
REFERENCES = 2**15  # rows in one index of faiss; bounds the memory of its copy
QUERIES = 2**12  # rows handed to faiss at once; its own blocks are as long
GPU_CANDIDATES = 2048  # what faiss sorts on a GPU at most
TILE = 2048  # side of a tile: 16 MB in float32, long enough for full matrix-product speed
GROUPS = 128  # minima per row of a tile: one cheap pass finds the few parts worth a look
PIECE = 2**15  # groups opened at once; bounds the memory when a whole tile qualifies
OPEN_SHARE = 64  # above one undecided pair in 64, a float64 product is cheaper than the differences


def knn(
    queries: Features, references: Features, k: int, exclude_self: bool = False
) -> tuple[Features, Features]:
    """The k nearest references of every query, in Euclidean distance, nearest first.

    queries `(m, d)` and references `(n, d)`: NumPy arrays, or tensors on one device. Returns
    distances `(m, k)` and indices `(m, k)` int64 of the same kind and device. The distances are
    float64 if both inputs are float64 or integers, else float32. The order is that of float64
    differences; equal distances come in order of the index. `exclude_self` says that query i IS
    reference i and drops that index; a copy of it under another index stays a neighbour. `frame`
    says which sets are refused.

    Raises ValueError for shapes that do not fit, rows with NaN or infinity, features or distances
    beyond what the arithmetic holds, or k out of `1 <= k <= n` (`n - 1` without self).
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
    if torch.isinf(distances).any():
        raise ValueError("distances go beyond float32: pass all features as float64")
    if isinstance(references, np.ndarray):
        return distances.numpy(), indices.numpy()
    return distances, indices


def nearest(queries: FeatureSet, references: FeatureSet, k: int, exclude_self: bool) -> Pairs:
    """Squared distances (float64, in the frame) and indices of the k nearest, `(m, k)` each.

    See `knn` for the order and `exclude_self`. Raises ValueError if k does not fit.
    """
    available = len(references) - exclude_self
    if not 1 <= k <= available:
        raise ValueError(f"k must lie in 1..{available} for {len(references)} references, got {k}")
    count = min(k + SPARE + exclude_self, len(references))
    found, candidates = _candidates(queries, references, count)
    farthest = found[:, -1].clone()
    if exclude_self:
        own = torch.arange(len(queries), device=found.device)[:, None]
        found.masked_fill_(candidates == own, math.inf)
        found, order = found.sort(dim=1)
        candidates = candidates.gather(1, order)
    margin, floor = _rounding(queries, torch.float32)
    exact = torch.full_like(found, math.inf, dtype=torch.float64)
    rows = torch.arange(len(queries), device=found.device)
    exact[:, :k] = squared_distances(queries, rows, references, candidates[:, :k])
    limits = exact[:, :k].amax(1, keepdim=True)
    doubt = margin * (queries.norms[:, None] + references.norms[candidates[:, k:]]) + floor
    rows, places = (found[:, k:] - doubt <= limits).nonzero(as_tuple=True)
    places += k
    exact[rows, places] = squared_distances(queries, rows, references, candidates[rows, places])
    candidates, order = candidates.sort(dim=1)
    exact, ranks = exact.gather(1, order).sort(dim=1, stable=True)
    squared, indices = exact[:, :k].clone(), candidates.gather(1, ranks)[:, :k].clone()
    if count < len(references):
        # What is no candidate is no nearer than the farthest one, give or take its rounding; and if
        # it is longer than the query and the k-th distance together, it lies beyond the k-th.
        longest = (queries.norms.sqrt() + squared[:, -1].sqrt()).square_()
        unseen = farthest - (margin * (queries.norms + longest) + floor)
        rows = (unseen <= squared[:, -1]).nonzero().squeeze(1)
        squared[rows], indices[rows] = _search_in_double(queries, rows, references, k, exclude_self)
    return squared, indices


def _candidates(queries: FeatureSet, references: FeatureSet, count: int) -> Pairs:
    """What faiss finds nearest: squared distances `(m, count)` float32, rising, and indices."""
    import faiss  # here, because most of those who import this module search nothing

    faiss.omp_set_num_threads(torch.get_num_threads())
    device, width = queries.norms.device, queries.features.shape[1]
    on_gpu = faiss.get_num_gpus() > 0 and count <= GPU_CANDIDATES
    resources = faiss.StandardGpuResources() if on_gpu else None
    found = torch.full((len(queries), count), math.inf, device=device)
    indices = torch.zeros(found.shape, dtype=torch.int64, device=device)
    for columns in blocks(len(references), REFERENCES):
        index = faiss.IndexFlatL2(width)
        if on_gpu:
            index = faiss.index_cpu_to_gpu(resources, device.index or 0, index)
        shard = references.block(columns, torch.float32).cpu().numpy()
        index.add(shard)
        for rows in blocks(len(queries), QUERIES):
            if queries is references and columns.start <= rows.start and rows.stop <= columns.stop:
                block = shard[rows.start - columns.start : rows.stop - columns.start]
            else:
                block = queries.block(rows, torch.float32).cpu().numpy()
            near, names = index.search(block, min(count, index.ntotal))
            near = torch.cat([found[rows], torch.from_numpy(near).to(device)], 1)
            names = torch.cat(
                [indices[rows], torch.from_numpy(names).to(device) + columns.start], 1
            )
            found[rows], order = near.topk(count, largest=False)
            indices[rows] = names.gather(1, order)
    return found, indices


def _keep_nearest(
    squared: Tensor, indices: Tensor, owner: Tensor, other: Tensor, value: Tensor
) -> None:
    """Put pairs (owner, other) at squared distances `value` into the lists of their owners.

    squared and indices `(n, k)` keep, in place and in order, the k smallest by (squared, index).
    """
    count, k = squared.shape
    owners = torch.arange(count, device=squared.device)
    owner = torch.cat([owners.repeat_interleave(k), owner])
    other = torch.cat([indices.flatten(), other])
    value = torch.cat([squared.flatten(), value])
    order = other.argsort()
    for key in (value, owner):
        order = order[key[order].argsort(stable=True)]
    first = torch.searchsorted(owner[order], owners)
    chosen = order[first[:, None] + torch.arange(k, device=squared.device)]
    squared[:], indices[:] = value[chosen], other[chosen]


def _search_in_double(
    queries: FeatureSet, rows: Tensor, references: FeatureSet, k: int, exclude_self: bool
) -> Pairs:
    """`nearest` of some queries from float64 products, where float32 cannot tell neighbours apart."""
    tiles = _Tiles(queries, references, torch.float64)
    squared = queries.norms.new_full((len(rows), k), math.inf)
    indices = torch.zeros_like(squared, dtype=torch.int64)
    for part in blocks(len(rows), TILE):
        chosen = rows[part]
        for columns in blocks(len(references), TILE):
            tile = tiles(chosen, columns)
            if exclude_self:
                names = torch.arange(columns.start, columns.stop, device=rows.device)
                tile.masked_fill_(chosen[:, None] == names, math.inf)
            limits = squared[part, -1].clone()
            if k <= tile.shape[1]:
                farthest = references.norms[columns].max()
                here = tile.kthvalue(k, dim=1).values + tiles.gap(queries.norms[chosen], farthest)
                limits = torch.minimum(limits, here)
            # Columns come in order of the index: k copies found leave no place for another.
            limits[squared[part, -1] == 0] = -math.inf
            open_pairs = (tile <= limits[:, None]) & (tile < math.inf)
            owner, other = open_pairs.nonzero(as_tuple=True)
            other += columns.start
            exact = squared_distances(queries, chosen[owner], references, other)
            _keep_nearest(squared[part], indices[part], owner, other, exact)
    return squared, indices


def _rounding(points: FeatureSet, dtype: torch.dtype) -> tuple[float, float]:
    """`(margin, floor)`: a squared distance from a product is off by `margin * (|a|^2 + |b|^2) + floor`.

    The standard bound of an inner product of d + 2 terms whose sizes add up to 2 (|a|^2 + |b|^2),
    plus the roundings of centring and of the norms (eps / 2 is the unit roundoff), and what
    underflow may lose.
    """
    width, info = points.features.shape[1], torch.finfo(dtype)
    return 1.01 * (width + 16) * info.eps, 8 * (width + 2) * info.tiny


class _Tiles:
    """Tiles of lower bounds of squared distances between rows of one set and rows of another."""

    def __init__(self, left: FeatureSet, right: FeatureSet, dtype: torch.dtype) -> None:
        self.left, self.right, self.dtype = left, right, dtype
        self.margin, self.floor = _rounding(left, dtype)
        self._buffers: dict[str, Tensor] = {}
        self._rows: slice | Tensor | None = None
        self._left_block: Tensor | None = None

    def slack(self, i: Tensor | slice, j: Tensor | slice) -> Tensor:
        """What to add to a lower bound of pair (i, j) for an upper bound."""
        return self.gap(self.left.norms[i], self.right.norms[j])

    def gap(self, norms: Tensor, others: Tensor) -> Tensor:
        """`slack` of pairs of these squared lengths."""
        return 2 * (self.margin * (norms + others) + self.floor)

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

    def _block(self, name: str, points: FeatureSet, rows: slice | Tensor) -> Tensor:
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


class _View(NamedTuple):
    """A tile as its owners see it, who are the rows or the columns.

    lows `(owners, others)`: the tile or its transpose. minima `(owners, groups)`: over each
    groups-th entry of a row of lows. own and range say which rows of their sets these are.
    """

    lows: Tensor
    minima: Tensor
    owners: FeatureSet
    own: slice
    others: FeatureSet
    range: slice

    def below(self, limits: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Entries up to the limit `(owners,)` of their owner, in pieces (owner, other, low)."""
        size, groups = self.lows.shape[1], self.minima.shape[1]
        owners, members = (self.minima <= limits[:, None]).nonzero(as_tuple=True)
        steps = torch.arange(0, size, groups, device=limits.device)
        for part in blocks(len(owners), PIECE):
            owner, other = owners[part, None], members[part, None] + steps
            low = self.lows[owner, other.clamp(max=size - 1)]
            keep = (low <= limits[owner]) & (other < size)
            yield owner.expand_as(other)[keep], other[keep], low[keep]

    def distances(self, owner: Tensor, other: Tensor) -> Tensor:
        """Exact squared distances of pairs, counted from the corner of the tile."""
        i, j = owner + self.own.start, other + self.range.start
        return squared_distances(self.owners, i, self.others, j)

    def gap(self, tiles: _Tiles, owner: Tensor, other: Tensor) -> Tensor:
        """`_Tiles.gap` of pairs."""
        return tiles.gap(self.owners.norms[self.own][owner], self.others.norms[self.range][other])


def _views(tiles: _Tiles, rows: slice, columns: slice) -> tuple[_View, _View]:
    """The tile `(rows, columns)` as its rows see it, and as its columns do."""
    tile = tiles(rows, columns)
    left, right = (tiles.left, rows), (tiles.right, columns)
    by_row = _View(tile, _group_minima(tile), *left, *right)
    return by_row, _View(tile.T, _group_minima(tile.T), *right, *left)


def _group_minima(lows: Tensor) -> Tensor:
    size = lows.shape[1]
    groups = min(size, GROUPS)
    whole = size // groups * groups
    minima = lows[:, :whole].unflatten(1, (-1, groups)).amin(1)
    if rest := size - whole:
        torch.minimum(minima[:, :rest], lows[:, whole:], out=minima[:, :rest])
    return minima


def ball_members(
    real: FeatureSet,
    fake: FeatureSet,
    real_radii: Tensor,
    fake_radii: Tensor,
    inclusive: bool = True,
    nearest_real: Tensor | None = None,
) -> Iterator[tuple[Pairs, Pairs]]:
    """All pairs of a real and a fake sample with one inside the ball of the other, tile by tile.

    Radii `(n,)` and `(m,)` float64 are SQUARED and in the frame, as `nearest` gives them. Each item
    is `(in_real, in_fake)`: index tensors `(real, fake)` of the pairs whose fake sample lies in the
    ball of the real one, and of those whose real sample lies in the ball of the fake one. A ball
    holds its border if `inclusive`. nearest_real `(m,)` float64, infinity at the start, is lowered
    in place to the squared distance of each fake sample to its nearest real one.
    """
    single = _Tiles(real, fake, torch.float32)
    double = _Tiles(real, fake, torch.float64)
    for rows in blocks(len(real), TILE):
        for columns in blocks(len(fake), TILE):
            for tiles in (single, double):
                by_real, by_fake = _views(tiles, rows, columns)
                in_real = _members(tiles, by_real, real_radii[rows], inclusive)
                in_fake = _members(tiles, by_fake, fake_radii[columns], inclusive)
                if in_real is not None and in_fake is not None:
                    break
            if nearest_real is not None:
                _lower_to_nearest(tiles, by_fake, nearest_real[columns])
            yield in_real, in_fake[::-1]


def _members(tiles: _Tiles, view: _View, radii: Tensor, inclusive: bool) -> Pairs | None:
    """Pairs (owner, other) with the other in the owner's ball; None if float32 decides too few."""
    found = [torch.empty(2, 0, dtype=torch.int64, device=radii.device)]
    undecided = 0
    for owner, other, low in view.below(radii):
        limit = radii[owner]
        inside = low + view.gap(tiles, owner, other) < limit
        check = (~inside).nonzero().squeeze(1)
        undecided += len(check)
        if tiles.dtype == torch.float32 and undecided > view.lows.numel() / OPEN_SHARE:
            return None
        exact = view.distances(owner[check], other[check])
        inside[check] = exact <= limit[check] if inclusive else exact < limit[check]
        found.append(torch.stack([owner[inside], other[inside]]))
    owner, other = torch.cat(found, 1)
    return owner + view.own.start, other + view.range.start


def _lower_to_nearest(tiles: _Tiles, view: _View, nearest: Tensor) -> None:
    """Lower squared distances `(owners,)`, in place, to that of the nearest other of the tile."""
    low = view.minima.amin(1)
    norms, farthest = view.owners.norms[view.own], view.others.norms[view.range].max()
    limits = torch.minimum(nearest, low + tiles.gap(norms, farthest))
    for owner, other, _ in view.below(limits):
        nearest.scatter_reduce_(0, owner, view.distances(owner, other), "amin")
