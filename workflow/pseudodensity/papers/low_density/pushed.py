"""Strengths of guidance in units that samplers share: how far the pushes of all steps reach together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.table import Column

__all__ = ["PUSHED", "note_of_pushed", "pushed"]

PUSHED = Column("pushed", "α × summed variance", 3)


def pushed(measured: str | Path, points: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """Of each point ``summed_variance`` of its sampler and, alpha times that, ``pushed``, each also with _least and
    _most, those of one number of an image; NaN of a point that samples nothing.

    measured: the experiment `summed_variances`, of these points.
    """
    sums, samplers = load_arrays(measured, ["sums"])["sums"], load_facts(measured)["samplers"]
    lines = []
    for point in points:
        own = [sampler.items() <= point.items() for sampler in samplers]
        found = sums[own.index(True)] if any(own) else np.full(3, np.nan)
        line: dict[str, float] = {}
        for name, factor in (("summed_variance", 1), ("pushed", point.get("alpha", np.nan))):
            names = (name, f"{name}_least", f"{name}_most")
            line |= dict(zip(names, (factor * found).tolist(), strict=True))
        lines.append(line)
    return lines


def note_of_pushed(source: str) -> str:
    """How to read the column. source: what a gradient is multiplied by, in words."""
    return (
        "*α × summed variance*: how far the pushes of alpha reach at most together (l_inf), where black is -1 and "
        f"white 1, so that strengths of other steps can be compared: alpha times the sum, over all steps but the last, of {source}."
    )
