"""Experiment: samples of some classes by polarity (Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pseudodensity.columns.pool import Column, Pool
from pseudodensity.papers.polarity.measured.draws import draw_by_polarity, open_volumes

__all__ = ["class_samples"]


def class_samples(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The first samples of each class and polarity, drawn within the class; none is picked.

    inputs and settings: those of `open_volumes`, the column ``label`` among them; ``classes``; ``polarity``,
    exponents; ``shown``, images of each.

    arrays: ``images`` (classes, rows, shown, 3, R, R) uint8. facts: ``rows`` of each class, see
    `draw_by_polarity`. ValueError: a class has fewer latents than are shown.
    """
    pool = open_volumes(inputs, settings)
    images, rows = [], []
    for label in settings["classes"]:
        own = np.flatnonzero(pool.values("label") == label)
        if len(own) < settings["shown"]:
            raise ValueError(
                f"class {label} has {len(own)} of {len(pool)} latents, and {settings['shown']} are shown: choose "
                "another one in papers.polarity.fig1.samples.classes"
            )
        within = Pool({"volume": Column(pool.values("volume")[own])}, pool.seed)
        chosen, named = draw_by_polarity(within, settings["polarity"], settings["shown"])
        images.append(np.stack([pool.images(own[each]) for each in chosen]))
        rows.append(named)
    return {"images": np.stack(images)}, {"rows": rows}
