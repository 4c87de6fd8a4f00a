"""Latent rejection, then latent gradient ascent: the images start where the weight is high and climb on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pseudodensity.control.auxiliary.latent_weight import why_not
from pseudodensity.control.choice import (
    Maker,
    Point,
    Tools,
    all_proposals,
    no_column_settings,
    one_each,
)
from pseudodensity.control.move.latent_ga import ascending

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.auxiliary.latent_space import LatentWeight

__all__ = ["choose", "column_settings", "label", "maker", "points", "proposals", "why_not"]

NAME = "latent_rs_ga"
TITLE = "latentRS+GA"
PAPER = "003"
SOURCE = "Algorithm 5"
NEEDS = ()
POOL = "own"
INPUTS = ("checkpoint", "latent_weight")
# projection: of the gradient, see `pseudodensity.control.move.latent_ascent.project`; none in w.
DEFAULTS = {"step_size": 0.05, "projection": "exact"}
CHOICES = {"projection": ["exact", "paper", "none"]}
GRID = {"steps": [10]}
LIMITS = {"steps": (1, 10_000), "step_size": (1e-9, 1e3)}
# Latents that one image may cost; the weights accept one in m.
MOST_PROPOSALS = 10_000
# Between a latent of the pool and the next one that stands in for it; more than any pool has.
STRIDE = 2**40

choose = all_proposals
proposals = one_each
column_settings = no_column_settings


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per number of steps."""
    return [{"method": NAME, "steps": steps, **settings} for steps in grid["steps"]]


def label(point: Point) -> str:
    """With the paper's n."""
    return f"{TITLE}, {point['steps']} steps"


def maker(context: Tools) -> Maker:
    """Images of accepted latents that climbed."""
    weight = context.auxiliary("latent_weight")
    return Maker(
        ascending(weight, context.settings),
        latents=lambda rows: accepted_latents(weight, context, rows),
    )


def accepted_latents(weight: LatentWeight, context: Tools, rows: Sequence[int]) -> Tensor:
    """An accepted latent (n, *latent_shape) for each row of a pool.

    The first candidate of a row is its own latent; the others, and all decisions, are streams of that
    row, so that neither batches nor other rows change it. RuntimeError: none is accepted.
    """
    import torch

    from pseudodensity.control.select.latent import latent_log_acceptance
    from pseudodensity.rng import uniform

    found = context.latents(rows)
    waiting = torch.arange(len(rows))
    for attempt in range(MOST_PROPOSALS):
        streams = [rows[i] + attempt * STRIDE for i in waiting.tolist()]
        latents = context.latents(streams)
        with torch.no_grad():
            chances = latent_log_acceptance(weight(latents), weight.largest).exp().cpu()
        accepted = uniform(context.seed, "latent_rs_ga", streams) < chances
        found[waiting[accepted]] = latents[accepted.to(latents.device)]
        waiting = waiting[~accepted]
        if not len(waiting):
            return found
    raise RuntimeError(
        f"no latent of {MOST_PROPOSALS} was accepted for an image: the latent weights have collapsed; "
        "train them again with a larger lambda_norm"
    )
