"""The law behind the puzzle of precision: a dense mode and a sparse one, written apart from the package."""

import numpy as np


def two_modes(n: int, dense_share: float, error: float, seed: int) -> np.ndarray:
    """Half a dense mode (sd .3) and half a sparse one (sd 1), and noise of one size on all."""
    generator = np.random.default_rng(seed)
    dense = generator.random(n) < dense_share
    x = generator.standard_normal((n, 16)) * np.where(dense, 0.3, 1.0)[:, None]
    x[dense, 0] += 20
    return (x + error * generator.standard_normal(x.shape)).astype(np.float32)
