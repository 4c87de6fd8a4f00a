"""Build a data set: from files, from a package, or by drawing procedural scenes."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from pseudodensity.artifacts import atomic_path, save_json, seal_npy
from pseudodensity.images import digits, procedural
from pseudodensity.images.dataset import IMAGES, LABELS, MANIFEST
from pseudodensity.images.idx import IdxImages
from pseudodensity.images.labels import Labels, class_numbers, labels_of_folders
from pseudodensity.images.reading import readable_images
from pseudodensity.images.sources import open_source
from pseudodensity.plan.files import FEWEST_IMAGES
from pseudodensity.progress import Progress
from pseudodensity.tensors import save_tensors

__all__ = ["build_dataset"]

LABELLED = ("procedural", "digits", "idx")
RENDER_BATCH = 256


def build_dataset(
    spec: Mapping[str, Any],
    directory: str | Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write the data set of a spec into a directory, image by image in bounded memory.

    spec: kind (procedural, digits, idx, folder, zip, lmdb), resolution, and: scene and perhaps classes
    (procedural: names of the attributes whose combinations are the classes, all if left out),
    path (the last four), labels (idx), class_folders (folder, zip: the folder of an image is its class),
    images (how many; None for all there are), max_unreadable
    (of the last three: the share of files that may fail to decode, 0 if left out). seed: of the procedural scenes; the others ignore it.
    progress: counts images; their total is set here.

    The first `images` readable ones are taken, in the order of the source. Unreadable ones
    are named with their reason in the manifest, as are images whose pixels are exactly those of
    an earlier one. ValueError: a spec that cannot be met, too many unreadable files, fewer than 10
    readable ones, a full disk.
    """
    kind, resolution = spec.get("kind"), spec.get("resolution")
    if not isinstance(resolution, int) or resolution < 8:
        raise ValueError(f"resolution {resolution!r} of the data set: use a whole number from 8 up")
    wanted = spec.get("images")
    if wanted is not None and (not isinstance(wanted, int) or wanted < 1):
        raise ValueError(f"images {wanted!r} of the data set: use 1 or more, or null for all")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    if kind in LABELLED:
        names, stream, labels = _labelled(spec, seed)
        pairs = zip(names, stream, strict=True)
        found = _write_images(directory / IMAGES, pairs, len(names), spec, progress)
        found["rejected"] = []
    else:
        found = _build_from_source(spec, directory / IMAGES, progress)
        labels = labels_of_folders(found["names"]) if spec.get("class_folders") else None
    facts = _write_labels(directory / LABELS, labels, {**spec, "seed": seed})
    found["counts"] = {
        "images": len(found["names"]),
        "rejected": len(found["rejected"]),
        "duplicates": sum(first is not None for first in found["duplicate_of"]),
    }
    save_json(directory / MANIFEST, {"spec": {**spec, "seed": seed}, "labels": facts, **found})


def _write_labels(
    path: Path, labels: Labels | None, stamp: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Write the labels, if there are some; what the manifest says of them."""
    if labels is None:
        path.unlink(missing_ok=True)
        return None
    tensors = {k: getattr(labels, k) for k in ("categorical", "continuous", "log_prob")}
    save_tensors(path, tensors, stamp)
    told = ("names", "cardinalities", "continuous_names", "classes")
    return {k: getattr(labels, k) for k in told}


def _labelled(spec: Mapping[str, Any], seed: int) -> tuple[list[str], Iterable[np.ndarray], Labels]:
    """Names, images and labels of a data set whose images come with attributes."""
    count, resolution = spec.get("images"), spec["resolution"]
    if spec["kind"] == "digits":
        images, labels = digits.load(resolution)
        count = _take(count, len(images), "scikit-learn's digits")
        return [f"digit-{i:04d}" for i in range(count)], images[:count], labels.head(count)
    if spec["kind"] == "idx":
        source = IdxImages(spec["path"], spec["labels"])
        count = _take(count, len(source), spec["path"])
        _check_count(count, FEWEST_IMAGES, "images", spec["path"])
        names = [f"image-{i:06d}" for i in range(count)]
        return names, source.images(count, resolution), source.labels.head(count)
    if count is None:
        raise ValueError("a procedural data set has no end: say how many `images` it shall have")
    scene = spec.get("scene")
    labels = procedural.sample_labels(scene, range(count), seed)
    labels.classes = spec.get("classes")
    class_numbers(labels)  # refuses a name that is no attribute's, before anything is drawn

    def rendered() -> Iterator[np.ndarray]:
        for start in range(0, count, RENDER_BATCH):
            batch = range(start, min(start + RENDER_BATCH, count))
            yield from procedural.render(scene, batch, resolution, seed)[0]

    return [f"{scene}-{i:06d}" for i in range(count)], rendered(), labels


def _take(wanted: int | None, available: int, where: str) -> int:
    if wanted is not None and wanted > available:
        raise ValueError(
            f"images: {wanted} asked for, but {where} holds {available}: ask for no more than that"
        )
    return available if wanted is None else wanted


def _build_from_source(
    spec: Mapping[str, Any], path: Path, progress: Progress | None
) -> dict[str, Any]:
    """Decode a folder, archive or LMDB into the npy file at path."""
    if not spec.get("path"):
        raise ValueError(f"a data set of kind {spec.get('kind')!r} needs `path`")
    source, where = open_source(spec["kind"], spec["path"]), spec["path"]
    rejected: list[dict[str, str]] = []
    try:
        wanted = spec.get("images")
        count, limit = _take(wanted, len(source), where), spec.get("max_unreadable", 0.0)
        least = FEWEST_IMAGES if wanted is None else count
        _check_count(len(source), least, "image files", where)
        stream = readable_images(source, where, spec["resolution"], count, limit, rejected)
        found = _write_images(path, _enough(stream, least, where), count, spec, progress)
    finally:
        source.close()
    return {**found, "rejected": rejected}


def _enough(
    stream: Iterable[tuple[str, np.ndarray]], least: int, where: str
) -> Iterator[tuple[str, np.ndarray]]:
    """The stream as it is; ValueError at its end if that came too early."""
    taken = 0
    for pair in stream:
        yield pair
        taken += 1
    _check_count(taken, least, "images that can be read", where)


def _check_count(found: int, least: int, what: str, where: str) -> None:
    if found < least:
        raise ValueError(
            f"{where} holds {found} {what}, and {least} are needed: add or mend some, or lower "
            f"`images` (a data set has at least {FEWEST_IMAGES})"
        )


def _write_images(
    path: Path,
    stream: Iterable[tuple[str, np.ndarray]],
    count: int,
    spec: Mapping[str, Any],
    progress: Progress | None,
) -> dict[str, Any]:
    """Write at most count images to an npy file that appears when whole; names and duplicates."""
    shape = (3, spec["resolution"], spec["resolution"])
    _check_disk(path.parent, count * int(np.prod(shape)))
    names: list[str] = []
    duplicate_of: list[int | None] = []
    first_with: dict[bytes, int] = {}
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as file:
            body = _write_header(file, count, shape)
            for name, image in _followed(stream, count, progress):
                pixels = image.tobytes()
                file.write(pixels)
                digest = hashlib.blake2b(pixels, digest_size=16).digest()
                first = first_with.setdefault(digest, len(names))
                duplicate_of.append(None if first == len(names) else first)
                names.append(name)
            # Rejected files leave fewer than planned; numpy pads the header for the number to fit.
            file.seek(0)
            if _write_header(file, len(names), shape) != body:
                raise RuntimeError("numpy changed the size of the npy header")
        seal_npy(temporary)
    groups: dict[int, list[int]] = {}
    for index, first in enumerate(duplicate_of):
        if first is not None:
            groups.setdefault(first, [first]).append(index)
    return {"names": names, "duplicate_of": duplicate_of, "duplicate_groups": list(groups.values())}


def _write_header(file, count: int, shape: tuple[int, ...]) -> int:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count, *shape)}
    npy.write_array_header_1_0(file, header)
    return file.tell()


def _check_disk(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ValueError(
            f"{folder} has {free / 1e9:.2f} GB free, the images need {needed / 1e9:.2f} GB: "
            "make room, or ask for fewer `images` or a lower `resolution`"
        )


def _followed(stream: Iterable, count: int, progress: Progress | None) -> Iterator:
    """The items of a stream, counted; fewer than planned where files are rejected."""
    if progress is None:
        yield from stream
        return
    progress.total, done = count, 0
    progress.update(0)
    for done, item in enumerate(stream, 1):
        yield item
        progress.update(done)
    if done < count:
        progress.say(f"{done} of {count} files are images that can be read")
