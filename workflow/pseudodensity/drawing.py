"""What all figures share: a page in one style, places on it in inches, tiled images, colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .artifacts import atomic_path

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "crosses",
    "page",
    "place",
    "precision_recall_axes",
    "tile",
    "write",
]

# Okabe and Ito's palette: told apart with every common form of colour blindness.
BLACK, GREY, BLUE, ORANGE, GREEN = "#000000", "#777777", "#0072B2", "#D55E00", "#009E73"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "svg.hashsalt": "pseudodensity",
}
DPI = 150
CELL_PIXELS = 96  # images are enlarged to about this size


def tile(images: np.ndarray, columns: int) -> np.ndarray:
    """Images side by side on white, enlarged by a whole factor (nearest neighbour).

    Args:
        images: uint8 (n, 3, R, R).
        columns: images per line; the last line may be shorter.

    Returns:
        uint8 (height, width, 3).
    """
    n, _, size, _ = images.shape
    factor = max(1, round(CELL_PIXELS / size))
    gap = max(2, size * factor // 24)
    cell = size * factor + gap
    lines = -(-n // columns)
    canvas = np.full((lines * cell - gap, columns * cell - gap, 3), 255, dtype=np.uint8)
    enlarged = images.transpose(0, 2, 3, 1).repeat(factor, axis=1).repeat(factor, axis=2)
    for i, image in enumerate(enlarged):
        top, left = i // columns * cell, i % columns * cell
        canvas[top : top + cell - gap, left : left + cell - gap] = image
    return canvas


@contextmanager
def page(path: str | Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of width x height inches in the common style, saved when the block ends.

    path: ``.png`` or ``.svg``; the same figure gives the same bytes.
    """
    kind = Path(path).suffix[1:]
    # An SVG would hold the date, and names of its parts at random.
    metadata = {"Date": None} if kind == "svg" else None
    with matplotlib.rc_context(STYLE), atomic_path(path) as temporary:
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(temporary, format=kind, facecolor="white", metadata=metadata)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the upper left corner."""
    page_width, page_height = figure.get_size_inches()
    bottom = page_height - top - height
    return figure.add_axes(
        (left / page_width, bottom / page_height, width / page_width, height / page_height)
    )


def write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    """Text at a place in inches from the upper left corner."""
    width, height = figure.get_size_inches()
    figure.text(left / width, 1 - top / height, text, **({"va": "top"} | style))


def crosses(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    """Faint intervals of precision and recall: columns of either name, `_low` and `_high`."""
    bars = {
        f"{axis}err": [
            (points[name] - points[f"{name}_low"]).clip(lower=0),
            (points[f"{name}_high"] - points[name]).clip(lower=0),
        ]
        for axis, name in (("x", "recall"), ("y", "precision"))
    }
    style = {"ls": "none", "elinewidth": 0.7, "alpha": 0.3, "zorder": 1}
    axes.errorbar(points["recall"], points["precision"], **bars, color=colour, **style)


def precision_recall_axes(axes: Axes) -> None:
    """Labels and grid of precision over recall."""
    axes.set_xlabel("recall (diversity) →")
    axes.set_ylabel("precision (fidelity) →")
    axes.grid(color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)
