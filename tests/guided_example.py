"""A small diffusion model with classes, and images with labels to train the networks of guidance on."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from auxiliary_example import trained_auxiliaries, workshop_of
from diffusion_example import DIFFUSION

from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.labels import Labels
from pseudodensity.rng import normal

MODEL = DIFFUSION | {
    "classes": 3,
    "channels": [16],
    "patch": 2,
    "training_steps": 100,
    "sampling_steps": 5,
    "rescale_vb": False,
}


def labelled_images(classes: int = 3) -> ImageSet:
    images = np.random.Generator(np.random.Philox(0)).integers(
        0, 256, (30, 3, 8, 8), dtype=np.uint8
    )
    numbers = np.arange(30)[:, None] % classes
    labels = Labels(numbers, ["class"], [classes], np.zeros(30), np.zeros((30, 0), np.float32))
    return ImageSet(images, labels, [], {"spec": {"kind": "folder"}})


def checkpoint_with_classes() -> CheckpointFile:
    torch.manual_seed(0)
    states = {"average": build_generator("class_diffusion", 8, MODEL).state_dict()}
    return CheckpointFile("class_diffusion", 8, {"generator": MODEL}, states, {})


def tools_of(checkpoint: CheckpointFile, data: ImageSet, folder: Path) -> Callable:
    """What the job of a guided pool has at hand, for a point; its networks are trained for a few steps."""
    files = trained_auxiliaries(checkpoint, data, folder)
    networks = {
        name: load_auxiliary(file, workshop_of(name, checkpoint, None))
        for name, file in files.items()
    }
    model = checkpoint.frozen_generator()

    def made(point: dict) -> SimpleNamespace:
        return SimpleNamespace(
            generator=model,
            seed=3,
            settings=point,
            latents=lambda rows: normal(3, "latents", rows, model.latent_shape),
            auxiliary=networks.__getitem__,
            networks=networks,
        )

    return made
