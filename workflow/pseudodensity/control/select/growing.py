"""Grow a pool until every point of a frontier has its images, and add what single methods need."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.artifacts import ArtifactError, save_json
from pseudodensity.control.move.transport import (
    fitting_prior,
    lipschitz_estimate,
    paper_transport_latents,
    transport_latents,
)
from pseudodensity.control.select.importance import expected_acceptance, importance_acceptance
from pseudodensity.control.select.proposals import Described, Proposer, kept_or_made
from pseudodensity.control.select.schemes import rejection
from pseudodensity.generators.truncation import truncated_images
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of
from pseudodensity.sweeps import label, proposals_needed
from pseudodensity.tensors import load_tensors, save_tensors

__all__ = ["Demand", "PoolWriter", "accepted_rows", "set_name"]

Point = Mapping[str, Any]

# Discriminator optimal transport: steps and step size of its paper for images; latents that the
# Lipschitz constant is estimated from; the constant and the batch of the main paper's code.
DOT_STEPS, DOT_STEP, PAIRS = 10, 0.05, 200
PAPER_LIPSCHITZ, PAPER_BATCH = 0.086, 4
ENOUGH = 500  # of so many proposals one passes a threshold, or next to none ever will


@dataclass(frozen=True)
class Demand:
    """What a pool must serve.

    points: of the frontier, see ``sweeps``. images: of one repeat of a point. repeats: disjoint
    stretches of the pool. set_repeats: repeats of the methods that make images themselves. volumes:
    proposals with a Jacobian volume, for polarity sampling. part: proposals in one file. most: proposals that are never exceeded.
    """

    points: Sequence[Point]
    images: int
    repeats: int
    set_repeats: int
    volumes: int
    part: int
    most: int


def accepted_rows(density: Tensor, threshold: float, w: float, seed: int) -> Tensor:
    """Rows (m,) int64 that Algorithm 2 accepts, in order.

    All points of a pool share one uniform draw per proposal, and keep it when the pool grows.
    """
    log_acceptance = importance_acceptance(density.double(), threshold, w).log()
    return rejection(log_acceptance, stream_of(seed, "acceptance")).nonzero()[:, 0]


def set_name(point: Point) -> str:
    """File name of the images that a method makes itself, without extension."""
    values = [point[key] for key in ("family", "psi", "variant") if key in point]
    return "-".join([point["method"], *(v if isinstance(v, str) else f"{v:g}" for v in values)])


@dataclass
class PoolWriter:
    """Writes a pool into a folder: ``part-000.safetensors`` and so on, and one file per set.

    stamp: JSON-able, all that decides what a proposal is. A file of the same stamp is kept, so a
    killed job goes on where it was and a larger demand draws further parts only.
    """

    folder: Path
    proposer: Proposer
    demand: Demand
    stamp: Mapping[str, Any]
    progress: Progress
    parts: list[Described] = field(default_factory=list, repr=False)

    def write(self) -> dict[str, Any]:
        """Draw what is missing; the manifest, also in ``pool.json``: names of files, and counts.

        ValueError: a threshold that no proposal of the first part passes, if that holds 500.
        """
        self._grow()
        sets = {set_name(p): self._truncated(p) for p in self._asked("truncation")}
        sets |= {set_name(p): self._transported(p) for p in self._asked("dot")}
        manifest = {
            "parts": [_numbered("part", i) for i in range(len(self.parts))],
            "volumes": self._volumes() if self._asked("polarity") else [],
            "reals": self._reals() if self.proposer.critic is not None else None,
            "sets": {name: f"{name}.safetensors" for name in sets},
            "calls": {name: made.calls for name, made in sets.items()} | {"pool": self._size},
        }
        save_json(self.folder / "pool.json", manifest)
        return manifest

    @property
    def _size(self) -> int:
        return sum(map(len, self.parts))

    def _asked(self, method: str) -> list[Point]:
        return [point for point in self.demand.points if point["method"] == method]

    def _grow(self) -> None:
        self.progress.update(0)
        needed = self.demand.images * self.demand.repeats
        while self._size < min(needed, self.demand.most):
            start = self._size
            index = range(start, min(start + self.demand.part, self.demand.most))
            self.parts.append(self._part(index))
            if start == 0:
                self._check_thresholds()
            needed = self._needed()
            self.progress.total = max(self._size, min(needed, self.demand.most))
            self.progress.update(self._size)

    def _part(self, index: range) -> Described:
        path = self.folder / _numbered("part", len(self.parts))
        stamp = {**self.stamp, "rows": [index.start, index.stop]}
        return kept_or_made(path, stamp, lambda: self.proposer.describe(index))

    def _check_thresholds(self) -> None:
        density = self.parts[0].density
        if len(density) < ENOUGH:
            return
        for point in self._asked("importance"):
            threshold = self.proposer.density.threshold(point["tau"])
            if not (density >= threshold).any():
                raise ValueError(
                    f"none of {len(density)} samples passes tau = {point['tau']:g} % (pseudo density "
                    f"{threshold:.4g}; the largest is {density.max():.4g}): take a lower tau"
                )

    def _needed(self) -> int:
        """Proposals that serve all points: what they have, or will have by the closed form."""
        count = self.demand.images * self.demand.repeats
        density = torch.from_numpy(np.concatenate([part.density for part in self.parts]))
        needed = [count, self.demand.volumes if self._asked("polarity") else 0]
        for point in self._asked("importance"):
            threshold = self.proposer.density.threshold(point["tau"])
            rows = accepted_rows(density, threshold, point["w"], self.proposer.seed)
            if len(rows) >= count:
                continue
            low = float((density < threshold).double().mean())
            rate = expected_acceptance(low, point["w"])
            needed.append(self._size + proposals_needed(rate, count - len(rows)))
        return max(needed)

    def _truncated(self, point: Point) -> Described:
        stream = stream_of(self.proposer.seed, "truncation")

        @torch.no_grad()
        def make(latents: Tensor) -> Tensor:
            arguments = (self.proposer.generator, latents, point["psi"], point["family"])
            return truncated_images(*arguments, stream)

        return self._set(point, make)

    def _transported(self, point: Point) -> Described:
        generator, critic = self.proposer.generator, self.proposer.critic
        if point["variant"] == "paper":
            # Its result depends on the batch; the authors took four.
            def make(latents: Tensor) -> Tensor:
                moved = [
                    paper_transport_latents(generator, critic.raw, batch)
                    for batch in latents.split(PAPER_BATCH)
                ]
                return generator(torch.cat(moved))

            return self._set(point, make, DOT_STEPS, {"constant": PAPER_LIPSCHITZ})
        latents = self.proposer.latents(range(PAIRS))
        stream = stream_of(self.proposer.seed, "lipschitz")
        constant = lipschitz_estimate(lambda z: critic(generator(z)), latents, stream)

        settings = {"lipschitz": constant, "steps": DOT_STEPS, "step_size": DOT_STEP}
        settings["prior"] = fitting_prior(latents)

        def make(latents: Tensor) -> Tensor:
            return generator(transport_latents(generator, critic, latents, **settings))

        return self._set(point, make, DOT_STEPS, {"constant": constant})

    def _set(
        self,
        point: Point,
        make: Callable[[Tensor], Tensor],
        steps: int = 0,
        facts: Mapping[str, Any] | None = None,
    ) -> Described:
        """Images that a method makes from the first latents; steps: generator calls before."""
        index = range(self.demand.images * self.demand.set_repeats)
        path = self.folder / f"{set_name(point)}.safetensors"
        stamp = {**self.stamp, **point, "rows": [index.start, index.stop]}
        made = kept_or_made(
            path, stamp, lambda: self.proposer.describe(index, make, 1 + steps, facts)
        )
        self.progress.say(f"{label(point)}: {len(made)} images")
        return made

    def _volumes(self) -> list[str]:
        """Files with the log-volumes of the first proposals, one beside each part."""
        # By name, because it needs every architecture that has tangents of its own.
        log_volumes = import_module("pseudodensity.generators.volumes").log_volumes
        names = []
        for start in range(0, self.demand.volumes, self.demand.part):
            index = range(start, min(start + self.demand.part, self.demand.volumes))
            names.append(_numbered("volumes", len(names)))
            path, stamp = self.folder / names[-1], {**self.stamp, "rows": [start, index.stop]}
            try:
                load_tensors(path, stamp)
            except ArtifactError:
                began = time.perf_counter()
                values = log_volumes(self.proposer.generator, self.proposer.latents(index))
                meta = {"seconds": time.perf_counter() - began}
                save_tensors(path, {"log_volumes": values}, stamp, meta)
            self.progress.say(f"{index.stop} of {self.demand.volumes} volumes")
        return names

    def _reals(self) -> str:
        """File with the logits of real images that the discriminator has not seen."""
        name, critic = "reals.safetensors", self.proposer.critic
        tensors = {"logits": critic.real_logits(self.proposer.batch_size)}
        save_tensors(self.folder / name, tensors, self.stamp, {"how": critic.how})
        return name


def _numbered(kind: str, number: int) -> str:
    return f"{kind}-{number:03d}.safetensors"
