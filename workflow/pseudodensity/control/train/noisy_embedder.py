"""Train the embedder of low-density guidance: a classifier of noisy images, and the means of its features
(papers/002, section 4 and appendix A.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pseudodensity.control.guide.noisy_networks import NoisyEncoder
from pseudodensity.control.train.batches import draw_rows, real_images
from pseudodensity.control.train.noisy import LEVELS, NoisyTrainer, evenly_spaced
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.rng import generator as random_stream

__all__ = ["EmbedderTrainer"]

HELD_OUT = 0.1  # share of each class on which the accuracy is measured
MOST_OF_A_CLASS = 500  # images, held out or behind a mean


class EmbedderTrainer(NoisyTrainer):
    """See `NoisyTrainer`.

    Args:
        images: (N, 3, R, R) uint8. labels: their classes (N,) int64, each below `classes` and each there.
        settings: of `NoisyTrainer`, and ``anchors``, how many times have class means of their own.
        mirror: flip images at random.

    ValueError: a class without images, or labels that are none.
    """

    def __init__(
        self,
        network: NoisyEncoder,
        process: GaussianDiffusion,
        images: np.ndarray,
        labels: Tensor,
        classes: int,
        settings: Mapping[str, Any],
        *,
        mirror: bool,
        seed: int,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            network, process, settings, seed=seed, name="noisy embedder", device=device
        )
        counts = torch.bincount(labels, minlength=classes)
        if len(labels) != len(images) or len(counts) > classes or not counts.all():
            raise ValueError(
                f"an embedder of {classes} classes needs images of each, with labels from 0 to {classes - 1}: "
                f"the data set has {counts.tolist()}"
            )
        self.images, self.labels, self.classes, self.mirror = images, labels, classes, mirror
        self.held_out, self.learnt = self._split()

    def _split(self) -> tuple[list[Tensor], list[Tensor]]:
        """Rows of each class that are held out, and those that are learnt from: at least one."""
        stream, held_out, learnt = random_stream(self.seed, f"{self.name} split"), [], []
        for label in range(self.classes):
            rows = (self.labels == label).nonzero()[:, 0]
            rows = rows[torch.randperm(len(rows), generator=stream)]
            share = min(len(rows) - 1, MOST_OF_A_CLASS, math.ceil(HELD_OUT * len(rows)))
            held_out.append(rows[:share].sort().values)
            learnt.append(rows[share:].sort().values)
        return held_out, learnt

    def batch(self, stream: torch.Generator) -> tuple[Tensor, Tensor]:
        """Training images and their classes."""
        rows = self._all_learnt[draw_rows(len(self._all_learnt), self.batch_size, None, stream)]
        return real_images(self.images, rows, self.mirror, stream), self.labels[rows]

    @cached_property
    def _all_learnt(self) -> Tensor:
        return torch.cat(self.learnt)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the classes."""
        return cross_entropy(outputs, targets)

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """The network, and the class means of its features: ``times`` (a,) float32, ``values``
        (a, classes, k) float32."""
        steps = evenly_spaced(self.process.steps, self.settings["anchors"])
        means = {
            "times": self.process.clock(torch.tensor(steps, dtype=torch.float32)),
            "values": torch.stack([self._means(step) for step in steps]),
        }
        return {"network": self.network.state_dict(), "means": means}

    @torch.no_grad()
    def _means(self, step: int) -> Tensor:
        """Means (classes, k) at a step, each of at most `MOST_OF_A_CLASS` training images."""
        found = []
        for label, rows in enumerate(self.learnt):
            images = self.images[rows[:MOST_OF_A_CLASS].numpy()]
            noised = self.noised(images, step, f"mean of class {label}")
            features = [self.network.features(x, time).double() for x, time in noised]
            found.append(torch.cat(features).mean(0).float().cpu())
        return torch.stack(found)

    def facts(self) -> dict[str, float]:
        """``accuracy_at_<time>``: share of held-out images whose class is found, at ten noise levels."""
        rows = torch.cat(self.held_out)
        if not len(rows):
            return {}
        images, found = self.images[rows.numpy()], {}
        for step in evenly_spaced(self.process.steps, LEVELS):
            right = self.outputs(images, step, "held out").argmax(1) == self.labels[rows]
            found[f"accuracy_at_{step * 1000 / self.process.steps:.0f}"] = (
                right.double().mean().item()
            )
        return found
