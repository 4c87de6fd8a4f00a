"""Near-duplicates among images: the same picture encoded, resized, cropped or flipped again.

Features are no good judge of copies: what JPEG does to an image may move the features of a network
as far as another image lies. So they only propose pairs, beside the pixels; pixels decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pseudodensity.feature_sets import blocks
from pseudodensity.images.transform import resize, to_float, to_uint8
from pseudodensity.neighbors import knn

__all__ = ["SHARE", "Groups", "near_duplicates"]

SHARE = 0.15  # of the typical distance; measured in docs/own_images.md
TYPICAL = 10  # neighbour whose distance is typical: groups of up to ten images do not move it
PROPOSED = 16  # neighbours of an image that are looked at, in pixels and in features
CONTRAST = 0.5  # of its own contrast that a copy may differ by: faint textures are all alike
SIDE = 16  # pixels at which two images are compared
CROPS = (0.04, 0.08)  # of the side that a light crop takes away
THUMBNAILS, COMPARED, PAIRS = 512, 16, 128  # at once, which bounds the memory


@dataclass(frozen=True)
class Groups:
    """Near-duplicates among N images.

    kept: (N,) int64, the image that stands for each: itself, or for a copy the one it copies.
    distances: (N,) float64, the distance to it, 0 for what stands for itself. numbers: (N,) int64,
    from 1 in the order of the kept images, 0 for an image without copies. threshold: the largest
    distance that counts as a copy. typical: the distance that the threshold is a share of.
    """

    kept: np.ndarray
    distances: np.ndarray
    numbers: np.ndarray
    threshold: float
    typical: float

    @property
    def representatives(self) -> np.ndarray:
        """Indices (m,) int64 of the images that stand for themselves, ascending."""
        return np.flatnonzero(self.kept == np.arange(len(self.kept)))


def near_duplicates(
    images: np.ndarray,
    features: np.ndarray,
    duplicate_of: Sequence[int | None],
    mirror: bool = False,
    share: float = SHARE,
) -> Groups:
    """Group the images that lie within a threshold of the image that is kept for them.

    The distance of two images is the root of the summed squared difference of their pixels at
    16 px, in [-1, 1], where either may be cropped lightly to fit the other, and be flipped with
    `mirror`. The threshold is `share` of the median distance to the tenth neighbour, uncropped; for
    an image of little contrast it is lower, half of the contrast.
    The image with most others within the threshold is kept and takes them all, then the next of
    those left; among equals the first. So each copy is near the image that is kept for it, and
    groups do not grow along a chain of small steps.

    Args:
        images: (N, 3, R, R) uint8, may be memory-mapped.
        features: (N, d), finite; their neighbours are compared too.
        duplicate_of: index of the first image with the same pixels, None for a first one.

    Raises:
        ValueError: fewer than 3 different images; features that `knn` refuses.
    """
    first = np.array([i if other is None else other for i, other in enumerate(duplicate_of)])
    distinct, place = np.unique(first, return_inverse=True)
    if len(distinct) < 3:
        raise ValueError(
            f"{len(distinct)} different images have no typical distance: use 3 or more"
        )
    thumbnails = torch.cat(
        [
            to_uint8(resize(to_float(images[distinct[part]]), 2 * SIDE))
            for part in blocks(len(distinct), THUMBNAILS)
        ]
    )
    pixels = _pixels(thumbnails)
    count = min(PROPOSED, len(distinct) - 1)
    distances, indices = knn(pixels, pixels, count, exclude_self=True)
    typical = float(np.median(distances[:, min(TYPICAL, count) - 1]))
    proposed = [indices, knn(*[features[distinct]] * 2, count, exclude_self=True)[1]]
    if mirror:
        proposed.append(knn(pixels, _pixels(thumbnails.flip(-1)), count)[1])
    near = _near(thumbnails, pixels, np.concatenate(proposed, axis=1), mirror, share * typical)
    kept, distances = _stars(near)
    kept, distances = distinct[kept][place], distances[place]
    return Groups(kept, distances, _numbers(kept), share * typical, typical)


def _pixels(thumbnails: Tensor) -> np.ndarray:
    """Thumbnails (n, 3, 32, 32) uint8, whole, at 16 px: (n, 768) float32."""
    parts = blocks(len(thumbnails), THUMBNAILS)
    return torch.cat([_view(to_float(thumbnails[part]), 0, 0, 1) for part in parts]).numpy()


def _view(thumbnails: Tensor, top: float, left: float, side: float) -> Tensor:
    """A square of thumbnails (n, 3, 32, 32) at 16 px: (n, 768). Place and side are shares."""
    places = (torch.arange(2 * SIDE) + 0.5) / (2 * SIDE) * side
    down, right = torch.meshgrid(2 * (places + top) - 1, 2 * (places + left) - 1, indexing="ij")
    grid = torch.stack([right, down], dim=-1).expand(len(thumbnails), -1, -1, -1)
    seen = F.grid_sample(thumbnails, grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(seen, 2).flatten(1)


def _views(thumbnails: Tensor, mirror: bool) -> Tensor:
    """The whole and its light crops, with their flips if wanted: (n, views, 768)."""
    squares = [(0.0, 0.0, 1.0)]
    for cut in CROPS:
        edges = (0, cut / 2, cut)
        squares += [(top, left, 1 - cut) for top in edges for left in edges]
    sides = [thumbnails, thumbnails.flip(-1)] if mirror else [thumbnails]
    return torch.stack([_view(side, *square) for side in sides for square in squares], dim=1)


def _near(
    thumbnails: Tensor, pixels: np.ndarray, proposed: np.ndarray, mirror: bool, threshold: float
) -> list[dict[int, float]]:
    """For each image those of the proposed within the threshold, and their distances; symmetric."""
    near: list[dict[int, float]] = [{} for _ in thumbnails]
    whole = torch.from_numpy(pixels)
    colours = whole.unflatten(1, (3, -1))
    contrast = torch.linalg.vector_norm(colours - colours.mean(dim=2, keepdim=True), dim=(1, 2))
    limits = (CONTRAST * contrast).clamp(max=threshold)
    for part, pairs in _both_ways(proposed):
        views = _views(to_float(thumbnails[part]), mirror)
        for few in blocks(len(pairs), PAIRS):
            own, other = torch.from_numpy(pairs[few]).T
            gaps = views[own - part.start] - whole[other][:, None]
            distances = torch.linalg.vector_norm(gaps, dim=2).amin(dim=1)
            close = distances <= torch.minimum(limits[own], limits[other])
            near_pairs = pairs[few][close.numpy()].tolist()
            for (i, j), distance in zip(near_pairs, distances[close].tolist(), strict=True):
                near[i][j] = near[j][i] = min(distance, near[i].get(j, distance))
    return near


def _both_ways(proposed: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of images, and the pairs (p, 2) that each has with others, whoever proposed them."""
    count = len(proposed)
    rows, others = np.repeat(np.arange(count), proposed.shape[1]), proposed.ravel()
    # One number for a pair, which sorts faster than pairs do.
    numbers = np.unique(np.concatenate([rows * count + others, others * count + rows]))
    pairs = np.stack(np.divmod(numbers, count), axis=1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    for part in blocks(count, COMPARED):
        start, stop = np.searchsorted(pairs[:, 0], [part.start, part.stop])
        yield part, pairs[start:stop]


def _stars(near: Sequence[dict[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    """For each image the one that is kept for it, and the distance to that."""
    kept, distances = np.arange(len(near)), np.zeros(len(near))
    taken = np.zeros(len(near), dtype=bool)
    for leader in sorted(range(len(near)), key=lambda i: (-len(near[i]), i)):
        if taken[leader]:
            continue
        taken[leader] = True
        for other, distance in near[leader].items():
            if not taken[other]:
                taken[other], kept[other], distances[other] = True, leader, distance
    return kept, distances


def _numbers(kept: np.ndarray) -> np.ndarray:
    """Numbers of groups of two or more, from 1; 0 for the others."""
    _, place, sizes = np.unique(kept, return_inverse=True, return_counts=True)
    return np.where(sizes > 1, np.cumsum(sizes > 1), 0)[place]
