"""Exact log-likelihood of the codes behind each image of an autoregressive model (papers/000, A.5)."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.images.transform import to_float

NAME = "likelihood"
TITLE = "exact log-likelihood"
INPUTS = ("checkpoint", "data")
COVERS = "parts"
DEFAULTS = {}


@torch.no_grad()
def compute(context: Context, rows: range) -> Column:
    """Log-likelihoods in nats, (n,) float64, of the proposals' codes and of the real images' codes.

    The codes are drawn again from the latents; that is exact, as a latent always gives the same.
    """
    model, began = context.generator, clock(context.device)
    fakes = [
        model.log_likelihood(model.codes(context.latents(batch))).cpu().numpy()
        for batch in context.batches(rows)
    ]
    seconds = clock(context.device) - began
    images, reals = context.data.images, []
    for start in range(0, len(images), context.batch_size):
        batch = to_float(np.array(images[start : start + context.batch_size])).to(context.device)
        reals.append(model.log_likelihood(model.encode(batch)).cpu().numpy())
    return Column(np.concatenate(fakes), np.concatenate(reals), seconds=seconds)
