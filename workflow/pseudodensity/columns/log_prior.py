"""Log-density of each latent under the prior, which polarity sampling can divide out."""

from __future__ import annotations

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column

NAME = "log_prior"
TITLE = "log-density of the latent"
INPUTS = ("checkpoint",)
COVERS = "parts"
DEFAULTS = {}


def compute(context: Context, rows: range) -> Column:
    """-|z|^2 / 2 of standard normal latents, up to a constant, (n,) float64.

    The number of a latent that chooses a class is no part of z.
    """
    own = None if context.generator.classes is None else -1
    began = clock(context.device)
    parts = [
        -context.latents(batch).double().flatten(1)[:, :own].square().sum(1).cpu().numpy() / 2
        for batch in context.batches(rows)
    ]
    return Column(np.concatenate(parts), seconds=clock(context.device) - began)
