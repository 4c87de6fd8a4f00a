"""Polarity sampling: proposals weighted by a power of their volume element."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudodensity.control.choice import Choice, Point, Pool

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "choose",
    "column_settings",
    "label",
    "points",
    "polarity_log_weights",
    "polarity_log_weights_by_class",
    "proposals",
    "space_name",
    "volumes_of",
]

NAME = "polarity"
TITLE = "polarity sampling"
PAPER = "001"
SOURCE = "Algorithm 1"
NEEDS = ("singular_values",)
POOL = "model"
# volumes: of one repeat; every repeat has its own. top, route, space: of each volume, see `log_volumes`;
# extractor: whose features they are in, where space is "feature". kept: singular values that are kept of each latent,
# so that every top up to it is one column. beside: pixel, style or names of extractors, further spaces that share its
# sweep. prior: the model's own, or uniform, which divides its density out: for a few dimensions only, see
# `polarity_log_weights`.
DEFAULTS = {
    "volumes": 2000,
    "top": 30,
    "kept": 64,
    "route": "auto",
    "space": "pixel",
    "extractor": None,
    "beside": [],
    "prior": "model",
}
CHOICES = {
    "route": ["auto", "exact", "mapping"],
    "space": ["pixel", "style", "feature"],
    "prior": ["model", "uniform"],
}
SPACES = ("pixel", "style")
GRID = {"exponents": [-0.1, 0.1], "replacement": [True]}
LIMITS = {"volumes": (2, 100_000_000), "top": (1, 1_000_000), "kept": (1, 1_000_000)}


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every exponent, with and without replacement; within the classes of a generator that has some."""
    classes = {"by_class": True} if generator["classes"] else {}
    return [
        {"method": NAME, "polarity": exponent, "replacement": replacement, **settings, **classes}
        for replacement in grid["replacement"]
        for exponent in grid["exponents"]
    ]


def label(point: Point) -> str:
    """In the paper's words."""
    kind = "with" if point["replacement"] else "without"
    words = {"pixel": "", "style": ", style space"}
    space = words.get(point["space"], f", features of {point['extractor']}")
    prior = ", uniform prior" if point["prior"] == "uniform" else ""
    return f"polarity {point['polarity']:g}, {kind} replacement{space}{prior}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """It needs a Jacobian that can be had."""
    return generator["no_jacobian"]


def proposals(point: Point, images: int, repeats: int) -> int:
    """Volumes of their own for each repeat: an interval over repeats that share them is too narrow.

    ValueError: more images than volumes, without replacement.
    """
    if not point["replacement"] and images > point["volumes"]:
        raise ValueError(
            f"{images} images without replacement need as many volumes, and there are "
            f"{point['volumes']}: raise methods.polarity.volumes"
        )
    return point["volumes"] * repeats


def column_settings(point: Point) -> dict[str, dict[str, Any]]:
    """Which singular values, and what else. ValueError: a space of features without its extractor, or the
    other way round; more singular values than are kept."""
    if (point["space"] == "feature") != (point["extractor"] is not None):
        raise ValueError(
            "space 'feature' needs an extractor, and no other has one: set methods.polarity.extractor to a name "
            "under extractors, or to null"
        )
    if point["top"] > point["kept"]:
        raise ValueError(
            f"{point['top']} singular values count, but {point['kept']} are kept: raise methods.polarity.kept"
        )
    names = {space_name(point), *point["beside"]}
    swept = {
        "kept": point["kept"],
        "route": point["route"],
        "spaces": [name for name in SPACES if name in names],
        "extractors": sorted(names.difference(SPACES)),
    }
    asked: dict[str, dict[str, Any]] = {"singular_values": swept}
    asked |= {"label": {}} if "by_class" in point else {}
    return asked | ({"log_prior": {}} if point["prior"] == "uniform" else {})


def space_name(point: Point) -> str:
    """pixel | style | the extractor of a space of features."""
    return point["extractor"] if point["space"] == "feature" else point["space"]


def volumes_of(column: Any, space: str, top: int) -> np.ndarray:
    """Log-volumes (n,) float64: the sums of the `top` largest logs of singular values in a space.

    column: of `singular_values`. A space that has fewer singular values than `top` has all of them counted.
    """
    place = column.facts["spaces"].index(space)
    return np.nansum(column.values[:, place, :top], axis=1, dtype=np.float64)


def _rank_note(column: Any, space: str) -> str:
    """What the median numerical rank is, of as many singular values as are kept."""
    import torch

    from pseudodensity.generators.volumes import numerical_ranks

    place = column.facts["spaces"].index(space)
    logs = torch.from_numpy(column.values[:, place])
    ranks = numerical_ranks(logs, column.facts["tolerance"][place])
    return f"numerical rank {int(ranks.median())} of {int((~logs[0].isnan()).sum())}"


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each repeat resamples volumes that no other repeat has.

    ess: mean over the repeats.
    """
    import torch

    from pseudodensity.control.select.schemes import effective_sample_size, resample
    from pseudodensity.rng import generator as stream_of

    column, size = pool.column("singular_values"), point["volumes"]
    volumes = volumes_of(column, space_name(point), point["top"])
    prior = pool.values("log_prior") if point["prior"] == "uniform" else np.zeros(len(volumes))
    labels = pool.values("label") if "by_class" in point else np.zeros(len(volumes))
    rows, sizes = [], []
    for repeat in range(min(repeats, len(volumes) // size)):
        start = repeat * size
        own, priors, classes = (
            torch.from_numpy(all_[start : start + size]) for all_ in (volumes, prior, labels)
        )
        weights = polarity_log_weights_by_class(own, classes, point["polarity"], priors)
        stream = stream_of(pool.seed, "polarity", repeat)
        drawn = resample(weights, images, stream, replacement=point["replacement"])
        rows.append(start + drawn.numpy())
        sizes.append(effective_sample_size(weights))
    note = f"{size} volumes for each repeat" + (", by class" if "by_class" in point else "")
    note += f", {_rank_note(column, space_name(point))}"
    if not rows:
        return Choice([], len(volumes), note=note)
    ess = float(np.mean(sizes))
    if ess < images:
        note += f", whose effective sample size is below n = {images}"
    return Choice(rows, size * len(rows), ess=ess, note=note)


def polarity_log_weights(
    log_volumes: Tensor, polarity: float, log_prior: Tensor | None = None
) -> Tensor:
    """Log-weights rho * log volume of latents, (N,) float64, normalised to sum to one.

    Polarity sampling (Humayun et al. 2022, Algorithm 1) draws latents of the prior in proportion
    to (product of the largest singular values of the Jacobian)^rho: rho < 0 prefers the modes,
    rho > 0 the anti-modes, 0 is the plain model and 1 is uniform on the manifold (MaGNET) where
    the prior is uniform. With a Gaussian prior the output density is that of the model times
    volume^rho: polarity is relative to the model's own prior. Only ``log_prior`` divides that
    prior out, which a few dimensions bear and hundreds do not: there one latent gets all weight.

    Draw with :func:`~pseudodensity.control.select.schemes.resample`: the paper's Algorithm 1
    draws with replacement, its code without. Either way compare the effective sample size with
    the number of draws.

    Args:
        log_volumes: (N,) sums of the logs of singular values, any finite spread; -inf is a
            latent at which the generator is flat.
        polarity: rho, finite.
        log_prior: (N,) log densities of the latents, up to a constant, to sample as from a
            uniform prior; None to stay relative to the prior.

    Raises:
        ValueError: NaN or +inf in the volumes, or -inf with a negative polarity, whose weight
            would be infinite; another shape; a polarity that is not finite; log priors of another
            shape or not finite.
    """
    if log_volumes.ndim != 1 or len(log_volumes) == 0:
        raise ValueError(f"log volumes must be (N,) with N > 0, got {tuple(log_volumes.shape)}")
    if not math.isfinite(polarity):
        raise ValueError(f"polarity must be finite, got {polarity}")
    log_volumes = log_volumes.detach().double().cpu()
    if log_volumes.isnan().any() or (log_volumes == math.inf).any():
        raise ValueError("log volumes hold NaN or +inf: check the Jacobians they come from")
    if polarity < 0 and (log_volumes == -math.inf).any():
        raise ValueError(
            "a latent with zero volume has infinite weight at negative polarity: leave it out"
        )
    import torch

    # 0 * -inf is no number, but at polarity 0 every latent weighs the same.
    scaled = polarity * log_volumes if polarity else torch.zeros_like(log_volumes)
    if scaled.max() == -math.inf:
        raise ValueError("all latents have zero volume: the generator is constant")
    if log_prior is not None:
        if log_prior.shape != scaled.shape or not log_prior.isfinite().all():
            raise ValueError(f"log priors must be finite, one for each of {len(scaled)} volumes")
        scaled = scaled - log_prior.detach().double().cpu()
    return scaled.log_softmax(0)


def polarity_log_weights_by_class(
    log_volumes: Tensor, labels: Tensor, polarity: float, log_prior: Tensor | None = None
) -> Tensor:
    """Log-weights (N,) float64 of polarity sampling within each class, normalised to sum to one.

    A class keeps its share of the latents whatever its volumes are: the conditional law of each class is
    sampled with the same polarity. For the other arguments and errors see :func:`polarity_log_weights`.

    Args:
        labels: (N,), the class of each latent.
    """
    found = polarity_log_weights(log_volumes, polarity, log_prior).clone()
    labels = labels.cpu()
    for label in labels.unique():
        rows = labels == label
        prior = None if log_prior is None else log_prior[rows]
        share = rows.double().mean().log()
        found[rows] = polarity_log_weights(log_volumes[rows], polarity, prior) + share
    return found
