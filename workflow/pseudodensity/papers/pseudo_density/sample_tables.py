"""What the figures of single samples show, as tables: perturbed samples, and extremes of density.

`perturbation` and `extremes` want
    inputs: ``samples``, safetensors files, one per panel in order.
    settings: ``panels``, one dict per file: block, model, dataset, stands_for (or None), paper (which
    model and data the paper shows); for perturbed samples also objective, columns, steps, step_size, bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open

from pseudodensity.report.table import Column, Table

__all__ = ["extremes", "extremes_frame", "perturbation", "perturbation_frame"]

ROWS = ("towards", "original", "away")
NAMES = ("block", "model", "dataset", "stands_for", "paper")
MOVES = ("objective", "steps", "step_size", "bound")


def _read(path: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    with safe_open(path, framework="np") as handle:
        return {name: handle.get_tensor(name) for name in names}


def perturbation_frame(
    panels: Sequence[Mapping[str, Any]], densities: Sequence[np.ndarray]
) -> pd.DataFrame:
    """One line per panel, row and sample; densities (3, n) in the rows of `ROWS`, n at least
    ``columns`` of the panel, which is how many are shown."""
    lines = []
    for panel, density in zip(panels, densities, strict=True):
        names = {key: panel[key] for key in (*NAMES, *MOVES)}
        for row, values in zip(ROWS, density[:, : panel["columns"]], strict=True):
            lines += [
                {**names, "row": row, "sample": i, "density": float(value)}
                for i, value in enumerate(values)
            ]
    return pd.DataFrame(lines)


def perturbation(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Pseudo densities of samples moved towards more of an objective, unmoved, and moved away."""
    densities = [_read(path, ["density"])["density"] for path in inputs["samples"]]
    frame = perturbation_frame(settings["panels"], densities)
    shown = ["model", "dataset", "objective", "row", "sample"]
    return Table(
        title="Samples moved along an objective",
        frame=frame,
        columns=[*(Column(name, name) for name in shown), Column("density", "pseudo density", 3)],
        notes=["*towards* and *away*: more and less of the objective (Algorithm 1)."],
        shown_rows=30,
    )


def extremes_frame(
    panels: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """One line per panel and image: the generated ones, then the real ones at their percentiles."""
    lines = []
    for panel, each in zip(panels, found, strict=True):
        names = {key: panel[key] for key in NAMES}
        for kind, index, density in (
            ("generated", each["index"], each["density"]),
            ("real", each["real_index"], each["real_density"]),
        ):
            lines += [
                {
                    **names,
                    "images": kind,
                    "index": int(i),
                    "percentile": float(p),
                    "density": float(d),
                }
                for i, p, d in zip(index, each["percentile"], density, strict=True)
            ]
    return pd.DataFrame(lines)


def extremes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Pseudo densities of the least and the most dense samples, and of real images beside them."""
    names = ["index", "percentile", "density", "real_index", "real_density"]
    found = [_read(path, names) for path in inputs["samples"]]
    frame = extremes_frame(settings["panels"], found)
    shown = ["model", "dataset", "images", "index"]
    numbers = [Column("percentile", "percentile", 2), Column("density", "pseudo density", 3)]
    return Table(
        title="Figure 2: extremes of pseudo density",
        frame=frame,
        columns=[*(Column(name, name) for name in shown), *numbers],
        notes=[
            "*percentile*: among the samples of the model; real images are those at the same one."
        ],
    )
