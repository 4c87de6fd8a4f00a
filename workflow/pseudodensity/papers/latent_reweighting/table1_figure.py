"""Picture of Table 1: points of every method on the first training, data beside them.

``inputs``: ``evaluated``, the experiment ``evaluate`` of each law. ``settings``: ``laws``, ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pseudodensity.papers.latent_reweighting.table1 import LAWS, METHODS
from pseudodensity.report.drawing import GREY, PALETTE, finish, subtitle, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["table1_figure"]

SIDE = 1.75  # inches of a panel
COLUMNS = 6
FORM = "latent_rs_printed"


def table1_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A block of panels for each law."""
    names = [name for name in METHODS if name != "real"]
    lines = -(-(len(names) + 1) // COLUMNS)
    rows = lines * len(settings["laws"])
    with theme():
        figure, grid = plt.subplots(rows, COLUMNS, figsize=(SIDE * COLUMNS, 1.22 * SIDE * rows))
        for block, (law, path) in enumerate(
            zip(settings["laws"], inputs["evaluated"], strict=True)
        ):
            panels = grid[lines * block : lines * (block + 1)].flat
            _draw(list(panels), law, path, names)
        return finish(figure, _caption(settings["seed"]))


def _draw(panels: list[Axes], law: str, path: str, names: list[str]) -> None:
    arrays, facts = load_arrays(path, ["points", "reals", "w1"]), load_facts(path)
    reals = arrays["reals"]
    limit = 1.12 * np.abs(reals).max()
    shown = [("data", reals, GREY, f"{len(reals):,} reals")]
    for name in names:
        if name in facts["rows"]:
            row = facts["rows"].index(name)
            colour = GREY if name == "oracle" else PALETTE[2 if name.startswith("latent") else 0]
            words = f"W1 {arrays['w1'][row].mean():.3f}"
            title = {"oracle": "oracle", FORM: "latentRS as printed"}.get(name, METHODS[name][0])
            shown.append((title, arrays["points"][row], colour, words))
    for axes, (title, points, colour, words) in zip(panels, shown, strict=False):
        axes.scatter(*points.T, s=1.6, color=colour, linewidths=0, rasterized=True)
        axes.set(xlim=(-limit, limit), ylim=(-limit, limit), xticks=[], yticks=[], aspect="equal")
        axes.grid(False)
        subtitle(axes, title, words)
    panels[0].set_ylabel(LAWS[law][0])
    for axes in panels[len(shown) :]:
        axes.set_axis_off()


def _caption(seed: int) -> str:
    return (
        f"Points of every method on the training of seed {seed}, the first of its evaluations, at the setting "
        "that other reals chose; W1 is the mean over the evaluations of this training. The oracle takes the "
        "best of m times as many fakes for other reals. Grey: reals and what nobody can draw; green: latent "
        "weights; blue: the rest."
    )
