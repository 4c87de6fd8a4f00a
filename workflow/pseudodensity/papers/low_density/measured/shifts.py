"""Images that no training set holds, made from real ones by transforms that are said in full."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

__all__ = ["edges", "posterised"]


def edges(images: np.ndarray) -> np.ndarray:
    """Sketch-like images (n, 3, R, R) uint8: bright edges on black.

    The length of Sobel's gradient of the mean of the channels, borders continued, over its largest value in the
    image. An image of one colour is black.
    """
    grey = images.mean(axis=1)
    slopes = []
    for along, across in ((-1, -2), (-2, -1)):
        slope = correlate1d(grey, [-1, 0, 1], axis=along, mode="nearest")
        slopes.append(correlate1d(slope, [1, 2, 1], axis=across, mode="nearest"))
    lengths = np.hypot(*slopes)
    largest = lengths.max(axis=(1, 2), keepdims=True)
    shares = np.divide(lengths, largest, out=np.zeros_like(lengths), where=largest > 0)
    return np.repeat(np.rint(255 * shares).astype(np.uint8)[:, None], 3, axis=1)


def posterised(images: np.ndarray, levels: int) -> np.ndarray:
    """Rendition-like images uint8: every channel at the nearest of so many even levels from 0 to 255."""
    step = 255 / (levels - 1)
    return np.rint(np.rint(images / step) * step).astype(np.uint8)
