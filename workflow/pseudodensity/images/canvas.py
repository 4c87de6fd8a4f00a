"""Soft-edged shapes for a whole batch of images at once.

Arrays hold the batch in their last axis, so that a parameter of shape (n,) broadcasts against
the (rows, columns, n) pixels as it stands. Coordinates run from 0 to 1, x rightwards and y down.
"""

from __future__ import annotations

import numpy as np

SUPERSAMPLING = 4


class Canvas:
    """n square images, drawn at SUPERSAMPLING times their resolution and averaged at the end.

    Only +, -, *, / and square roots touch the pixels: IEEE 754 fixes these to the bit, so an
    image depends neither on the machine nor on the images beside it.

    Colours are float32 of 0 to 255, (3, n) or (3, 1). Every other parameter is float32 (n,) or one
    number; `where` is an opacity or a truth value for each image.
    """

    def __init__(self, n: int, resolution: int):
        self.resolution = resolution
        self.size = SUPERSAMPLING * resolution
        # An edge fades over one pixel of the finished image.
        self.softness = np.float32(1 / resolution)
        centres = ((np.arange(self.size) + 0.5) / self.size).astype(np.float32)
        self.x = centres[None, :, None]
        self.y = centres[:, None, None]
        self.pixels = np.zeros((3, self.size, self.size, n), np.float32)

    def fill(self, top: np.ndarray, bottom: np.ndarray) -> None:
        """Paint everything, from the colours top (3, n) fading to bottom (3, n)."""
        top, bottom = top[:, None, None], bottom[:, None, None]
        self.pixels[:] = top + (bottom - top) * self.y

    def ellipse(self, colour, x, y, rx, ry, where=1.0, above=None) -> None:
        """Ellipse of centre (x, y) and radii (rx, ry), optionally only its part above a height."""
        smaller = np.minimum(rx, ry, dtype=np.float32)
        grown = 1 + self.softness / smaller
        lowest = y + ry * grown if above is None else above
        rows = self._span(y - ry * grown, lowest)
        columns = self._span(x - rx * grown, x + rx * grown)
        u, v = (self.x[:, columns] - x) / rx, (self.y[rows] - y) / ry
        # Not the exact distance to an ellipse, but close to it where it counts, at the edge.
        cover = self._inside((1 - np.sqrt(u * u + v * v)) * smaller)
        if above is not None:
            cover *= self._inside(above - self.y[rows])
        self._paint(rows, columns, cover * where, colour)

    def rectangle(self, colour, left, top, right, bottom, where=1.0) -> None:
        """Axis-aligned rectangle."""
        rows, columns = self._span(top, bottom), self._span(left, right)
        x, y = self.x[:, columns], self.y[rows]
        across = self._inside(np.minimum(x - left, right - x))
        down = self._inside(np.minimum(y - top, bottom - y))
        self._paint(rows, columns, across * (down * where), colour)

    def triangle(self, colour, x, top, bottom, half_width, where=1.0) -> None:
        """Isosceles triangle with its apex at (x, top) and its base at the height bottom."""
        height = bottom - top
        side = np.sqrt(height * height + half_width * half_width)
        slant = height / side
        # At a sharp corner the soft edge reaches further out than along a straight side.
        above = self.softness * side / half_width
        beside = half_width + self.softness * (side + half_width) / height
        rows, columns = self._span(top - above, bottom), self._span(x - beside, x + beside)
        reach = half_width * (self.y[rows] - top) / height
        cover = self._inside((reach - np.abs(self.x[:, columns] - x)) * slant)
        cover *= self._inside(bottom - self.y[rows])
        self._paint(rows, columns, cover * where, colour)

    def finish(self) -> np.ndarray:
        """The images, box-averaged to their resolution: uint8 (n, 3, R, R)."""
        r, s = self.resolution, SUPERSAMPLING
        cells = self.pixels.reshape(3, r, s, r, s, -1)
        # Added up one by one: the order in which numpy's own mean adds depends on the batch.
        mean = sum(cells[:, :, i, :, j] for i in range(s) for j in range(s)) / s**2
        return np.ascontiguousarray(
            np.rint(mean.clip(0, 255)).astype(np.uint8).transpose(3, 0, 1, 2)
        )

    def _inside(self, distance: np.ndarray) -> np.ndarray:
        """Cover 0..1 from the signed distance to the edge, positive inside: a cubic sigmoid.

        It is exactly 0 beyond the edge, unlike a logistic one, which lets `_span` skip pixels
        without changing any.
        """
        t = np.clip(distance / self.softness + np.float32(0.5), 0, 1)
        return t * t * (3 - 2 * t)

    def _span(self, low, high) -> slice:
        """The rows or columns that any shape of the batch between low and high can touch."""
        first = int(np.floor((np.min(low) - self.softness) * self.size))
        last = int(np.ceil((np.max(high) + self.softness) * self.size))
        first = min(max(first, 0), self.size)
        return slice(first, min(max(last, first), self.size))

    def _paint(self, rows: slice, columns: slice, cover: np.ndarray, colour: np.ndarray) -> None:
        region = self.pixels[:, rows, columns]
        region += cover * (colour[:, None, None] - region)
