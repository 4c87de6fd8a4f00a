"""What Figures 4 to 9 show of a model: who is accepted, and how latents climb their weights.

``inputs`` of both: ``checkpoint``; ``latent_weight``, its network; ``backbone`` of a projected discriminator,
or none; ``extractor`` that judges, and ``real``, features of the real images by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.artifacts import load_npy
from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.auxiliary.latent_space import LatentWeight
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.move.latent_ascent import ascent_path
from pseudodensity.control.select.latent import latent_log_acceptance
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.images.transform import to_uint8
from pseudodensity.metrics.manifold import Manifold
from pseudodensity.metrics.realism import realisms
from pseudodensity.rng import normal

__all__ = ["acceptances", "ascents", "open_workshop"]

BATCH = 250  # images at once

Arrays = dict[str, np.ndarray]
Settings = Mapping[str, Any]


def acceptances(inputs: Mapping[str, Any], settings: Settings) -> tuple[Arrays, dict[str, Any]]:
    """Acceptance and realism of the first samples of a seed (Figure 4).

    settings: ``images``, how many; ``shown``, of how many the pixels are kept, at equal distances in the
    order of their acceptance; ``seed``, of the latents; ``k``, of the realism; ``device``.

    Returns:
        ``acceptance`` and ``realism`` (n,), ``rows`` (shown,) of the images that are kept, ``images``
        (shown, 3, R, R) uint8; no facts.
    """
    weight, count = _weight(inputs, settings["device"]), settings["images"]
    latents = _latents(weight, settings, count)
    with torch.no_grad():
        points = torch.cat([weight.space.points(part) for part in latents.split(BATCH)])
        accepted = _acceptance(weight, points)
    images = _images(weight, points)
    order = accepted.argsort(stable=True)
    rows = order[torch.linspace(0, count - 1, settings["shown"]).round().long()].numpy()
    found = {"acceptance": accepted.numpy(), "realism": Judge(inputs, settings)(images)}
    return found | {"rows": rows, "images": images[rows]}, {}


def ascents(inputs: Mapping[str, Any], settings: Settings) -> tuple[Arrays, dict[str, Any]]:
    """Samples on their way up the weights (latentGA; Figures 5 to 9).

    settings: ``images``, how many climb; ``shown``, of how many the pixels are kept; ``steps``, where they
    are looked at, rising from 0; ``step_size`` and ``projection``, see `ascend`; ``seed``, ``k``, ``device``.

    Returns:
        ``acceptance`` and ``realism`` (steps, n), ``images`` (steps, shown, 3, R, R) uint8; no facts.
    """
    weight = _weight(inputs, settings["device"])
    with torch.no_grad():
        starts = weight.space.points(_latents(weight, settings, settings["images"]))
    path = ascent_path(
        weight.network,
        starts,
        steps=settings["steps"][-1],
        step_size=settings["step_size"],
        projection=weight.space.projection(settings["projection"]),
    )
    judge, found = Judge(inputs, settings), {"acceptance": [], "realism": [], "images": []}
    for step in settings["steps"]:
        images = _images(weight, path[step])
        with torch.no_grad():
            found["acceptance"].append(_acceptance(weight, path[step]).numpy())
        found["realism"].append(judge(images))
        found["images"].append(images[: settings["shown"]])
    return {name: np.stack(values) for name, values in found.items()}, {}


class Judge:
    """Images (n, 3, R, R) uint8 -> their realism (n,)."""

    def __init__(self, inputs: Mapping[str, Any], settings: Settings):
        self.extractor = load_extractor(inputs["extractor"])
        self.device = settings["device"]
        self.side = Manifold(load_npy(inputs["real"]), settings["k"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return realisms(self.side, extract(self.extractor, images, BATCH, self.device))


def open_workshop(inputs: Mapping[str, Any], device: str) -> Workshop:
    """The checkpoint of an experiment, to build its networks of."""
    path = inputs.get("backbone")
    backbone = load_extractor(path) if path else None
    return Workshop(load_checkpoint(inputs["checkpoint"]), {}, 0, None, backbone, device=device)


def _weight(inputs: Mapping[str, Any], device: str) -> LatentWeight:
    return load_auxiliary(inputs["latent_weight"], open_workshop(inputs, device))


def _latents(weight: LatentWeight, settings: Settings, count: int) -> Tensor:
    shape = weight.space.generator.latent_shape
    return normal(settings["seed"], "latents", range(count), shape).to(settings["device"])


def _acceptance(weight: LatentWeight, points: Tensor) -> Tensor:
    weights = torch.cat([weight.network(part) for part in points.split(BATCH)])
    return latent_log_acceptance(weights, weight.largest).exp().cpu()


@torch.no_grad()
def _images(weight: LatentWeight, points: Tensor) -> np.ndarray:
    parts = [to_uint8(weight.space.images(part)).cpu() for part in points.split(BATCH)]
    return torch.cat(parts).numpy()
