"""Pictures of the results: Table 1 with samples, and the extremes of density of a data set."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pseudodensity.tensors import load_tensors

from .drawing import BLACK, BLUE, GREEN, GREY, ORANGE, page, place, tile, write

__all__ = ["draw_density_extremes", "draw_table1", "load_images", "tile"]

COLOURS = {
    "pretrained": BLACK,
    "precision": BLUE,
    "recall": ORANGE,
    "fid": GREEN,
    "control": GREY,
    "control_fid": GREY,
}
# Rows of samples from dense to sparse, as in the paper's Figure 5.
GRID_ROWS = {
    "real": "real images",
    "precision": "towards fidelity",
    "pretrained": "pre-trained",
    "recall": "towards diversity",
}
MIN_SPAN = 0.08  # shortest range of a precision or recall axis, so that noise does not look large


def load_images(
    rows: Sequence[Mapping[str, Any]], real: Mapping[str, str | Path], columns: int = 12
) -> dict[str, dict[str, np.ndarray]]:
    """Images for `draw_table1`: block -> grid row (real, pretrained, ...) -> uint8 (n, 3, R, R).

    Samples are the first `columns` of the first training seed, from the same latents in each
    setting; real images are taken at equal steps through the data set.

    Args:
        rows: `Plan.table1_rows()`.
        real: block -> npy file with the images of its data set, uint8 (N, 3, R, R).
        columns: images per grid row.

    Raises:
        ArtifactError: a file of samples is missing or damaged.
    """
    images: dict[str, dict[str, np.ndarray]] = {}
    for row in rows:
        block = images.setdefault(row["block"], {})
        if not block:
            reals = np.load(real[row["block"]], mmap_mode="r", allow_pickle=False)
            steps = np.linspace(0, len(reals) - 1, min(columns, len(reals))).astype(int)
            block["real"] = np.asarray(reals[steps])
        if row["setting"] in GRID_ROWS and row["setting"] not in block:
            tensors, _ = load_tensors(row["samples"])
            block[row["setting"]] = tensors["images"][:columns].numpy()
    return images


# ------------------------------------------------------------------------------------ table 1

LABELS, GRID, PLOT = 1.75, 7.6, 2.75  # widths in inches
GUTTER, MARGIN = 0.85, 0.15
HEAD, TITLE, PANEL, FOOT = 0.75, 0.4, 2.55, 0.75  # heights in inches
PITCH = TITLE + PANEL + FOOT
CAPTION_LINE, CAPTION_WIDTH = 0.2, 185


def draw_table1(
    table: pd.DataFrame, images: Mapping[str, Mapping[str, np.ndarray]], path: str | Path
) -> None:
    """Draw Table 1 as a PNG: per block samples on the same latents, and recall against precision.

    Args:
        table: of `tables.table1`; its blocks are drawn in order.
        images: of `load_images`.
        path: the PNG file.
    """
    blocks = [lines.set_index("role") for _, lines in table.groupby("block", sort=False)]
    caption = textwrap.wrap(_caption(table), CAPTION_WIDTH)
    width = LABELS + GRID + GUTTER + PLOT + 2 * MARGIN
    height = HEAD + len(blocks) * PITCH + CAPTION_LINE * (len(caption) + 1)
    with page(path, width, height) as figure:
        _legend(figure, blocks)
        for i, lines in enumerate(blocks):
            top = HEAD + i * PITCH
            write(figure, MARGIN, top, _title(lines), fontsize=13, fontweight="bold")
            _draw_grid(figure, lines, images[lines["block"].iloc[0]], top + TITLE)
            left = MARGIN + LABELS + GRID + GUTTER
            _draw_trade_off(place(figure, left, top + TITLE, PLOT, PANEL), lines)
        bottom = HEAD + len(blocks) * PITCH
        write(figure, MARGIN, bottom, "\n".join(caption), fontsize=9.5, linespacing=1.35)


def _title(lines: pd.DataFrame) -> str:
    first = lines.iloc[0]
    stand_in = first["stands_for"]
    aside = f" (stands for {stand_in})" if isinstance(stand_in, str) else ""
    return f"{first['model']} on {first['dataset']}{aside}"


def _caption(table: pd.DataFrame) -> str:
    """Counts, and what the pictures and the bars are; blocks that differ are listed."""
    models = table[~table["role"].str.startswith("oracle")]
    counts = []
    for key, lines in models.groupby(["n_fake", "n_real", "k", "spread_of"], sort=False):
        n_fake, n_real, k, spread_of = key
        text = (
            f"{n_fake:,.0f} generated against {n_real:,.0f} real images, k = {k:.0f}, {spread_of}"
        )
        counts.append((text, ", ".join(lines["block"].unique())))
    described = "; ".join(f"{blocks}: {text}" for text, blocks in counts)
    if len(counts) == 1:
        described = counts[0][0]
    return (
        "Left: each column has the same latent in all rows but the first, whose real images are "
        "taken at equal steps through the data set; density is the mean pseudo density of all "
        "samples of the row. Right: arrows lead from the pre-trained model to its fine-tuned "
        "versions; the control is fine-tuned with w = 1 on as many images (the smaller square: as "
        "many as the FID row). Stars: how precision and recall of real images change when they are "
        "reweighted with the same tau and w, drawn from the pre-trained model's place. Bars: one "
        "standard deviation over sampling repeats, or over training seeds where there are several. "
        f"{described}."
    ).replace(" = ", "\u00a0=\u00a0")


def _draw_grid(
    figure: Figure, lines: pd.DataFrame, images: Mapping[str, np.ndarray], top: float
) -> None:
    """Rows of samples with their names and mean densities to the left."""
    shown = [role for role in GRID_ROWS if role in images]
    columns = max(len(images[role]) for role in shown)
    height = min(PANEL / len(shown), GRID / columns)
    for i, role in enumerate(shown):
        # The real images as a whole are the oracle's plain line.
        line = lines.loc["oracle" if role == "real" else role]
        axes = place(figure, MARGIN + LABELS, top + i * height, GRID, height * 0.96)
        axes.imshow(tile(images[role], columns), interpolation="auto")
        axes.set_anchor("NW")
        axes.set_axis_off()
        weight = f"w = {line['w']:g}, " if role in ("precision", "recall") else ""
        right, middle = MARGIN + LABELS - 0.12, top + (i + 0.48) * height
        name = {"ha": "right", "color": COLOURS.get(role, BLACK), "fontweight": "bold"}
        write(figure, right, middle - 0.02, GRID_ROWS[role], va="bottom", **name)
        below = f"{weight}density {line['mean_pseudo_density']:.2f}"
        write(figure, right, middle + 0.04, below, ha="right", fontsize=9.5, color="#444444")


def _draw_trade_off(axes: Axes, lines: pd.DataFrame) -> None:
    """Recall against precision: the models with arrows, controls, and the oracle's changes."""
    start = lines.loc["pretrained", ["recall", "precision"]].to_numpy(float)
    for role, colour in COLOURS.items():
        if role not in lines.index:
            continue
        line = lines.loc[role]
        control = role.startswith("control")
        marker = {"marker": "s" if control else "o", "ms": 4.5 if role == "control_fid" else 6.5}
        axes.errorbar(
            line["recall"],
            line["precision"],
            xerr=_bar(line["recall_spread"]),
            yerr=_bar(line["precision_spread"]),
            color=colour,
            elinewidth=1.2,
            capsize=2.5,
            zorder=3,
            **marker,
        )
        if role in ("precision", "recall", "fid"):
            arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.6, "shrinkA": 5, "shrinkB": 5}
            end = line[["recall", "precision"]].to_numpy(float)
            axes.annotate("", end, start, arrowprops=arrow, zorder=2)
    _draw_oracle(axes, lines, start)
    _set_ranges(axes)
    axes.set_xlabel("recall (diversity) →")
    axes.set_ylabel("precision (fidelity) →")
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.set_axisbelow(True)


def _draw_oracle(axes: Axes, lines: pd.DataFrame, start: np.ndarray) -> None:
    """The oracle's changes as stars, drawn from `start`; its own place would set the scale."""
    plane = ["recall", "precision"]
    for role in ("precision", "recall", "fid"):
        change = lines.loc[f"oracle_{role}", plane] - lines.loc["oracle", plane]
        end = start + change.to_numpy(float)
        colour = COLOURS[role]
        axes.plot(*zip(start, end, strict=True), ls=":", color=colour, lw=1.2, zorder=1)
        axes.plot(*end, marker="*", ms=11, mfc="white", mec=colour, mew=1.2, zorder=2.5)


def _bar(spread: float) -> float | None:
    return None if pd.isna(spread) else float(spread)


def _set_ranges(axes: Axes) -> None:
    """Room around the marks, and no range so short that noise fills it."""
    axes.margins(0.1)
    for limits, set_limits in ((axes.get_xlim(), axes.set_xlim), (axes.get_ylim(), axes.set_ylim)):
        middle, half = sum(limits) / 2, max(limits[1] - limits[0], MIN_SPAN) / 2
        set_limits(middle - half, middle + half)
    axes.locator_params(nbins=5)


def _legend(figure: Figure, blocks: Sequence[pd.DataFrame]) -> None:
    """One legend for all panels; weights that differ between blocks are left to the table."""

    def entry(label: str, **style: Any) -> Line2D:
        return Line2D([], [], **({"ls": "none", "marker": "o", "ms": 7, "label": label} | style))

    def weights(role: str) -> str:
        found = {lines.loc[role, "w"] for lines in blocks if role in lines.index}
        return f"w = {found.pop():g}" if len(found) == 1 else "w near 1"

    entries = [
        entry("pre-trained", color=BLACK),
        entry(f"towards fidelity ({weights('precision')})", color=BLUE),
        entry(f"towards diversity ({weights('recall')})", color=ORANGE),
        entry(f"for FID ({weights('fid')})", color=GREEN),
        entry("control (w = 1)", color=GREY, marker="s"),
        entry("change of the oracle", marker="*", ms=11, mfc="white", mec=BLACK, color=GREY),
    ]
    anchor = {"loc": "upper center", "bbox_to_anchor": (0.5, 1 - 0.12 / figure.get_figheight())}
    figure.legend(handles=entries, ncols=len(entries), frameon=False, columnspacing=1.6, **anchor)


# -------------------------------------------------------------------------- density extremes

THUMB, THUMB_GAP, UNDER = 0.88, 0.12, 0.38  # inches: image, gap beside it, room for text below
NAME_LENGTH = 14


def draw_density_extremes(
    images: np.ndarray,
    density: np.ndarray,
    names: Sequence[str],
    path: str | Path,
    columns: int = 12,
    lines: int = 2,
) -> None:
    """Draw the least and the most dense images of a data set, each with its density and name.

    Both grids go from the extreme inwards; equal densities stand in data-set order.

    Args:
        images: uint8 (N, 3, R, R), an array or a memory map.
        density: (N,), for example of `density.knn_density`.
        names: N file names.
        path: the PNG file.
        columns, lines: shape of each of the two grids; with few images the grids are shorter.

    Raises:
        ValueError: the lengths differ, or there are fewer than 2 images.
    """
    if not len(images) == len(density) == len(names) or len(images) < 2:
        raise ValueError(
            f"there are {len(images)} images, {len(density)} densities and {len(names)} names: "
            "pass one of each for at least 2 images"
        )
    order = np.argsort(density, kind="stable")
    count = min(columns * lines, len(order) // 2)
    used = -(-count // columns)
    width = columns * (THUMB + THUMB_GAP) + THUMB_GAP + 2 * MARGIN
    pitch = 0.45 + used * (THUMB + UNDER)
    with page(path, width, 2 * pitch + 0.3) as figure:
        parts = (("Least dense", order[:count]), ("Most dense", order[::-1][:count]))
        for part, (title, chosen) in enumerate(parts):
            top = 0.15 + part * (pitch + 0.1)
            heading = f"{title} {count} of {len(order):,} images (pseudo density, name)"
            write(figure, MARGIN + THUMB_GAP, top, heading, fontsize=13, fontweight="bold")
            for position, index in enumerate(chosen):
                left = MARGIN + THUMB_GAP + position % columns * (THUMB + THUMB_GAP)
                row = top + 0.4 + position // columns * (THUMB + UNDER)
                texts = (_three_digits(density[index]), _short(str(names[index])))
                _thumbnail(figure, images[index], texts, left, row)


def _thumbnail(
    figure: Figure, image: np.ndarray, texts: tuple[str, str], left: float, top: float
) -> None:
    """One image (3, R, R) with its density and its name below."""
    axes = place(figure, left, top, THUMB, THUMB)
    axes.imshow(tile(np.asarray(image)[None], 1), interpolation="auto")
    axes.set_axis_off()
    middle, bottom = left + THUMB / 2, top + THUMB
    write(figure, middle, bottom + 0.03, texts[0], ha="center", fontsize=9.5)
    style = {"ha": "center", "fontsize": 6.5, "color": "#555555"}
    write(figure, middle, bottom + 0.2, texts[1], **style)


def _three_digits(value: float) -> str:
    """With trailing zeros, so that neighbours look alike."""
    return f"{value:#.3g}".rstrip(".")


def _short(name: str) -> str:
    """The end of a long name, which is where file names differ."""
    return name if len(name) <= NAME_LENGTH else f"…{name[-NAME_LENGTH + 1 :]}"
