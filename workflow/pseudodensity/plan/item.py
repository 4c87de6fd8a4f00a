"""A set of images to judge: where it is chosen from, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pseudodensity.plan.artifact import Artifact, digest_of
from pseudodensity.plan.methods import method

__all__ = ["Item"]


@dataclass(frozen=True)
class Item:
    """A set of images to judge: the pool it is chosen from, and the point that chooses.

    parts: of the pool in order. columns: name -> its files in order. count: how many of the pool's
    first proposals the point may look at; None for all.
    """

    parts: tuple[Artifact, ...]
    columns: Mapping[str, tuple[Artifact, ...]]
    point: Mapping[str, Any]
    count: int | None

    @property
    def pool(self) -> str:
        """Name of the pool."""
        return self.parts[0].folder

    def described(self) -> dict[str, Any]:
        """As the job reads it: paths and numbers."""
        return {
            "pool": self.pool,
            "described": [part.path for part in self.parts],
            "columns": {n: [c.path for c in made] for n, made in self.columns.items()},
            "point": dict(self.point),
            "label": method(self.point["method"]).label(self.point),
            "count": self.count,
        }

    def identity(self) -> dict[str, Any]:
        """What defines a set: not the files that its pool is cut into."""
        columns = {name: made[0].digest for name, made in sorted(self.columns.items())}
        return {
            "pool": self.parts[0].digest,
            "columns": digest_of(columns),
            "point": dict(self.point),
            "count": self.count,
        }
