"""Latents drawn from a pool by polarity, for experiments on single models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from pseudodensity.columns.pool import Column, Pool, open_pool
from pseudodensity.control.select.polarity import polarity_log_weights, volumes_of
from pseudodensity.control.select.schemes import effective_sample_size, resample
from pseudodensity.rng import generator as stream_of

__all__ = ["draw_by_polarity", "open_volumes"]


def open_volumes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Pool:
    """The first ``volumes`` proposals of a pool with their log-volumes, the column ``volume``.

    inputs: ``described`` and the columns of polarity, in parts. settings: ``volumes``; ``space`` and ``top``, see
    `volumes_of`; ``seed`` of the pool.
    """
    columns = {name: inputs[name] for name in ("singular_values", "label") if name in inputs}
    pool = open_pool(inputs["described"], columns, np.empty(0), settings["seed"])
    pool = pool.first(settings["volumes"])
    volumes = volumes_of(pool.column("singular_values"), settings["space"], settings["top"])
    return replace(pool, columns={**pool.columns, "volume": Column(volumes)})


def draw_by_polarity(
    pool: Pool, exponents: Sequence[float], count: int
) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
    """Proposals (count,) of each exponent in the order drawn, and rows that name them.

    Without replacement, as in the authors' code: at strong exponents draws with replacement would be one
    image many times. All exponents have the same random numbers, so that what changes is their doing.

    rows: name, polarity, and the effective sample size of the weights, ess. ValueError: more than there are.
    """
    volumes = torch.from_numpy(pool.values("volume"))
    chosen, rows = [], []
    for exponent in exponents:
        weights = polarity_log_weights(volumes, exponent)
        stream = stream_of(pool.seed, "single draws by polarity")
        chosen.append(resample(weights, count, stream, replacement=False).numpy())
        row = {"name": f"ρ = {exponent:g}", "polarity": exponent}
        rows.append(row | {"ess": effective_sample_size(weights)})
    return chosen, rows
