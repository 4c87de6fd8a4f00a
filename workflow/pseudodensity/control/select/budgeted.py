"""Budgeted rejection: the closest law to the target that can be had at a wanted acceptance.

Rejection accepts a proposal of weight r with probability r / M, M the largest weight, and draws
exactly from the law of the weights, however few are left. Who cannot pay for so many rejections accepts
min(c r / M, 1) instead, with the c > 1 that keeps as many as are wanted: of all acceptance
functions of the same mean, this one has the smallest f-divergence to the target, for every f.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pseudodensity.control.auxiliary.ratio import why_not
from pseudodensity.control.choice import (
    Choice,
    Point,
    Pool,
    accepted_stretches,
    proposals_for,
)
from pseudodensity.control.select.ratio import burn_in_of, tuned_logits

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["budgeted_log_acceptance", "choose", "label", "points", "proposals", "why_not"]

NAME = "budgeted"
TITLE = "budgeted rejection"
PAPER = "project"
# a(x) = min(c r(x) / M, 1), c such that the mean of a is the wanted acceptance.
SOURCE = "Verine et al. 2024 (AISTATS, arXiv 2311.00460)"
NEEDS = ("logits",)
POOL = "model"
# calibration: of logits to density ratios, see `Calibration.fit`.
DEFAULTS = {"calibration": "isotonic"}
CHOICES = {"calibration": ["isotonic", "logistic"]}
GRID = {"acceptance": [0.3, 0.5, 0.7]}
LIMITS = {"acceptance": (0.001, 1)}

ROUNDING = 1e-12  # relative error that may be in `acceptance`, as in 0.1 + 0.2

column_settings = tuned_logits


def points(
    grid: Mapping[str, Any], settings: Mapping[str, Any], generator: Mapping[str, Any]
) -> list[Point]:
    """One point per wanted acceptance."""
    return [{"method": NAME, "acceptance": a, **settings} for a in grid["acceptance"]]


def label(point: Point) -> str:
    """With the dial."""
    return f"budgeted rejection, {100 * point['acceptance']:g} % kept"


def proposals(point: Point, images: int, repeats: int) -> int:
    """The dial says it; and a burn-in of one repeat calibrates."""
    return images + proposals_for(point["acceptance"], images * repeats)


def choose(pool: Pool, point: Point, images: int, repeats: int) -> Choice:
    """Rejection at the wanted acceptance by calibrated density ratios."""
    from pseudodensity.control.select.discriminator import calibrated_ratios
    from pseudodensity.rng import generator as stream_of

    burn_in = burn_in_of(pool, images)
    found = calibrated_ratios(pool.column("logits"), burn_in, point["calibration"])
    chances = budgeted_log_acceptance(found.proposals[burn_in:], point["acceptance"])
    stream = stream_of(pool.seed, "budgeted")
    return accepted_stretches(chances, stream, images, repeats, start=burn_in, note=found.note)


def budgeted_log_acceptance(log_weights: Tensor, acceptance: float) -> Tensor:
    """log min(c r / M, 1) of each proposal, (N,) float64, for `schemes.rejection`.

    M is the largest weight of the proposals and c the number that makes the mean of the acceptance
    over them the wanted one. c is solved for, not searched: with the j heaviest proposals at 1, the
    others share what is left of the budget in proportion to their weights. c < 1 draws from the
    same law as c = 1, only less of it.

    Args:
        log_weights: (N,) log r of all proposals, up to a constant; -inf is a weight of zero.
        acceptance: wanted share of accepted proposals, in (0, 1]; 1 accepts all: exact zeros.

    Raises:
        ValueError: NaN or +inf weights, acceptance outside (0, 1], fewer proposals of positive
            weight than shall be accepted.
    """
    import torch

    from pseudodensity.control.select.schemes import checked_values

    log_weights = checked_values(log_weights, "log_weights")
    if not 0 < acceptance <= 1:
        raise ValueError(f"acceptance is a share in (0, 1], got {acceptance}")
    count, positive = len(log_weights), int((log_weights > -torch.inf).sum())
    if positive == 0:
        raise ValueError("all weights are zero: there is nothing to accept")
    if acceptance * count > positive * (1 + ROUNDING):
        raise ValueError(
            f"acceptance {acceptance:g} is more than the weights allow: {positive} of {count} "
            f"proposals have a positive one, so ask for {positive / count:g} or less"
        )
    if acceptance == 1:
        return torch.zeros_like(log_weights)
    budget = min(acceptance * count, positive)
    heaviest_first = log_weights.sort(descending=True).values[:positive]
    # The log-sum of the weights from the j-th on, and the budget that is left when j have theirs.
    rest = heaviest_first.flip(0).logcumsumexp(0).flip(0)[: math.ceil(budget)]
    left = budget - torch.arange(len(rest), dtype=torch.float64)
    log_c = left.log() - rest  # of c / M
    certain = int((log_c + heaviest_first[: len(rest)] > 0).sum())
    return (log_weights + log_c[min(certain, len(rest) - 1)]).clamp(max=0)
