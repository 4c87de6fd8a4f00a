"""Exact likelihood of 8-bit images under a normalising flow on their pixels (papers/002, appendix A.2).

Levels u get uniform noise, so that they have a density (Theis et al. 2016); logits of the shrunk pixels
fill the whole line (Dinh et al. 2017, section 4.1), and there a `Flow` is trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.density.flow import Flow, train
from pseudodensity.progress import Progress
from pseudodensity.rng import generator, normal, uniform
from pseudodensity.tensors import load_tensors, refuse_non_finite, save_tensors

__all__ = ["PixelFlow", "from_logits", "to_logits"]

SPEC = {"kind": "pixel_flow", "format": 1}
SHRUNK = 0.05  # alpha of Dinh et al. 2017: pixels in (0, 1) become alpha + (1 - 2 alpha) of them
LEVELS = 256


def to_logits(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, d) of pixels (n, d) in (0, 1), shrunk to [.05, .95], and the logarithm (n,) of how much
    that stretches volumes."""
    shrunk = SHRUNK + (1 - 2 * SHRUNK) * pixels
    logs = math.log(1 - 2 * SHRUNK) - shrunk.log() - (-shrunk).log1p()
    return shrunk.logit(), logs.sum(1)


def from_logits(logits: Tensor) -> Tensor:
    """The pixels (n, d) that `to_logits` was given; beyond (0, 1) for logits that none has."""
    return (logits.sigmoid() - SHRUNK) / (1 - 2 * SHRUNK)


class PixelFlow:
    """The likelihood of images of one size.

    flow: on logits of pixels. shape: of an image, (c, h, w). report: of the training.
    """

    def __init__(self, flow: Flow, shape: tuple[int, ...], report: dict[str, Any]):
        self.flow, self.shape, self.report = flow.requires_grad_(False), tuple(shape), dict(report)

    @classmethod
    def fit(
        cls,
        images: np.ndarray,
        held_out: np.ndarray,
        seed: int = 0,
        *,
        transforms: int = 6,
        width: int = 256,
        epochs: int = 200,
        patience: int = 10,
        progress: Progress | None = None,
    ) -> PixelFlow:
        """Train on uint8 images (n, c, h, w), until held-out ones (m, c, h, w) get no more likely.

        The result depends on the arguments alone, not on the global random state. Settings as of `Flow`
        and `train`. ValueError: other images, two sizes, fewer than 2 of either.
        """
        _check(images, images.shape[1:])
        _check(held_out, images.shape[1:])
        levels = torch.from_numpy(np.array(images)).flatten(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            flow = Flow(levels.shape[1], transforms, width)

        def draw(rows: Tensor, stream: torch.Generator) -> Tensor:
            noise = torch.rand((len(rows), levels.shape[1]), generator=stream, dtype=torch.float64)
            return to_logits((levels[rows] + noise) / LEVELS)[0].float()

        flow.fit_gaussian(draw(torch.arange(len(levels)), generator(seed, "noise of the Gaussian")))
        kept, _ = to_logits(_with_noise(held_out, seed, range(len(held_out))))
        report = train(
            flow,
            draw,
            len(levels),
            kept.float(),
            seed=seed,
            epochs=epochs,
            patience=patience,
            progress=progress,
        )
        refuse_non_finite(flow.state_dict(), "the flow")
        return cls(flow, images.shape[1:], report | {"seed": seed, "images": len(images)})

    @torch.no_grad()
    def bits_per_dimension(self, images: np.ndarray, seed: int = 0) -> np.ndarray:
        """Negative log-likelihood (n,) float64 of uint8 images (n, c, h, w), in bits per dimension.

        Exact for the image with its uniform noise, which depends on the seed and the place of the image;
        8 is what images of even noise have. ValueError: images of another size.
        """
        _check(images, self.shape)
        logits, stretched = to_logits(_with_noise(images, seed, range(len(images))))
        nats = self.flow.log_density(logits.float()).double() + stretched
        dimensions = logits.shape[1]
        return (math.log2(LEVELS) - nats / dimensions / math.log(2)).numpy()

    @torch.no_grad()
    def sample(self, rows: range, seed: int = 0) -> np.ndarray:
        """Images (n, c, h, w) uint8; row j depends on rows[j] and the seed only."""
        dimensions = self.flow.settings["dimensions"]
        noise = normal(seed, "samples of the flow", rows, (dimensions,))
        pixels = from_logits(self.flow.from_noise(noise))
        levels = (pixels * LEVELS).floor().clamp(0, LEVELS - 1)
        return levels.to(torch.uint8).view(-1, *self.shape).numpy()

    @property
    def facts(self) -> dict[str, Any]:
        """What a file says of it beside its weights: settings of the flow, shape of an image, report."""
        return {"flow": self.flow.settings, "shape": list(self.shape), "report": self.report}

    def save(self, path: Path | str) -> None:
        """Write weights, settings and report to one safetensors file."""
        save_tensors(path, self.flow.state_dict(), SPEC, self.facts)

    @classmethod
    def load(cls, path: Path | str, spec: Mapping[str, Any] | None = SPEC) -> PixelFlow:
        """Read what `save` wrote; the likelihoods are bit-identical. ArtifactError for other files.

        spec: that the file has; None for any, of an experiment that kept weights and `facts`.
        """
        tensors, meta = load_tensors(path, spec)
        flow = Flow(**meta["flow"])
        flow.load_state_dict(tensors)
        return cls(flow, meta["shape"], meta["report"])


def _with_noise(images: np.ndarray, seed: int, rows: range) -> Tensor:
    levels = torch.from_numpy(np.array(images)).flatten(1)
    return (levels + uniform(seed, "noise of levels", rows, levels.shape[1:])) / LEVELS


def _check(images: np.ndarray, shape: tuple[int, ...]) -> None:
    if images.ndim != 4 or images.dtype != np.uint8 or len(images) < 2 or images.shape[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(
            f"a flow needs 2 or more uint8 images (n, {wanted}), got {images.dtype} {images.shape}"
        )
