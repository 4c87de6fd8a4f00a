"""Table 1 as a picture: samples on the same latents, and the trade-off of every block.

``inputs``
    ``table``: results/table1.csv. Read are ``block, model, dataset, stands_for, role, w, precision,
    recall`` with ``_spread``, ``mean_pseudo_density, n_real, n_fake, k, spread_of``.
    ``images``: npy files, uint8 (n, 3, R, R), one for each of ``settings["rows"]``, on the same
    latents within a block. Roles that are not shown as images may have any file.
    ``real``: images.npy of data sets, one for each of ``settings["real"]``.
``settings``
    ``rows``: dicts with ``block, setting, seed`` in the order of ``images``; shown are the settings
    precision, pretrained and recall of the first seed of each block.
    ``real``: names of the blocks whose data sets ``inputs["real"]`` are, in order.
    ``extractors``: ``manifold`` -> title of the network whose features judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.artifacts import load_npy
from pseudodensity.report.drawing import (
    BLACK,
    GREY,
    PALETTE,
    entry,
    finish,
    legend_above,
    listed,
    set_ranges,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.titles import title_and_aside

__all__ = ["samples_and_trade_off"]

COLUMNS = 10
CELL, LABELS, TITLE, PLOT = 0.56, 1.5, 0.55, 3.2  # inches
# role -> name, colour and marker in the plane of precision and recall
ROLES = {
    "pretrained": ("pre-trained", BLACK, "o"),
    "precision": ("towards fidelity", PALETTE[0], "o"),
    "recall": ("towards diversity", PALETTE[3], "o"),
    "fid": ("for FID", PALETTE[2], "o"),
    "control": ("control", GREY, "s"),
    "control_fid": ("control, FID images", GREY, "d"),
}
TUNED = ("precision", "recall", "fid")
# Rows of samples from dense to sparse, as in the paper's Figure 5.
GRID_ROWS = ("real", "precision", "pretrained", "recall")


def samples_and_trade_off(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Per block: real images and samples of three models, and how precision and recall move.

    ValueError: there are not as many files of images as rows, or of data sets as blocks.
    """
    table = pd.read_csv(inputs["table"])
    blocks = [lines.set_index("role") for _, lines in table.groupby("block", sort=False)]
    images = _images(inputs, settings)
    height = len(blocks) * (TITLE + len(GRID_ROWS) * CELL + 0.45)
    with theme():
        figure = Figure(figsize=(LABELS + COLUMNS * CELL + PLOT, height))
        widths = (LABELS + COLUMNS * CELL, PLOT)
        places = figure.subplots(len(blocks), 2, width_ratios=widths, squeeze=False)
        for (grid, plane), lines in zip(places, blocks, strict=True):
            _samples(grid, lines, images[lines["block"].iloc[0]])
            _trade_off(plane, lines)
        legend_above(figure, _entries(blocks))
        return finish(figure, _caption(table, settings))


# ------------------------------------------------------------------------------ images


def _images(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, dict[str, np.ndarray]]:
    """block -> row of the grid (real, pretrained, ...) -> uint8 (n, 3, R, R), n up to `COLUMNS`.

    Samples are the first of the first training seed; real images are taken at equal steps.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for block, path in _pairs(settings["real"], inputs["real"], "data sets"):
        real = load_npy(path, mapped=True)
        steps = np.linspace(0, len(real) - 1, min(COLUMNS, len(real))).astype(int)
        found[block] = {"real": np.asarray(real[steps])}
    for row, path in _pairs(settings["rows"], inputs["images"], "rows"):
        block = found.setdefault(row["block"], {})
        if row["setting"] in GRID_ROWS and row["setting"] not in block:
            samples = load_npy(path, mapped=True)
            block[row["setting"]] = np.asarray(samples[:COLUMNS])
    return found


def _pairs(names: Sequence[Any], paths: Sequence[Any], what: str) -> Iterator[tuple[Any, Any]]:
    if len(names) != len(paths):
        raise ValueError(f"{len(paths)} files of images for {len(names)} {what}: pass one for each")
    return zip(names, paths, strict=True)


def _samples(axes: Axes, lines: pd.DataFrame, images: Mapping[str, np.ndarray]) -> None:
    """Rows of samples with their names and mean densities; short rows end in white."""
    shown = [row for row in GRID_ROWS if row in images and len(images[row])]
    columns = max((len(images[row]) for row in shown), default=1)
    rows, parts = [], []
    for row in shown:
        # The real images as a whole are the oracle's plain line.
        role = "oracle" if row == "real" else row
        density = lines["mean_pseudo_density"].get(role, np.nan)
        name, colour, _ = ROLES.get(row, ("real images", BLACK, ""))
        weight = f"w = {lines['w'][role]:g}, " if row in TUNED and role in lines.index else ""
        rows.append((f"{name}\n{weight}density {density:.2f}", colour))
        short = ((0, columns - len(images[row])), (0, 0), (0, 0), (0, 0))
        parts.append(np.pad(images[row], short, constant_values=255))
    subtitle(axes, *title_and_aside(lines.iloc[0]))
    if shown:
        show_images(axes, np.concatenate(parts), columns, rows=rows)
    else:
        axes.set_axis_off()


# ------------------------------------------------------------------------------ trade-off


def _trade_off(axes: Axes, lines: pd.DataFrame) -> None:
    """Recall against precision: the models with arrows, controls, and the oracle's changes."""
    shown = lines.loc[[role for role in ROLES if role in lines.index]].reset_index()
    axes.errorbar(
        shown["recall"],
        shown["precision"],
        xerr=shown["recall_spread"],
        yerr=shown["precision_spread"],
        linestyle="none",
        ecolor=[ROLES[role][1] for role in shown["role"]],
        elinewidth=1,
        zorder=2,
    )
    sns.scatterplot(
        shown,
        x="recall",
        y="precision",
        hue="role",
        palette={role: colour for role, (_, colour, _) in ROLES.items()},
        style="role",
        markers={role: marker for role, (_, _, marker) in ROLES.items()},
        s=45,
        linewidth=0.4,
        legend=False,
        zorder=3,
        ax=axes,
    )
    ends = _oracle_ends(lines)
    for role, colour in ((role, ROLES[role][1]) for role in TUNED if role in lines.index):
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 4, "shrinkB": 4}
        places = (_place(lines, role), _place(lines, "pretrained"))
        if np.isfinite(places).all():
            axes.annotate("", *places, arrowprops=arrow, zorder=2)
    start = _place(lines, "pretrained")
    for role, end in ends.items():
        look = {"color": ROLES[role][1], "linestyle": ":", "linewidth": 1.1, "zorder": 1}
        axes.plot(*zip(start, end, strict=True), **look)
        star = {"markerfacecolor": "white", "markeredgecolor": ROLES[role][1]}
        axes.plot(*end, marker="*", markersize=10, **star, zorder=2.5)
    points = [*shown[["recall", "precision"]].to_numpy(), *ends.values()]
    set_ranges(axes, *zip(*points, strict=True))
    axes.set(xlabel="recall (diversity, share)", ylabel="precision (fidelity, share)")


def _place(lines: pd.DataFrame, role: str) -> np.ndarray:
    return lines.loc[role, ["recall", "precision"]].to_numpy(dtype=float)


def _oracle_ends(lines: pd.DataFrame) -> dict[str, np.ndarray]:
    """Where the pre-trained model would go with the oracle's changes: its own place would set the
    scale of the panel."""
    if not {"oracle", "pretrained"} <= set(lines.index):
        return {}
    start = _place(lines, "pretrained") - _place(lines, "oracle")
    found = {role: f"oracle_{role}" for role in TUNED if f"oracle_{role}" in lines.index}
    ends = {role: start + _place(lines, oracle) for role, oracle in found.items()}
    # Of too few real images no reweighted set is large enough.
    return {role: end for role, end in ends.items() if np.isfinite(end).all()}


def _entries(blocks: Sequence[pd.DataFrame]) -> list[Any]:
    """One legend for all panels; weights that differ between blocks are left to the table."""
    entries = []
    for role, (name, colour, marker) in ROLES.items():
        found = {lines.loc[role, "w"] for lines in blocks if role in lines.index}
        weight = f"w = {found.pop():g}" if len(found) == 1 else "w by block"
        label = name if role == "pretrained" else f"{name} ({weight})"
        if any(role in lines.index for lines in blocks):
            entries.append(entry(label, colour, marker))
    star = entry("change of the oracle", "white", "*", 10)
    star.set(markeredgecolor=BLACK, markeredgewidth=1)
    return [*entries, star]


def _caption(table: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    """Counts, and what the pictures and the bars are; blocks that differ are listed."""
    models = table[~table["role"].str.startswith("oracle")]
    counts = {}
    for key, lines in models.groupby(["n_fake", "n_real", "k", "spread_of"], sort=False):
        n_fake, n_real, k, spread_of = key
        text = f"n = {n_fake:,.0f} generated against {n_real:,.0f} real images, k = {k:.0f}"
        counts[f"{text}, bars over {spread_of}"] = ", ".join(lines["block"].unique())
    described = "; ".join(
        text if len(counts) == 1 else f"{blocks}: {text}" for text, blocks in counts.items()
    )
    seeds = listed(row["seed"] for row in settings["rows"])
    return (
        "Left: each column has the same latent in all rows but the first, whose real images are "
        "taken at equal steps through the data set; density is the mean pseudo density of all "
        "samples of the row (1 = mean of real images). Right: arrows lead from the pre-trained "
        "model to its fine-tuned versions; the controls are fine-tuned with w = 1 on as many "
        "images. Stars: how precision and recall of real images change when they are reweighted "
        "with the same tau and w, drawn from the pre-trained model's place. Bars: one standard "
        f"deviation. {described}; training seeds: {seeds}. Precision and recall in features of "
        f"{settings['extractors']['manifold']}."
    )
