"""A small diffusion model with classes, and images with labels to train the networks of guidance on."""

import numpy as np
import torch
from diffusion_example import DIFFUSION

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.labels import Labels

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
