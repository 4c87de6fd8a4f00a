"""The pool of a checkpoint on disk: proposals in parts, and what each method needs to know of them.

Proposal ``i`` is the same whatever else is drawn, and a part holds a fixed range of proposals, so
a pool grows by further parts and never changes those it has. Beside the parts lie *sets*: images
that a method makes itself (truncation, transport), from the latents of the first proposals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.control.select.critic import Critic
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.images.transform import to_uint8
from pseudodensity.rng import normal
from pseudodensity.tensors import load_tensors, save_tensors

__all__ = ["Described", "Proposer", "kept_or_made", "load_described"]

Make = Callable[[Tensor], Tensor]
_FEATURES = "features."


@dataclass(frozen=True)
class Described:
    """What is known of n images.

    features: extractor name -> (n, d) float32, of those that judge. density: (n,) float32.
    logits: (n,) float32 of a discriminator, or None. seconds: stage -> time spent. calls: images
    that the generator made. facts: what the method found out on the way.
    """

    features: Mapping[str, np.ndarray]
    density: np.ndarray
    logits: np.ndarray | None
    seconds: Mapping[str, float]
    calls: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.density)

    def tensors(self) -> dict[str, np.ndarray]:
        """All of it by name, as it is stored."""
        named = {f"{_FEATURES}{name}": value for name, value in self.features.items()}
        named["density"] = self.density
        return named if self.logits is None else named | {"logits": self.logits}

    @classmethod
    def join(cls, parts: list[Described]) -> Described:
        """Several in order as one."""
        first = parts[0]
        features = {n: np.concatenate([p.features[n] for p in parts]) for n in first.features}
        density = np.concatenate([p.density for p in parts])
        logits = None
        if first.logits is not None:
            logits = np.concatenate([p.logits for p in parts])
        seconds = {stage: sum(p.seconds[stage] for p in parts) for stage in first.seconds}
        return cls(features, density, logits, seconds, sum(p.calls for p in parts))


@dataclass
class Proposer:
    """A generator with everything that describes its images.

    generator: in eval mode, with ``latent_shape``. seed: of the latents. critic: gives each
    image a logit; None if no method asks for it.
    """

    generator: nn.Module
    judges: Mapping[str, Extractor]
    density: PseudoDensity
    steering: Extractor
    seed: int
    critic: Critic | None = None
    batch_size: int = 500
    device: str = "cpu"
    _seconds: dict[str, float] = field(default_factory=dict, repr=False)

    def latents(self, index: range) -> Tensor:
        """Latents of the proposals, (n, *latent_shape) float32; row j depends on index[j] only."""
        return normal(self.seed, "latents", index, self.generator.latent_shape).to(self.device)

    def describe(
        self,
        index: range,
        make: Make | None = None,
        calls_per_image: int = 1,
        facts: Mapping[str, Any] | None = None,
    ) -> Described:
        """Draw and describe proposals, streaming.

        make: latents -> images in place of the generator, which it calls ``calls_per_image``
        times for each image; its batches come in the order of the index.
        """
        self._seconds = dict.fromkeys(("generator", "steering", "judges", "critic"), 0.0)
        parts = [self._batch(batch, make or self._generate) for batch in self._batches(index)]
        features, density, logits = zip(*parts, strict=True)
        return Described(
            {name: np.concatenate([f[name] for f in features]) for name in self.judges},
            np.concatenate(density),
            None if self.critic is None else np.concatenate(logits),
            self._seconds,
            len(index) * calls_per_image,
            facts or {},
        )

    def _batches(self, index: range) -> Iterator[range]:
        for start in range(index.start, index.stop, self.batch_size):
            yield range(start, min(start + self.batch_size, index.stop))

    @torch.no_grad()
    def _generate(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    def _batch(self, index: range, make: Make) -> tuple[dict[str, np.ndarray], Any, Any]:
        with self._timed("generator"):
            images = make(self.latents(index)).detach()
            pixels = to_uint8(images).cpu().numpy()
        logits = None
        if self.critic is not None:
            with self._timed("critic"), torch.no_grad():
                logits = self.critic(images).float().cpu().numpy()
        with self._timed("steering"):
            density = self.density(self._extract(self.steering, pixels))
        with self._timed("judges"):
            features = {name: self._extract(judge, pixels) for name, judge in self.judges.items()}
        return features, density, logits

    def _extract(self, extractor: Extractor, pixels: np.ndarray) -> np.ndarray:
        return extract(extractor, pixels, self.batch_size, self.device)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._seconds[stage] += time.perf_counter() - began


def kept_or_made(path: Path, stamp: Mapping[str, Any], make: Callable[[], Described]) -> Described:
    """What a file of this stamp holds, or what ``make`` makes, which is then stored there.

    stamp: JSON-able, all that decides the content; a file of another one is replaced.
    """
    with suppress(ArtifactError):
        return load_described(path, stamp)
    made = make()
    meta = {"seconds": dict(made.seconds), "calls": made.calls, "facts": dict(made.facts)}
    save_tensors(path, made.tensors(), stamp, meta)
    return made


def load_described(path: Path, stamp: Mapping[str, Any] | None = None) -> Described:
    """Read a part or a set; ArtifactError if it is missing, damaged or of another stamp."""
    tensors, meta = load_tensors(path, stamp)
    features = {
        name.removeprefix(_FEATURES): value.numpy()
        for name, value in tensors.items()
        if name.startswith(_FEATURES)
    }
    logits = tensors["logits"].numpy() if "logits" in tensors else None
    density, costs = tensors["density"].numpy(), (meta["seconds"], meta["calls"], meta["facts"])
    return Described(features, density, logits, *costs)
