"""Labelled images in a pair of gzip-compressed IDX files, as MNIST and Fashion-MNIST ship."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pseudodensity.artifacts import one_line
from pseudodensity.images.labels import labels_of_classes
from pseudodensity.images.transform import resize, to_float, to_uint8
from pseudodensity.plan.files import place_of

__all__ = ["IdxImages"]

# IDX: two bytes of zero, the kind of number (8: unsigned bytes), the number of dimensions; then the
# sizes as big-endian uint32, then the numbers, the last dimension first.
UNSIGNED_BYTES = b"\x00\x00\x08"
MOST_BYTES = 2 * 2**30  # of one file, unpacked; the 70,000 of MNIST have 55 MB
SIDES = range(8, 2049)  # pixels, as everywhere else
STEP_BYTES = 2**22  # pixels resized at once


class IdxImages:
    """Images of a file of IDX with three dimensions, classes of one with one dimension.

    Nothing is unpacked beyond what the headers announce. ValueError, one line: no such file, not
    gzip, not IDX, cut short, longer than announced, larger than 2 GiB, images that are no squares
    of 8 to 2048 px, another number of classes than of images.
    """

    def __init__(self, path: str | Path, labels: str | Path):
        """path: file of images. labels: file of their classes, one byte each."""
        self.path = place_of("idx", path)
        with _opened(self.path, 3) as file:
            count, height, width = file.shape
        if height != width or height not in SIDES:
            raise ValueError(
                f"{path} holds images of {height} x {width} px: give squares of 8 to 2048 px"
            )
        with _opened(place_of("idx", labels), 1) as file:
            if file.shape != (count,):
                raise ValueError(
                    f"{labels} holds {file.shape[0]} labels and {path} {count} images: give the two "
                    "files of one split"
                )
            classes = file.read(count)
            file.check_end()
        self.labels = labels_of_classes(classes)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, count: int, resolution: int) -> Iterator[np.ndarray]:
        """The first images as uint8 (3, R, R), grey repeated; the file is read to its end."""
        with _opened(self.path, 3) as file:
            _, side, _ = file.shape
            step = max(1, STEP_BYTES // side**2)
            for start in range(0, len(self), step):
                pixels = file.read(min(step, len(self) - start) * side**2)
                wanted = pixels.reshape(-1, 1, side, side)[: max(count - start, 0)]
                if len(wanted):
                    grey = to_uint8(resize(to_float(wanted), resolution))
                    yield from grey.expand(-1, 3, -1, -1).contiguous().numpy()
            file.check_end()


@contextmanager
def _opened(path: Path, dimensions: int) -> Iterator[_Idx]:
    with gzip.open(path) as file:
        yield _Idx(path, file, dimensions)


class _Idx:
    """One file, opened: its shape, and its bytes in order."""

    def __init__(self, path: Path, file: gzip.GzipFile, dimensions: int):
        self.path, self.file = path, file
        if self._bytes(4) != UNSIGNED_BYTES + bytes([dimensions]):
            raise ValueError(
                f"{path} is no IDX file of bytes in {dimensions} dimensions: are images and labels "
                "exchanged?"
            )
        self.shape = tuple(int(n) for n in np.frombuffer(self._bytes(4 * dimensions), ">u4"))
        size = math.prod(self.shape)
        if not 0 < size <= MOST_BYTES:
            raise ValueError(f"{path} announces {size:,} bytes: give a file of 1 to {MOST_BYTES:,}")

    def read(self, size: int) -> np.ndarray:
        """The next bytes, uint8 (size,)."""
        return np.frombuffer(bytearray(self._bytes(size)), np.uint8)

    def check_end(self) -> None:
        """ValueError: there is more than the header announces, or the checksum is wrong."""
        if self._unpacked(1):
            raise ValueError(f"{self.path} is longer than its header announces: get it again")

    def _bytes(self, size: int) -> bytes:
        found = self._unpacked(size)
        if len(found) != size:
            raise ValueError(f"{self.path} ends before what its header announces: get it again")
        return found

    def _unpacked(self, size: int) -> bytes:
        try:
            return self.file.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{self.path} is no whole gzip file ({one_line(error)}): get it again"
            ) from None
