"""A check: what is drawn at each step, what is true of it, and what a score of each purpose must do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pseudodensity.papers.metric_checks.criteria import Criterion

__all__ = ["MOVED", "NO_COPIES", "NO_RARITY", "PURPOSES", "Check", "Draw"]

# What checks of every kind say in the same words.
NO_RARITY = "the check says nothing of how sparse the reals are around fakes"
NO_COPIES = "no fake is a copy"
MOVED = "moved by 1 in each dimension"

# Purpose of a score -> what it is. A share is 1 where all is well; the others only rank.
PURPOSES = {
    "fidelity": "share of good fakes",
    "diversity": "share of the reals' law that is reached",
    "closeness": "how near fakes are to reals, without bounds",
    "variety": "how different fakes are from each other, without bounds",
    "distance": "how far both laws are apart, without an upper bound",
    "rarity": "how sparse the reals are around fakes",
    "memorisation": "whether fakes are copies of reals; lower for more copies",
}

# Step, streams of the reals and of the fakes -> reals (n, d), fakes (m, d).
Draw = Callable[[int, np.random.Generator, np.random.Generator], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Check:
    """One setting of a check.

    name: of the check. setting: of this one. truth: what is known. steps: what changes, in words.
    criteria: for each of `PURPOSES` the criterion, or in words why there is none. repeats: how many
    times the seeds of the config it takes, where the noise of few draws would hide the answer.
    """

    name: str
    setting: str
    truth: str
    steps: tuple[str, ...]
    draw: Draw
    criteria: Mapping[str, Criterion | str]
    repeats: int = 1

    def sets(self, step: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Reals and fakes float32 of a step. All steps of a seed draw from the same streams."""
        words = [seed, *f"{self.name} {self.setting}".encode()]
        streams = [np.random.Generator(np.random.Philox(seed=[*words, i])) for i in range(2)]
        real, fake = self.draw(step, *streams)
        return real.astype(np.float32), fake.astype(np.float32)
