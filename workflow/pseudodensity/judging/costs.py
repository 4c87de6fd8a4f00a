"""What each method costs: seconds per 1,000 images, measured on one model (main paper, A.3)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.select.acceptance import expected_acceptance
from pseudodensity.control.train.fakes import FakeFilter, weight_of_fakes
from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.density.network import PseudoDensity
from pseudodensity.density.percentile import threshold
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.plan.declared import declared
from pseudodensity.plan.methods import column_module, columns_needed, method
from pseudodensity.progress import Progress

__all__ = ["Bench", "sampling_costs", "training_costs"]

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Bench:
    """One model with what its methods need.

    context: of the model; its seed names the latents. density: on features by `steering`. proposals: of a
    measurement. repeats: measurements per method.
    """

    context: Context
    density: PseudoDensity
    steering: Extractor
    proposals: int
    repeats: int

    def seconds(self) -> float:
        """See `clock`."""
        return clock(self.context.device)

    def densities(self, images: np.ndarray) -> np.ndarray:
        """Pseudo densities (n,) of images (n, 3, R, R) uint8."""
        return self.density(extract(self.steering, images, len(images), self.context.device))


# ---------------------------------------------------------------- sampling


def sampling_costs(
    bench: Bench, points: Sequence[Point], few: int, progress: Progress
) -> list[dict[str, Any]]:
    """Cost of each point, in order; plain first.

    few: proposals of a measurement of the methods that need derivatives.

    Returns:
        One dict per point: method (its label), tau, w; before: seconds of what is done once per model;
        proposals, accepted, expected (sums over repeats), low (share below the threshold); seconds: of
        each repeat, per 1,000 images (None: none was accepted).
    """
    # Opened before any clock runs, and once for all points.
    for name in ("generator", "checkpoint", "backbone", "data"):
        getattr(bench.context, name)
    costs = []
    for done, point in enumerate(points):
        progress.update(done, now=point["method"])
        measure = _made if method(point["method"]).POOL == "own" else _chosen
        costs.append({**_named(point), **measure(bench, point, few)})
    progress.update(len(points))
    return costs


def _named(point: Point) -> dict[str, Any]:
    """What the table calls a point; tau and w have columns of their own."""
    module = method(point["method"])
    name = module.TITLE if "tau" in point else module.label(point)
    return {"method": name, "tau": point.get("tau"), "w": point.get("w")}


def _rows(bench: Bench, repeat: int, count: int) -> range:
    return range(repeat * bench.proposals, repeat * bench.proposals + count)


def _made(bench: Bench, point: Point, few: int) -> dict[str, Any]:
    """A method that makes its images itself: its maker is timed."""
    began = bench.seconds()
    context = bench.context.sharing(point=point)
    maker = context.maker
    before = bench.seconds() - began
    count = bench.proposals if maker.calls == 1 else few
    context.draw(_rows(bench, 0, count))  # the first call allocates
    spent = []
    for repeat in range(bench.repeats):
        began = bench.seconds()
        context.draw(_rows(bench, repeat, count))
        spent.append(1000 * (bench.seconds() - began) / count)
    total = count * bench.repeats
    facts = {"before": before, "proposals": total, "accepted": total}
    return {**facts, "expected": None, "low": None, "seconds": spent}


def _chosen(bench: Bench, point: Point, few: int) -> dict[str, Any]:
    """A method that chooses: generation, the columns that it reads and its choice are timed."""
    needed = columns_needed(point)
    dear = any(declared(column_module(name), "COVERS") == "rows" for name in needed)
    count = few if dear else bench.proposals
    _once(bench, point, needed, 0, count)  # the first call allocates and imports
    found = [_once(bench, point, needed, repeat, count) for repeat in range(bench.repeats)]
    shares = [each["acceptance"] for each in found]
    mean = float(np.mean(shares))
    # Over the mean acceptance: where few are accepted, a repeat may have none.
    seconds = [1000 * each["seconds"] / count / mean if mean else None for each in found]
    total = count * bench.repeats
    facts = {"before": 0.0, "proposals": total, "accepted": round(mean * total)}
    facts["expected"] = _mean([each["expected"] for each in found])
    return {**facts, "low": _mean([each["low"] for each in found]), "seconds": seconds}


def _once(
    bench: Bench, point: Point, needed: Mapping[str, Any], repeat: int, count: int
) -> dict[str, Any]:
    rows = _rows(bench, repeat, count)
    pool, spent, drawing = _pool(bench, point, needed, rows)
    began = bench.seconds()
    # As many images as proposals: all are looked at, so that who is accepted is a plain count.
    choice = method(point["method"]).choose(pool, {**point, "volumes": count}, count, 1)
    spent += bench.seconds() - began
    if choice.generated is not None:  # it looks at latents, and images are made of those it accepts
        spent += drawing * ((choice.acceptance or 0) - 1)
    low = None
    if "tau" in point:
        density = pool.column("density")
        low = float((density.values < threshold(density.real, point["tau"])).mean())
    acceptance = 1.0 if choice.acceptance is None else choice.acceptance
    return {
        "seconds": spent,
        "acceptance": acceptance,
        "expected": choice.expected if point["method"] != "plain" else None,
        "low": low,
    }


def _pool(
    bench: Bench, point: Point, needed: Mapping[str, Any], rows: range
) -> tuple[Pool, float, float]:
    """Proposals with the columns that a point reads, the seconds that they took, and of these the drawing."""
    began = bench.seconds()
    images = bench.context.draw(rows)
    drawn = bench.seconds() - began
    began = bench.seconds()
    density = Column(bench.densities(images), bench.density.labels)
    # Only a method that reads the density pays for it.
    spent = drawn + (bench.seconds() - began) * ("density" in method(point["method"]).NEEDS)
    columns = {"density": density}
    for name, settings in needed.items():
        context = bench.context.sharing(settings=settings, stored=images)
        module = import_module(f"pseudodensity.{column_module(name)}")
        columns[name] = module.compute(context, rows)
        spent += columns[name].seconds
    return Pool(columns, bench.context.seed), spent, drawn


def _mean(values: list[float | None]) -> float | None:
    return None if None in values else float(np.mean(values))


# ---------------------------------------------------------------- training


def training_costs(
    bench: Bench, spec: Mapping[str, Any], steps: int, progress: Progress
) -> list[dict[str, Any]]:
    """Cost of fine-tuning a GAN without and with importance sampling (Algorithm 3).

    Args:
        spec: ``recipe``, ``mirror``, ``seed`` and ``importance`` {tau, w, fake_weight} of a
            fine-tuned checkpoint.
        steps: per measurement, after one that is not counted.

    Returns:
        Dicts as `sampling_costs`, where ``accepted`` counts fakes and ``seconds`` are per 1,000
        real images; expected from the share of fakes below tau that plain samples have.
    """
    importance = spec["importance"]
    tau = bench.density.threshold(importance["tau"])
    weight = weight_of_fakes(importance)
    accept = weight and FakeFilter(bench.steering, bench.density, tau, weight)
    low = float((bench.densities(bench.context.draw(range(bench.proposals))) < tau).mean())
    progress.update(0)
    plain = _trained(bench, spec, steps, None)
    progress.update(1)
    weighted = _trained(bench, spec, steps, accept)
    progress.update(2)
    facts = {"tau": importance["tau"], "w": importance["w"], "low": low}
    facts["expected"] = float(expected_acceptance(low, weight)) if accept else 1.0
    name = "training with importance sampling"
    return [{"method": "training", **plain}, {"method": name, **weighted, **facts}]


def _trained(
    bench: Bench, spec: Mapping[str, Any], steps: int, accept: FakeFilter | None
) -> dict[str, Any]:
    context = bench.context
    trainer = GanTrainer(
        context.checkpoint.build("generator"),
        context.checkpoint.build("discriminator", backbone=context.backbone),
        context.data.images,
        copy.deepcopy(spec["recipe"]),
        iterations=10**9,  # no decay within the measurement
        mirror=spec["mirror"],
        seed=spec["seed"],
        as_sampled=True,  # as fine-tuning trains
        accept=accept,
        device=context.device,
    )
    trainer.step(0)
    asked = trainer.proposals
    asked.proposed = asked.accepted = 0
    seconds = []
    for repeat in range(bench.repeats):
        began = bench.seconds()
        for step in range(steps):
            trainer.step(1 + repeat * steps + step)
        seconds.append(1000 * (bench.seconds() - began) / (steps * trainer.batch_size))
    fakes = bench.repeats * steps * trainer.batch_size
    proposed, accepted = (asked.proposed, asked.accepted) if accept else (fakes, fakes)
    return {"before": 0.0, "proposals": proposed, "accepted": accepted, "seconds": seconds}
