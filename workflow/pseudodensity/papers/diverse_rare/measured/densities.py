"""Experiment: how dense real and fake images lie, by their real neighbours and by a learned density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from pseudodensity.artifacts import load_npy
from pseudodensity.columns.pool import open_pool
from pseudodensity.density.feature_density import FeatureDensity, rows_of_shares
from pseudodensity.metrics import rarity
from pseudodensity.neighbors import knn

__all__ = ["SHARES", "densities", "densities_of"]

SHARES = ("training", "stopping", "held out")
BATCH = 1000  # rows at once


def densities(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Of each real and each fake image; see `densities_of`.

    inputs: ``real_features``, ``feature_density``, a flow that was fitted to them; ``made``, parts of a pool;
    ``made_features``, its features, where the pool does not have them. settings: ``extractor``; ``fakes``, how
    many; ``k``; ``held_out`` and ``fit_seed`` of the fit; ``seed`` of the pool.
    """
    columns = {}
    if "made_features" in inputs:
        columns[f"features.{settings['extractor']}"] = inputs["made_features"]
    pool = open_pool(inputs["made"], columns, np.empty(0), settings["seed"])
    fakes = pool.features(settings["extractor"], np.arange(settings["fakes"]))
    flow = FeatureDensity.load(inputs["feature_density"], None)
    real = load_npy(inputs["real_features"])
    arrays = densities_of(flow, real, fakes, settings["k"])
    shares = rows_of_shares(len(real), settings["held_out"], settings["fit_seed"])
    arrays["share"] = np.zeros(len(real), dtype=np.int64)
    for number, rows in enumerate(shares):
        arrays["share"][rows.numpy()] = number
    return arrays, {"report": flow.report}


@torch.no_grad()
def densities_of(
    flow: FeatureDensity, real: np.ndarray, fakes: np.ndarray, k: int
) -> dict[str, np.ndarray]:
    """Of real features (n, d) and fake ones (m, d), all distances in standard deviations of the reals.

    arrays: ``real_sparsity`` (n,), distance to the k-th nearest other real; ``fake_sparsity`` (m,), the rarity
    score with balls of k neighbours, NaN outside; ``real_flow``, ``fake_flow``, ``real_gaussian`` and
    ``fake_gaussian``, negative log-densities in nats, of the flow and of the Gaussian that it began as, per
    volume of standardised features. Those of a Gaussian are twice the same where no flow was fitted.
    """
    laws = {"flow": flow, "gaussian": flow.as_gaussian()}
    sets = {"real": torch.from_numpy(real), "fake": torch.from_numpy(fakes)}
    found = {}
    for name, features in sets.items():
        for law, density in laws.items():
            logs = [density.log_density(part).double() for part in features.split(BATCH)]
            found[f"{name}_{law}"] = -(torch.cat(logs) + density.log_volume).numpy()
    reals, fake = (flow.standardised(features).numpy() for features in sets.values())
    found["real_sparsity"] = knn(reals, reals, k, exclude_self=True)[0][:, -1].astype(np.float64)
    found["fake_sparsity"] = rarity.rarities(rarity.prepare({"features": reals}, k=k), fake)
    return found
