"""From decoded images, their features and a density to the files that people look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import save_json
from pseudodensity.density.duplicates import SHARE, Groups, near_duplicates
from pseudodensity.density.knn import measure_knn_density
from pseudodensity.density.network import PseudoDensity
from pseudodensity.density.quality import agreement_with_truth
from pseudodensity.images.dataset import ImageSet
from pseudodensity.neighbors import knn
from pseudodensity.plan.files import FEWEST_IMAGES
from pseudodensity.report.density_figure import density_extremes
from pseudodensity.report.density_table import NEIGHBOURS_SHOWN, density_table
from pseudodensity.report.drawing import save
from pseudodensity.report.gallery import write_gallery
from pseudodensity.report.table import write_csv

__all__ = ["FEWEST_TO_LEARN", "Outputs", "rank_images"]

FEWEST_TO_LEARN = (
    100  # images: of 12, the network explains less than nothing (R2 -29 when held out)
)


@dataclass(frozen=True)
class Outputs:
    """Where the files go: table, facts, picture twice, page."""

    csv: Path
    json: Path
    png: Path
    svg: Path
    html: Path


def rank_images(
    outputs: Outputs,
    data: ImageSet,
    features: np.ndarray,
    network: PseudoDensity | None,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Write all outputs, each whole or not at all, and return the facts that stand in the JSON.

    Near-duplicates are found first, and one image of each group is kept. The density is that of
    the kept images among themselves (main paper, section 3.1); a copy gets that of its kept image.

    Args:
        data: N decoded images with names, rejected files and exact copies.
        features: (N, d) float32.
        network: its estimate becomes a column, where there are enough images to learn from.
        settings: `title` of the data set, `extractor`, `k`, `n`, `mirror` (a flipped image is a
            copy), and `notes` to show first, a list of sentences.

    Raises:
        ValueError: fewer than 10 kept images, or no more than k.
    """
    k, n, title = settings["k"], settings["n"], settings["title"]
    groups = near_duplicates(
        data.images, features, data.manifest["duplicate_of"], settings["mirror"]
    )
    shown = groups.representatives
    _check_counts(len(shown), len(data), k, title)
    notes = list(settings["notes"])
    estimated = None if network is None else network(features)
    if len(shown) < FEWEST_TO_LEARN:
        estimated = None
        notes.append(
            f"There is no column network_density: what a network learns from {len(shown)} images "
            f"is noise, it takes {FEWEST_TO_LEARN}."
        )
    place = np.searchsorted(shown, groups.kept)
    density = measure_knn_density(features[shown], k, n).values[place]
    distances, indices = knn(
        features[shown], features[shown], min(NEIGHBOURS_SHOWN, len(shown) - 1), exclude_self=True
    )
    named = {name: settings[name] for name in ("extractor", "k", "n")}
    table = density_table(
        data.names, density, estimated, shown[indices][place], distances[place], groups, named
    )
    facts = {
        "settings": named | _threshold(groups, settings["mirror"]),
        "counts": _counts(data, groups),
        # In one order, whether it was just fitted or read from a file.
        "fit": None if estimated is None else dict(sorted(network.report.items())),
        "truth": None
        if estimated is None
        else agreement_with_truth(density, estimated, data.labels),
        "notes": notes,
        "rejected": data.manifest["rejected"],
    }
    write_csv(table, outputs.csv)
    save(density_extremes(table, data.images), outputs.svg, outputs.png)
    write_gallery(outputs.html, title, table, data.images, facts)
    save_json(outputs.json, facts)
    return facts


def _check_counts(kept: int, images: int, k: int, title: str) -> None:
    copies = f" beside {images - kept} copies" if kept < images else ""
    if kept < FEWEST_IMAGES:
        raise ValueError(
            f"{title} has {kept} different images{copies}: a ranking needs {FEWEST_IMAGES} or more"
        )
    if k >= kept:
        raise ValueError(
            f"k = {k} is too large for the {kept} different images{copies} of {title}: use a k "
            f"from 1 to {kept - 1}"
        )


def _threshold(groups: Groups, mirrored: bool) -> dict[str, Any]:
    return {
        "threshold": groups.threshold,
        "share": SHARE,
        "typical_distance": groups.typical,
        "mirrored_copies": mirrored,
    }


def _counts(data: ImageSet, groups: Groups) -> dict[str, int]:
    """files = images + rejected, images = kept + copies."""
    kept, rejected = len(groups.representatives), len(data.manifest["rejected"])
    return {
        "files": len(data) + rejected,
        "rejected": rejected,
        "images": len(data),
        "kept": kept,
        "copies": len(data) - kept,
        "exact_copies": sum(first is not None for first in data.manifest["duplicate_of"]),
        "groups": int(groups.numbers.max()),
    }
