"""Features by one more extractor, for a metric that is judged by a network of its own."""

from __future__ import annotations

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.features.extractor import extract

NAME = "features"
TITLE = "features by a further extractor"
INPUTS = ("checkpoint", "extractor")
COVERS = "parts"
DEFAULTS = {"extractor": None}


def compute(context: Context, rows: range) -> Column:
    """Features (n, d) float32 of the 8-bit images."""
    extractor, began = context.extractor, clock(context.device)
    parts = [
        extract(extractor, images, context.batch_size, context.device)
        for images in context.images(rows)
    ]
    return Column(np.concatenate(parts), seconds=clock(context.device) - began)
