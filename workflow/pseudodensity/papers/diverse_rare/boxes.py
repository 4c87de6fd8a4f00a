"""Boxes around images that lie outside a manifold or were not found: in colour, line and corner, so that grey will do."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from pseudodensity.report.drawing import BLACK

__all__ = ["MARKED", "OUTSIDE", "boxed"]

OUTSIDE = "#cc3311"  # a red that colour-blind people tell from black and white
SIDE = 96  # pixels that an image is enlarged to, by a whole factor
MARKED = "Red box with a corner: outside the real manifold of the judge. Dashed box: not found feasible, the start is shown."


def boxed(images: np.ndarray, outside: np.ndarray, missed: np.ndarray | None = None) -> np.ndarray:
    """Images (n, 3, R, R) uint8 enlarged, on white edges that are boxes around those that are marked.

    Args:
        outside: (n,) bool: a red box, with a corner of its colour.
        missed: (n,) bool: a dashed box, black if the image is not outside.

    Returns:
        uint8 (n, 3, S, S). No pixel of an image is hidden but those below a corner.
    """
    missed = np.zeros(len(images), bool) if missed is None else missed
    factor = max(1, round(SIDE / images.shape[-1]))
    side = images.shape[-1] * factor
    edge = max(4, side // 20)
    full = side + 2 * edge
    made = np.full((len(images), 3, full, full), 255, np.uint8)
    enlarged = images.repeat(factor, axis=2).repeat(factor, axis=3)
    made[:, :, edge : edge + side, edge : edge + side] = enlarged
    down, across = np.indices((full, full))
    near = np.minimum(np.minimum(down, across), full - 1 - np.maximum(down, across))
    line = near < edge
    dash = ((down + across) // (3 * edge)) % 2 == 0
    corner = down + across < 6 * edge
    for each, is_outside, is_missed in zip(made, outside, missed, strict=True):
        if is_outside or is_missed:
            drawn = (line & dash if is_missed else line) | (corner & bool(is_outside))
            colour = np.array(to_rgb(OUTSIDE if is_outside else BLACK)) * 255
            each[:, drawn] = colour.round().astype(np.uint8)[:, None]
    return made
