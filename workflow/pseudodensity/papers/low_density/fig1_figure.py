"""Figure 1: real images of high and of low density, a GAN, plain and guided diffusion, a column for each class.

``inputs`` and ``settings``: as of `same_seeds_table`; ``shown``, images of each class; ``guided``, its strengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pseudodensity.papers.low_density.pictures import (
    CELL,
    HEADS,
    LABELS,
    colour_of,
    picture_caption,
    strengths,
)
from pseudodensity.report.drawing import finish, show_images, theme
from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["fig1_figure"]


def fig1_figure(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Figure:
    """A line for each set of images; beside its name stands the mean hardness of all that were measured."""
    arrays = [load_arrays(path, ["images", "hardness"]) for path in inputs["sets"]]
    shown, classes = settings["shown"], settings["classes"]
    images = np.concatenate([each["images"][:, :, :shown] for each in arrays])
    hardness = np.concatenate([each["hardness"] for each in arrays])
    names = [name for own in settings["names"] for name in own]
    rows = [
        (f"{name}\nmean H {own.mean():.0f}", colour_of(name))
        for name, own in zip(names, hardness, strict=True)
    ]
    across = len(classes) * shown
    heads = [f"class {label}" if i == 0 else "" for label in classes for i in range(shown)]
    with theme():
        figure = Figure(figsize=(LABELS + across * CELL, HEADS + len(rows) * CELL))
        axes = figure.subplots()
        show_images(axes, images.reshape(-1, *images.shape[3:]), across, rows=rows, heads=heads)
        notes = load_facts(inputs["sets"][-1])["notes"]
        return finish(figure, _caption(settings, hardness[0].size, notes))


def _caption(settings: Mapping[str, Any], count: int, notes: list[str]) -> str:
    panel = settings["panels"][-1]
    said = (
        f"H: mean hardness, in nats, of n = {count} images of each row in features of {panel['judge']}, which neither "
        "guide nor train what guides; it ranks the real images of each class, of which the extreme ones are shown. "
        f"Plain, guided ({strengths(settings['guided'])}) and the random direction have the same latents and noise; "
        "of them and the GAN the first images are shown, none is picked."
    )
    return picture_caption(panel, said, notes)
