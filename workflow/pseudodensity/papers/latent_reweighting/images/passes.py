"""The time of one pass of each graph that a method of the paper runs (Table 6).

``inputs``: ``checkpoint``; ``latent_weight``; ``backbone`` of a projected discriminator, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.columns.context import clock
from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.move.gradient import per_sample_gradient
from pseudodensity.papers.latent_reweighting.images.shown import open_workshop
from pseudodensity.rng import normal

__all__ = ["measure_passes"]


def measure_passes(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Milliseconds of one image in a batch, graph by graph in turn.

    settings: ``batch``, images of a pass; ``passes``, of a measurement; ``repeats``; ``seed``; ``device``.

    Returns:
        ``ms`` (graphs, repeats) float64; facts: ``graphs``, their names.
    """
    device, batch = settings["device"], settings["batch"]
    workshop = open_workshop(inputs, device)
    weight = load_auxiliary(inputs["latent_weight"], workshop)
    generator = weight.space.generator
    latents = normal(settings["seed"], "latents", range(batch), generator.latent_shape).to(device)
    with torch.no_grad():
        points = weight.space.points(latents)
    discriminator = workshop.discriminator().eval().requires_grad_(False)
    graphs = _graphs(generator, discriminator, weight, latents, points)
    for run in graphs.values():
        run()  # the first call allocates
    ms = np.zeros((len(graphs), settings["repeats"]))
    for repeat in range(settings["repeats"]):
        for row, run in enumerate(graphs.values()):
            began = clock(device)
            for _ in range(settings["passes"]):
                run()
            ms[row, repeat] = 1000 * (clock(device) - began) / (settings["passes"] * batch)
    return {"ms": ms}, {"graphs": list(graphs)}


def _graphs(
    generator, discriminator, weight, latents: Tensor, points: Tensor
) -> dict[str, Callable[[], Tensor]]:
    """By the names of the paper. The gradient of a weight is taken where latentGA climbs: in z or in w."""

    def judged(z: Tensor) -> Tensor:
        return discriminator(generator(z)).reshape(len(z), -1).mean(1)

    return {
        "generator": torch.no_grad()(lambda: generator(latents)),
        "generator + discriminator": torch.no_grad()(lambda: judged(latents)),
        "grad_z D(G(z))": lambda: per_sample_gradient(judged, latents),
        "network w": torch.no_grad()(lambda: weight(latents)),
        "grad_z w(z)": lambda: per_sample_gradient(weight.network, points),
    }
