"""The class of each image that a generator with classes makes, so that work within classes is possible."""

from __future__ import annotations

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column

NAME = "label"
TITLE = "class that the latent chooses"
INPUTS = ("checkpoint",)
COVERS = "parts"
DEFAULTS = {}


def compute(context: Context, rows: range) -> Column:
    """Classes (n,) float64, whole numbers from 0. ValueError: the generator has none."""
    generator, began = context.generator, clock(context.device)
    if generator.classes is None:
        raise ValueError("a label needs a generator with classes, and this one has none")
    # A method that draws its own latents draws their classes with them.
    latents = map(context.latents_of_images, context.batches(rows))
    parts = [generator.labels(each).cpu().numpy() for each in latents]
    return Column(np.concatenate(parts).astype(np.float64), seconds=clock(context.device) - began)
