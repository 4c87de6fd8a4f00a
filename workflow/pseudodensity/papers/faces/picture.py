"""The first look: images by pseudo density, chosen by it and moved along it, and the frontier.

``inputs``
    ``table``, ``frontier``: CSVs of `samples` and `frontier`. ``pixels``: images of the parts of the
    pool in order, uint8 (n, 3, R, R). ``moved``: safetensors files with ``images`` (3, n, 3, R, R),
    one for each of ``settings["moves"]``. ``described`` makes sure that the pixels are there.
``settings``
    as `samples`, and for the caption ``title, steering, judge, density_k, reference, seed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.artifacts import load_npy
from pseudodensity.papers.faces.samples import moved_rows
from pseudodensity.report.drawing import (
    BLACK,
    PALETTE,
    entry,
    finish,
    listed,
    set_ranges,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays

__all__ = ["picture"]

CELL, LABELS, TITLE = 0.52, 0.95, 0.5  # inches: image, names of rows, titles
BLUE, GREEN, ORANGE = PALETTE[0], PALETTE[2], PALETTE[3]
COLOURS = {"highest": BLUE, "lowest": ORANGE, "fidelity": BLUE, "diversity": ORANGE}
COLOURS |= {"towards": BLUE, "away": ORANGE}
WAYS = {"towards": "more", "original": "as drawn", "away": "less"}
MARKERS = ("^", "o", "s", "v", "P")


def picture(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Three grids of images and the plane of precision and recall.

    ArtifactError: a file is missing, damaged or of something else.
    """
    table, points = pd.read_csv(inputs["table"]), pd.read_csv(inputs["frontier"])
    pixels = [load_npy(path, mapped=True) for path in inputs["pixels"]]
    pool = np.concatenate(pixels) if len(pixels) > 1 else pixels[0]
    columns = settings["columns"]
    heights = [2 * 2 + 1, 2 * 2]
    width = LABELS + columns * CELL
    with theme():
        figure = Figure(figsize=(2 * width, sum(heights) * CELL + 2 * TITLE))
        (ranked, moved), (chosen, plane) = figure.subplots(2, 2, height_ratios=heights)
        _grid(ranked, table, "density", pool, columns)
        count = f"{settings['generations']:,} samples of a {settings['title']}"
        subtitle(ranked, "Ranked by pseudo density", count)
        _moved(moved, table, inputs["moved"], settings)
        subtitle(
            moved, "Moved along pseudo density", "the same latents in a small box (Algorithm 1)"
        )
        _grid(chosen, table, "importance", pool, columns)
        subtitle(chosen, "Chosen by pseudo density", "importance sampling (Algorithm 2)")
        _plane(plane, points, settings)
        return finish(figure, _caption(points, settings))


# ------------------------------------------------------------------------------ images


def _grid(axes: Axes, table: pd.DataFrame, group: str, pool: np.ndarray, columns: int) -> None:
    """The rows of a group, each of one line of images or more."""
    own, names, parts = table[table["group"].eq(group)], [], []
    for row, lines in own.groupby("row", sort=False):
        parts.append(pool[lines.sort_values("position")["sample"].to_numpy()])
        label = (_label(row, lines["density"]), COLOURS.get(str(row), BLACK))
        names += [label] + [("", BLACK)] * (len(lines) // columns - 1)
    show_images(axes, np.concatenate(parts), columns, rows=names)


def _moved(
    axes: Axes, table: pd.DataFrame, paths: Sequence[str], settings: Mapping[str, Any]
) -> None:
    """One line per move and direction, from most dense to least."""
    images = [load_arrays(path, ["images"])["images"] for path in paths]
    own, names, parts = table[table["group"].eq("moved")], [], []
    for row, move, place in moved_rows(settings["moves"]):
        parts.append(images[move][place][: settings["columns"]])
        density = own.loc[own["row"].eq(row), "density"]
        way, _, bound = row.partition(", ")
        name = f"{WAYS[way]}, ±{bound}" if bound else WAYS[way]
        names.append((_label(name, density), COLOURS.get(way, BLACK)))
    show_images(axes, np.concatenate(parts), settings["columns"], rows=names)


def _label(row: Any, density: pd.Series) -> str:
    return f"{row}\ndensity {density.mean():.2f}"


# ------------------------------------------------------------------------------ frontier


def _plane(axes: Axes, points: pd.DataFrame, settings: Mapping[str, Any]) -> None:
    """Recall against precision: importance sampling by tau and w, truncation by psi."""
    plain = points[points["method"].eq("plain")]
    markers = {}
    importance = points[points["method"].eq("importance")]
    for marker, (tau, own) in zip(MARKERS, importance.groupby("tau"), strict=False):
        markers[tau] = marker
        _path(axes, pd.concat([own, plain.assign(w=1.0)]).sort_values("w"), "0.75")
    truncation = points[points["method"].eq("truncation")]
    _path(axes, pd.concat([truncation, plain.assign(psi=1.0)]).sort_values("psi"), GREEN)
    side = np.where(importance["w"].gt(1), "fidelity", "diversity")
    look = {"x": "recall", "y": "precision", "legend": False, "linewidth": 0.4, "ax": axes}
    sns.scatterplot(
        importance.assign(side=side),
        hue="side",
        palette={name: COLOURS[name] for name in ("fidelity", "diversity")},
        style="tau",
        markers=markers,
        s=42,
        zorder=3,
        **look,
    )
    sns.scatterplot(truncation, color=GREEN, marker="D", s=38, zorder=3, **look)
    sns.scatterplot(plain, color=BLACK, marker="*", s=190, zorder=4, **look)
    for name, point in settings["importance"].items():
        found = importance[importance["tau"].eq(point["tau"]) & importance["w"].eq(point["w"])]
        ring = {"facecolors": "none", "edgecolors": COLOURS.get(name, BLACK), "linewidths": 1.6}
        axes.scatter(found["recall"], found["precision"], s=150, zorder=2.5, **ring)
    for _, line in truncation.iterrows():
        place = (line["recall"], line["precision"])
        text = {"textcoords": "offset points", "xytext": (0, 7), "ha": "center", "fontsize": 8}
        axes.annotate(f"ψ {line['psi']:g}", place, color=GREEN, **text)
    set_ranges(axes, points["recall"], points["precision"])
    axes.set(xlabel="recall (diversity)", ylabel="precision (fidelity)")
    axes.legend(handles=_entries(markers), loc="lower left", ncols=2, fontsize=8)
    subtitle(axes, "What the dials trade", f"judged in features of {settings['judge']}")


def _path(axes: Axes, points: pd.DataFrame, colour: str) -> None:
    axes.plot(points["recall"], points["precision"], color=colour, linewidth=0.9, zorder=1)


def _entries(markers: Mapping[float, str]) -> list[Any]:
    entries = [entry("plain", BLACK, "*", 11)]
    for name, words in (("fidelity", "w > 1"), ("diversity", "w < 1")):
        entries.append(entry(f"importance, {words}: {name}", COLOURS[name], "o"))
    entries += [entry(f"tau = {tau:g} %", "0.6", marker) for tau, marker in markers.items()]
    return [*entries, entry("truncation", GREEN, "D")]


# ------------------------------------------------------------------------------ words


def _caption(points: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    importance = ", ".join(
        f"{name} tau = {point['tau']:g} % and w = {point['w']:g}"
        for name, point in settings["importance"].items()
    )
    moves = "; ".join(
        f"{move['steps']} steps of {move['step_size']:g}, bound {move['bound']:g}"
        for move in settings["moves"]
    )
    return (
        f"Pseudo density: 1 = mean of n = {settings['reference']:,} reference images, which the same "
        "generator drew (what it was trained on is not at hand); density network on "
        f"k = {settings['density_k']} neighbours in features of {settings['steering']}. Ranked are "
        f"n = {settings['generations']:,} further samples, latents of seed {settings['seed']}; plain "
        f"and chosen images are the first, not selected; {importance}. Moved: signs of the gradient "
        f"through features and generator (up to ± the bound: {moves}). Precision and recall: n = "
        f"{listed(points['n'])} against n = {listed(points['n_real'])} reference images, "
        f"k = {listed(points['k'])}, features of {settings['judge']}; one repeat, so differences "
        "below about .05 may be noise; precision says how typical of the generator an image is, not "
        "how real. Rings: the settings shown as images; ψ: truncation, latents scaled by it."
    )
