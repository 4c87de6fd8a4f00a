"""Image retrieval score: how many of the reals are the nearest real of some fake."""

from collections.abc import Mapping

import numpy as np

from pseudodensity.feature_sets import frame
from pseudodensity.neighbors import nearest

NAME = "retrieval"
TITLE = "retrieved reals"
SOURCE = "Dombrowski et al. 2025 (IRS, arXiv 2411.16171)"
NEEDS = ("features",)
SCORES = {"retrieved": 1, "irs": 1, "irs_at_least": 1, "irs_at_most": 1}

_NORMAL = 1.959964  # standard errors of a two-sided 95 % interval


def prepare(real: Mapping[str, np.ndarray]) -> np.ndarray:
    """The real `features` `(n, d)`, n of 2 or more. ValueError: bad features."""
    features = real["features"]
    frame(real=features)
    _check_count(features, "real")
    return features


def score(side: np.ndarray, fake: Mapping[str, np.ndarray]) -> dict[str, float]:
    """All of `SCORES` for fake `features` `(m, d)`, each in [0, 1].

    retrieved: share of the n reals that are nearest to some fake; m / n at most. irs: share of the
    reals that would be retrieved by fakes without end, if all that can be are equally likely: the
    most likely one given how many m fakes found. irs_at_least, irs_at_most: its 95 % bounds. Reals are NOT
    equally likely, even under their own law: a row of held-out reals is the ceiling to compare
    with. ValueError: bad features, another d, fewer than 2 fakes.
    """
    reals, fakes = frame(real=side, fake=fake["features"])
    _check_count(fakes, "fake")
    found = len(nearest(fakes, reals, 1, exclude_self=False)[1].unique())
    low, likely, high = retrievable(found, len(fakes), len(reals))
    total = len(reals)
    return {
        "retrieved": found / total,
        "irs": likely / total,
        "irs_at_least": low / total,
        "irs_at_most": high / total,
    }


def retrievable(found: int, draws: int, most: int) -> tuple[int, int, int]:
    """Low bound, most likely value and high bound of the number s of equally likely items.

    `found` distinct ones came up in `draws` draws; s is `most` at most. P(found | s) is, up to a
    factor without s, `s! / (s - found)! / s^draws`. The bounds are those s whose mean number of
    distinct items, `s (1 - (1 - 1/s)^draws)`, is 1.96 of its standard deviations from `found`.
    """
    from scipy.special import gammaln

    s = np.arange(found, most + 1, dtype=np.float64)
    likelihood = gammaln(s + 1) - gammaln(s - found + 1) - draws * np.log(s)
    with np.errstate(divide="ignore"):
        missing = np.exp(draws * np.log1p(-1 / s))
        both = np.where(s > 2, np.exp(draws * np.log1p(-2 / np.maximum(s, 2))), 0)
    variance = s * (s - 1) * both + s * missing - (s * missing) ** 2
    spread = _NORMAL * np.sqrt(np.maximum(variance, 0))
    mean = s * (1 - missing)
    plausible = s[np.abs(mean - found) <= spread]
    likely = s[likelihood.argmax()]
    low, high = (plausible[0], plausible[-1]) if len(plausible) else (likely, likely)
    return int(min(low, likely)), int(likely), int(max(high, likely))


def _check_count(samples: object, whose: str) -> None:
    if len(samples) < 2:
        raise ValueError(f"retrieval needs 2 or more {whose} samples, got {len(samples)}")
