"""Experiment: what Algorithm 1 and its online form draw from generators whose law is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pseudodensity.control.select.polarity import polarity_log_weights
from pseudodensity.control.select.running_bound import running_rejection, share_above
from pseudodensity.control.select.schemes import effective_sample_size, resample
from pseudodensity.generators.volumes import log_volumes
from pseudodensity.papers.polarity.toy.maps import MAPS, KnownMap, exact_masses
from pseudodensity.rng import generator as stream_of

__all__ = ["ALGORITHMS", "sample"]

ALGORITHMS = ("offline", "online")


@dataclass(frozen=True)
class Drawn:
    """Latents (n, d) that an algorithm drew, the proposals it took, and the bound of its bias."""

    latents: Tensor
    proposals: int
    bias: float


def sample(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Every map at every polarity by both algorithms.

    settings: ``polarity``, exponents; ``samples`` of a set; ``volumes``, N of Algorithm 1, and proposals of
    the online form at most; ``burn_in`` of the latter; ``seed``.

    arrays: ``points`` (rows, samples, 2) float32, NaN where fewer were accepted. facts: ``rows``, dicts
    with map, polarity, algorithm, samples, proposals, bias, ess, counts and exact masses of the regions;
    ``outlines``, name of a map -> corners of its regions in the plane; ``log_volumes``, name -> of its
    regions.
    """
    rows, points = [], []
    known = {name: made() for name, made in MAPS.items()}
    for name, one in known.items():
        pools = {kind: _volumes(one, settings, name, kind) for kind in ALGORITHMS}
        for polarity in settings["polarity"]:
            exact = exact_masses(one.masses, one.log_volumes, polarity)
            for kind, (latents, volumes) in pools.items():
                stream = stream_of(settings["seed"], "choice", name, kind, polarity)
                weights = polarity_log_weights(volumes, polarity)
                draw = _offline if kind == "offline" else _online
                drawn = draw(latents, weights, settings, stream)
                counts = torch.bincount(one.locate(drawn.latents), minlength=len(exact))
                rows.append(
                    {"map": name, "polarity": polarity, "algorithm": kind}
                    | {"samples": len(drawn.latents), "proposals": drawn.proposals}
                    | {"bias": drawn.bias, "ess": effective_sample_size(weights)}
                    | {"counts": counts.tolist(), "exact": exact.tolist()}
                )
                points.append(_padded(one.generator(drawn.latents), settings["samples"]))
    outlines = {n: [corners.tolist() for corners in one.outlines] for n, one in known.items()}
    volumes = {n: one.log_volumes.tolist() for n, one in known.items()}
    facts = {"rows": rows, "outlines": outlines, "log_volumes": volumes}
    return {"points": np.stack(points)}, facts


def _volumes(
    known: KnownMap, settings: Mapping[str, Any], name: str, kind: str
) -> tuple[Tensor, Tensor]:
    """Latents of the prior and their log-volumes, of the engine that images use too."""
    latents = known.draw(settings["volumes"], stream_of(settings["seed"], "latents", name, kind))
    size = latents.shape[1]
    return latents, log_volumes(known.generator.eval(), latents, top=size, route="exact")


def _offline(
    latents: Tensor, weights: Tensor, settings: Mapping[str, Any], stream: torch.Generator
) -> Drawn:
    """Algorithm 1: all volumes first, then draws with replacement."""
    chosen = resample(weights, settings["samples"], stream, replacement=True)
    return Drawn(latents[chosen], len(weights), 0.0)


def _online(
    latents: Tensor, weights: Tensor, settings: Mapping[str, Any], stream: torch.Generator
) -> Drawn:
    """The online form: proposals one after the other until there are enough samples."""
    burn_in = settings["burn_in"]
    accepted = running_rejection(weights, stream, burn_in=burn_in).nonzero()[:, 0]
    chosen = accepted[: settings["samples"]]
    bias = share_above(weights, weights[: max(1, burn_in)].max().item())
    used = int(chosen[-1]) + 1 if len(chosen) == settings["samples"] else len(weights)
    return Drawn(latents[chosen], used, bias)


def _padded(points: Tensor, count: int) -> np.ndarray:
    whole = np.full((count, 2), np.nan, dtype=np.float32)
    whole[: len(points)] = points.numpy()
    return whole
