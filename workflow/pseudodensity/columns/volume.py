"""Log-volume of the generator's Jacobian at each latent, which polarity sampling weighs by."""

from __future__ import annotations

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.generators.volumes import log_volumes

NAME = "volume"
TITLE = "log-volume of the Jacobian"
INPUTS = ("checkpoint", "extractor")
COVERS = "rows"
# top: singular values whose product counts (papers/001 takes 30 of StyleGAN's 512). extractor: of space "feature".
DEFAULTS = {"top": 30, "route": "auto", "space": "pixel", "extractor": None}


def compute(context: Context, rows: range) -> Column:
    """Log-volumes (n,) float64; see `log_volumes` for the settings."""
    settings = {key: context.settings[key] for key in ("top", "route", "space")}
    if settings["space"] == "feature":
        settings["features"] = context.extractor.to(context.device).eval()
    generator, began = context.generator, clock(context.device)
    parts = [
        log_volumes(generator, context.latents(batch), **settings).cpu().numpy()
        for batch in context.batches(rows)
    ]
    return Column(np.concatenate(parts), seconds=clock(context.device) - began)
