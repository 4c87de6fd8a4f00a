"""What every feature extractor is, and the one route from images to features."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.images.transform import resize, to_float
from pseudodensity.progress import Progress

UNTRAINED = (
    "the extractor has random weights, so densities and scores of its features mean nothing: train it "
    "(features.training.train_extractor), load it, or take a pretrained one"
)


class Extractor(nn.Module):
    """Images in [-1, 1] of any size -> features, differentiable. Frozen and in eval mode when built.

    dim: length of a feature. size: side of the images that the network sees. spec: the settings
    it was built from. trained: whether its weights mean something. Subclasses define `embed`.
    """

    spec: dict[str, Any]
    trained: bool = True

    def __init__(
        self,
        dim: int,
        size: int,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        interpolation: Literal["bicubic", "bilinear"] = "bicubic",
    ):
        """mean, std: of the network's training images, per channel, on the scale 0..1."""
        super().__init__()
        self.dim, self.size, self.interpolation = dim, size, interpolation
        # (x + 1) / 2 - mean over std, folded into one subtraction and one division of x itself.
        offset = 2 * torch.tensor(mean, dtype=torch.float32) - 1
        scale = 2 * torch.tensor(std, dtype=torch.float32)
        self.register_buffer("offset", offset.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)

    def prepare(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) in [-1, 1] -> the network's own size and normalisation."""
        return (resize(x, self.size, self.interpolation) - self.offset) / self.scale

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> (n, dim) float32."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Images (n, 3, h, w) float in [-1, 1] -> features (n, dim) float32."""
        return self.embed(self.prepare(x))


@torch.no_grad()
def extract(
    extractor: Extractor,
    images: np.ndarray | Tensor,
    batch_size: int = 500,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Features (n, dim) float32 of uint8 images (n, 3, h, w), in batches.

    The only route to features for real and for generated images, which makes quantisation and
    resizing the same for both. The array may be memory-mapped. device: where to compute, and where
    the extractor is from then on; None for where it is. Training mode is put back at the
    end. ValueError: images of another type or shape; features that are not finite. Warns of an
    extractor that was never trained.
    """
    if not extractor.trained:
        warnings.warn(UNTRAINED, stacklevel=3)  # past the decorator
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must have shape (n, 3, h, w), got {tuple(images.shape)}")
    features = np.empty((len(images), extractor.dim), dtype=np.float32)
    training = extractor.training
    device = extractor.offset.device if device is None else device
    extractor.to(device).eval()
    for start in range(0, len(images), batch_size):
        if progress is not None:
            progress.update(start)
        batch = images[start : start + batch_size]
        # A memory map is read-only; the copy is what torch may own.
        batch = batch if isinstance(batch, Tensor) else np.array(batch)
        features[start : start + batch_size] = extractor(to_float(batch).to(device)).cpu().numpy()
    extractor.train(training)
    if progress is not None:
        progress.update(len(images))
    if not np.isfinite(features).all():
        raise ValueError("the extractor returned NaN or infinity: check its weights file")
    return features
