"""The least and the most dense images of a data set, with their densities and names.

``inputs``
    ``table``: CSV, one line per image: ``file, image`` (its row in the data set), ``pseudo_density``.
    ``images``: the data set's images.npy, uint8 (N, 3, R, R).
``settings``
    ``extractor``: title of the network in whose features the density was fitted; ``k``: neighbours
    of that density; ``seed``: of the density network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.artifacts import load_npy
from pseudodensity.report.drawing import finish, show_images, subtitle, theme

__all__ = ["density_extremes"]

COLUMNS, LINES = 10, 2  # of each of the two grids
CELL, WORDS, TITLE = 0.9, 0.36, 0.4  # inches: image, room below, title
NAME_LENGTH = 13


def density_extremes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Both grids go from the extreme inwards; equal densities stand in data-set order, and no image
    stands in both. With few images the grids are shorter.

    ValueError: the table and the images are not of one data set of at least two images.
    """
    # A file may be called NA.
    wanted = ["file", "image", "pseudo_density"]
    table = pd.read_csv(inputs["table"], usecols=wanted, dtype={"file": str}, keep_default_na=False)
    images = load_npy(inputs["images"], mapped=True)
    if len(images) != len(table) or len(images) < 2:
        raise ValueError(
            f"there are {len(images)} images and {len(table)} lines in {inputs['table']}: both "
            "must be of one data set of at least 2 images"
        )
    order = np.argsort(table["pseudo_density"].to_numpy(), kind="stable")
    count = min(COLUMNS * LINES, len(order) // 2)
    columns = min(COLUMNS, count)
    height = TITLE + -(-count // columns) * (CELL + WORDS)
    ends = {"Least dense": order[:count], "Most dense": order[::-1][:count]}
    with theme():
        figure = Figure(figsize=(max(columns * (CELL + 0.05), 5), 2 * height))
        for axes, (title, chosen) in zip(figure.subplots(2, 1), ends.items(), strict=True):
            lines = table.iloc[chosen][["pseudo_density", "file"]]
            shown = np.stack([images[i] for i in table["image"].iloc[chosen]])
            words = [f"{_three_digits(v)}\n{_short(f)}" for v, f in lines.itertuples(index=False)]
            show_images(axes, shown, columns, words)
            subtitle(axes, f"{title} {count} of {len(order):,} images")
        caption = (
            f"n = {len(order):,} images. Below each image: its pseudo density (1 = mean of real "
            f"images; density network of seed {settings['seed']} on k = {settings['k']} "
            f"neighbours in features of {settings['extractor']}) and its name."
        )
        return finish(figure, caption)


def _three_digits(value: float) -> str:
    """With trailing zeros, so that neighbours look alike."""
    return f"{value:#.3g}".rstrip(".")


def _short(name: str) -> str:
    """The end of a long name, which is where file names differ."""
    return name if len(name) <= NAME_LENGTH else f"…{name[-NAME_LENGTH + 1 :]}"
