"""Experiment: the variational bound of images that the diffusion model did not make (Figure 11).

Of its own images it is a column of their pool, with the same terms, noise and seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.variational_bound import bits_per_dimension
from pseudodensity.images.transform import to_float
from pseudodensity.papers.low_density.measured.image_sets import ImageSet, open_sets

__all__ = ["ESTIMATES", "bounds"]

BATCH = 200  # images at once
ESTIMATES = 2


def bounds(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Bits per dimension of held-out reals, and of generated images of other models, each of its own class.

    inputs: those of `open_sets`; ``checkpoint`` of the diffusion model. settings: those of `open_sets`; ``terms``
    of the bound; ``device``.

    arrays: ``bits`` (sets, 2, count) float64, two estimates with noise of their own, whose difference tells what
    is chance of an estimate. facts: ``sets``, names in order. ValueError: images without classes.
    """
    device = settings["device"]
    model = load_checkpoint(inputs["checkpoint"]).frozen_generator(device)
    sets = open_sets(inputs, settings)
    found = [
        [
            _bits(model, own, settings["terms"], settings["seed"] + i, device)
            for i in range(ESTIMATES)
        ]
        for own in sets.values()
    ]
    return {"bits": np.array(found)}, {"sets": list(sets)}


@torch.no_grad()
def _bits(model: Denoiser, own: ImageSet, terms: int, seed: int, device: str) -> np.ndarray:
    if own.labels is None:
        raise ValueError(
            "the bound of a model with classes needs the classes of the real images: give `labels` of the "
            "data set in the config"
        )
    found = []
    for rows in torch.arange(len(own.images)).split(BATCH):
        labels = torch.from_numpy(own.labels[rows]).to(device)
        images = to_float(own.images[rows]).to(device)
        predict = partial(model.predict, labels=labels)
        found.append(bits_per_dimension(predict, model.process, images, terms, seed, rows.tolist()))
    return torch.cat(found).cpu().numpy()
