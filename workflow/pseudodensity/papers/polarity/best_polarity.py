"""The best polarity for FID, chosen on one half of the repeats and reported on the other.

The best of many noisy values looks better than it is. Repeats have volumes of their own, so what chooses
and what reports share no latent. Every polarity of a repeat draws from the same volumes with the same
random numbers; the reference is polarity 0 there, which repeats images as often as weak exponents do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pseudodensity.report.statistics import Estimate, paired

__all__ = ["Best", "best_polarity", "halves"]

Repeats = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Best:
    """A choice and what the other half says of it.

    polarity: the exponent; None where none beat polarity 0 on the choosing half. gain: by how much its FID
    is lower than that of polarity 0 on the reporting half, over pairs of repeats. improves: whether the
    interval of that lies above 0; None without an interval.
    """

    polarity: float | None
    gain: Estimate
    improves: bool | None


def halves(repeats: Repeats) -> tuple[Repeats, Repeats]:
    """The repeats that choose and those that report, which are one more where the number is odd.

    ValueError: fewer than two.
    """
    if len(repeats) < 2:
        raise ValueError(
            f"{len(repeats)} repeats cannot both choose and report: raise papers.polarity.images.repeats"
        )
    middle = len(repeats) // 2
    return repeats[:middle], repeats[middle:]


def best_polarity(found: Mapping[float, Repeats]) -> Best:
    """Choose the exponent of lowest mean FID on the first half, and report on the second.

    Args:
        found: polarity -> its repeats in order, each with ``fid``; 0 among them, alike in number.

    ValueError: fewer than two repeats; no polarity 0.
    """
    if 0 not in found:
        raise ValueError("the best polarity is measured against polarity 0: sample that too")
    split = {polarity: halves(repeats) for polarity, repeats in found.items()}
    chosen = min(split, key=lambda polarity: (_mean(split[polarity][0]), polarity != 0))
    if chosen == 0:
        return Best(None, Estimate(0.0), None)
    gain = paired(np.subtract(_fids(split[0][1]), _fids(split[chosen][1])))
    return Best(chosen, gain, None if np.isnan(gain.low) else bool(gain.low > 0))


def _fids(repeats: Repeats) -> list[float]:
    return [repeat["fid"] for repeat in repeats]


def _mean(repeats: Repeats) -> float:
    return float(np.mean(_fids(repeats)))
