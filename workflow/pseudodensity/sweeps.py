"""The points of a precision-recall frontier: every setting of every method, as plain dicts.

A point is a dict with ``method`` and its settings: plain; importance (tau, w); truncation (family,
psi); polarity (polarity, replacement); drs and dot (variant). This module is light: the rules read
it, so it never imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "METHODS",
    "PLAIN",
    "check_methods",
    "customary_family",
    "frontier_points",
    "importance_points",
    "join_points",
    "label",
    "proposals_needed",
    "why_not",
]

Point = dict[str, Any]

PLAIN: Point = {"method": "plain"}
FAMILIES = ("style", "scale", "resample")
METHODS = (*FAMILIES, "polarity", "drs", "dot")

# Which methods an architecture can serve beside plain and importance sampling, which ask for
# nothing but images.
SERVED = {
    "stylegan2": ("style", "resample", "polarity", "drs", "dot"),
    "stylegan3": ("style", "resample", "polarity", "drs", "dot"),
    "projectedgan": ("scale", "resample", "polarity", "drs", "dot"),
    "diffusion": ("scale", "resample"),
    "vqgpt": (),
    "external": ("scale", "resample", "polarity"),
}
WHY_NOT = {
    "style": "needs a w space, and there is no mapping network",
    "scale": "needs a latent whose length counts",
    "resample": "needs a normal latent",
    "polarity": "needs the Jacobian of one pass through the generator",
    "drs": "needs a discriminator, and there is none",
    "dot": "needs a discriminator, and there is none",
}
WHY_NOT_HERE = {
    ("stylegan2", "scale"): "is undone by the mapping network, which normalises z",
    ("stylegan3", "scale"): "is undone by the mapping network, which normalises z",
    ("diffusion", "polarity"): "would take a tangent of the whole sampling chain for each "
    "number of x_T, once per proposal",
    ("vqgpt", "resample"): "has no meaning for the uniform numbers that codes are drawn by",
    ("vqgpt", "polarity"): "needs a Jacobian, and codes are discrete",
}


VARIANTS = {
    # Exact sampling accepts one in M; Azadi et al. therefore shift by a percentile of the scores.
    "drs": {
        "paper": "setting of the paper",
        "mended": "calibrated",
        "shifted": "calibrated, gamma at 80 %",
    },
    "dot": {"paper": "setting of the paper", "mended": "per sample, constant estimated"},
}


def why_not(architecture: str, method: str) -> str | None:
    """Why an architecture cannot serve a method; None if it can. ValueError: unknown names."""
    if architecture not in SERVED or method not in METHODS:
        raise ValueError(
            f"no method {method!r} for {architecture!r}: methods are {', '.join(METHODS)}"
        )
    if method in SERVED[architecture]:
        return None
    return WHY_NOT_HERE.get((architecture, method), WHY_NOT[method])


def check_methods(model: str, architecture: str, methods: Iterable[str]) -> None:
    """ValueError, one line: a method is asked of a model that lacks what it needs."""
    for method in methods:
        reason = why_not(architecture, method)
        if reason:
            able = ", ".join(SERVED[architecture]) or "plain and importance sampling only"
            raise ValueError(
                f"{method} is asked of {model}, which is {architecture}: {method} {reason}; "
                f"possible here: {able}"
            )


def importance_points(taus: Sequence[float], ws: Sequence[float]) -> list[Point]:
    """Importance sampling (Algorithm 2) at every (tau, w); w = 1 is plain sampling, left out."""
    return [{"method": "importance", "tau": t, "w": w} for t in taus for w in ws if w != 1]


def frontier_points(grid: Mapping[str, Any], methods: Sequence[str] = ()) -> list[Point]:
    """All points of one model, plain first, none twice.

    Args:
        grid: ``fig4`` of the paper's list of runs: importance {tau, w}, fid {tau, w}, truncation
            {family: psi}, polarity {exponents, replacement}.
        methods: which of :data:`METHODS` to run beside plain and importance sampling.
    """
    points = [dict(PLAIN)]
    for part in ("importance", "fid"):
        points += importance_points(grid[part]["tau"], grid[part]["w"])
    for family in FAMILIES:
        if family in methods:
            points += [
                {"method": "truncation", "family": family, "psi": psi}
                for psi in grid["truncation"][family]
            ]
    if "polarity" in methods:
        points += [
            {"method": "polarity", "polarity": polarity, "replacement": replacement}
            for replacement in grid["polarity"]["replacement"]
            for polarity in grid["polarity"]["exponents"]
        ]
    for method in ("drs", "dot"):
        if method in methods:
            points += [{"method": method, "variant": v} for v in VARIANTS[method]]
    return join_points(points)


def join_points(*lists: Sequence[Mapping[str, Any]]) -> list[Point]:
    """All points in order, none twice."""
    points = [dict(point) for points in lists for point in points]
    return [point for i, point in enumerate(points) if point not in points[:i]]


def customary_family(architecture: str) -> str:
    """How an architecture is usually truncated. ValueError: it cannot be."""
    families = [family for family in FAMILIES if family in SERVED[architecture]]
    if not families:
        raise ValueError(f"{architecture} models know no truncation")
    return families[0]


def proposals_needed(acceptance: float, count: int) -> int:
    """Proposals that give ``count`` accepted ones on average. ValueError: none is accepted."""
    if not 0 < acceptance <= 1:
        raise ValueError(f"a point is accepted with a probability in (0, 1], got {acceptance}")
    return math.ceil(count / acceptance)


def label(point: Mapping[str, Any]) -> str:
    """A point in the papers' words, such as ``importance sampling, tau 80 %, w 33``."""
    method = point["method"]
    if method == "plain":
        return "pre-trained"
    if method == "importance":
        return f"importance sampling, tau {point['tau']:g} %, w {point['w']:g}"
    if method == "truncation":
        return f"truncation ({point['family']}), psi {point['psi']:g}"
    if method == "polarity":
        kind = "with" if point["replacement"] else "without"
        return f"polarity {point['polarity']:g}, {kind} replacement"
    return f"{method.upper()}, {VARIANTS[method][point['variant']]}"
