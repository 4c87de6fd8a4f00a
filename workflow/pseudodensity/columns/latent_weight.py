"""The learned importance weight of each latent (papers/003): known before any image is made."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.control.train.weights import alarms, weight_statistics

NAME = "latent_weight"
TITLE = "latent weight"
INPUTS = ("checkpoint", "latent_weight")
COVERS = "parts"
DEFAULTS = {}


@torch.no_grad()
def compute(context: Context, rows: range) -> Column:
    """Weights (n,) float32 of the latents.

    facts: ``largest``, m of the acceptance, and ``note``, what a reader must know of the weights.
    """
    weight, found, seconds = context.auxiliary("latent_weight"), [], 0.0
    for batch in context.batches(rows):
        latents = context.latents(batch)
        began = clock(context.device)
        found.append(weight(latents).float().cpu().numpy())
        seconds += clock(context.device) - began
    values = np.concatenate(found)
    told = weight_statistics(torch.from_numpy(values), weight.largest)
    note = f"E w {told['mean']:.2f}, sd {told['sd']:.2f}, P(w > m) {told['above']:.3f}"
    note = "; ".join([note, *alarms(told)])
    return Column(values, None, {"largest": weight.largest, "note": note}, seconds)
