"""Negative log-likelihood of each image under the diffusion model that made it, by the variational bound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.variational_bound import bits_per_dimension
from pseudodensity.images.transform import to_float

NAME = "variational_bound"
TITLE = "variational bound of the negative log-likelihood"
INPUTS = ("checkpoint",)
COVERS = "rows"
# terms: of the bound that are taken, which are network calls for each image; all of them if there are no more.
DEFAULTS = {"terms": 50}


@torch.no_grad()
def compute(context: Context, rows: range) -> Column:
    """Bits per dimension (n,) float64 of the 8-bit images, of their own classes where the model has some;
    see `bits_per_dimension`. ValueError: the generator is no diffusion model."""
    model, parts = context.generator, []
    if not isinstance(model, Denoiser):
        raise ValueError(  # noqa: TRY004
            "the variational bound is that of a diffusion model, and this generator is none: take "
            "likelihood where a model knows it"
        )
    began, start = clock(context.device), rows.start
    for images in context.images(rows):
        batch = range(start, start + len(images))
        parts.append(
            bits_per_dimension(
                partial(model.predict, labels=_classes(model, context, batch)),
                model.process,
                to_float(images).to(context.device),
                context.settings["terms"],
                context.seed,
                batch,
            )
        )
        start = batch.stop
    values = torch.cat(parts).cpu().numpy().astype(np.float64)
    return Column(values, seconds=clock(context.device) - began)


def _classes(model: Denoiser, context: Context, rows: Sequence[int]) -> Tensor | None:
    """The classes of these rows, which a model that has some is told."""
    if model.classes is None:
        return None
    return model.labels(context.latents_of_images(rows))
