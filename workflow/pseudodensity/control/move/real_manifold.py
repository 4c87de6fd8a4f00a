"""The k-NN manifold of real features, for methods that have to stay in it: membership, and a way back."""

from __future__ import annotations

import torch
from torch import Tensor

from pseudodensity.feature_sets import FeatureSet, blocks, frame, mean
from pseudodensity.neighbors import ball_members, nearest

__all__ = ["RealManifold"]

BLOCK = 4096  # reals at once; bounds the memory of their distances


class RealManifold:
    """The union of balls around real features, each as wide as the distance to its k-th neighbour."""

    def __init__(self, features: Tensor, k: int = 3) -> None:
        """features: (n, d) float of real images, on the device of what is asked about.

        k: neighbours within the set, a sample itself not counted. ValueError: fewer than k + 1
        reals, k below 1, bad features.
        """
        (self._reals,) = frame(real=features)
        if k < 1 or len(features) < k + 1:
            raise ValueError(
                f"k must be 1 or more, and below the number of real images, got k={k} for "
                f"{len(features)}"
            )
        self.features, self.k = features, k
        self._centre = mean(features).to(torch.promote_types(features.dtype, torch.float32))
        self._squared_radii = nearest(self._reals, self._reals, k, exclude_self=True)[0][:, -1]
        self.radii = self._squared_radii.sqrt() / self._reals.scale

    def inside(self, features: Tensor) -> Tensor:
        """Which of some features (m, d) lie in a ball, borders included: (m,) bool.

        Exact, as the precision of `metrics` is. ValueError: another d.
        """
        self._check(features)
        # The frame of the reals serves for all queries, so that nothing is worked out of them twice.
        queries = FeatureSet(features.detach(), self._centre)
        queries.rescale(self._reals.scale)
        found = torch.zeros(len(features), dtype=torch.bool, device=features.device)
        no_balls = torch.zeros(len(features), dtype=torch.float64, device=features.device)
        for (_, members), _ in ball_members(self._reals, queries, self._squared_radii, no_balls):
            found[members] = True
        return found

    def gap(self, features: Tensor) -> Tensor:
        """How far features (m, d) are from the nearest border, (m,): min_r (d_r - radius_r).

        In units of the features, differentiable, not above 0 inside. ValueError: another d.
        """
        self._check(features)
        reals, radii = self.features.to(features.dtype), self.radii.to(features.dtype)
        with torch.no_grad():
            lowest = features.new_full((len(features),), torch.inf)
            ball = torch.zeros(len(features), dtype=torch.int64, device=features.device)
            for rows in blocks(len(reals), BLOCK):
                apart = torch.cdist(features, reals[rows]) - radii[rows]
                here, place = apart.min(1)
                ball = torch.where(here < lowest, place + rows.start, ball)
                lowest = torch.minimum(lowest, here)
        # Only the ball that decides has a gradient.
        return torch.linalg.vector_norm(features - reals[ball], dim=1) - radii[ball]

    def _check(self, features: Tensor) -> None:
        width = self.features.shape[1]
        if features.ndim != 2 or features.shape[1] != width:
            raise ValueError(
                f"the manifold is one of features (n, {width}), got {tuple(features.shape)}: use the "
                "extractor of the real images"
            )
