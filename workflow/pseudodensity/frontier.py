"""The precision-recall frontier of one checkpoint: every point of a sweep, chosen and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.artifacts import load_json
from pseudodensity.control.select.growing import accepted_rows, set_name
from pseudodensity.control.select.importance import expected_acceptance, importance_acceptance
from pseudodensity.control.select.proposals import Described, load_described
from pseudodensity.control.select.schemes import effective_sample_size
from pseudodensity.density import PseudoDensity
from pseudodensity.metrics.evaluate import evaluate
from pseudodensity.progress import Progress

__all__ = ["Choice", "Judgement", "measure_frontier", "open_pool"]

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Pool:
    """A pool from disk.

    proposals: all parts as one. sets: name -> images that a method made itself. density: of the
    data set, for its thresholds. seed: of the pool. calls: images that the generator made in all.
    """

    proposals: Described
    sets: Mapping[str, Described]
    density: PseudoDensity
    seed: int
    calls: int

    def facts(self) -> dict[str, Any]:
        """What the scores file says of it: proposals, and images that the generator made."""
        return {"proposals": len(self.proposals), "calls": self.calls}


@dataclass(frozen=True)
class Choice:
    """Which images a point takes.

    source: what the rows are of. rows: one (n,) int64 per repeat. used: how many images of the
    source were looked at. acceptance: share of them that was taken, before cutting to n; None
    for a method without rejection. expected: the same by a closed form. ess: effective sample
    size of the weights over what was looked at. stages: whose seconds the point needs.
    """

    source: Described
    rows: Sequence[Tensor]
    used: int
    acceptance: float | None = None
    expected: float | None = None
    ess: float | None = None
    stages: Sequence[str] = ("generator",)
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """How points are judged: real features and their extractor per role, k, images of a repeat."""

    real: Mapping[str, np.ndarray]
    roles: Mapping[str, str]
    k: int
    images: int
    repeats: int

    def facts(self) -> dict[str, Any]:
        """What the scores file says of it."""
        n_real = len(self.real[self.roles["manifold"]])
        return {"k": self.k, "n": self.images, "n_real": n_real}

    def scores(self, source: Described, rows: Tensor) -> dict[str, float]:
        """Metrics of one repeat."""
        chosen = rows.numpy()
        real = {role: self.real[name] for role, name in self.roles.items()}
        fake = {role: source.features[name][chosen] for role, name in self.roles.items()}
        mean = float(source.density[chosen].mean(dtype=np.float64))
        return {**evaluate(real, fake, self.k), "mean_density": mean}


def open_pool(manifest: str | Path, density: PseudoDensity, seed: int) -> Pool:
    """Read a pool by its ``pool.json``."""
    folder, facts = Path(manifest).parent, load_json(manifest)
    parts = [load_described(folder / name) for name in facts["parts"]]
    sets = {name: load_described(folder / file) for name, file in facts["sets"].items()}
    return Pool(Described.join(parts), sets, density, seed, sum(facts["calls"].values()))


def measure_frontier(
    pool: Pool, points: Sequence[Point], judgement: Judgement, progress: Progress
) -> list[dict[str, Any]]:
    """Every point with its settings, its choice and its scores per repeat, in order."""
    measured = []
    for done, point in enumerate(points):
        progress.update(done)
        measured.append({**point, **_measure(pool, point, judgement)})
    progress.update(len(points))
    return measured


def _measure(pool: Pool, point: Point, judgement: Judgement) -> dict[str, Any]:
    choice = CHOICES[point["method"]](pool, point, judgement)
    chosen = torch.cat(list(choice.rows)) if choice.rows else torch.empty(0, dtype=torch.int64)
    seconds = sum(choice.source.seconds[stage] for stage in choice.stages) / len(choice.source)
    per_image = choice.used / max(len(chosen), 1)
    note = choice.note
    if len(choice.rows) < judgement.repeats and point["method"] != "truncation":
        note = note or f"the pool holds images for {len(choice.rows)} repeats only"
    return {
        "acceptance": choice.acceptance,
        "acceptance_closed_form": choice.expected,
        "ess": choice.ess,
        "unique": len(chosen.unique()),
        "n": judgement.images,
        "generator_calls": choice.used * choice.source.calls // len(choice.source),
        "seconds_per_1000": 1000 * seconds * per_image if choice.rows else None,
        "repeats": [judgement.scores(choice.source, rows) for rows in choice.rows],
        "note": note,
    }


def _stretches(rows: Tensor, judgement: Judgement) -> tuple[list[Tensor], int]:
    """Disjoint stretches of n accepted rows each, as many as there are, and what they used up."""
    count = min(len(rows) // judgement.images, judgement.repeats)
    taken = rows[: count * judgement.images]
    used = int(taken[-1]) + 1 if count else 0
    return list(taken.split(judgement.images)) if count else [], used


def _plain(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    rows, used = _stretches(torch.arange(len(pool.proposals)), judgement)
    return Choice(pool.proposals, rows, used, 1.0, 1.0, float(used))


def _importance(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    threshold, w = pool.density.threshold(point["tau"]), point["w"]
    density = torch.from_numpy(pool.proposals.density)
    accepted = accepted_rows(density, threshold, w, pool.seed)
    rows, used = _stretches(accepted, judgement)
    looked = density[:used] if used else density
    share = float((accepted < len(looked)).sum()) / len(looked)
    low = float((looked < threshold).double().mean())
    weights = importance_acceptance(looked.double(), threshold, w).log()
    return Choice(
        pool.proposals,
        rows,
        len(looked),
        share,
        float(expected_acceptance(low, w)),
        effective_sample_size(weights),
        ("generator", "steering"),
    )


def _truncation(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    source = pool.sets[set_name(point)]
    rows, used = _stretches(torch.arange(len(source)), judgement)
    return Choice(source, rows, used, ess=float(used))


CHOICES = {"plain": _plain, "importance": _importance, "truncation": _truncation}
