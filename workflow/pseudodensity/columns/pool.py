"""A pool: proposals in order with what is known of each, from files or in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import load_npy
from pseudodensity.tensors import load_tensors, save_tensors

__all__ = ["Column", "Pool", "join_columns", "load_column", "open_pool", "save_column"]

_FEATURES = "features."


@dataclass(frozen=True)
class Column:
    """What is known of n images.

    values: (n, ...) array, one row per image. real: the same of real images, (m, ...), or None.
    facts: JSON-able, what was found out on the way. seconds: that the n rows took, for who has just
    computed them; no file holds it, so that equal columns are equal files.
    """

    values: np.ndarray
    real: np.ndarray | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Pool:
    """Proposals 0 .. count - 1 of one source.

    Attributes:
        columns: name -> column; "density" (float32, its `real` the labels of the data set) and
            "features.<extractor>" are always there, "label" is with real images of known classes. A
            column may cover the first rows only.
        images: rows -> (n, 3, R, R) uint8, for metrics that want to see images.
        seed: of the latents; decisions of the methods draw from streams of it.
        calls: images that the generator made for one proposal.
        facts: of the source: acceptance in training, constants of a method that made the images.
    """

    columns: Mapping[str, Column]
    seed: int
    images: Callable[[np.ndarray], np.ndarray] | None = None
    calls: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["density"])

    def column(self, name: str) -> Column:
        """A column. ValueError: the pool was drawn without it."""
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise ValueError(f"this pool has no column {name!r}, it has {known}: ask for it first")
        return self.columns[name]

    def values(self, name: str) -> np.ndarray:
        """Values of a column, (n, ...)."""
        return self.column(name).values

    def features(self, extractor: str, rows: np.ndarray) -> np.ndarray:
        """Features (len(rows), d) float32 of some rows."""
        return self.values(f"{_FEATURES}{extractor}")[rows]

    def labels(self, rows: np.ndarray) -> np.ndarray | None:
        """Classes (len(rows),) int64 of some rows; None where the pool has no column of them."""
        if "label" not in self.columns:
            return None
        return self.values("label")[rows].astype(np.int64)

    def first(self, count: int) -> Pool:
        """The first `count` proposals alone: all that anything drawn from them may see."""
        if count >= len(self):
            return self
        cut = {name: Column(c.values[:count], c.real, c.facts) for name, c in self.columns.items()}
        return Pool(cut, self.seed, self.images, self.calls, self.facts)


def join_columns(parts: Sequence[Column]) -> Column:
    """Stretches of one column in order as one; the real side and the facts are those of the first."""
    values = np.concatenate([part.values for part in parts])
    first = parts[0]
    return Column(values, first.real, first.facts)


def save_column(path: str | Path, column: Column, stamp: Mapping[str, Any]) -> None:
    """Write one column of some rows."""
    tensors = {"values": column.values}
    if column.real is not None:
        tensors["real"] = column.real
    save_tensors(path, tensors, stamp, {"facts": dict(column.facts)})


def load_column(path: str | Path) -> Column:
    """Read what `save_column` wrote. ArtifactError: missing or damaged."""
    tensors, meta = load_tensors(path)
    real = tensors["real"].numpy() if "real" in tensors else None
    return Column(tensors["values"].numpy(), real, meta["facts"])


def open_pool(
    described: Sequence[str | Path],
    columns: Mapping[str, Sequence[str | Path]],
    labels: np.ndarray,
    seed: int,
) -> Pool:
    """A pool from its files.

    Args:
        described: of all parts in order.
        columns: name -> files of further columns, in order.
        labels: (N,) densities of the real images, the real side of the density.
        seed: of the pool.
    """
    parts = [load_tensors(path) for path in described]
    joined = {
        name: Column(
            np.concatenate([tensors[name].numpy() for tensors, _ in parts]),
            labels if name == "density" else None,
        )
        for name in parts[0][0]
    }
    joined |= {
        name: join_columns([load_column(p) for p in paths]) for name, paths in columns.items()
    }
    meta = parts[0][1]
    files = [Path(path).with_name("images.npy") for path in described]
    images = _stored_images(files, [len(tensors["density"]) for tensors, _ in parts])
    return Pool(joined, seed, images, meta["calls"], meta["facts"])


def _stored_images(
    paths: Sequence[Path], counts: Sequence[int]
) -> Callable[[np.ndarray], np.ndarray]:
    """Rows of a pool -> images; counts: proposals of each part, of which the first are stored."""
    starts = np.cumsum([0, *counts])

    @cache  # checked once
    def opened() -> list[np.ndarray]:
        return [load_npy(path, mapped=True) for path in paths]

    def images(rows: np.ndarray) -> np.ndarray:
        stored, found = opened(), []
        for row in rows:
            part = int(np.searchsorted(starts, row, side="right")) - 1
            within = row - starts[part]
            if part == len(stored) or within >= len(stored[part]):
                raise ValueError(
                    f"the image of row {row} of this pool is not stored: raise runtime.stored_mb, "
                    "delete the pool and run again"
                )
            found.append(stored[part][within])
        return np.stack(found)

    return images
