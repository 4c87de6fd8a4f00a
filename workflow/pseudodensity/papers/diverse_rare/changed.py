"""Which attributes of an image are others than those of its reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["RARE", "changed", "changed_pairs"]

RARE = 0.1  # a value of at most this share of the data is called rare


def changed(
    before: Sequence[int],
    after: Sequence[int],
    names: Sequence[str],
    values: Sequence[Sequence[str]],
    probabilities: Sequence[np.ndarray],
) -> list[tuple[str, bool]]:
    """What changed in words, and whether the new value is rare; rarest first.

    Args:
        before, after: of each of a attributes the number of its value. names: of the attributes.
        values: of each attribute the names of its values. probabilities: of each the shares (values,)
            of its values in the data.

    ValueError: other lengths.
    """
    found = []
    each = zip(before, after, names, values, probabilities, strict=True)
    for old, new, name, words, shares in each:
        if old != new:
            found.append((float(shares[new]), f"{name} {words[old]} → {words[new]}"))
    found.sort(key=lambda item: item[0])  # of equal shares in the order of the attributes
    return [(text, share <= RARE) for share, text in found]


def changed_pairs(
    path: str | Path, sets: Sequence[str], references: np.ndarray, samples: np.ndarray
) -> list[list[tuple[str, bool]]]:
    """What changed from some references to the samples beside them, as `changed` says it.

    Args:
        path: an experiment `attributes`. sets: how it calls the references, and the samples.
        references, samples: (n,) rows of these sets.

    ValueError: no such set. ArtifactError: missing or damaged.
    """
    facts = load_facts(path)
    for name in sets:
        if name not in facts["sets"]:
            raise ValueError(
                f"{path} has attributes of {', '.join(facts['sets'])}, none of {name}: add the set"
            )
    names = [f"set_{facts['sets'].index(name)}" for name in sets]
    laws = [f"law_{j}" for j in range(len(facts["names"]))]
    arrays = load_arrays(path, [*names, *laws])
    before, after = arrays[names[0]][references], arrays[names[1]][samples]
    shares = [np.exp(arrays[law]) for law in laws]
    return [
        changed(old, new, facts["names"], facts["values"], shares)
        for old, new in zip(before, after, strict=True)
    ]
