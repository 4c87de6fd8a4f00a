"""The least and the most dense images of a data set, with their densities and names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.report.drawing import finish, show_images, subtitle, theme

__all__ = ["density_extremes"]

COLUMNS, LINES = 10, 2  # of each of the two grids
CELL, WORDS, TITLE = 0.9, 0.36, 0.4  # inches: image, room below, title
NAME_LENGTH = 13


def density_extremes(table: pd.DataFrame, images: np.ndarray) -> Figure:
    """Both grids go from the extreme inwards; equal densities stand in data-set order, and no image
    stands in both. Copies are left out. With few images the grids are shorter.

    Args:
        table: of `density_table`.
        images: uint8 (N, 3, R, R); only those that are shown are read.

    Raises:
        ValueError: the table and the images are not of one data set, or fewer than two images
            are kept.
    """
    alone = table[table["copy_distance"].isna()]
    if len(images) != len(table) or len(alone) < 2:
        raise ValueError(
            f"there are {len(images)} images, and {len(table)} lines of a table with {len(alone)} "
            "kept images: both must be of one data set with at least 2"
        )
    order = np.argsort(alone["pseudo_density"].to_numpy(), kind="stable")
    count = min(COLUMNS * LINES, len(order) // 2)
    columns = min(COLUMNS, count)
    height = TITLE + -(-count // columns) * (CELL + WORDS)
    ends = {"Least dense": order[:count], "Most dense": order[::-1][:count]}
    with theme():
        figure = Figure(figsize=(max(columns * (CELL + 0.05), 5), 2 * height))
        for axes, (title, chosen) in zip(figure.subplots(2, 1), ends.items(), strict=True):
            lines = alone.iloc[chosen][["pseudo_density", "file"]]
            shown = np.stack([images[i] for i in alone["image"].iloc[chosen]])
            words = [f"{_three_digits(v)}\n{_short(f)}" for v, f in lines.itertuples(index=False)]
            show_images(axes, shown, columns, words)
            subtitle(axes, f"{title} {count} of {len(order):,} images")
        return finish(figure, _caption(table.iloc[0], len(order), len(table) - len(order)))


def _caption(line: pd.Series, kept: int, copies: int) -> str:
    return (
        f"{kept:,} images, {copies:,} near-duplicates left out (up to "
        f"{_three_digits(line['threshold'])} in pixels). Below each image: its pseudo density (1 = mean; "
        f"k = {line['k']} neighbours in features of {line['extractor']}, exponent n = "
        f"{line['n']:g}) and its name."
    )


def _three_digits(value: float) -> str:
    """With trailing zeros, so that neighbours look alike."""
    return f"{value:#.3g}".rstrip(".")


def _short(name: str) -> str:
    """The end of a long name, which is where file names differ."""
    return name if len(name) <= NAME_LENGTH else f"…{name[-NAME_LENGTH + 1 :]}"
