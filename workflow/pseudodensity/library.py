"""The library in two calls: importance-sampled images and a precision-recall frontier.

For a generator and images of one's own; the pipeline does the same at scale and from files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.control.select.acceptance import expected_acceptance, importance_acceptance
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.images.reading import readable_images
from pseudodensity.images.sources import open_source
from pseudodensity.images.transform import to_uint8
from pseudodensity.metrics import frechet, manifold
from pseudodensity.progress import Progress
from pseudodensity.report.pareto import pareto_front
from pseudodensity.rng import normal, uniform

__all__ = ["ImportanceSample", "ReadImages", "frontier", "importance_sample", "read_images"]


@dataclass(frozen=True)
class ImportanceSample:
    """What `importance_sample` accepted, in the order drawn.

    images: (count, 3, R, R) uint8. latents: (count, *latent_shape) float32. density: (count,)
    float32. proposals: how many images were made. acceptance: the accepted share of them.
    expected: that share by the closed form, from the measured share below the threshold.
    """

    images: Tensor
    latents: Tensor
    density: Tensor
    proposals: int
    acceptance: float
    expected: float


@dataclass(frozen=True)
class _Batch:
    """Proposals with one uniform draw each, which decides the same way in every setting."""

    latents: Tensor
    images: Tensor
    density: np.ndarray
    draws: np.ndarray


@dataclass
class _Pool:
    """Densities and judged features of all proposals, and who of them each setting accepts."""

    density: list[np.ndarray]
    features: list[np.ndarray]
    rows: list[np.ndarray]

    @property
    def size(self) -> int:
        return sum(map(len, self.density))


@dataclass(frozen=True)
class ReadImages:
    """What `read_images` found.

    images: (N, 3, R, R) uint8. names: of these N, relative to the folder. rejected: name -> reason,
    in one line, of each file that could not be read.
    """

    images: np.ndarray
    names: list[str]
    rejected: dict[str, str]


def read_images(path: str | Path, resolution: int, *, max_unreadable: float = 0.05) -> ReadImages:
    """All images of a folder or zip, sorted by name, cropped to squares and resized.

    Args:
        resolution: R, side of the squares in pixels.
        max_unreadable: share of the files that may be no image that can be read.

    ValueError, in one line: a larger share cannot be read; nothing to read.
    """
    kind = "zip" if Path(path).expanduser().is_file() else "folder"
    names: list[str] = []
    rejected: list[dict[str, str]] = []
    with closing(open_source(kind, path)) as source:
        images = np.empty((len(source), 3, resolution, resolution), dtype=np.uint8)
        stream = readable_images(source, path, resolution, None, max_unreadable, rejected)
        for name, image in stream:
            images[len(names)] = image
            names.append(name)
    return ReadImages(images[: len(names)], names, {r["name"]: r["reason"] for r in rejected})


def importance_sample(
    generator: nn.Module,
    density: PseudoDensity,
    extractor: Extractor,
    tau: float,
    w: float,
    count: int,
    stream: torch.Generator,
    *,
    batch_size: int = 100,
) -> ImportanceSample:
    """Images whose odds of high pseudo density are w times the generator's (Algorithm 2).

    Args:
        generator: in eval mode, with ``latent_shape``; see `ExternalGenerator` for one's own.
        density: fitted on features of real images by ``extractor``.
        tau: threshold, the percentage of the real images below it.
        w: weight of images at or above the threshold: > 1 for fidelity, < 1 for diversity. One
            image costs at most max(w, 1 / w) proposals on average.
        stream: decides all; the result does not depend on ``batch_size``.

    ValueError: count below 1, tau outside 0..100, w not positive, a generator in training mode; generator,
    density and extractor on different devices.
    """
    threshold = density.threshold(tau)
    expected_acceptance(0.5, w)  # a bad w is refused before work starts
    parts, accepted, proposals, low = [], 0, 0, 0
    for batch in _proposals(generator, density, extractor, count, stream, batch_size):
        rows = np.flatnonzero(batch.draws < importance_acceptance(batch.density, threshold, w))
        rows = rows[: count - accepted]
        accepted += len(rows)
        parts.append(
            (batch.images[rows], batch.latents[rows], torch.as_tensor(batch.density[rows]))
        )
        # The last batch counts up to the image that filled the sample.
        used = len(batch.draws) if accepted < count else int(rows[-1]) + 1
        low += int((batch.density[:used] < threshold).sum())
        proposals += used
        if accepted == count:
            break
    images, latents, values = (torch.cat(part) for part in zip(*parts, strict=True))
    expected = float(expected_acceptance(low / proposals, w))
    return ImportanceSample(images, latents, values, proposals, count / proposals, expected)


def frontier(
    generator: nn.Module,
    density: PseudoDensity,
    extractor: Extractor,
    judge: Extractor,
    real: np.ndarray,
    *,
    taus: Sequence[float],
    ws: Sequence[float],
    count: int,
    stream: torch.Generator,
    k: int = 3,
    batch_size: int = 100,
    proposals_per_image: float = 20,
) -> list[dict[str, Any]]:
    """Precision and recall of plain sampling and of importance sampling at every (tau, w).

    All points choose from one pool of proposals, which grows until each has ``count`` images or about
    ``proposals_per_image * count`` proposals are made. Arguments as `importance_sample`, and

    Args:
        judge: extractor that judges; another than the one that steers.
        real: images (N, 3, h, w) uint8 to judge against, N > k.
        count: images of every point; recall depends on it.
        k: neighbours without self of precision and recall.

    Returns:
        One dict per point, plain sampling first (``tau`` None, ``w`` 1): tau, w, accepted,
        acceptance, mean_density, the scores of `metrics.manifold` and `metrics.frechet`
        (precision, recall, density, coverage, fid, ...), and front: whether no point has more of
        both precision and recall. A point that the pool was too small for says so in
        ``accepted`` and has None for what was not measured.

    A line on stderr now and then says how far it is.

    ValueError: as `importance_sample`; no more than k images; k too large; real images of another
    size than the generator's.
    """
    settings = [(None, 1.0), *((tau, w) for tau in taus for w in ws)]
    thresholds = [-np.inf if tau is None else density.threshold(tau) for tau, _ in settings]
    for _, w in settings:
        expected_acceptance(0.5, w)
    if not 1 <= k < min(len(real), count):
        raise ValueError(f"k={k} needs more than k real images and k images of every point")
    device = _one_device(generator=generator, density=density, extractor=extractor, judge=judge)
    _check_side(generator, real, device)
    progress = Progress("frontier", count)
    progress.update(0)
    pool = _Pool([], [], [np.empty(0, dtype=int) for _ in settings])
    for batch in _proposals(generator, density, extractor, count, stream, batch_size):
        pool.features.append(extract(judge, batch.images, batch_size, device))
        for i, (threshold, (_, w)) in enumerate(zip(thresholds, settings, strict=True)):
            chosen = batch.draws < importance_acceptance(batch.density, threshold, w)
            pool.rows[i] = np.append(pool.rows[i], pool.size + np.flatnonzero(chosen))
        pool.density.append(batch.density)
        # As far as the point that accepts least.
        progress.update(min(count, *map(len, pool.rows)), proposals=pool.size)
        if min(map(len, pool.rows)) >= count or pool.size >= proposals_per_image * count:
            break
    judged = {"features": extract(judge, real, batch_size, device)}
    sides = manifold.prepare(judged, k=k), frechet.prepare(judged)
    points = [
        {"tau": tau, "w": w} | _point(pool, rows, count, *sides)
        for (tau, w), rows in zip(settings, pool.rows, strict=True)
    ]
    names = ("precision", "recall")
    front = pareto_front(*([np.nan if p[n] is None else p[n] for p in points] for n in names))
    for point, on_front in zip(points, front, strict=True):
        point["front"] = None if point["precision"] is None else bool(on_front)
    return points


def _proposals(
    generator: nn.Module,
    density: PseudoDensity,
    extractor: Extractor,
    count: int,
    stream: torch.Generator,
    batch_size: int,
) -> Iterator[_Batch]:
    """Endless proposals; the i-th is the same for every batch size."""
    if count < 1:
        raise ValueError(f"count is a number of images, 1 or more, got {count}")
    _check_generator(generator)
    device = _one_device(generator=generator, density=density, extractor=extractor)
    seed = int(torch.randint(2**62, (), generator=stream))
    start = 0
    while True:
        index = range(start, start := start + batch_size)
        latents = normal(seed, "latents", index, generator.latent_shape)
        with torch.no_grad():
            images = to_uint8(generator(latents.to(device))).cpu()
        values = density(extract(extractor, images, batch_size, device))
        yield _Batch(latents, images, values, uniform(seed, "acceptance", index).numpy())


def _check_generator(generator: nn.Module) -> None:
    if not hasattr(generator, "latent_shape"):
        raise ValueError("the generator has no latent_shape: wrap it in an ExternalGenerator")
    if generator.training:
        raise ValueError("the generator is in training mode: call generator.eval() first")


@torch.no_grad()
def _check_side(generator: nn.Module, real: np.ndarray, device: torch.device) -> None:
    """Real and generated images have one size: a resize would be seen by the judge."""
    _check_generator(generator)
    latents = normal(0, "size", range(1), generator.latent_shape).to(device)
    made = tuple(generator(latents).shape[1:])
    if tuple(real.shape[1:]) != made:
        raise ValueError(
            f"real images have shape {tuple(real.shape[1:])}, those of the generator {made}: read "
            f"the real ones at {made[-1]} pixels"
        )


def _one_device(**parts: nn.Module) -> torch.device:
    """Where the parts are, by what they are called; the CPU if none has a tensor. ValueError: on different ones."""
    tensors = {name: next(chain(p.parameters(), p.buffers()), None) for name, p in parts.items()}
    where = {name: tensor.device for name, tensor in tensors.items() if tensor is not None}
    if len(set(where.values())) > 1:
        (first, its), *others = where.items()
        rest = "".join(f", the {name} on {device}" for name, device in others)
        raise ValueError(f"the {first} is on {its}{rest}: move them to one device with .to(device)")
    return next(iter(where.values()), torch.device("cpu"))


def _point(
    pool: _Pool, rows: np.ndarray, count: int, balls: manifold.Manifold, gaussian: frechet.Gaussian
) -> dict[str, Any]:
    """Facts and scores of the first ``count`` of the accepted rows, or None for each score."""
    if len(rows) < count:
        names = ("mean_density", *manifold.SCORES, *frechet.SCORES)
        facts = {"accepted": len(rows), "acceptance": len(rows) / pool.size}
        return facts | dict.fromkeys(names)
    rows = rows[:count]
    # Up to the last image taken, so that it does not depend on where the pool ends.
    facts = {"accepted": count, "acceptance": count / int(rows[-1] + 1)}
    facts["mean_density"] = float(np.concatenate(pool.density)[rows].mean(dtype=np.float64))
    fake = {"features": np.concatenate(pool.features)[rows]}
    return facts | manifold.score(balls, fake) | frechet.score(gaussian, fake)
