"""Exact likelihood of 8-bit images under a normalising flow on their pixels (papers/002, appendix A.2).

Levels u get uniform noise, so that they have a density (Theis et al. 2016); logits of the shrunk pixels
fill the whole line (Dinh et al. 2017, section 4.1). There a Gaussian is fitted, with a covariance shrunk
as Ledoit and Wolf (2004) say, and affine couplings learn what it misses. They start as the identity, so
that on held-out images no flow is worse than its Gaussian.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from zuko.flows.coupling import GeneralCouplingTransform, RealNVP

from pseudodensity.progress import Progress
from pseudodensity.rng import generator, normal, uniform
from pseudodensity.tensors import load_tensors, refuse_non_finite, save_tensors

__all__ = ["Flow", "PixelFlow", "from_logits", "to_logits", "train"]

SPEC = {"kind": "pixel_flow", "format": 1}
SHRUNK = 0.05  # alpha of Dinh et al. 2017: pixels in (0, 1) become alpha + (1 - 2 alpha) of them
LEVELS = 256
SEEN = 5.0  # standard deviations of a component that a coupling tells apart
HELD_OUT_BATCH = 1000

# Rows (m,) int64 of the training set and a stream -> vectors (m, d).
Draw = Callable[[Tensor, torch.Generator], Tensor]


def to_logits(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, d) of pixels (n, d) in (0, 1), shrunk to [.05, .95], and the logarithm (n,) of how much
    that stretches volumes."""
    shrunk = SHRUNK + (1 - 2 * SHRUNK) * pixels
    logs = math.log(1 - 2 * SHRUNK) - shrunk.log() - (-shrunk).log1p()
    return shrunk.logit(), logs.sum(1)


def from_logits(logits: Tensor) -> Tensor:
    """The pixels (n, d) that `to_logits` was given; beyond (0, 1) for logits that none has."""
    return (logits.sigmoid() - SHRUNK) / (1 - 2 * SHRUNK)


class Flow(nn.Module):
    """A density of vectors: a Gaussian, and affine couplings in its principal components."""

    def __init__(self, dimensions: int, transforms: int = 6, width: int = 256):
        """dimensions: d, 2 or more. transforms: couplings, each with a network of two hidden layers of
        `width`. The Gaussian is standard until `fit_gaussian`. ValueError: d below 2."""
        super().__init__()
        if dimensions < 2:
            raise ValueError(f"a flow couples 2 or more dimensions, got {dimensions}")
        self.settings = {"dimensions": dimensions, "transforms": transforms, "width": width}
        self.couplings = RealNVP(
            dimensions, transforms=transforms, hidden_features=(width, width), activation=nn.SiLU
        )
        for module in self.couplings.modules():
            if isinstance(module, GeneralCouplingTransform):
                nn.init.zeros_(module.hyper[-1].weight)
                nn.init.zeros_(module.hyper[-1].bias)
                # Far from all training images a coupling goes on as at their border: else its scale would
                # grow with the distance, and one coupling would blow up what the next one sees.
                module.hyper = nn.Sequential(nn.Hardtanh(-SEEN, SEEN), module.hyper)
        self.register_buffer("centre", torch.zeros(dimensions))
        self.register_buffer("axes", torch.eye(dimensions))
        self.register_buffer("spreads", torch.ones(dimensions))

    def fit_gaussian(self, vectors: Tensor) -> None:
        """Take mean and covariance from vectors (n, d). ValueError: they do not vary at all."""
        # Imported where it is asked for: it takes a second.
        from sklearn.covariance import ledoit_wolf

        covariance, _ = ledoit_wolf(vectors.double().numpy())
        variances, axes = np.linalg.eigh(covariance)
        if not variances[0] > 0:
            raise ValueError("all vectors are the same: a flow needs different ones")
        # The couplings take every second component: strong and weak ones in both halves.
        self.centre.copy_(vectors.double().mean(0))
        self.axes.copy_(torch.from_numpy(axes))
        self.spreads.copy_(torch.from_numpy(np.sqrt(variances)))

    def log_density(self, vectors: Tensor) -> Tensor:
        """Log-density in nats (n,) of vectors (n, d), differentiable."""
        whitened = (vectors - self.centre) @ self.axes / self.spreads
        return self.couplings().log_prob(whitened) - self.spreads.log().sum()

    def from_noise(self, noise: Tensor) -> Tensor:
        """The vectors (n, d) that standard normal noise (n, d) becomes."""
        whitened = self.couplings().transform.inv(noise)
        return (whitened * self.spreads) @ self.axes.T + self.centre


def train(
    flow: Flow,
    draw: Draw,
    count: int,
    held_out: Tensor,
    *,
    seed: int,
    epochs: int = 200,
    patience: int = 10,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Maximum likelihood; the weights that are best on held-out vectors are kept.

    Args:
        draw: gives the training vectors of some rows, with fresh noise if they have any.
        count: rows of the training set. held_out: (m, d).
        patience: epochs without a better held-out likelihood after which it stops.
        progress: counts epochs.

    Returns: ``epochs``, how many there were; ``best``, the one that is kept, 0 for the Gaussian;
    ``held_out``, mean log-density of the held-out vectors before the first epoch and of the best, nats.

    FloatingPointError: the likelihood is not finite.
    """
    stream = generator(seed, "training of the flow")
    optimizer = torch.optim.AdamW(flow.parameters(), lr=learning_rate, weight_decay=1e-4)
    found, best, kept = [_mean_log_density(flow, held_out)], 0, copy.deepcopy(flow.state_dict())
    for epoch in range(1, epochs + 1):
        if progress is not None:
            progress.update(epoch - 1)
        for rows in torch.randperm(count, generator=stream).split(batch_size):
            loss = -flow.log_density(draw(rows, stream)).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()
        found.append(_mean_log_density(flow, held_out))
        if not math.isfinite(found[-1]):
            raise FloatingPointError(
                f"the flow diverged in epoch {epoch} (its held-out log-density is {found[-1]}): take a "
                "lower learning rate"
            )
        if found[-1] > found[best]:
            best, kept = epoch, copy.deepcopy(flow.state_dict())
        if epoch - best >= patience:
            break
    flow.load_state_dict(kept)
    return {"epochs": len(found) - 1, "best": best, "held_out": [found[0], found[best]]}


@torch.no_grad()
def _mean_log_density(flow: Flow, vectors: Tensor) -> float:
    parts = [flow.log_density(part).double().sum() for part in vectors.split(HELD_OUT_BATCH)]
    return float(sum(parts) / len(vectors))


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
