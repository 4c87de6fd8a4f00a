"""Polarity sampling with online rejection: what is drawn outside the real manifold is rejected (papers/004)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pseudodensity.control.choice import Choice, Point, Pool
from pseudodensity.control.select import polarity
from pseudodensity.control.select.polarity import space_name, volumes_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["choose", "column_settings", "draw_inside", "label", "points", "proposals", "why_not"]

NAME = "polarity_inside"
TITLE = "polarity, online rejection"
PAPER = "004"
SOURCE = "appendix G.4, table 17"
NEEDS = ("singular_values", "inside_manifold")
POOL = "model"
# manifold: the extractor in whose features an image must lie in the real manifold; it has to be named. manifold_k:
# neighbours that a real ball reaches to. The others: as of polarity, whose `extractor` is that of a space of volumes.
DEFAULTS = {
    "manifold": None,
    "manifold_k": 3,
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
GRID = {"exponents": [0.1, 1.0], "replacement": [False]}
LIMITS = {
    "manifold_k": (1, 1_000_000),
    "volumes": (2, 100_000_000),
    "top": (1, 1_000_000),
    "kept": (1, 1_000_000),
}
# Where an image that is kept takes more draws than this on average, sampling with replacement would not end.
MOST_DRAWS = 1_000_000


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every exponent, with and without replacement."""
    return [
        {"method": NAME, "polarity": exponent, "replacement": replacement, **settings}
        for replacement in grid["replacement"]
        for exponent in grid["exponents"]
    ]


def label(point: Point) -> str:
    """That of polarity, and that nothing lies outside."""
    return f"{polarity.label(point)}, inside the real manifold"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """Volumes that cannot be had; classes, whose shares the rejection would change."""
    if generator["classes"]:
        return "rejects images of some classes more often than of others: take polarity"
    return polarity.why_not(generator)


def proposals(point: Point, images: int, repeats: int) -> int:
    """Volumes of their own for each repeat. ValueError: more images than volumes, without replacement."""
    if not point["replacement"] and images > point["volumes"]:
        raise ValueError(
            f"{images} images without replacement need more volumes than that, and there are "
            f"{point['volumes']}: raise methods.{NAME}.volumes"
        )
    return point["volumes"] * repeats


def column_settings(point: Point) -> dict[str, dict[str, Any]]:
    """Those of polarity, and whose manifold. ValueError: as of polarity; no extractor of the manifold."""
    if point["manifold"] is None:
        raise ValueError(
            f"the real manifold is one of features: set methods.{NAME}.manifold to a name under extractors"
        )
    manifold = {"extractor": point["manifold"], "k": point["manifold_k"]}
    return {**polarity.column_settings(point), "inside_manifold": manifold}


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Each repeat draws from volumes that no other repeat has, until `images` of its draws lie inside.

    used: the volumes of all repeats. generated: the draws, each counted as often as it was drawn. ess: of all
    volumes of a repeat, the mean over the repeats. A repeat with too few images inside is left out.
    """
    import torch

    from pseudodensity.control.select.polarity import polarity_log_weights
    from pseudodensity.control.select.schemes import effective_sample_size
    from pseudodensity.rng import generator as stream_of

    column, size = pool.column("singular_values"), point["volumes"]
    volumes = torch.from_numpy(volumes_of(column, space_name(point), point["top"]))
    inside = torch.from_numpy(pool.values("inside_manifold") > 0)
    prior = torch.from_numpy(pool.values("log_prior")) if point["prior"] == "uniform" else None
    rows, draws, sizes, shares = [], 0, [], []
    own = range(min(repeats, len(volumes) // size))
    for repeat in own:
        part = slice(repeat * size, (repeat + 1) * size)
        priors = None if prior is None else prior[part]
        weights = polarity_log_weights(volumes[part], point["polarity"], priors)
        shares.append(float(weights.exp()[inside[part]].sum()))
        stream = stream_of(pool.seed, NAME, repeat)
        found = draw_inside(weights, inside[part], images, stream, replacement=point["replacement"])
        if found is not None:
            rows.append(part.start + found[0].numpy())
            draws += found[1]
            sizes.append(effective_sample_size(weights))
    if not shares:
        return Choice([], len(volumes), note=f"there are {len(volumes)} of {size} volumes")
    note = f"{size} volumes for each repeat, {np.mean(shares):.3g} of their weight inside"
    if len(rows) < len(own):
        note += f", too few inside in {len(own) - len(rows)} of {len(own)} repeats"
    used = size * len(own)
    if not rows:
        return Choice([], used, note=note)
    kept = images * len(rows)
    return Choice(rows, used, kept / draws, ess=float(np.mean(sizes)), note=note, generated=draws)


def draw_inside(
    log_weights: Tensor, inside: Tensor, count: int, stream: torch.Generator, *, replacement: bool
) -> tuple[Tensor, int] | None:
    """Draw by weights, one after the other, reject what is outside, and stop at `count` accepted.

    Without replacement what is rejected does not return either.

    Args:
        log_weights: (N,) float64. inside: (N,) bool.

    Returns:
        The accepted in the order drawn, (count,) int64, and how many were drawn for them; None where fewer
        than `count` can be accepted, or with replacement where that takes more than `MOST_DRAWS` each.
    """
    import torch

    from pseudodensity.control.select.schemes import resample

    within = log_weights.masked_fill(~inside, -torch.inf)
    if not replacement:
        possible = int((log_weights > -torch.inf).sum())
        if int((within > -torch.inf).sum()) < count:
            return None
        order = resample(log_weights, possible, stream, replacement=False)
        places = inside[order].nonzero()[:count, 0]
        return order[places], int(places[-1]) + 1
    share = (within.logsumexp(0) - log_weights.logsumexp(0)).exp().clamp(max=1)
    if share * MOST_DRAWS < 1:
        return None
    accepted = resample(within, count, stream, replacement=True)
    # How often a draw is rejected before one is accepted is geometric, whichever that one is.
    heights = 1 - torch.rand(count, generator=stream, dtype=torch.float64)
    rejected = (heights.log() / torch.log1p(-share)).floor()
    return accepted, count + int(rejected.sum())
