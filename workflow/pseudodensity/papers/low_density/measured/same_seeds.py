"""Experiment: images of several samplers on the same latents and the same noise, and how hard each is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.choice import Maker
from pseudodensity.generators.checkpoint import CheckpointFile, load_checkpoint
from pseudodensity.generators.class_latents import ClassLatents
from pseudodensity.images.transform import to_uint8
from pseudodensity.papers.low_density.measured.hardness_judge import open_judge
from pseudodensity.plan.methods import method
from pseudodensity.rng import normal

__all__ = ["class_latents", "same_seeds"]

BATCH = 100  # images at once, at most


@dataclass(frozen=True)
class _Bench:
    """What a method that makes images on given latents asks for: see `control.choice.Tools`."""

    generator: ClassLatents
    checkpoint: CheckpointFile
    networks: Mapping[str, Any]
    seed: int
    settings: Mapping[str, Any]
    device: str

    def auxiliary(self, name: str) -> Any:
        """An auxiliary network of the checkpoint."""
        workshop = Workshop(self.checkpoint, {}, self.seed, device=self.device)
        return load_auxiliary(self.networks[name], workshop)


def same_seeds(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The same latents through each sampler; none is picked.

    inputs: those of `open_judge`; ``checkpoint``; the networks that the points ask, by name. settings:
    ``points`` of methods that make images, None for the model's own; ``classes``; ``per_class``, images of
    each; ``seed`` of the latents; ``device``.

    arrays: ``images`` (points, classes, per_class, 3, R, R) uint8; ``hardness`` (points, classes, per_class)
    float64 in nats, in the judge's features. facts: ``notes`` of the points; ``limit``, the hardness that
    80 % of the real images do not exceed. ValueError: a class that the model does not have.
    """
    device, classes, per_class = settings["device"], settings["classes"], settings["per_class"]
    checkpoint, judge = load_checkpoint(inputs["checkpoint"]), open_judge(inputs)
    generator = checkpoint.frozen_generator(device)
    latents = class_latents(generator, settings["seed"], classes, per_class).to(device)
    labels = np.repeat(np.array(classes, np.int64), per_class)
    images, hardness, notes = [], [], []
    for point in settings["points"]:
        bench = _Bench(generator, checkpoint, inputs, settings["seed"], point or {}, device)
        maker = method(point["method"]).maker(bench) if point else Maker(generator)
        with torch.no_grad():
            made = [to_uint8(maker.make(part)).cpu().numpy() for part in latents.split(BATCH)]
        images.append(np.concatenate(made))
        hardness.append(judge.hardness(images[-1], labels, device))
        notes.append(str(maker.facts.get("note", "")))
    shape = (len(settings["points"]), len(classes), per_class)
    arrays = {
        "images": np.stack(images).reshape(*shape, *images[0].shape[1:]),
        "hardness": np.stack(hardness).reshape(shape),
    }
    return arrays, {"notes": notes, "limit": judge.limit}


def class_latents(
    generator: ClassLatents, seed: int, classes: Sequence[int], per_class: int
) -> Tensor:
    """Latents (classes x per_class, *latent_shape) float32, those of a class one after the other.

    A latent depends on the seed and its place only. ValueError: a class that the model does not have.
    """
    rows = range(len(classes) * per_class)
    latents = normal(seed, "latents", rows, generator.latent_shape)
    parts = latents.split(per_class)
    pairs = zip(parts, classes, strict=True)
    return torch.cat([_of_class(generator, part, label) for part, label in pairs])


def _of_class(generator: ClassLatents, latents: Tensor, label: int) -> Tensor:
    try:
        return generator.with_class(latents, label)
    except ValueError as error:
        raise ValueError(f"papers.low_density.shown asks for class {label}, but {error}") from None
