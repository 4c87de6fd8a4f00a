"""Pictures inside the page: figures, and strips of samples on the same latents, as WebP in data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pseudodensity.artifacts import ArtifactError, load_npy, one_line
from pseudodensity.report.samples import load_arrays

__all__ = ["Picture", "figure", "first_images", "moved_images", "strip"]

SAMPLES = 10  # of a strip
LARGEST_SIDE = (
    96  # pixels of a sample in a strip; smaller ones keep theirs, and the browser enlarges
)
LOSSLESS_SIDE = 32  # small samples lose too much, and cost little
MOST_PIXELS = 100_000_000  # of a figure


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with its size in pixels."""

    uri: str
    width: int
    height: int


def figure(path: str | Path, width: int) -> Picture:
    """A drawn figure (PNG), no wider than `width` pixels.

    ArtifactError: it is damaged, or larger than any figure of ours.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            picture = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        message = f"{path} is no figure of ours ({one_line(error)}): delete it and run again"
        raise ArtifactError(message) from None
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return _webp(picture, lossless=False)


def strip(images: np.ndarray) -> Picture:
    """Samples side by side. images: uint8 (n, 3, R, R), n at least 1."""
    row = Image.fromarray(
        np.ascontiguousarray(np.concatenate(images.transpose(0, 2, 3, 1), axis=1))
    )
    side = row.height
    if side > LARGEST_SIDE:
        size = (len(images) * LARGEST_SIDE, LARGEST_SIDE)
        row = row.resize(size, Image.Resampling.LANCZOS)
    return _webp(row, lossless=side <= LOSSLESS_SIDE)


def _webp(image: Image.Image, lossless: bool) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=80, method=6)
    text = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/webp;base64,{text}", image.width, image.height)


def first_images(path: str | Path) -> np.ndarray:
    """The first stored images of a pool: uint8 (up to `SAMPLES`, 3, R, R). ArtifactError: it is no
    such file."""
    images = load_npy(path, mapped=True, checked=False)
    return _checked(np.asarray(images[:SAMPLES]), path)


def moved_images(path: str | Path) -> dict[str, np.ndarray]:
    """Samples of an artefact of moved ones by row: towards, original, away, each as `first_images`.
    ArtifactError: it is no such file."""
    found = load_arrays(path, ["images"])["images"]
    if found.ndim != 5 or len(found) != 3:
        raise ArtifactError(f"{path} holds no three rows of images: delete it and run again")
    rows = zip(("towards", "original", "away"), found[:, :SAMPLES], strict=True)
    return {name: _checked(images, path) for name, images in rows}


def _checked(images: np.ndarray, path: str | Path) -> np.ndarray:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ArtifactError(f"{path} holds no images: delete it and run again")
    return images
