"""Attributes of sets of images, by a classifier or from a file: what tables of attributes are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.report.samples import load_arrays, load_facts

__all__ = ["AttributeSets", "estimated_law", "open_attribute_sets"]


@dataclass(frozen=True)
class AttributeSets:
    """Attributes are numbered as `names`, the values of each as `values` name them.

    sets: by name, predicted values (n, a) int64. groups: by name, the reference (n,) int64 that an image
    belongs to. real: (N, a), true values of the reals, or predicted ones where no truth is known.
    real_predicted: (N, a). law: of each attribute the log-probabilities (values,) of its values.
    confusion: of each attribute counts (values, values) on held-out reals, true value by row; None where no
    truth is known. facts: ``truth``, whether `real` is true; ``known_law``, whether the law is that of the
    data and not estimated from shares among reals; ``source``, who predicted, in words.
    """

    names: list[str]
    values: list[list[str]]
    sets: Mapping[str, np.ndarray]
    groups: Mapping[str, np.ndarray]
    real: np.ndarray
    real_predicted: np.ndarray
    law: Sequence[np.ndarray]
    confusion: Sequence[np.ndarray] | None
    facts: Mapping[str, Any]

    def saved(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """As arrays and facts of an experiment."""
        arrays = {f"set_{i}": values for i, values in enumerate(self.sets.values())}
        arrays |= {f"group_{i}": self.groups[name] for i, name in enumerate(self.sets)}
        arrays |= {"real": self.real, "real_predicted": self.real_predicted}
        arrays |= {f"law_{j}": values for j, values in enumerate(self.law)}
        arrays |= {f"confusion_{j}": counts for j, counts in enumerate(self.confusion or ())}
        own = {"names": list(self.names), "values": [list(each) for each in self.values]}
        own |= {"sets": list(self.sets), "confusion": self.confusion is not None}
        return arrays, own | {"facts": dict(self.facts)}

    def log_probability(self, values: np.ndarray) -> np.ndarray:
        """Sum over the attributes (n,) float64 in nats of the log-probability of an image's values (n, a).

        That of their combination if attributes are independent, as those of the scenes are.
        """
        return sum(law[column] for law, column in zip(self.law, values.T, strict=True))


def open_attribute_sets(path: str | Path) -> AttributeSets:
    """Read what an experiment saved. ArtifactError: missing or damaged."""
    facts = load_facts(path)
    sets, attributes = range(len(facts["sets"])), range(len(facts["names"]))
    names = ["real", "real_predicted", *(f"law_{j}" for j in attributes)]
    names += [f"{kind}_{i}" for kind in ("set", "group") for i in sets]
    if facts["confusion"]:
        names += [f"confusion_{j}" for j in attributes]
    arrays = load_arrays(path, names)
    return AttributeSets(
        facts["names"],
        facts["values"],
        {name: arrays[f"set_{i}"] for i, name in enumerate(facts["sets"])},
        {name: arrays[f"group_{i}"] for i, name in enumerate(facts["sets"])},
        arrays["real"],
        arrays["real_predicted"],
        [arrays[f"law_{j}"] for j in attributes],
        [arrays[f"confusion_{j}"] for j in attributes] if facts["confusion"] else None,
        facts["facts"],
    )


def estimated_law(values: np.ndarray, cardinalities: Sequence[int]) -> list[np.ndarray]:
    """Log-probabilities of the values of each attribute, from those (N, a) of reals.

    Half an image is added to each value (Krichevsky and Trofimov 1981): a value that no real has is rare
    and not impossible.
    """
    counts = [
        np.bincount(column, minlength=count) + 0.5
        for column, count in zip(values.T, cardinalities, strict=True)
    ]
    return [np.log(each / each.sum()) for each in counts]
