"""Losses of latent reweighting: a critic that sees weighted fakes, and the reward of the weights.

Equations 5 and 6 of the paper. Its Algorithm 1 prints the last gradient with the wrong sign: as
printed, weights go where the critic says fake. Here the reward is maximised, as Equation 6 has it.
"""

from __future__ import annotations

from torch import Tensor

__all__ = [
    "BASELINES",
    "CRITIC_LOSSES",
    "critic_loss",
    "reward_baseline",
    "unit_mean",
    "weight_loss",
]

CRITIC_LOSSES = ("wasserstein", "hinge")
BASELINES = ("self_normalised", "minimum")


def unit_mean(weights: Tensor) -> Tensor:
    """Weights (n,) divided by their mean. A batch of zeros has none: the trainer sees to it."""
    return weights / weights.mean().clamp(min=1e-8)


def critic_loss(
    kind: str, real: Tensor, fake: Tensor, weights: Tensor, *, normalised: bool = True
) -> Tensor:
    """What a critic minimises whose fakes have weights, a scalar.

    wasserstein: mean(w D(G(z))) - mean(D(x)), Equation 5. hinge: mean(relu(1 - D(x))) +
    mean(w relu(1 + D(G(z)))).

    Args:
        real, fake: scores (n,), (m,).
        weights: (m,) of the fakes, without a gradient.
        normalised: divide them by their mean. The paper takes them as they are; a mean other than 1
            then rewards the critic for a constant shift of its scores, which grows without end.

    ValueError: an unknown loss.
    """
    if kind not in CRITIC_LOSSES:
        raise ValueError(f"critic loss {kind!r} unknown: use one of {', '.join(CRITIC_LOSSES)}")
    if normalised:
        weights = unit_mean(weights)
    if kind == "hinge":
        return (1 - real).relu().mean() + (weights * (1 + fake).relu()).mean()
    return (weights * fake).mean() - real.mean()


def reward_baseline(kind: str, weights: Tensor, scores: Tensor) -> Tensor:
    """What is taken from the scores of fakes in the reward, a scalar without a gradient.

    self_normalised: sum(w d) / sum(w), so that only differences between latents move the weights.
    minimum: the least score of the batch, the paper's Delta, which pushes all weights up until the
    penalty of their mean balances it. ValueError: an unknown baseline.
    """
    if kind not in BASELINES:
        raise ValueError(f"baseline {kind!r} unknown: use one of {', '.join(BASELINES)}")
    weights, scores = weights.detach(), scores.detach()
    if kind == "minimum":
        return scores.min()
    return (weights * scores).sum() / weights.sum().clamp(min=1e-12)


def weight_loss(
    weights: Tensor,
    scores: Tensor,
    *,
    baseline: str,
    lambda_norm: float,
    lambda_clip: float,
    largest: float,
) -> Tensor:
    """What the weights minimise, the negative of Equation 6, a scalar.

    -mean(w (d - Delta)) + lambda1 (mean w - 1)^2 + lambda2 mean(max(0, w - m)^2)

    Args:
        weights: (n,), with a gradient. scores: (n,) of the critic for the same latents.
        baseline: see `reward_baseline`. lambda_norm, lambda_clip, largest: lambda1, lambda2, m.
    """
    reward = (weights * (scores.detach() - reward_baseline(baseline, weights, scores))).mean()
    norm = (weights.mean() - 1).square()
    clip = (weights - largest).relu().square().mean()
    return -reward + lambda_norm * norm + lambda_clip * clip
