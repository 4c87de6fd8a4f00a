"""Polarity sampling while proposals arrive: rejection by the largest weight that was met so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pseudodensity.control.choice import Choice, Point, Pool, stretches
from pseudodensity.control.select import polarity
from pseudodensity.control.select.polarity import column_settings, space_name, volumes_of

__all__ = ["choose", "column_settings", "label", "points", "proposals", "why_not"]

NAME = "online_polarity"
TITLE = "polarity, online"
PAPER = "001"
SOURCE = "Algorithm 2"
NEEDS = ("singular_values",)
POOL = "model"
# volumes: proposals for each repeat; where too few of them are accepted there are fewer repeats. The others: as of
# polarity.
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
GRID = {"exponents": [-0.02, 0.02]}
LIMITS = {
    "volumes": (2, 100_000_000),
    "top": (1, 1_000_000),
    "kept": (1, 1_000_000),
}


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """Every exponent."""
    return [{"method": NAME, "polarity": exponent, **settings} for exponent in grid["exponents"]]


def label(point: Point) -> str:
    """With the exponent."""
    return f"{TITLE} {point['polarity']:g}"


def why_not(generator: Mapping[str, Any]) -> str | None:
    """Volumes that cannot be had; classes, whose shares one bound for all would change."""
    if generator["classes"]:
        return "accepts by one bound, which would change the shares of its classes: take polarity"
    return polarity.why_not(generator)


def proposals(point: Point, images: int, repeats: int) -> int:
    """So many for each repeat. ValueError: no more of them than the burn-in."""
    if images >= point["volumes"] * repeats:
        raise ValueError(
            f"the first {images} proposals, as many as an image set has, only raise the bound, and there are "
            f"{point['volumes'] * repeats}: raise methods.{NAME}.volumes"
        )
    return point["volumes"] * repeats


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Proposals in their order, each used once, after as many as a set has, which only raise the bound; the
    note says how far the law may be from that of the weights."""
    import torch

    from pseudodensity.control.select.polarity import polarity_log_weights
    from pseudodensity.control.select.running_bound import running_rejection, share_above
    from pseudodensity.rng import generator as stream_of

    volumes = torch.from_numpy(
        volumes_of(pool.column("singular_values"), space_name(point), point["top"])
    )
    prior = torch.from_numpy(pool.values("log_prior")) if point["prior"] == "uniform" else None
    weights = polarity_log_weights(volumes, point["polarity"], prior)
    if len(weights) <= images:
        return Choice(
            [], len(weights), note=f"none of {len(weights)} proposals is left by the burn-in"
        )
    accepted = running_rejection(weights, stream_of(pool.seed, NAME), burn_in=images)
    rows, used = stretches(accepted.nonzero()[:, 0].numpy(), images, repeats)
    used = used or len(weights)
    chances = (weights - weights.cummax(0).values).exp()
    away = share_above(weights, float(weights[:images].max()))
    return Choice(
        rows,
        used,
        float(accepted[images:used].double().mean()),
        float(chances[images:used].mean()),
        note=f"total variation to the law at most {away:.2g}",
    )
