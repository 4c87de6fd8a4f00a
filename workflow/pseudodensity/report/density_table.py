"""The images of a data set by pseudo density, and what each column of the table says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pseudodensity.density.percentile import percentile

if TYPE_CHECKING:  # it stands on torch, which a table does not need
    from pseudodensity.density.duplicates import Groups

__all__ = ["GLOSSARY", "density_table"]

NEIGHBOURS_SHOWN = 3

# Column -> what it says, in the order of the table.
GLOSSARY = {
    "file": "name of the image file",
    "image": "place of the image in the data set, from 0; rejected files have none",
    "pseudo_density": "inverse mean distance to the k nearest kept images, to the power n; mean 1 "
    "over the kept images. High is typical, low is unusual. A copy has that of its kept image",
    "percentile": "percent of the kept images that are less dense, in hundredths: a threshold at "
    "percentile p lets an image through exactly when its percentile is at least p",
    "network_density": "what the network that judges generated images says of the image, an estimate",
    "neighbour_1..3": "the nearest other kept images; of a copy, those of its kept image",
    "distance_1": "Euclidean distance in the features to neighbour_1",
    "group": "number of the group of near-duplicates; empty for an image without any",
    "kept": "file that stands for the image: its own name, or for a copy the image it copies",
    "copy_distance": "distance of a copy to its kept image in pixels at 16 px; else empty",
    "extractor": "the network whose features are compared",
    "k": "neighbours of the density, without the image itself",
    "n": "exponent of the density",
    "threshold": "distance in pixels up to which an image is a copy of the one that is kept",
}


def density_table(
    names: Sequence[str],
    pseudo_density: np.ndarray,
    network_density: np.ndarray | None,
    indices: np.ndarray,
    distances: np.ndarray,
    groups: Groups,
    settings: Mapping[str, object],
) -> pd.DataFrame:
    """One line per image, from the least dense to the most dense; equal ones in data-set order.

    The columns are those of `GLOSSARY`. network_density is left out if it is None, and so are
    neighbours that do not exist. The percentile is that among the kept images.

    Args:
        names: file names, N of them.
        pseudo_density: (N,) from the neighbours (main paper, section 3.1), a copy's that of the
            image that is kept for it.
        network_density: (N,) from the density network, or None.
        indices, distances: (N, m) nearest other kept images and their Euclidean distances,
            ascending.
        groups: near-duplicates among the N images.
        settings: extractor, k and n, written on each line so that tables can be joined.

    Raises:
        ValueError: the lengths differ, or there are no images.
    """
    columns = [pseudo_density, indices, distances, groups.kept]
    columns += [] if network_density is None else [network_density]
    lengths = [len(names), *map(len, columns)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"names, densities, neighbours and groups have {lengths} entries: "
            "they must be of one data set"
        )
    files, kept = np.asarray(names, dtype=object), np.asarray(groups.kept)
    is_copy = kept != np.arange(len(files))
    table = {
        "file": files,
        "image": np.arange(len(files)),
        "pseudo_density": np.asarray(pseudo_density),
        "percentile": percentile(np.asarray(pseudo_density)[~is_copy], pseudo_density),
    }
    if network_density is not None:
        table["network_density"] = np.asarray(network_density)
    for rank in range(min(NEIGHBOURS_SHOWN, np.shape(indices)[1])):
        table[f"neighbour_{rank + 1}"] = files[np.asarray(indices)[:, rank]]
    table["distance_1"] = np.asarray(distances)[:, 0]
    table["group"] = pd.array([number or None for number in groups.numbers], dtype="Int64")
    table["kept"] = files[kept]
    table["copy_distance"] = np.where(is_copy, groups.distances, np.nan)
    for name in ("extractor", "k", "n"):
        table[name] = settings[name]
    table["threshold"] = groups.threshold
    return pd.DataFrame(table).sort_values("pseudo_density", kind="stable", ignore_index=True)
