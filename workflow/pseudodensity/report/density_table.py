"""The images of a data set by pseudo density."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pseudodensity.density.percentile import percentile

__all__ = ["density_table"]

NEIGHBOURS_SHOWN = 3


def density_table(
    names: Sequence[str],
    pseudo_density: np.ndarray,
    network_density: np.ndarray,
    indices: np.ndarray,
    distances: np.ndarray,
    duplicate_of: Sequence[int | None],
) -> pd.DataFrame:
    """One line per image, from the least dense to the most dense; equal ones in data-set order.

    Columns: file, image (its place in the data set, from 0), pseudo_density, percentile (of it: an
    image is at or above tau = p exactly when its percentile is >= p), network_density,
    neighbour_1..3, distance_1, duplicate_of. Order, percentile and pseudo_density are those of the
    nearest neighbours, which is the density of an image of the set itself. network_density is
    what the network that judges new images would say of it, an estimate of that.

    Args:
        names: file names, N of them.
        pseudo_density: (N,) from the neighbours (main paper, section 3.1), `PseudoDensity.labels`.
        network_density: (N,) from the density network.
        indices, distances: (N, k) nearest other images and their Euclidean distances, ascending;
            copies are among them, whether or not they count for the density.
        duplicate_of: index of the first image with the same pixels, None for a first one.

    Raises:
        ValueError: the lengths differ, or there are no images.
    """
    columns = (pseudo_density, network_density, indices, distances, duplicate_of)
    lengths = [len(names), *(len(column) for column in columns)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"names, densities, neighbours and duplicates have {lengths} entries: "
            "they must be of one data set"
        )
    files = np.asarray(names, dtype=object)
    table = {
        "file": files,
        "image": np.arange(len(files)),
        "pseudo_density": np.asarray(pseudo_density),
        "percentile": percentile(pseudo_density, pseudo_density),
        "network_density": np.asarray(network_density),
    }
    for rank in range(min(NEIGHBOURS_SHOWN, np.shape(indices)[1])):
        table[f"neighbour_{rank + 1}"] = files[np.asarray(indices)[:, rank]]
    table["distance_1"] = np.asarray(distances)[:, 0]
    table["duplicate_of"] = [None if first is None else names[first] for first in duplicate_of]
    return pd.DataFrame(table).sort_values("pseudo_density", kind="stable", ignore_index=True)
