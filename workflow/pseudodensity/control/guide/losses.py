"""Losses whose ascent guides samples to low density (papers/002, equation 4, appendix A.5), and a control.

Each takes features f(x_t) (n, k), labels (n,) int64, the means of the classes at that noise level (c, k)
and a temperature, and gives one number per sample, (n,), that guidance raises. H is the hardness at
identity covariance. With p = softmax(H / T) and q = softmax(-H / T), gradients in f are

    contrastive        (sum_j p_j mu_j - mu_y) / T     to the mean of the FARTHEST class
    plain              (f - mu_y) / T                  away from the own mean, with one class too
    softmax_minus_h    (sum_j q_j mu_j - mu_y) / T     to the nearest other class: the border
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pseudodensity.control.guide.hardness import hardness
from pseudodensity.rng import generator as random_stream

__all__ = [
    "LOSSES",
    "Loss",
    "contrastive",
    "logits",
    "loss_called",
    "plain",
    "random_direction",
    "softmax_minus_h",
]

Loss = Callable[[Tensor, Tensor | None, Tensor, float], Tensor]
LOSSES = ("contrastive", "plain", "softmax_minus_h", "logits", "random")


def contrastive(
    features: Tensor, labels: Tensor | None, means: Tensor, temperature: float
) -> Tensor:
    """log softmax_y(H / T), as equation 4 prints it. ValueError: one class, where it is constant."""
    _refuse_one_class("contrastive", means)
    return _own((hardness(features, means) / temperature).log_softmax(1), labels)


def plain(features: Tensor, labels: Tensor | None, means: Tensor, temperature: float) -> Tensor:
    """H_y / T: away from the mean of the class. With one class no labels are needed."""
    return _own(hardness(features, means) / temperature, labels)


def softmax_minus_h(
    features: Tensor, labels: Tensor | None, means: Tensor, temperature: float
) -> Tensor:
    """-log softmax_y(-H / T): minus the log-probability of the class for the classifier that the Gaussians
    make. ValueError: one class."""
    _refuse_one_class("softmax_minus_h", means)
    return -_own((-hardness(features, means) / temperature).log_softmax(1), labels)


def logits(head: Callable[[Tensor], Tensor]) -> Loss:
    """-log p_y at the logits of a classifier (appendix A.5).

    head: features (n, k) -> logits (n, c).
    """

    def loss(features: Tensor, labels: Tensor | None, means: Tensor, temperature: float) -> Tensor:
        _refuse_one_class("logits", means)
        return -_own((head(features) / temperature).log_softmax(1), labels)

    return loss


def random_direction(direction: Tensor) -> Loss:
    """The control: along one direction (k,) of the features, the same for all samples and steps. It asks
    for no labels."""

    def loss(features: Tensor, labels: Tensor | None, means: Tensor, temperature: float) -> Tensor:
        return features @ direction.to(features) / temperature

    return loss


def loss_called(name: str, head: Callable[[Tensor], Tensor], dimensions: int, seed: int) -> Loss:
    """The loss of a name in `LOSSES`.

    Args:
        head: for "logits". dimensions: k of the features, and seed of the direction, for "random".

    ValueError: another name.
    """
    known = {"contrastive": contrastive, "plain": plain, "softmax_minus_h": softmax_minus_h}
    if name in known:
        return known[name]
    if name == "logits":
        return logits(head)
    if name == "random":
        stream = random_stream(seed, "direction of features")
        return random_direction(torch.randn(dimensions, generator=stream))
    raise ValueError(f"guiding loss {name!r} unknown: use one of {', '.join(LOSSES)}")


def _own(values: Tensor, labels: Tensor | None) -> Tensor:
    """The values (n,) of each sample's own class, of values (n, c)."""
    classes = values.shape[1]
    if labels is None:
        if classes > 1:
            raise ValueError(
                f"guidance by one of {classes} classes needs a label for each sample: give labels, or "
                "take an embedder of one class and the loss plain"
            )
        return values[:, 0]
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels go from 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
    return values.gather(1, labels[:, None])[:, 0]


def _refuse_one_class(name: str, means: Tensor) -> None:
    if len(means) < 2:
        raise ValueError(
            f"the loss {name} compares classes and is constant with one: use the loss plain"
        )
