"""What a discriminator says about single images: logits, density ratios, rejection sampling.

Three steps, each of which discriminator rejection sampling needs (Azadi et al. 2019): a logit that
depends on its image alone, a calibration that turns logits into ratios p_data / p_g, and the
acceptance. SIR and MH-GAN use the first two with a scheme of ``schemes``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pseudodensity.generators.discriminator import StagedDiscriminator

__all__ = [
    "Calibration",
    "Ratios",
    "calibrated_ratios",
    "consistent_logits",
    "drs_log_acceptance",
    "paper_drs_log_acceptance",
]

# Largest logit of the published StyleGAN2 discriminator, in the released code of the main paper.
PAPER_LOG_MAX = 29.34


class Scored(Protocol):
    """What is known of the proposals and of real images: see `pseudodensity.columns.pool.Column`."""

    values: np.ndarray
    real: np.ndarray | None
    facts: Mapping[str, Any]


def consistent_logits(
    discriminator: StagedDiscriminator, images: Tensor, reference_images: Tensor | None = None
) -> Tensor:
    """One logit per image, a function of that image alone, (n,), differentiable in the images.

    A StyleGAN discriminator compares the images of a group (minibatch standard deviation). Here
    every image forms its group with the same group_size - 1 references, so its logit does not
    depend on what else is in the batch. Use the same references for real and generated images,
    or the logits would tell the groups apart instead of the images. A projected discriminator
    gives m hinge logits per image, one per head and place; the logit of the image is their mean.

    Args:
        discriminator: in ``eval`` mode, images -> (n,) or (n, m).
        images: (n, 3, R, R) in [-1, 1].
        reference_images: at least group_size - 1 images like them; the first ones are used.
            Needed only by a discriminator that compares.

    Raises:
        ValueError: too few references; a discriminator in training mode, whose batch
            normalisation couples the batch.
    """
    if discriminator.training:
        raise ValueError("a discriminator in training mode couples its batch: call eval() first")
    companions = discriminator.companions
    found = 0 if reference_images is None else len(reference_images)
    if found < companions:
        raise ValueError(f"this discriminator compares with {companions} references, got {found}")
    return discriminator.judge_each(images, reference_images)


@dataclass(frozen=True)
class Calibration:
    """From logits to p_data / p_g, fitted on images that the discriminator was not trained on.

    ``log_odds`` maps logits (n,) float64 to the log odds of being real, at even odds beforehand.
    """

    log_odds: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def fit(
        cls, real_logits: Tensor, fake_logits: Tensor, *, method: str = "logistic"
    ) -> Calibration:
        """Fit P(real | logit) on logits of held-out real and generated images (n,), (m,).

        Both classes count the same in total, whatever n and m. ``logistic``: a line in the logit
        with Platt's targets, finite also for classes that do not overlap. ``isotonic``: any
        increasing function, as MH-GAN takes it, but through the shares of groups of sqrt(n + m)
        neighbours in rank. Through single images it would end in 0 and 1 whatever the data, and
        the one real image of highest logit would set the largest ratio of rejection sampling.

        ValueError: NaN or infinite logits, fewer than 10 of either kind, an unknown method.
        """
        real, fake = _finite(real_logits, "real logits"), _finite(fake_logits, "fake logits")
        if min(len(real), len(fake)) < 10:
            raise ValueError(f"calibration needs 10 of each, got {len(real)} and {len(fake)}")
        if method not in _METHODS:
            raise ValueError(f"calibration is {' or '.join(_METHODS)}, not {method!r}")
        return cls(_METHODS[method](real, fake))

    def log_ratio(self, logits: Tensor) -> Tensor:
        """log p_data / p_g of images with these logits, (n,) float64, finite."""
        return torch.from_numpy(self.log_odds(_finite(logits, "logits")))

    def z_statistic(self, real_logits: Tensor, fake_logits: Tensor) -> float:
        """Z = sum(y - p) / sqrt(sum p (1 - p)) on further held-out logits (Turner et al. 2019).

        p = P(real) at the odds n : m given. |Z| > 2 means miscalibrated. With n = m fixed by
        design, Z of a perfect calibration has the standard deviation sqrt(4 E p^2 - 1) < 1, so
        the test is lenient, and blind to a discriminator that knows nothing.
        """
        real, fake = self.log_ratio(real_logits), self.log_ratio(fake_logits)
        p = torch.sigmoid(torch.cat([real, fake]) + math.log(len(real) / len(fake)))
        return ((len(real) - p.sum()) / (p * (1 - p)).sum().sqrt()).item()


def _finite(values: Tensor, name: str) -> np.ndarray:
    """(n,) float64 array; ValueError for another shape, an empty one or what is not finite."""
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must be (n,) with n > 0, got shape {tuple(values.shape)}")
    if not values.isfinite().all():
        raise ValueError(f"{name} hold NaN or infinity: check the discriminator they come from")
    return values.detach().double().cpu().numpy()


def _labelled(real: np.ndarray, fake: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels 1 and 0, and weights of mean one that give both classes the same total."""
    logits = np.concatenate([real, fake])
    sizes = [len(real), len(fake)]
    weights = np.repeat([len(logits) / 2 / size for size in sizes], sizes)
    return logits, np.repeat([1.0, 0.0], sizes), weights


def _logistic(real: np.ndarray, fake: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Log odds as a line in the logit (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression  # slow to import, rarely needed

    logits, labels, weights = _labelled(real, fake)
    centre, scale = logits.mean(), logits.std() or 1.0
    # Platt's targets: every image counts as what it is, and a little as the other kind.
    doubt = 1 / (np.where(labels == 1, len(real), len(fake)) + 2)
    inputs = (np.concatenate([logits, logits])[:, None] - centre) / scale
    targets = np.concatenate([labels, 1 - labels])
    shares = np.concatenate([weights * (1 - doubt), weights * doubt])
    model = LogisticRegression(C=np.inf).fit(inputs, targets, shares)
    slope, offset = model.coef_[0, 0] / scale, model.intercept_[0]
    return lambda values: slope * (values - centre) + offset


def _isotonic(real: np.ndarray, fake: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Log odds as an increasing function, linear between the means of neighbours in rank."""
    from sklearn.isotonic import IsotonicRegression  # slow to import, rarely needed

    logits, labels, weights = _labelled(real, fake)
    # Equal logits in turn from both kinds, or groups of the one and of the other would follow.
    turn = np.concatenate([np.arange(len(part)) / len(part) for part in (real, fake)])
    order = np.lexsort((turn, logits))
    groups = np.array_split(order, len(logits) // math.isqrt(len(logits)))
    totals = np.array([weights[g].sum() for g in groups])
    reals = np.array([(weights * labels)[g].sum() for g in groups])
    centres = np.array([np.average(logits[g], weights=weights[g]) for g in groups])
    # Laplace's rule: one of each kind more than was seen.
    shares = (reals + 1) / (totals + 2)
    model = IsotonicRegression(out_of_bounds="clip").fit(centres, shares, totals)

    def log_odds(values: np.ndarray) -> np.ndarray:
        p = model.predict(values)
        return np.log(p) - np.log1p(-p)

    return log_odds


_METHODS = {"logistic": _logistic, "isotonic": _isotonic}


@dataclass(frozen=True)
class Ratios:
    """log p_data / p_g of all proposals, (N,) float64, and of the real images that did not calibrate.

    note: how well the calibration holds.
    """

    proposals: Tensor
    reals: Tensor
    note: str


def calibrated_ratios(logits: Scored, burn_in: int, method: str) -> Ratios:
    """Logits as ratios.

    Fitted on one half of the real images and of the first `burn_in` proposals; the note has the Z
    statistic of the other halves, and where the real images come from.

    Args:
        logits: of the proposals, and as its real side of real images.
        method: as `Calibration.fit`.

    ValueError: as `Calibration.fit`.
    """
    fakes = torch.from_numpy(logits.values).double()
    reals = torch.from_numpy(logits.real).double()
    half, middle = len(reals) // 2, burn_in // 2
    calibration = Calibration.fit(reals[:half], fakes[:middle], method=method)
    z = calibration.z_statistic(reals[half:], fakes[middle:burn_in])
    note = f"calibrated on {logits.facts.get('how', 'real images')}, Z = {z:.2f}"
    return Ratios(calibration.log_ratio(fakes), calibration.log_ratio(reals[half:]), note)


def drs_log_acceptance(
    log_ratio: Tensor,
    *,
    log_max: float,
    gamma_percentile: float | None = None,
    eps: float = 1e-8,
) -> Tensor:
    """Log-acceptance of discriminator rejection sampling, (N,) float64 (Azadi et al. 2019).

    a = log r - log M, F = a - log(1 - exp(a - eps)), accepted with probability sigmoid(F - gamma).
    With gamma = 0 that is r / M, the exact sampler of p_data when the ratios are right. With a
    percentile, gamma is that percentile of F over the proposals: its sample is accepted with
    probability 1/2 and the odds of all are changed by exp(-gamma). A positive gamma concentrates
    on the largest ratios, it no longer samples p_data.

    Args:
        log_ratio: (N,) calibrated log p_data / p_g in the order drawn.
        log_max: largest log ratio of a burn-in (10,000 proposals in the paper). M grows as larger
            ratios come, as in the paper: a proposal is judged by the largest so far.
        gamma_percentile: 0 or in 1..100; None for gamma = 0.
        eps: keeps F finite at r = M.

    Raises:
        ValueError: NaN or infinite ratios or maximum, a percentile outside 0..100 or given as a
            fraction.
    """
    log_ratio = torch.from_numpy(_finite(log_ratio, "log ratios"))
    if not math.isfinite(log_max):
        raise ValueError(f"log_max must be finite, got {log_max}")
    largest = log_ratio.cummax(0).values.clamp(min=log_max)
    scores = _scores(log_ratio - largest, eps)
    if gamma_percentile is None:
        return torch.nn.functional.logsigmoid(scores)
    if not 0 <= gamma_percentile <= 100:
        raise ValueError(f"gamma_percentile is a percentage in 0..100, got {gamma_percentile}")
    if 0 < gamma_percentile < 1:
        raise ValueError(
            f"gamma_percentile is in percent: write {100 * gamma_percentile:g}, "
            f"not {gamma_percentile}"
        )
    gamma = float(np.percentile(scores.numpy(), gamma_percentile))
    return torch.nn.functional.logsigmoid(scores - gamma)


def paper_drs_log_acceptance(
    logits: Tensor,
    *,
    log_max: float = PAPER_LOG_MAX,
    percentile: float = 0.95,
    batch: int = 4,
    eps: float = 1e-8,
) -> Tensor:
    """Log-acceptance of the rejection sampling that the main paper compares with, (N,) float64.

    Kept to show what was compared, not to be used. The released code differs from Azadi et al. in
    this: raw logits stand for log ratios, M is a constant, gamma is a percentile of batches of
    four, and that percentile is 0.95 on a scale of 0 to 100, so gamma is hardly more than the
    smallest score of the batch and most samples are accepted with probability 1/2 or more. A
    logit above log_max gives no number in that code and loses its whole batch: -inf here.

    Args:
        logits: (N,) in the order drawn, N a multiple of ``batch``.
        log_max: log M.
        percentile: on a scale of 0 to 100.

    Raises:
        ValueError: NaN or infinite logits, N not a multiple of ``batch``.
    """
    values = torch.from_numpy(_finite(logits, "logits"))
    if len(values) % batch:
        raise ValueError(f"{len(values)} logits do not divide into batches of {batch}")
    scores = _scores(values - log_max, eps).view(-1, batch).numpy()
    gamma = np.percentile(scores, percentile, axis=1, keepdims=True)
    log_acceptance = torch.nn.functional.logsigmoid(torch.from_numpy(scores - gamma)).flatten()
    return log_acceptance.nan_to_num(nan=-math.inf)


def _scores(relative: Tensor, eps: float) -> Tensor:
    """F = a - log(1 - exp(a - eps)) of a = log r / M; NaN above M by more than eps."""
    return relative - torch.log(-torch.expm1(relative - eps))
