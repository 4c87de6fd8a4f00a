"""Memorisation: samples of lowest ratio above their nearest training image and held-out real image.

``inputs``
    ``table``: CSV of `memorisation_table`: ``block, model, dataset, stands_for, role, n, n_real, note`` and
    the pairs of lowest ratio. Lines with a note are left out and named in the caption. The other inputs
    are all files that the settings name.
``settings``
    as of the table. Read are of a block ``training`` (``images``, npy), and of a part of a pool
    ``start``, the row that it begins with, and ``images``, npy, which may hold its first rows only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pseudodensity.artifacts import load_npy
from pseudodensity.papers.pseudo_density.memorisation_table import PAIRS, RANKS
from pseudodensity.report.drawing import BLACK, finish, listed, show_images, subtitle, theme
from pseudodensity.report.titles import block_title, title_and_aside

__all__ = ["memorisation"]

CELL, WORDS, LABELS, TITLE = 0.8, 0.3, 1.2, 0.55  # inches: image, room below, names, title
LINES = ("sample", "nearest\ntraining image", "nearest\nheld-out image")
ROLES = {
    "pretrained": "pre-trained",
    "fid": "FID",
    "control_fid": "control, FID",
    "held_out": "held-out",
}

Part = Mapping[str, Any]


def memorisation(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """One panel per block, two columns per model. ArtifactError: a file is missing or damaged."""
    table = pd.read_csv(inputs["table"])
    shown = table[table["note"].isna()]
    columns = PAIRS * shown.groupby("block").size().max()
    named = {block["block"]: block for block in settings["blocks"]}
    panels = list(shown.groupby("block", sort=False))
    height = len(panels) * (TITLE + len(LINES) * (CELL + WORDS))
    is_whole = True
    with theme():
        figure = Figure(figsize=(LABELS + columns * CELL, height))
        places = figure.subplots(len(panels), 1, squeeze=False).ravel()
        for axes, (block, lines) in zip(places, panels, strict=True):
            grid = np.full((len(LINES), columns), None)
            below = np.full((len(LINES), columns), "", dtype=object)
            for column, pair in enumerate(_pairs(named[block], lines)):
                grid[:, column], below[:, column] = pair
            found = [picture for picture in grid.ravel() if picture is not None]
            is_whole &= len(found) == len(LINES) * PAIRS * len(lines)
            white = np.full_like(found[0], 255)
            images = [white if picture is None else picture for picture in grid.ravel()]
            rows = [(name, BLACK) for name in LINES]
            show_images(axes, np.stack(images), columns, list(below.ravel()), rows)
            subtitle(axes, *title_and_aside(lines.iloc[0]))
        return finish(figure, _caption(table, settings["judge"], is_whole))


def _pairs(block: Mapping[str, Any], lines: pd.DataFrame) -> Iterator[tuple[list, list[str]]]:
    """Pictures of a column, None for one that is not stored, and what stands below each."""
    training = load_npy(block["training"]["images"], mapped=True)
    pools = {row["setting"]: row["pool"] for row in block["rows"]}
    for line in lines.to_dict("records"):
        for i in RANKS:
            pictures = [
                _stored(pools[line["role"]], int(line[f"sample_{i}"])),
                np.asarray(training[int(line[f"training_{i}"])]),
                _stored(block["held_out"], int(line[f"held_out_{i}"])),
            ]
            name = ROLES.get(line["role"], line["role"])
            distances = [f"{line[f'{side}_{i}']:.3g}" for side in ("to_training", "to_held_out")]
            yield pictures, [f"{name}\n{line[f'ratio_{i}']:.3f}", *distances]


def _stored(parts: Sequence[Part], row: int) -> np.ndarray | None:
    """The image (3, R, R) of a row of a pool; None where only the first of its part are stored."""
    part = [one for one in parts if one["start"] <= row][-1]
    images, within = load_npy(part["images"], mapped=True), row - part["start"]
    return np.asarray(images[within]) if within < len(images) else None


def _caption(table: pd.DataFrame, judge: str, is_whole: bool) -> str:
    shown, others = table[table["note"].isna()], table[table["note"].notna()]
    text = (
        f"Of n = {listed(shown['n'])} samples of each model (first training seed, named by what it was "
        f"fine-tuned for) the {PAIRS} of lowest ratio: distance to the nearest training image over distance "
        f"to the nearest of as many held-out real images ({listed(shown['n_real'])} of each), in features "
        f"of {judge}. Held-out: further real images in the place of samples, which no model can have "
        "copied. Below a sample: its ratio; below a real image: its distance."
    )
    if not is_whole:
        text += " White: an image that is not stored; runtime.stored_mb says how many are."
    if len(others):
        names = ", ".join(block_title(line) for line in others.to_dict("records"))
        text += f" Not shown: {names}; the table says why."
    return text
