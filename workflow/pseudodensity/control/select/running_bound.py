"""Rejection while proposals arrive, without knowing the largest weight: the online form of polarity sampling.

Rejection accepts a proposal of weight w with probability w / M, which needs the largest weight M of all.
Here M is the largest weight so far, the proposal at hand among them, so that a sample can be handed out as
soon as it is accepted and no proposal has to be kept.

The bias is known. Given the largest weight M of the proposals before it, a proposal is accepted with
probability min(w, M) / M: samples have weights that are cut at M, not the weights themselves. Both laws
differ in total variation by at most the share E (w - M)+ / E w, which `share_above` estimates. M only rises,
so what it is after the burn-in bounds the bias of every sample that is handed out. It is zero where the
burn-in has met the largest weight.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pseudodensity.control.select.schemes import checked_values

__all__ = ["running_rejection", "share_above"]


def running_rejection(log_weights: Tensor, stream: torch.Generator, *, burn_in: int) -> Tensor:
    """Who is accepted, (N,) bool, in the order of the proposals; none of the first `burn_in`.

    One uniform draw per proposal, so that the decisions stay when proposals are added.

    Args:
        log_weights: (N,) of any finite spread; -inf is a weight of zero.
        burn_in: proposals that only raise the bound.

    Raises:
        ValueError: NaN or +inf; a negative burn-in; no proposal after it.
    """
    log_weights = checked_values(log_weights, "log_weights")
    if not 0 <= burn_in < len(log_weights):
        raise ValueError(
            f"a burn-in of {burn_in} leaves nothing of {len(log_weights)} proposals: take a shorter "
            "one or draw more"
        )
    bound = log_weights.cummax(0).values
    uniform = torch.rand(len(log_weights), generator=stream, dtype=torch.float64)
    # Below -inf there is nothing: as long as all weights are zero, none is accepted.
    accepted = (bound > -math.inf) & (uniform < (log_weights - bound).nan_to_num(-math.inf).exp())
    accepted[:burn_in] = False
    return accepted


def share_above(log_weights: Tensor, log_bound: float) -> float:
    """E (w - M)+ / E w over proposals (N,): how much of the law weights cut at M = exp(log_bound) lose.

    ValueError: NaN or +inf, or all weights zero.
    """
    log_weights = checked_values(log_weights, "log_weights")
    largest = log_weights.max()
    if largest == -math.inf:
        raise ValueError("all weights are zero: there is no law to lose a share of")
    weights = (log_weights - largest).exp()
    above = (weights - math.exp(min(0.0, log_bound - largest.item()))).clamp_min(0)
    return float(above.sum() / weights.sum())
