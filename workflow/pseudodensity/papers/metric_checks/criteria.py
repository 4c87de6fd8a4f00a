"""When a score passes a check: shapes of its response, with the tolerances of the desiderata.

Raisa et al. 2025 (arXiv 2505.22450): D1 the shape of the response, D4 the bounds 1 +- .05 and 0 +- .05,
D2, D3 and D5 no dependence on counts and scale. A share is a score in [0, 1], 1 where all is well. A
ranking has no such bounds: only the order of its values counts, larger is better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = [
    "TOLERANCE",
    "Criterion",
    "best_at",
    "flat",
    "linear",
    "near",
    "share_bell",
    "small",
    "worsens",
]

TOLERANCE = 0.05


@dataclass(frozen=True)
class Criterion:
    """text: for people. holds: values of the steps, better is larger -> whether it passes."""

    text: str
    holds: Callable[[np.ndarray], bool]


def near(*truths: float | None) -> Criterion:
    """Of a share: each of the first steps within .05 of its truth, where it has one."""

    def holds(values: np.ndarray) -> bool:
        pairs = zip(values, truths, strict=False)
        return all(truth is None or abs(value - truth) <= TOLERANCE for value, truth in pairs)

    shown = ", ".join("any" if truth is None else f"{truth:g}" for truth in truths)
    return Criterion(f"{shown} ± {TOLERANCE}", holds)


def linear(*shares: float) -> Criterion:
    """Of a share: each step within .05 of the first one's value times its share."""

    def holds(values: np.ndarray) -> bool:
        return bool((np.abs(values - values[0] * np.array(shares)) <= TOLERANCE).all())

    shown = ", ".join(f"{share:.3g}" for share in shares)
    return Criterion(f"first value times {shown}, ± {TOLERANCE}", holds)


def share_bell(steps: int) -> Criterion:
    """Of a share: 1 at the middle step and 0 at both ends, ± .05, and monotone between them."""
    middle = steps // 2

    def holds(values: np.ndarray) -> bool:
        ends = np.abs(values[[0, -1]]).max() <= TOLERANCE
        return ends and abs(values[middle] - 1) <= TOLERANCE and _peaks(values, middle, TOLERANCE)

    return Criterion(f"1 in the middle and 0 at the ends, ± {TOLERANCE}", holds)


def flat(steps: int, of_share: bool) -> Criterion:
    """The first steps differ by .05 at most: of 1 for a share, else of the largest size of any step."""

    def holds(values: np.ndarray) -> bool:
        top = 1.0 if of_share else np.abs(values).max()
        return bool(np.ptp(values[:steps]) <= TOLERANCE * top)

    whole = "" if of_share else " of the largest value"
    return Criterion(f"steps differ by at most {TOLERANCE}{whole}", holds)


def worsens(start: float | None = None, end: float | None = None) -> Criterion:
    """From step to step never better, and worse in the end; a share may have a known start and end."""

    def holds(values: np.ndarray) -> bool:
        margin = TOLERANCE * np.abs(values).max()
        known = [(values[0], start), (values[-1], end)]
        at_ends = all(truth is None or abs(v - truth) <= TOLERANCE for v, truth in known)
        return bool(at_ends and values[0] - values[-1] > margin and _peaks(values, 0, margin))

    ends = [("first", start), ("last", end)]
    shown = "".join(f", {which} {t:g} ± {TOLERANCE}" for which, t in ends if t is not None)
    return Criterion(f"worse from step to step{shown}", holds)


def best_at(step: int) -> Criterion:
    """Best at one step, and worse the further from it."""

    def holds(values: np.ndarray) -> bool:
        margin = TOLERANCE * np.ptp(values)
        others = np.delete(values, step).max()
        return bool(values[step] > others and _peaks(values, step, margin))

    return Criterion(f"best at step {step + 1}, worse away from it", holds)


def small(step: int, whole: int) -> Criterion:
    """Of a distance, as minus its value: at one step at most .05 of its value at another."""

    def holds(values: np.ndarray) -> bool:
        return bool(-values[step] <= TOLERANCE * -values[whole])

    return Criterion(f"step {step + 1} at most {TOLERANCE} of step {whole + 1}", holds)


def _peaks(values: np.ndarray, step: int, margin: float) -> bool:
    """Whether values rise to a step and fall after it, up to a margin."""
    rises = np.diff(values)
    return bool((rises[:step] >= -margin).all() and (rises[step:] <= margin).all())
