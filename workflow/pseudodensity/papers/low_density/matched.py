"""Losses compared where they reach the same hardness, because at equal strengths one simply pushes more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pseudodensity.report.statistics import Estimate, paired

__all__ = ["HARDNESS", "against", "calibrated", "matched"]

HARDNESS = "median_hardness"

Repeats = Sequence[Mapping[str, float]]


def matched(repeats: Repeats, curve: Sequence[Repeats], score: str = "precision") -> Estimate:
    """A score minus that of a curve at the same hardness, with its 95 % interval over repeats.

    repeats: scores of a set. curve: of each point of the control the scores of the same repeats, which
    have the same latents. NaN where a repeat is harder, or less hard, than the control ever is.
    """
    differences = []
    for number, own in enumerate(repeats):
        ladder = sorted((one[number][HARDNESS], one[number][score]) for one in curve)
        hardness, values = np.array(ladder).T
        if not hardness[0] <= own[HARDNESS] <= hardness[-1]:
            return Estimate(np.nan)
        differences.append(own[score] - np.interp(own[HARDNESS], hardness, values))
    return paired(differences)


def against(
    points: Sequence[Mapping[str, Any]],
    repeats: Sequence[Repeats],
    control: str,
    score: str = "precision",
    name: str = "matched",
) -> list[dict[str, float]]:
    """`matched` of every point, as columns `name`, with _low, _high and _p; NaN of the control and of plain
    points.

    control: the loss whose curve over alpha the others are compared with, from the plain sampler on.
    repeats: scores of each point.
    """
    curve = [own for own, point in zip(repeats, points, strict=True) if _on(point, control)]
    lines = []
    for own, point in zip(repeats, points, strict=True):
        compared = point.get("loss") not in (None, control)
        found = matched(own, curve, score) if compared else Estimate(np.nan)
        line = {name: found.effect, f"{name}_low": found.low, f"{name}_high": found.high}
        lines.append(line | {f"{name}_p": found.p})
    return lines


def calibrated(
    points: Sequence[Mapping[str, Any]], repeats: Sequence[Repeats], control: str
) -> list[float]:
    """Of every point the alpha at which the control has the same hardness, between its own by straight lines.

    NaN where it has none, of plain points, and of those with a beta.
    """
    mean = [float(np.mean([one[HARDNESS] for one in own])) for own in repeats]
    known = zip(points, mean, strict=True)
    curve = sorted((hardness, point["alpha"]) for point, hardness in known if _on(point, control))
    hardness, alpha = np.array(curve).T
    return [
        float(np.interp(own, hardness, alpha, left=np.nan, right=np.nan))
        if point.get("loss") and not point["beta"]
        else np.nan
        for point, own in zip(points, mean, strict=True)
    ]


def _on(point: Mapping[str, Any], control: str) -> bool:
    """Whether a point is on the curve of a loss: no beta, or the plain sampler."""
    if point.get("auxiliaries") == []:
        return True
    return point.get("loss") == control and not point["beta"]
