"""Rank a folder or an archive of photographs, without config or workflow."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import extract
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.sources import open_source
from pseudodensity.plan.files import FEWEST_IMAGES
from pseudodensity.progress import Progress, logged
from pseudodensity.rank.extractors import Choice
from pseudodensity.rank.outputs import FEWEST_TO_LEARN, Outputs, rank_images

__all__ = ["FIT", "outputs_in", "rank_photographs"]

# As `density` of the embedded config has it, so that the pipeline gives the same table.
FIT = {"n": 1, "seed": 0, "epochs": 30, "batch_size": 64, "dedup": True}
BATCH = 100  # images of one pass; bounds the memory
SHARPEST = 128  # pixels that the pages show of an image, whatever little the features look at


def outputs_in(folder: Path) -> Outputs:
    """The files of a ranking in a folder."""
    return Outputs(*(folder / f"ranking.{kind}" for kind in ("csv", "json", "png", "svg", "html")))


def rank_photographs(
    photos: str | Path,
    out: str | Path,
    choice: Choice,
    *,
    k: int = 10,
    resolution: int | None = None,
    mirror: bool = False,
    max_unreadable: float = 0.1,
) -> tuple[Path, dict[str, Any]]:
    """Rank all images of a folder or zip archive; the folder of the results, and their facts.

    The results of each extractor and k have a folder of their own below `out`. The decoded images
    stand there while it runs: 150 kB for each at 224 px.

    Args:
        k: neighbours of the density.
        resolution: pixels of the side to which the images are cropped and reduced; without it what
            the extractor looks at, and no less than 128.
        mirror: a flipped image counts as a copy.
        max_unreadable: share of files that may fail to decode.

    Raises:
        ValueError: before any work, if the numbers cannot be met; nothing to read, fewer than 10
            images or no more than k; `out` within `photos`; another run in the same folder.
        SystemExit: with one line, if the work fails; the traceback is in `rank.log`.
    """
    photos, out = Path(photos).expanduser(), Path(out).expanduser()
    side = resolution or max(choice.extractor.size, SHARPEST)
    spec = {"kind": "zip" if photos.is_file() else "folder", "path": str(photos), "images": None}
    spec |= {"resolution": side, "max_unreadable": max_unreadable}
    _check(spec, photos, out, k, max_unreadable)
    folder = out / f"{re.sub(r'[^A-Za-z0-9._-]', '-', choice.name)}-k{k}"
    with _alone(folder), logged(folder / "rank.log"):
        decoded = folder / "decoded"
        build_dataset(spec, decoded)
        data = open_dataset(decoded)
        progress = Progress("features", len(data))
        features = extract(choice.extractor, data.images, BATCH, progress=progress)
        settings = {"title": photos.resolve().name, "extractor": choice.name, "k": k}
        settings |= {"n": FIT["n"], "mirror": mirror, "notes": choice.notes}
        network = _network(features, data.manifest["duplicate_of"], k)
        facts = rank_images(outputs_in(folder), data, features, network, settings)
        shutil.rmtree(decoded)
    return folder, facts


def _check(spec: dict[str, Any], photos: Path, out: Path, k: int, max_unreadable: float) -> None:
    """ValueError, one line, for what can be known before any work."""
    if k < 1:
        raise ValueError(f"--k {k}: a density needs 1 neighbour or more")
    if spec["resolution"] < 8:
        raise ValueError(f"--resolution {spec['resolution']}: use 8 or more pixels")
    if not 0 <= max_unreadable <= 1:
        raise ValueError(f"--max-unreadable {max_unreadable}: use a share from 0 to 1")
    if out.resolve().is_relative_to(photos.resolve()):
        raise ValueError(
            f"--out {out} lies in {photos}, so that the pictures written there would be ranked "
            "next time: name a folder elsewhere"
        )
    with closing(open_source(spec["kind"], photos)) as source:
        count = len(source)
    if count < FEWEST_IMAGES:
        raise ValueError(f"{photos} holds {count} images: a ranking needs {FEWEST_IMAGES} or more")
    if k >= count:
        raise ValueError(f"--k {k} needs more than {k} images, and {photos} holds {count}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder belongs to this run until it ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"another run writes to {folder}: wait for it, or name another --out"
            ) from None
        yield


def _network(features: np.ndarray, duplicate_of: list[int | None], k: int) -> PseudoDensity | None:
    """What the pipeline would learn of the density; None if there is too little to learn from."""
    if sum(first is None for first in duplicate_of) < max(FEWEST_TO_LEARN, k + 1):
        return None
    return PseudoDensity.fit(
        features,
        k=k,
        n=FIT["n"],
        seed=FIT["seed"],
        epochs=FIT["epochs"],
        batch_size=FIT["batch_size"],
        dedup=FIT["dedup"],
    )
