"""Data sets on disk, as every job reads them: images.npy, labels.safetensors where there are labels,
manifest.json.

The manifest is written last and removed first: a folder that has one is whole. Each file is sealed.
Apart from what builds a data set, so that a new kind of data set changes no job that only reads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import ArtifactError, load_json, load_npy
from pseudodensity.images.labels import Labels
from pseudodensity.tensors import load_tensors

__all__ = ["IMAGES", "LABELS", "MANIFEST", "ImageSet", "open_dataset", "open_labels"]

IMAGES, LABELS, MANIFEST = "images.npy", "labels.safetensors", "manifest.json"


@dataclass
class ImageSet:
    """images: uint8 (n, 3, R, R), memory-mapped; labels: None unless the data set has a known law.

    names: one per image; manifest: all that `build_dataset` found out.
    """

    images: np.ndarray
    labels: Labels | None
    names: list[str]
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.images)


def open_dataset(directory: str | Path) -> ImageSet:
    """Open what `build_dataset` wrote; ArtifactError (a ValueError) if it is missing or damaged.

    All images are read once for that, in pieces, so that a job opens a data set once.
    """
    directory = Path(directory)
    manifest = load_json(directory / MANIFEST)
    names, resolution = manifest["names"], manifest["spec"]["resolution"]
    images = load_npy(directory / IMAGES, mapped=True)
    if images.shape != (len(names), 3, resolution, resolution) or images.dtype != np.uint8:
        raise ArtifactError(f"{directory / IMAGES} is not what its manifest says: build it again")
    return ImageSet(images, open_labels(directory), names, manifest)


def open_labels(directory: str | Path) -> Labels | None:
    """The labels of a data set, without a look at its images. ArtifactError: as of `open_dataset`."""
    directory = Path(directory)
    manifest = load_json(directory / MANIFEST)
    if manifest["labels"] is None:
        return None
    tensors, _ = load_tensors(directory / LABELS, spec=manifest["spec"])
    return Labels(**{k: v.numpy() for k, v in tensors.items()}, **manifest["labels"])
