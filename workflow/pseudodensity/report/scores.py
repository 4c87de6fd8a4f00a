"""Scores files as tables read them: what every metric says of a set, found by its pool and point."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pseudodensity.artifacts import load_json
from pseudodensity.plan.declared import declared, declares, modules_declaring

__all__ = ["Found", "ScoreBook", "bounds_of"]


@cache
def _ranges() -> dict[str, tuple[float | None, float | None]]:
    modules = modules_declaring("metrics", "NAME").values()
    ranges = [declared(module, "RANGES") for module in modules if declares(module, "RANGES")]
    return {score: ends for each in ranges for score, ends in each.items()}


def bounds_of(score: str) -> tuple[float, float]:
    """The least and the greatest value that a score can have, as its metric declares; infinite where
    it declares none."""
    low, high = _ranges().get(score, (None, None))
    return -math.inf if low is None else low, math.inf if high is None else high


@dataclass(frozen=True)
class Found:
    """Scores of one set.

    label: of the point, in the papers' words. facts: acceptance, cost, notes. repeats: one dict of
    scores per repeat, of all metrics. n, n_real: images of a repeat, real images. k: neighbours of the
    manifolds, or None.
    """

    label: str
    facts: Mapping[str, Any]
    repeats: list[dict[str, float]]
    n: int
    n_real: int
    k: int | None


class ScoreBook:
    """All sets of some scores files.

    ValueError: files that do not agree on a set.
    """

    def __init__(self, paths: Iterable[str | Path]):
        self._found: dict[str, Found] = {}
        for path in paths:
            self._read(load_json(path), path)

    def _read(self, content: Mapping[str, Any], path: str | Path) -> None:
        k = content["settings"].get("k")
        for row in content["rows"]:
            key = _key(row["pool"], row["point"])
            known = self._found.get(key)
            if known is None:
                facts = (row["label"], row["facts"], row["repeats"])
                self._found[key] = Found(*facts, row["n"], row["n_real"], k)
                continue
            _check_agreement(known, row, path)
            pairs = zip(known.repeats, row["repeats"], strict=True)
            joined = [before | now for before, now in pairs]
            k_known = known.k if known.k is not None else k
            self._found[key] = Found(
                known.label, known.facts, joined, known.n, known.n_real, k_known
            )

    def find(self, pool: str, point: Mapping[str, Any]) -> Found:
        """Scores of a set. ValueError: no file has it."""
        key = _key(pool, point)
        if key not in self._found:
            raise ValueError(
                f"no scores of {dict(point)} in {pool}: delete the scores and run again"
            )
        return self._found[key]


def _check_agreement(known: Found, row: Mapping[str, Any], path: str | Path) -> None:
    """ValueError: two files judged other sets under one name."""
    pairs = [
        ("repeats", len(known.repeats), len(row["repeats"])),
        ("images", known.n, row["n"]),
        ("real images", known.n_real, row["n_real"]),
    ]
    for before, now in zip(known.repeats, row["repeats"], strict=False):
        # What every metric says of a set, such as its mean density, says whether it is the same.
        pairs += [(name, before[name], now[name]) for name in sorted(before.keys() & now.keys())]
    for what, there, here in pairs:
        if not math.isclose(there, here, rel_tol=1e-9) and not math.isnan(there + here):
            raise ValueError(
                f"{path} has {here} {what} of {row['label']} where another file has {there}: "
                "delete the scores and run again"
            )


def _key(pool: str, point: Mapping[str, Any]) -> str:
    return f"{pool} {sorted(point.items())}"
