"""The frontier of importance sampling by likelihood, on the pool that serves pseudo density too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pseudodensity.density.network import PseudoDensity
from pseudodensity.frontier import Judgement, Pool, measure_frontier
from pseudodensity.progress import Progress

__all__ = ["likelihood_facts", "measure_likelihood_frontier"]


def measure_likelihood_frontier(
    pool: Pool,
    log_likelihood: np.ndarray,
    real_log_likelihood: np.ndarray,
    points: Sequence[Mapping[str, Any]],
    judgement: Judgement,
    progress: Progress,
) -> list[dict[str, Any]]:
    """As `measure_frontier`, with the log-likelihood in the place of the pseudo density.

    tau is a percentile of the log-likelihoods of the real images' codes, and a sample is high at or
    above it (Algorithm 2). ``mean_density`` of the scores is then the mean log-likelihood. A point
    that accepts too few proposals of the pool has fewer repeats and says so.

    Args:
        log_likelihood: (n,) of all proposals of the pool, in order.
        real_log_likelihood: (N,) of the real images.

    ValueError: another number of proposals.
    """
    if len(log_likelihood) != len(pool.proposals):
        raise ValueError(
            f"{len(log_likelihood)} likelihoods do not fit a pool of {len(pool.proposals)} "
            "proposals: compute them for all, in order"
        )
    scored = replace(
        pool,
        proposals=replace(pool.proposals, density=log_likelihood),
        # All that is asked of a density here are its labels, whose percentiles are thresholds.
        density=PseudoDensity(1, real_log_likelihood, {}),
    )
    return measure_frontier(scored, points, judgement, progress)


def likelihood_facts(
    density: np.ndarray, log_likelihood: np.ndarray, real_log_likelihood: np.ndarray
) -> dict[str, float]:
    """Means in nats, and Spearman's rank correlation of log-likelihood and density (n,)."""
    from scipy.stats import spearmanr  # slow to import

    return {
        "mean_log_likelihood": float(log_likelihood.mean()),
        "mean_real_log_likelihood": float(real_log_likelihood.mean()),
        "rank_correlation": float(spearmanr(density, log_likelihood).statistic),
    }
