"""Train the classifier of real against generated noisy images that keeps guidance near the data
(papers/002, section 3.2.2): its logit is the logarithm of the ratio of their densities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from pseudodensity.control.guide.noisy_networks import NoisyEncoder
from pseudodensity.control.train.batches import draw_rows, real_images
from pseudodensity.control.train.noisy import LEVELS, NoisyTrainer, evenly_spaced
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion
from pseudodensity.images.transform import to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import normal

__all__ = ["RealClassifierTrainer", "generated_images"]

HELD_OUT = 0.2  # share of either kind


@torch.no_grad()
def generated_images(
    generator: nn.Module, count: int, seed: int, batch_size: int, device: str, progress: Progress
) -> np.ndarray:
    """Images (count, 3, R, R) uint8 of a model, from latents of their own: no pool is learned from.

    progress: counts the images that exist before each batch.
    """
    made = []
    for start in range(0, count, batch_size):
        progress.update(start)
        rows = range(start, min(start + batch_size, count))
        latents = normal(seed, "latents of the real classifier", rows, generator.latent_shape)
        made.append(to_uint8(generator(latents.to(device))).cpu().numpy())
    return np.concatenate(made)


class RealClassifierTrainer(NoisyTrainer):
    """See `NoisyTrainer`; settings are those.

    Args:
        real, generated: (N, 3, R, R) uint8, both, so that neither is told by its rounding; as many of
            either are taken as the fewer are.
        mirror: flip images of both kinds at random.

    ValueError: fewer than two images of a kind.
    """

    def __init__(
        self,
        network: NoisyEncoder,
        process: GaussianDiffusion,
        real: np.ndarray,
        generated: np.ndarray,
        settings: Mapping[str, Any],
        *,
        mirror: bool,
        seed: int,
        device: str = "cpu",
    ) -> None:
        super().__init__(
            network, process, settings, seed=seed, name="real classifier", device=device
        )
        count = min(len(real), len(generated))
        if count < 2:
            raise ValueError(
                f"a real/synthetic classifier needs 2 images of either kind, got {len(real)} and {len(generated)}"
            )
        self.kinds, self.mirror = (generated, real), mirror
        held_out = max(1, int(HELD_OUT * count))
        order = torch.randperm(count, generator=random_stream(seed, "real classifier split"))
        self.held_out, self.learnt = order[:held_out].sort().values, order[held_out:].sort().values

    def batch(self, stream: torch.Generator) -> tuple[Tensor, Tensor]:
        """As many generated images (0) as real ones (1)."""
        half = max(1, self.batch_size // 2)
        images = [
            real_images(
                kind,
                self.learnt[draw_rows(len(self.learnt), half, None, stream)],
                self.mirror,
                stream,
            )
            for kind in self.kinds
        ]
        return torch.cat(images), torch.arange(2.0).repeat_interleave(half)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the two kinds; log 2 = .693 is that of knowing nothing."""
        return binary_cross_entropy_with_logits(outputs[:, 0], targets)

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """The network, and what it is worth: ``held_out`` with ``times``, ``accuracy``, ``loss``,
        ``learnt_loss`` (levels,) float32 and ``images`` () int64, of both kinds.

        A classifier that is worth nothing is kept too: who wants to steer by it is refused, see
        `HeldOutAccuracy.refusal`.
        """
        return {"network": self.network.state_dict(), "held_out": self._measured}

    def facts(self) -> dict[str, float]:
        """``held_out_loss_at_<time>``, ``held_out_accuracy_at_<time>``, ``learnt_loss_at_<time>``."""
        found, names = self._measured, {"held_out_loss": "loss", "learnt_loss": "learnt_loss"}
        names["held_out_accuracy"] = "accuracy"
        return {
            f"{told}_at_{time:.0f}": found[name][level].item()
            for level, time in enumerate(found["times"].tolist())
            for told, name in names.items()
        }

    @cached_property
    def _measured(self) -> dict[str, Tensor]:
        """Asked once, at the end of the training."""
        steps = evenly_spaced(self.process.steps, LEVELS)
        learnt = self.learnt[: len(self.held_out)]
        held_out = [self._at(step, self.held_out) for step in steps]
        return {
            "times": self.process.clock(torch.tensor(steps, dtype=torch.float32)),
            "loss": torch.tensor([loss for loss, _ in held_out]),
            "accuracy": torch.tensor([accuracy for _, accuracy in held_out]),
            "learnt_loss": torch.tensor([self._at(step, learnt)[0] for step in steps]),
            "images": torch.tensor(2 * len(self.held_out)),
        }

    def _at(self, step: int, rows: Tensor) -> tuple[float, float]:
        """Loss and accuracy on rows of both kinds at a step."""
        outputs, targets = [], []
        for label, kind in enumerate(self.kinds):
            outputs.append(self.outputs(kind[rows.numpy()], step, f"kind {label}"))
            targets.append(torch.full((len(rows),), float(label)))
        said, truth = torch.cat(outputs), torch.cat(targets)
        right = (said[:, 0] > 0) == truth.bool()
        return self.loss(said, truth).item(), right.double().mean().item()
