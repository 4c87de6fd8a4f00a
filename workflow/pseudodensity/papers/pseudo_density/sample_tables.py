"""The tables of single samples: those that were moved (figures 3 and 8 to 14), and the extremes of
density of each model (figure 2).

Both want
    inputs: ``samples``, safetensors files, one per panel in order. `perturbation` reads ``density``
    (3, n) in the rows towards, original, away; `extremes` reads ``percentile``, ``index``,
    ``density``, ``real_index`` and ``real_density``, (2m,) each, of lowest density first.
    settings: ``title``; ``panels``, a dict per file: block, model, dataset, stands_for (or None),
    paper (the model and data of the paper that it is shown for); `perturbation` also objective,
    steps, step_size, bound, and ``columns``, how many samples to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["extremes", "extremes_frame", "perturbation", "perturbation_frame"]

ROWS = ("towards", "original", "away")
NAMES = ("block", "model", "dataset", "stands_for", "paper")
MOVES = ("objective", "steps", "step_size", "bound")

Panel = Mapping[str, Any]


def perturbation_frame(panels: Sequence[Panel], density: Sequence[np.ndarray]) -> pd.DataFrame:
    """One line per image: what it is, its pseudo density, and the change of it.

    Args:
        panels: see the module. density: of each panel, (3, n).
    """
    lines = []
    for panel, values in zip(panels, density, strict=True):
        known = {name: panel[name] for name in (*NAMES, *MOVES)}
        shown = values[:, : panel["columns"]]
        for row, of_row, changes in zip(ROWS, shown, shown - shown[1], strict=True):
            for sample, (value, change) in enumerate(zip(of_row, changes, strict=True)):
                line = {"row": row, "sample": sample, "density": value, "change": change}
                lines.append(known | line)
    return pd.DataFrame(lines)


def extremes_frame(
    panels: Sequence[Panel], arrays: Sequence[Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """One line per image: what it is, its percentile, its place and its pseudo density.

    Args:
        panels: see the module. arrays: of each panel, by name.
    """
    lines = []
    for panel, found in zip(panels, arrays, strict=True):
        known = {name: panel[name] for name in NAMES}
        for side, prefix in (("generated", ""), ("real", "real_")):
            shown = (found["percentile"], found[f"{prefix}index"], found[f"{prefix}density"])
            for percentile, index, density in zip(*shown, strict=True):
                line = {"images": side, "percentile": percentile, "index": index}
                lines.append(known | line | {"density": density})
    return pd.DataFrame(lines)


def perturbation(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Pseudo densities of moved samples, see the module for inputs and settings.

    Raises:
        ArtifactError: a file is missing, damaged or of something else.
    """
    panels = settings["panels"]
    density = [load_arrays(path, ["density"])["density"] for path in inputs["samples"]]
    columns = [Column("objective", "moved by"), Column("row", "row")]
    columns += [Column("sample", "sample"), Column("density", "pseudo density", 3)]
    columns.append(Column("change", "change", format="+.3f"))
    return _table(settings["title"], panels, perturbation_frame(panels, density), columns)


def extremes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Samples of lowest and highest pseudo density, see the module for inputs and settings.

    Raises:
        ArtifactError: a file is missing, damaged or of something else.
    """
    panels = settings["panels"]
    names = ("percentile", "index", "density", "real_index", "real_density")
    arrays = [load_arrays(path, names) for path in inputs["samples"]]
    columns = [Column("images", "images"), Column("percentile", "percentile", 1)]
    columns += [Column("index", "index", format="d"), Column("density", "pseudo density", 3)]
    return _table(settings["title"], panels, extremes_frame(panels, arrays), columns)


def _table(
    title: str, panels: Sequence[Panel], frame: pd.DataFrame, columns: Sequence[Column]
) -> Table:
    return Table(
        title=title,
        frame=frame,
        columns=columns,
        section="block",
        section_titles={panel["block"]: block_title(panel) for panel in panels},
        section_notes={panel["block"]: f"For {panel['paper']}." for panel in panels},
        notes=["Pseudo density by the density network; real images have a mean of about 1."],
        shown_rows=40,
    )
