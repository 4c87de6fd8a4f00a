"""Experiment: CPU time of every method of Table 1, measured for the purpose on one trained model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pseudodensity.papers.latent_reweighting.planar.evaluation import open_tools
from pseudodensity.papers.latent_reweighting.planar.methods import METHODS, Proposals
from pseudodensity.rng import generator as stream_of
from pseudodensity.tensors import load_tensors

__all__ = ["measure_costs"]


def measure_costs(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """CPU milliseconds of one core per 1,000 points, the median of some repeats.

    inputs: those of `open_tools`, and ``evaluated``, the file of `evaluate` that says which setting
    of each method was chosen. settings: those of `open_tools`, ``count``, ``most``, ``repeats``.
    facts: ``cpu_ms``, name -> milliseconds. What is learned, calibrated or estimated once is not counted.
    """
    tools, _ = open_tools(inputs, settings)
    chosen = load_tensors(inputs["evaluated"])[1]["chosen"]
    if "latent_rs" in chosen:
        tools = replace(tools, chosen=chosen["latent_rs"]["weights"])
    repeats = range(settings["repeats"])
    found = {
        name: float(np.median([_cpu_ms(tools, name, setting, settings, r) for r in repeats]))
        for name, setting in chosen.items()
    }
    return {"cpu_ms": np.array(list(found.values()))}, {"cpu_ms": found}


def _cpu_ms(tools, name: str, setting: Mapping[str, Any], settings: Mapping, number: int) -> float:
    count, seed = settings["count"], settings["seed"]
    proposals = Proposals(count, settings["most"], seed, "timed", number)
    started = time.process_time()
    METHODS[name](tools, setting, count, proposals, lambda: stream_of(seed, "timed choice", number))
    return (time.process_time() - started) * 1e6 / count
