"""The columns that every pool has: features by the judges, and pseudo density."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import save_npy
from pseudodensity.columns.context import Context
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.tensors import save_tensors

__all__ = ["Describer", "draw_part", "write_described"]

Draw = Callable[[range], np.ndarray]
EXTRACTED = 500  # images at once through an extractor, at most


@dataclass
class Describer:
    """Describes images as they are drawn, so that they need not be stored.

    judges: by name. density: on features by `steering`, which is never one of the judges.
    """

    judges: Mapping[str, Extractor]
    density: PseudoDensity
    steering: Extractor
    batch_size: int = 500
    device: str = "cpu"

    def describe(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Columns "density" (n,) and "features.<judge>" (n, d), float32, of images (n, 3, R, R)."""
        columns = {"density": self.density(self._extract(self.steering, images))}
        for name, judge in self.judges.items():
            columns[f"features.{name}"] = self._extract(judge, images)
        return columns

    def draw(
        self, draw: Draw, batches: Iterable[range], kept: int
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Draw and describe in batches: ``(columns, the first `kept` images)``."""
        parts, images, stored = [], [], 0
        for batch in batches:
            drawn = draw(batch)
            parts.append(self.describe(drawn))
            if stored < kept:
                images.append(drawn[: kept - stored])
                stored += len(images[-1])
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return columns, np.concatenate(images)

    def _extract(self, extractor: Extractor, images: np.ndarray) -> np.ndarray:
        return extract(extractor, images, min(EXTRACTED, self.batch_size), self.device)


def write_described(
    path: str | Path,
    columns: Mapping[str, np.ndarray],
    images: np.ndarray,
    stamp: Mapping[str, Any],
    meta: Mapping[str, Any],
) -> None:
    """Write a part of a pool: images.npy first, since the columns beside it say that it is whole."""
    save_npy(Path(path).with_name("images.npy"), images)
    save_tensors(path, columns, stamp, meta)


def draw_part(
    context: Context,
    judges: Sequence[str],
    rows: range,
    path: str | Path,
    stamp: Mapping[str, Any],
    kept: int,
) -> None:
    """Draw and describe some proposals and write them as a part of a pool.

    Args:
        context: with checkpoint, judges (in the order of the names), density and steering as inputs.
        judges: names of the extractors that judge.
        kept: how many images are stored as pixels.
    """
    inputs, device = context.inputs, context.device
    describer = Describer(
        dict(zip(judges, map(load_extractor, inputs["judges"]), strict=True)),
        PseudoDensity.load(inputs["density"]).to(device),
        load_extractor(inputs["steering"]),
        context.batch_size,
        device,
    )
    maker = context.maker
    told: list[dict[str, np.ndarray]] = []

    def draw(batch: range) -> np.ndarray:
        images, found = context.draw_told(batch)
        told.append(found)
        return images

    columns, images = describer.draw(draw, context.batches(rows, maker.group), kept)
    columns |= {name: np.concatenate([part[name] for part in told]) for name in told[0]}
    meta = {"calls": maker.calls, "facts": context.facts}
    write_described(path, columns, images, stamp, meta)
