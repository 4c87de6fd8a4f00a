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
from pseudodensity.control.select.discriminator import (
    Calibration,
    drs_log_acceptance,
    paper_drs_log_acceptance,
)
from pseudodensity.control.select.growing import accepted_rows, set_name
from pseudodensity.control.select.importance import expected_acceptance, importance_acceptance
from pseudodensity.control.select.polarity import polarity_log_weights
from pseudodensity.control.select.proposals import Described, load_described
from pseudodensity.control.select.schemes import effective_sample_size, rejection, resample
from pseudodensity.density.network import PseudoDensity
from pseudodensity.metrics.evaluate import evaluate, real_sides
from pseudodensity.metrics.manifold import Manifold
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of
from pseudodensity.tensors import load_tensors

__all__ = ["Choice", "Judgement", "measure_frontier", "open_pool"]

Point = Mapping[str, Any]

GAMMA = 80.0  # percentile of DRS on images (Azadi et al. 2019)


@dataclass(frozen=True)
class Pool:
    """A pool from disk.

    proposals: all parts as one. volumes: (v,) float64 log-volumes of the first proposals, and the
    seconds they took. real_logits: (m,) of real images, and where they come from. sets: name -> images that a method made itself. density: of the
    data set, for its thresholds. seed: of the pool. calls: images that the generator made.
    """

    proposals: Described
    volumes: tuple[Tensor, float]
    real_logits: tuple[Tensor, str]
    sets: Mapping[str, Described]
    density: PseudoDensity
    seed: int
    calls: Mapping[str, int]

    def facts(self) -> dict[str, Any]:
        """What the scores file says of it: images that the generator made, by what they are for,
        and the seconds of each stage of the pool."""
        return {"calls": dict(self.calls), "seconds": dict(self.proposals.seconds)}


@dataclass(frozen=True)
class Choice:
    """Which images a point takes.

    source: what the rows are of. rows: one (n,) int64 per repeat. used: how many images of the
    source were looked at. acceptance: share of them that was taken, before cutting to n; None
    for a method without rejection. expected: the same by a closed form. ess: effective sample
    size of the weights over what was looked at. seconds: that all the rows cost.
    """

    source: Described
    rows: Sequence[Tensor]
    used: int
    acceptance: float | None = None
    expected: float | None = None
    ess: float | None = None
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """How points are judged.

    real: features of real images per role, see `evaluate`. roles: the extractor of each. k: of
    the manifolds. images: of a repeat.
    """

    real: Mapping[str, np.ndarray | Manifold]
    roles: Mapping[str, str]
    k: int
    images: int
    repeats: int

    @classmethod
    def of(
        cls, real: Mapping[str, np.ndarray], roles: Mapping[str, str], spec: Mapping[str, Any]
    ) -> Judgement:
        """From the real features by each extractor; spec: ``k``, ``images``, ``repeats``."""
        sides = real_sides(real, roles, spec["k"])
        return cls(sides, roles, *(spec[key] for key in ("k", "images", "repeats")))

    def facts(self) -> dict[str, Any]:
        """What the scores file says of it."""
        return {"k": self.k, "n": self.images, "n_real": len(self.real["manifold"])}

    def scores(self, source: Described, rows: Tensor) -> dict[str, float]:
        """Metrics of one repeat."""
        chosen = rows.numpy()
        fake = {role: source.features[name][chosen] for role, name in self.roles.items()}
        mean = float(source.density[chosen].mean(dtype=np.float64))
        return {**evaluate(self.real, fake, self.k), "mean_density": mean}


def open_pool(manifest: str | Path, density: PseudoDensity, seed: int) -> Pool:
    """Read a pool by its ``pool.json``."""
    folder, facts = Path(manifest).parent, load_json(manifest)
    parts = [load_described(folder / name) for name in facts["parts"]]
    found = [load_tensors(folder / name) for name in facts["volumes"]]
    volumes = torch.cat([torch.empty(0), *(tensors["log_volumes"] for tensors, _ in found)])
    reals = (torch.empty(0), "")
    if facts["reals"]:
        tensors, meta = load_tensors(folder / facts["reals"])
        reals = (tensors["logits"], meta["how"])
    return Pool(
        Described.join(parts),
        (volumes.double(), sum(meta["seconds"] for _, meta in found)),
        reals,
        {name: load_described(folder / file) for name, file in facts["sets"].items()},
        density,
        seed,
        facts["calls"],
    )


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
    chosen = torch.cat([torch.empty(0, dtype=torch.int64), *choice.rows])
    notes = [choice.note]
    if len(choice.rows) < judgement.repeats and choice.source is pool.proposals:
        notes.append(f"the pool holds images for {len(choice.rows)} of {judgement.repeats} repeats")
    return {
        "acceptance": choice.acceptance,
        "acceptance_closed_form": choice.expected,
        "ess": choice.ess,
        "unique": len(chosen.unique()),
        "n": judgement.images,
        "generator_calls": choice.used * choice.source.calls // len(choice.source),
        "seconds_per_1000": 1000 * choice.seconds / len(chosen) if len(chosen) else None,
        "repeats": [judgement.scores(choice.source, rows) for rows in choice.rows],
        "note": "; ".join(filter(None, notes)),
    }


def _stretches(rows: Tensor, judgement: Judgement) -> tuple[list[Tensor], int]:
    """Disjoint stretches of n accepted rows each, as many as there are, and what they used up."""
    count = min(len(rows) // judgement.images, judgement.repeats)
    taken = rows[: count * judgement.images]
    used = int(taken[-1]) + 1 if count else 0
    return list(taken.split(judgement.images)) if count else [], used


def _seconds(source: Described, used: int, *stages: str) -> float:
    return sum(source.seconds[stage] for stage in stages) * used / len(source)


def _plain(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    source = pool.proposals
    rows, used = _stretches(torch.arange(len(source)), judgement)
    seconds = _seconds(source, used, "generator")
    return Choice(source, rows, used, 1.0, 1.0, float(used), seconds)


def _importance(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    threshold, w = pool.density.threshold(point["tau"]), point["w"]
    density = torch.from_numpy(pool.proposals.density)
    accepted = accepted_rows(density, threshold, w, pool.seed)
    rows, used = _stretches(accepted, judgement)
    used = used or len(density)
    low = float((density[:used] < threshold).double().mean())
    weights = importance_acceptance(density[:used].double(), threshold, w).log()
    return Choice(
        pool.proposals,
        rows,
        used,
        float((accepted < used).sum()) / used,
        float(expected_acceptance(low, w)),
        effective_sample_size(weights),
        _seconds(pool.proposals, used, "generator", "steering"),
    )


def _made(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    """Truncation and transport: the images are their own."""
    source = pool.sets[set_name(point)]
    rows, used = _stretches(torch.arange(len(source)), judgement)
    constant = source.facts.get("constant")
    note = f"constant {constant:.3g}" if constant else ""
    seconds = _seconds(source, used, "generator")
    return Choice(source, rows, used, ess=float(used), seconds=seconds, note=note)


def _polarity(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    volumes, spent = pool.volumes
    weights = polarity_log_weights(volumes, point["polarity"])
    stream = stream_of(pool.seed, "polarity")
    rows = [
        resample(weights, judgement.images, stream, replacement=point["replacement"])
        for _ in range(judgement.repeats)
    ]
    ess = effective_sample_size(weights)
    note = f"all repeats draw from the same {len(volumes)} volumes"
    if ess < judgement.images:
        note += f", whose effective sample size is below n = {judgement.images}"
    drawn = judgement.images * judgement.repeats
    # A repeat would need volumes of its own.
    seconds = spent * judgement.repeats + _seconds(pool.proposals, drawn, "generator")
    return Choice(pool.proposals, rows, len(volumes), ess=ess, seconds=seconds, note=note)


def _drs(pool: Pool, point: Point, judgement: Judgement) -> Choice:
    logits = torch.from_numpy(pool.proposals.logits).double()
    if point["variant"] == "paper":
        burn_in, note = 0, "raw logits, log M = 29.34, percentile 0.95 of 100, batches of 4"
        chances = paper_drs_log_acceptance(logits[: len(logits) // 4 * 4])
    else:
        # What calibrates and sets the maximum is not sampled from.
        burn_in = min(judgement.images, len(logits) // 2)
        ratios, note = _calibrated(logits, burn_in, *pool.real_logits)
        log_max = float(ratios[:burn_in].max())
        gamma = GAMMA if point["variant"] == "shifted" else None
        chances = drs_log_acceptance(ratios[burn_in:], log_max=log_max, gamma_percentile=gamma)
        note += f", M = {ratios.max().exp():.3g}"
    taken = rejection(chances, stream_of(pool.seed, "drs")).nonzero()[:, 0]
    rows, used = _stretches(taken, judgement)
    used = used or len(chances)
    return Choice(
        pool.proposals,
        [part + burn_in for part in rows],
        used + burn_in,
        float((taken < used).sum()) / used,
        float(chances[:used].exp().mean()),
        effective_sample_size(chances[:used]),
        _seconds(pool.proposals, used + burn_in, "generator", "critic"),
        note,
    )


def _calibrated(logits: Tensor, burn_in: int, reals: Tensor, how: str) -> tuple[Tensor, str]:
    """Log-ratios of all proposals, and how well the calibration holds on the other half."""
    half, middle = len(reals) // 2, burn_in // 2
    # A line would extend to ratios that no image has shown, and nothing would be accepted.
    calibration = Calibration.fit(reals[:half], logits[:middle], method="isotonic")
    z = calibration.z_statistic(reals[half:], logits[middle:burn_in])
    return calibration.log_ratio(logits), f"calibrated on {how}, Z = {z:.2f}"


CHOICES = {
    "plain": _plain,
    "importance": _importance,
    "truncation": _made,
    "polarity": _polarity,
    "drs": _drs,
    "dot": _made,
}
