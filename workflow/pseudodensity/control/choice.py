"""What a method answers: which proposals it takes for each repeat of a point, and what that took."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = [
    "Choice",
    "Made",
    "Maker",
    "Point",
    "Pool",
    "Tools",
    "accepted_stretches",
    "all_proposals",
    "needs_discriminator",
    "needs_one_pass",
    "no_column_settings",
    "one_each",
    "stretches",
]

Point = Mapping[str, Any]


class Pool(Protocol):
    """What a method sees of a pool: see `pseudodensity.columns.pool.Pool`."""

    seed: int
    facts: Mapping[str, Any]

    def __len__(self) -> int:
        """Proposals."""

    def column(self, name: str) -> Any:
        """A column: its values, its real side, its facts."""

    def values(self, name: str) -> np.ndarray:
        """Values of a column, (n, ...)."""


class Tools(Protocol):
    """What a method that makes images has at hand: see `pseudodensity.columns.context.Context`."""

    generator: Any
    checkpoint: Any
    discriminator: Any
    data: Any
    search_extractor: Any
    search_features: Any
    feature_density: Any
    pseudo_density: Any
    steering: Any
    seed: int
    settings: Mapping[str, Any]
    batch_size: int
    device: str

    def latents(self, rows: Sequence[int]) -> Any:
        """Latents (n, *latent_shape) of some rows."""

    def auxiliary(self, name: str) -> Any:
        """An auxiliary network of the checkpoint."""


# A pool is drawn before its acceptance is known. Its nominal value follows from tau; this much more is
# drawn, since a model has other shares below tau than the real images.
MARGIN = 1.25


@dataclass(frozen=True)
class Choice:
    """Which proposals a point takes.

    rows: one (images,) int64 array per repeat; fewer repeats than asked where the pool is too small.
    used: how many proposals were looked at. acceptance: share of them that was taken, before cutting to
    whole repeats; None for a method without rejection. expected: the same by a closed form. ess:
    effective sample size of the weights over what was looked at. note: what a reader must know.
    generated: images that sampling would make for it, where that is not one for each that was used: of a
    method that rejects latents, those that were accepted.
    """

    rows: Sequence[np.ndarray]
    used: int
    acceptance: float | None = None
    expected: float | None = None
    ess: float | None = None
    note: str = ""
    generated: int | None = None


@dataclass(frozen=True)
class Made:
    """Images in [-1, 1], and by name what was found out of each, (n, ...), which become columns of the pool."""

    images: Any
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Maker:
    """How a method makes its own images.

    make: latents (n, *latent_shape) -> images in [-1, 1], or `Made`; batches come in order. calls: images that
    the generator makes for one. facts: what was found out before (an estimated constant). group: images
    that depend on each other; batches are multiples of it, so that no batch size changes an image.
    latents: rows of a pool -> the latents that they are made from; None for those of the pool.
    """

    make: Callable[[Any], Any]
    calls: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    group: int = 1
    latents: Callable[[Sequence[int]], Any] | None = None


def stretches(rows: np.ndarray, images: int, repeats: int) -> tuple[list[np.ndarray], int]:
    """Disjoint stretches of accepted rows, as many as there are, and how many proposals they used."""
    count = min(len(rows) // images, repeats)
    used = int(rows[count * images - 1]) + 1 if count else 0
    return [rows[i * images : (i + 1) * images] for i in range(count)], used


def accepted_stretches(
    log_acceptance: Any, stream: Any, images: int, repeats: int, *, start: int = 0, note: str = ""
) -> Choice:
    """Rejection: who is accepted, in order, each proposal with its own probability.

    Args:
        log_acceptance: (n,) tensor, of the proposals from row `start` on.
        stream: torch.Generator, one draw per proposal, so that decisions stay when a pool grows.
        start: rows before that were spent otherwise (a burn-in).
    """
    from pseudodensity.control.select.schemes import effective_sample_size, rejection

    taken = rejection(log_acceptance, stream).nonzero()[:, 0].numpy()
    rows, used = stretches(taken, images, repeats)
    used = used or len(log_acceptance)
    return Choice(
        [part + start for part in rows],
        used + start,
        float((taken < used).sum()) / used,
        float(log_acceptance[:used].exp().mean()),
        effective_sample_size(log_acceptance[:used]),
        note,
    )


def all_proposals(pool: Any, point: Point, images: int, repeats: int) -> Choice:
    """`choose` of a method that takes every proposal, or that made them itself."""
    rows, used = stretches(np.arange(len(pool)), images, repeats)
    return Choice(rows, used, 1.0, 1.0, float(used), str(pool.facts.get("note", "")))


def one_each(point: Point, images: int, repeats: int) -> int:
    """`proposals` of a method that takes every proposal."""
    return images * repeats


def proposals_for(acceptance: float, count: int) -> int:
    """Proposals that give `count` accepted ones, with the margin. ValueError: none is accepted."""
    if not 0 < acceptance <= 1:
        raise ValueError(f"a point is accepted with a probability in (0, 1], got {acceptance}")
    return math.ceil(count if acceptance == 1 else MARGIN * count / acceptance)


def needs_discriminator(generator: Mapping[str, Any]) -> str | None:
    """`why_not` of what asks a discriminator; generator: a declaration."""
    if not generator["discriminator"]:
        return "needs a discriminator, and there is none"
    told = "needs a discriminator of images alone, and its own is told their classes"
    return told if generator["classes"] else None


def needs_one_pass(generator: Mapping[str, Any]) -> str | None:
    """`why_not` of what climbs through the generator step by step; generator: a declaration."""
    if generator["calls_per_image"] == "many":
        return "takes many passes for an image, and each step differentiates through all"
    return None


def no_column_settings(point: Point) -> dict[str, dict[str, Any]]:
    """`column_settings` of a method whose columns have none, or take their defaults."""
    return {}
