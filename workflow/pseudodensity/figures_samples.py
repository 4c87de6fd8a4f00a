"""Figures of single samples: moved one by one, and the extremes of density of a model."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.tensors import load_tensors

from .drawing import BLACK, BLUE, ORANGE, page, place, tile, write

__all__ = [
    "draw_extremes",
    "draw_perturbation",
    "extremes_table",
    "load_extremes",
    "load_panels",
    "perturbation_table",
]

ROWS = {"towards": BLUE, "original": BLACK, "away": ORANGE}
CELL, UNDER = 0.9, 0.26  # inches: side of an image, room for its number below
GAP, LABELS, TITLE, MARGIN = 0.06, 1.5, 0.54, 0.2
CAPTION_LINE = 0.19
OBJECTIVES = {
    "density": "pseudo density",
    "discriminator": "discriminator output",
    "random": "random direction",
}

Panel = Mapping[str, Any]


def load_panels(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The panels of `FigureRuns.perturbation_panels` with what their files hold: ``images``
    (3, n, 3, R, R) uint8 and ``density`` (3, n), rows towards, original, away.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    loaded = []
    for panel in panels:
        tensors, _ = load_tensors(panel["samples"])
        shown = {k: tensors[k][:, : panel["columns"]].numpy() for k in ("images", "density")}
        loaded.append({**panel, **shown})
    return loaded


def perturbation_table(panels: Sequence[Panel]) -> pd.DataFrame:
    """One line per image of a figure: what it is, its pseudo density, and the change of it."""
    lines = []
    for panel in panels:
        names = ("block", "model", "dataset", "stands_for", "paper", "objective")
        known = {name: panel[name] for name in (*names, "steps", "step_size", "bound")}
        change = panel["density"] - panel["density"][1]
        for row, values, changes in zip(ROWS, panel["density"], change, strict=True):
            for sample, (value, moved) in enumerate(zip(values, changes, strict=True)):
                lines.append({**known, "row": row, "sample": sample, "density": value})
                lines[-1]["change"] = moved
    return pd.DataFrame(lines)


def draw_perturbation(panels: Sequence[Panel], path: str | Path) -> None:
    """Draw perturbed samples as a PNG: per panel the rows towards, original and away.

    Args:
        panels: of `load_panels`; drawn two beside each other if there are more than three.
        path: the PNG file.
    """
    across = 2 if len(panels) > 3 else 1
    columns = panels[0]["density"].shape[1]
    width = LABELS + columns * (CELL + GAP)
    height = TITLE + len(ROWS) * (CELL + UNDER) + 0.25
    page_width = across * width + (across + 1) * MARGIN
    caption = textwrap.wrap(_perturbation_caption(panels), int(page_width * 13.5))
    page_height = -(-len(panels) // across) * height + CAPTION_LINE * (len(caption) + 1)
    with page(path, page_width, page_height) as figure:
        for i, panel in enumerate(panels):
            left = MARGIN + i % across * (width + MARGIN)
            _draw_panel(figure, panel, left, 0.12 + i // across * height)
        bottom = page_height - CAPTION_LINE * (len(caption) + 0.5)
        write(figure, MARGIN, bottom, "\n".join(caption), fontsize=9, linespacing=1.3)


def _titles(panel: Panel) -> tuple[str, str]:
    """Model and data of a panel with what the data stand for, and what of the paper is replaced."""
    title = f"{panel['model']} on {panel['dataset']}"
    if panel["paper"] == f"{panel['model']} on {panel['stands_for']}":
        return f"{title} (stands for {panel['stands_for']})", ""
    return title, f"in place of {panel['paper']}"


def _draw_panel(figure: Figure, panel: Panel, left: float, top: float) -> None:
    title, replaced = _titles(panel)
    write(figure, left, top, title, fontsize=11.5, fontweight="bold")
    below = "; ".join(filter(None, (f"by {OBJECTIVES[panel['objective']]}", replaced)))
    write(figure, left, top + 0.24, below, fontsize=9.5, color="#444444")
    for i, (row, colour) in enumerate(ROWS.items()):
        line = top + TITLE + i * (CELL + UNDER)
        values = panel["density"][i]
        label = row if row == "original" or panel["objective"] != "random" else "random"
        right = left + LABELS - 0.12
        colour = BLACK if label == "random" else colour
        style = {"ha": "right", "color": colour, "fontweight": "bold", "va": "bottom"}
        write(figure, right, line + CELL / 2, label, **style)
        below = f"mean {values.mean():.3f}"
        write(figure, right, line + CELL / 2 + 0.04, below, ha="right", fontsize=9)
        for j, value in enumerate(values):
            x = left + LABELS + j * (CELL + GAP)
            axes = place(figure, x, line, CELL, CELL)
            axes.imshow(tile(panel["images"][i, j][None], 1), interpolation="auto")
            axes.set_axis_off()
            write(figure, x + CELL / 2, line + CELL + 0.03, f"{value:.3f}", ha="center", fontsize=9)


def _perturbation_caption(panels: Sequence[Panel]) -> str:
    settings = {}
    for panel in panels:
        key = (panel["steps"], panel["step_size"], panel["bound"])
        settings.setdefault(key, []).append(panel["model"])
    described = "; ".join(
        f"{', '.join(dict.fromkeys(models))}: {steps} steps of {size:g}, bound {bound:g}"
        for (steps, size, bound), models in settings.items()
    )
    n = panels[0]["density"].shape[1]
    return (
        f"Per-sample perturbation (Algorithm 1, sign of the gradient). Each column starts from one "
        f"latent, {n} of one seed per panel, not selected; the number is the pseudo density of the "
        f"image above it (real images have a mean of about 1). {described}."
    )


# ------------------------------------------------------------------------------- extremes

SIDES = ("generated", "real")
MIDDLE = 0.35  # inches between the least and the most dense


def load_extremes(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """The panels of `FigureRuns.extreme_panels` with the fields of `Extremes` from their files.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    files = (load_tensors(panel["samples"])[0] for panel in panels)
    return [
        {**panel, **{name: value.numpy() for name, value in tensors.items()}}
        for panel, tensors in zip(panels, files, strict=True)
    ]


def extremes_table(panels: Sequence[Panel]) -> pd.DataFrame:
    """One line per image of Figure 2: what it is, its percentile and its pseudo density."""
    lines = []
    for panel in panels:
        known = {n: panel[n] for n in ("block", "model", "dataset", "stands_for", "paper")}
        for side, prefix in zip(SIDES, ("", "real_"), strict=True):
            shown = (panel["percentile"], panel[f"{prefix}index"], panel[f"{prefix}density"])
            for percentile, index, density in zip(*shown, strict=True):
                line = {**known, "images": side, "percentile": percentile, "index": index}
                lines.append(line | {"density": density})
    return pd.DataFrame(lines)


def draw_extremes(panels: Sequence[Panel], path: str | Path) -> None:
    """Draw the least and the most dense samples of each model above real images, as a PNG.

    Args:
        panels: of `load_extremes`.
        path: the PNG file.
    """
    count = len(panels[0]["density"])
    width = 2 * MARGIN + LABELS + count * (CELL + GAP) + MIDDLE
    height = TITLE + len(SIDES) * (CELL + UNDER) + 0.1
    caption = textwrap.wrap(_extremes_caption(panels), int(width * 13.5))
    page_height = len(panels) * height + CAPTION_LINE * (len(caption) + 1)
    with page(path, width, page_height) as figure:
        for i, panel in enumerate(panels):
            _draw_extreme_rows(figure, panel, 0.12 + i * height)
        bottom = page_height - CAPTION_LINE * (len(caption) + 0.5)
        write(figure, MARGIN, bottom, "\n".join(caption), fontsize=9, linespacing=1.3)


def _draw_extreme_rows(figure: Figure, panel: Panel, top: float) -> None:
    title, replaced = _titles(panel)
    title = ", ".join(filter(None, (title, replaced)))
    write(figure, MARGIN, top, title, fontsize=11.5, fontweight="bold")
    half = len(panel["density"]) // 2
    for first, title, colour in ((0, "least dense", ORANGE), (half, "most dense", BLUE)):
        style = {"fontsize": 9.5, "color": colour, "fontweight": "bold"}
        write(figure, _extreme_left(first, half), top + 0.26, title, **style)
    for i, (side, prefix) in enumerate(zip(SIDES, ("", "real_"), strict=True)):
        line = top + TITLE - 0.06 + i * (CELL + UNDER)
        style = {"ha": "right", "va": "center", "fontweight": "bold"}
        write(figure, MARGIN + LABELS - 0.12, line + CELL / 2, side, **style)
        shown = zip(panel[f"{prefix}images"], panel[f"{prefix}density"], strict=True)
        for j, (image, value) in enumerate(shown):
            x = _extreme_left(j, half)
            axes = place(figure, x, line, CELL, CELL)
            axes.imshow(tile(image[None], 1), interpolation="auto")
            axes.set_axis_off()
            write(figure, x + CELL / 2, line + CELL + 0.03, f"{value:.3f}", ha="center", fontsize=9)


def _extreme_left(column: int, half: int) -> float:
    return MARGIN + LABELS + column * (CELL + GAP) + (MIDDLE if column >= half else 0)


def _extremes_caption(panels: Sequence[Panel]) -> str:
    count = len(panels[0]["density"]) // 2
    return (
        f"The {count} images of lowest and the {count} of highest pseudo density out of "
        f"{panels[0]['generations']:,} generated ones of one seed; below them the real images "
        "whose pseudo densities stand at the same percentiles of all real images. Numbers: pseudo "
        "density by the density network (real images have a mean of about 1)."
    )
