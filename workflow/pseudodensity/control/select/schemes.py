"""Schemes: how log-weights over a pool of proposals turn into chosen samples.

Every scheme takes one value per proposal, ``(N,)``, computes in float64 and log space, and draws
from an explicit CPU ``torch.Generator`` only. Weights need no normalisation. Index results are
int64 and refer to the pool; -inf is a weight of zero.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "checked_values",
    "effective_sample_size",
    "metropolis",
    "rejection",
    "resample",
    "sir",
]


def rejection(log_acceptance: Tensor, stream: torch.Generator) -> Tensor:
    """Who is accepted, (N,) bool: each proposal alone, with its own probability.

    One uniform draw per proposal in order, so the decisions stay when a pool is extended.
    ValueError: NaN, or a log-probability above zero.
    """
    log_acceptance = checked_values(log_acceptance, "log_acceptance")
    if log_acceptance.max() > 1e-6:  # what single precision may leave of a zero
        largest = log_acceptance.max().item()
        raise ValueError(
            f"a log-acceptance of {largest:.4g} is no probability: subtract the largest one"
        )
    return _uniform(log_acceptance.shape, stream) < log_acceptance.exp()


def resample(
    log_weights: Tensor, count: int, stream: torch.Generator, *, replacement: bool
) -> Tensor:
    """``count`` proposals drawn in proportion to their weights, (count,) int64.

    With replacement the draws are independent. Without, they are those of an urn from which
    nothing returns, in the order drawn (Gumbel-top-k: Kool et al. 2019): the more of the pool is
    taken, the weaker the weights act. ValueError: count below 1; all weights zero; without
    replacement, fewer proposals of positive weight than ``count``.
    """
    log_weights = checked_values(log_weights, "log_weights")
    possible = int((log_weights > -math.inf).sum())
    if count < 1 or possible < (1 if replacement else count):
        kind = "with" if replacement else "without"
        raise ValueError(
            f"{count} draws {kind} replacement from {possible} proposals of positive weight: "
            "ask for fewer or draw more proposals"
        )
    if not replacement:
        return torch.topk(log_weights + _gumbel(log_weights.shape, stream), count).indices
    cumulated = (log_weights - log_weights.max()).exp().cumsum(0)
    # Heights in (0, total]: neither end can point at a proposal of zero weight.
    heights = (1 - _uniform((count,), stream)) * cumulated[-1]
    return torch.searchsorted(cumulated, heights)


def sir(log_ratio: Tensor, proposals_per_output: int, stream: torch.Generator) -> Tensor:
    """Sampling-importance-resampling: the pool in blocks, one proposal out of each block.

    Each block of ``proposals_per_output`` proposals gives one output, drawn in proportion to the
    ratios within the block, so outputs are independent and distinct (Rubin 1988; likelihood-free
    importance weighting: Grover et al. 2019). (N // proposals_per_output,) int64; an incomplete
    last block is left out. ValueError: no complete block, a block of zero weights only.
    """
    blocks = _blocks(checked_values(log_ratio, "log_ratio"), proposals_per_output)
    if (blocks.amax(1) == -math.inf).any():
        raise ValueError("a block of proposals has zero weights only: take more per output")
    best = (blocks + _gumbel(blocks.shape, stream)).argmax(1)
    return best + torch.arange(len(blocks)) * proposals_per_output


def metropolis(
    log_ratio: Tensor,
    chain_length: int,
    stream: torch.Generator,
    start: Tensor | None = None,
) -> Tensor:
    """Independence Metropolis chains, one per block of the pool (MH-GAN: Turner et al. 2019).

    Args:
        log_ratio: (N,) log p_data / p_g of each proposal.
        chain_length: proposals per chain; 640 in the paper.
        start: (n_chains,) log-ratios of the states that the chains start from, real images in
            the paper; None starts each chain at its first proposal, which leaves chain_length - 1
            steps.

    Returns:
        (N // chain_length,) int64, index of the last state of each chain. A step is accepted
        with probability min(1, r_new / r_old). A chain that never left ``start`` is run again
        from its first proposal with fresh draws, so a real image is never returned. An
        incomplete last block is left out.

    Raises:
        ValueError: no complete block, ``start`` of another length, NaN.
    """
    blocks = _blocks(checked_values(log_ratio, "log_ratio"), chain_length)
    offsets = torch.arange(len(blocks)) * chain_length
    if start is None:
        return _run(blocks, None, stream) + offsets
    start = checked_values(start, "start")
    if len(start) != len(blocks):
        raise ValueError(f"{len(blocks)} chains need as many starts, got {len(start)}")
    state = _run(blocks, start, stream)
    stuck = state < 0
    state[stuck] = _run(blocks[stuck], None, stream)
    return state + offsets


def _run(blocks: Tensor, start: Tensor | None, stream: torch.Generator) -> Tensor:
    """Position within its block of each chain's last state; -1 if it is still at its start."""
    log_uniform = _uniform(blocks.shape, stream).log()
    first = 1 if start is None else 0
    current = blocks[:, 0] if start is None else start
    state = torch.full((len(blocks),), first - 1)
    for step in range(first, blocks.shape[1]):
        proposed = blocks[:, step]
        # From a ratio of zero every step is accepted, also to another zero (0 / 0).
        gain = torch.where(current == -math.inf, 0, proposed - current)
        accepted = log_uniform[:, step] < gain
        accepted |= current == -math.inf
        current = torch.where(accepted, proposed, current)
        state = torch.where(accepted, step, state)
    return state


def effective_sample_size(log_weights: Tensor) -> float:
    """(sum w)^2 / sum w^2 of weights given as logs (N,) (Kish): between 1 and N.

    ValueError: NaN, or all weights zero.
    """
    log_weights = checked_values(log_weights, "log_weights")
    if log_weights.max() == -math.inf:
        raise ValueError("all weights are zero: there is no effective sample")
    log_weights = log_weights - log_weights.max()
    return (2 * log_weights.logsumexp(0) - (2 * log_weights).logsumexp(0)).exp().item()


def checked_values(values: Tensor, name: str) -> Tensor:
    """(N,) float64 on the CPU; ValueError for another shape, an empty one, NaN or +inf."""
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must be (N,) with N > 0, got shape {tuple(values.shape)}")
    values = values.detach().double().cpu()
    if values.isnan().any() or (values == math.inf).any():
        raise ValueError(f"{name} holds NaN or +inf: check what it was computed from")
    return values


def _blocks(values: Tensor, length: int) -> Tensor:
    """(N // length, length), without the incomplete last block."""
    if length < 1 or len(values) < length:
        raise ValueError(
            f"{len(values)} proposals make no block of {length}: draw more, or take shorter blocks"
        )
    return values[: len(values) // length * length].view(-1, length)


def _uniform(shape: tuple[int, ...], stream: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=stream, dtype=torch.float64)


def _gumbel(shape: tuple[int, ...], stream: torch.Generator) -> Tensor:
    return -torch.empty(shape, dtype=torch.float64).exponential_(generator=stream).log()
