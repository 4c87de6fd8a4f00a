"""Random pictures in the forms in which public data sets come."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

__all__ = ["attributes", "class_folders", "folder", "idx", "lsun"]


def picture(draw: np.random.Generator, side: int) -> Image.Image:
    """A few random colours that run into each other."""
    coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def folder(path: Path, side: int, count: int, seed: int) -> None:
    """PNG files, numbered as FFHQ's are."""
    draw = np.random.default_rng(seed)
    path.mkdir(parents=True)
    for i in range(count):
        picture(draw, side).save(path / f"{i:05d}.png", compress_level=1)


def class_folders(path: Path, side: int, counts: Sequence[int], seed: int) -> None:
    """A folder for each class, as ImageNet has them, with so many images."""
    for label, count in enumerate(counts):
        folder(path / f"n{label:08d}", side, count, seed + label)


def lsun(path: Path, side: int, count: int, seed: int) -> None:
    """An LMDB folder as LSUN ships it: a hexadecimal key of 40 digits -> a WebP file."""
    draw = np.random.default_rng(seed)
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=2**30) as environment, environment.begin(write=True) as put:
        for _ in range(count):
            data = io.BytesIO()
            picture(draw, side).save(data, "WEBP")
            put.put(draw.bytes(20).hex().encode(), data.getvalue())


def idx(images: Path, labels: Path, side: int, count: int, seed: int) -> None:
    """Grey images and their classes, all ten of them, in gzip-compressed IDX files."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(0, 256, (count, side, side), dtype=np.uint8)
    classes = (np.arange(count) % 10).astype(np.uint8)
    for path, array in ((images, pixels), (labels, classes)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        path.write_bytes(gzip.compress(head + array.tobytes(), 1))


def attributes(path: Path, names: Sequence[str], counts: dict[str, int], seed: int) -> None:
    """Predicted attributes of every image of some sets: yes or no at random."""
    draw = np.random.default_rng(seed)
    lines = [",".join(["set", "image", *names])]
    for name, count in counts.items():
        for i in range(count):
            values = draw.choice(["no", "yes"], len(names))
            lines.append(",".join([name, str(i), *values]))
    path.write_text("\n".join(lines) + "\n")
