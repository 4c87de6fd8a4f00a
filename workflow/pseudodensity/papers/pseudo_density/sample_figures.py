"""Single samples: moved towards and away from an objective (Figures 3 and 8 to 14), and the
extremes of density of each model (Figure 2).

``inputs``
    ``table``: CSV of the same name, one line per image. Both read ``block, model, dataset,
    stands_for, paper, density``; `perturbation` also ``objective, steps, step_size, bound, row``
    (towards, original, away) and ``sample``; `extremes` also ``images`` (generated, real).
    ``samples``: safetensors files, one per panel in the order of the table. `perturbation` reads
    ``images`` (3, n, 3, R, R) uint8 in the rows towards, original, away, and shows as many columns
    as the table has; `extremes` reads ``images`` and ``real_images`` (2m, 3, R, R) uint8.
``settings``
    ``extractor``: title of the network in whose features the density was fitted; ``k``: neighbours
    of that density; ``seed``: of the latents; `extremes`: ``generations`` per model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.artifacts import ArtifactError
from pseudodensity.report.drawing import (
    BLACK,
    PALETTE,
    finish,
    listed,
    show_images,
    subtitle,
    theme,
)
from pseudodensity.report.samples import load_arrays
from pseudodensity.report.titles import title_and_aside

__all__ = ["extremes", "perturbation"]

CELL, NUMBER, LABELS, TITLE = 0.8, 0.2, 1.1, 0.55  # inches: image, room below, names, title
BLUE, ORANGE = PALETTE[0], PALETTE[3]
ROWS = {"towards": BLUE, "original": BLACK, "away": ORANGE}
OBJECTIVES = {
    "density": "pseudo density",
    "discriminator": "discriminator output",
    "random": "random direction",
}


def perturbation(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """Samples moved by Algorithm 1, one panel per block and objective, with their densities.

    ValueError: there are not as many files as panels. ArtifactError: a file is missing, damaged or
    holds fewer samples than the table.
    """
    table = pd.read_csv(inputs["table"])
    panels = _panels(table, ["block", "objective"], inputs["samples"])
    columns = table["sample"].nunique()
    across = 2 if len(panels) > 3 else 1
    lines = -(-len(panels) // across)
    size = (across * (LABELS + columns * CELL), lines * (TITLE + len(ROWS) * (CELL + NUMBER)))
    with theme():
        figure = Figure(figsize=size)
        places = figure.subplots(lines, across, squeeze=False).ravel()
        for axes, (panel, path) in zip(places, panels, strict=False):
            images = load_arrays(path, ["images"])["images"][:, :columns]
            _perturbed(axes, panel, images, columns)
        for axes in places[len(panels) :]:
            axes.set_axis_off()
        return finish(figure, _perturbation_caption(table, columns, settings))


def extremes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """The least and the most dense samples of each model above real images (Figure 2).

    Errors as `perturbation`.
    """
    table = pd.read_csv(inputs["table"])
    panels = _panels(table, ["block"], inputs["samples"])
    ends = len(table[table["images"].eq("real")]) // (2 * len(panels))
    size = (LABELS + 0.4 + 2 * ends * CELL, len(panels) * (TITLE + 0.2 + 2 * (CELL + NUMBER)))
    with theme():
        figure = Figure(figsize=size)
        places = figure.subplots(len(panels), 2, squeeze=False)
        for (least, most), (panel, path) in zip(places, panels, strict=True):
            arrays = load_arrays(path, ["images", "real_images"])
            title, aside = _titles(panel.iloc[0])
            title += f" ({aside})" if aside else ""
            sides = [("generated", BLACK), ("real", BLACK)]
            _end(least, panel, arrays, slice(None, ends), sides)
            subtitle(least, title, "least dense", ORANGE)
            _end(most, panel, arrays, slice(ends, None), [])
            subtitle(most, "", "most dense", BLUE)
        return finish(figure, _extremes_caption(ends, settings))


# ------------------------------------------------------------------------------ inputs


def _panels(
    table: pd.DataFrame, names: Sequence[str], paths: Sequence[str | Path]
) -> list[tuple[pd.DataFrame, str | Path]]:
    """The lines of each panel in the order of the table, with the file of its samples."""
    panels = [lines for _, lines in table.groupby(names, sort=False)]
    if len(panels) != len(paths):
        raise ValueError(
            f"the table has {len(panels)} panels and there are {len(paths)} files of samples: "
            "pass one file per panel, in order"
        )
    return list(zip(panels, paths, strict=True))


# ------------------------------------------------------------------------------ drawing


def _titles(line: Mapping[str, Any]) -> tuple[str, str]:
    """Model and data, and what of the paper they stand for."""
    title, aside = title_and_aside(line)
    if line["paper"] == f"{line['model']} on {line['stands_for']}":
        return title, aside
    return title, f"in place of {line['paper']}"


def _perturbed(axes: Axes, panel: pd.DataFrame, images: np.ndarray, columns: int) -> None:
    """Three lines of images with the mean density of each, and what was climbed."""
    if images.shape[1] < columns:
        raise ArtifactError(f"a file of samples holds {images.shape[1]} of {columns} samples")
    objective = panel["objective"].iloc[0]
    rows, below = [], []
    for name, colour in ROWS.items():
        values = panel.loc[panel["row"].eq(name)].sort_values("sample")["density"]
        if objective == "random" and name != "original":
            name, colour = "random", BLACK
        rows.append((f"{name}\nmean {values.mean():.3f}", colour))
        below += [f"{value:.3f}" for value in values]
    show_images(axes, images.reshape(-1, *images.shape[2:]), columns, below, rows)
    title, aside = _titles(panel.iloc[0])
    by = f"by {OBJECTIVES.get(objective, objective)}"
    subtitle(axes, title, "; ".join(filter(None, (by, aside))))


def _end(
    axes: Axes,
    panel: pd.DataFrame,
    arrays: Mapping[str, np.ndarray],
    end: slice,
    sides: Sequence[tuple[str, str]],
) -> None:
    """One end of the densities: generated images above the real ones of the same percentiles."""
    images = np.concatenate([arrays["images"][end], arrays["real_images"][end]])
    values = [panel.loc[panel["images"].eq(side), "density"] for side in ("generated", "real")]
    below = [f"{value:.3f}" for side in values for value in side.iloc[end]]
    show_images(axes, images, len(images) // 2, below, sides)


def _perturbation_caption(table: pd.DataFrame, columns: int, settings: Mapping[str, Any]) -> str:
    steps = ["steps", "step_size", "bound"]
    described = "; ".join(
        f"{', '.join(lines['model'].unique())}: {count} steps of {size:g}, bound {bound:g}"
        for (count, size, bound), lines in table.groupby(steps, sort=False)
    )
    return (
        f"Per-sample perturbation (Algorithm 1, sign of the gradient; {described}). Each column "
        f"starts from one latent (original): n = {columns} per panel, the first of seed "
        f"{settings['seed']}, not selected. Below each image: its {_density(settings)}."
    )


def _extremes_caption(ends: int, settings: Mapping[str, Any]) -> str:
    return (
        f"The {ends} images of lowest and the {ends} of highest pseudo density out of n = "
        f"{listed([settings['generations']])} generated ones (latents of seed {settings['seed']}); "
        "below them the real images whose densities stand at the same percentiles of all real "
        f"images. Below each image: its {_density(settings)}."
    )


def _density(settings: Mapping[str, Any]) -> str:
    return (
        f"pseudo density (1 = mean of real images; density network on k = {settings['k']} "
        f"neighbours in features of {settings['extractor']})"
    )
