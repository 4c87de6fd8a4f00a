"""The oracle: real images reweighted as Algorithm 2 or 3 would have a model's law reweighted.

A model that learned the reweighted law perfectly would score like the oracle, so a claim that does
not hold for the oracle cannot be expected of a model. Where the law of the data is known, the
oracle draws fresh images of it (a perfect generator); otherwise one half of the data set is
reweighted and judged against the other half, so that no image is judged against itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from pseudodensity.control.select.importance import importance_acceptance
from pseudodensity.control.select.pool import Pool, describe
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.procedural import render
from pseudodensity.progress import Progress
from pseudodensity.rng import numpy_generator, uniform

__all__ = ["accepted_rows", "reweighted_sets"]

Setting = Mapping[str, Any]
Features = dict[str, np.ndarray]


def accepted_rows(pool: Pool, density: PseudoDensity, setting: Setting) -> np.ndarray:
    """Rows of the pool that Algorithm 2 accepts at ``setting`` (``tau`` in percent or None, ``w``).

    All settings share one uniform draw per proposal, so their sets overlap as much as they can.
    """
    draws = _draws(len(pool.density))
    return np.flatnonzero(_accepts(pool.density, draws, density, setting))


@cache
def _draws(count: int) -> np.ndarray:
    """Uniform draws of the first ``count`` proposals, made once for all settings."""
    return uniform(0, "oracle acceptance", range(count)).numpy()


def _accepts(
    values: np.ndarray, draws: np.ndarray, density: PseudoDensity, setting: Setting
) -> np.ndarray:
    if setting["tau"] is None:
        return np.ones(len(values), dtype=bool)
    tau = density.threshold(setting["tau"])
    return draws < importance_acceptance(values, tau, setting["w"])


def reweighted_sets(
    data: ImageSet,
    settings: Sequence[Setting],
    sampling: Setting,
    judges: Mapping[str, Extractor],
    real: Features,
    density: PseudoDensity,
    steering: Extractor,
    progress: Progress,
) -> tuple[list[dict[str, Any]], str]:
    """Sets of reweighted real images to judge: ``(sets, how)``.

    Args:
        data: the data set.
        settings: ``tau`` (percentile or None) and ``w`` of each set.
        sampling: ``images`` per repeat and ``repeats``.
        judges: extractors that judge, by name; ``real`` their features of the data set.
        density: pseudo density of the data set, on features of ``steering``.

    Returns:
        One dict per setting with ``tau``, ``w``, ``acceptance`` and ``repeats``: a list of
        ``(real features, fake features, facts)``, features by judge; and how it was done.
    """
    if data.manifest["spec"]["kind"] == "procedural":
        needed = sampling["images"] * sampling["repeats"]
        pool = _fresh_pool(data, settings, needed, judges, density, steering, progress)
        rows = [accepted_rows(pool, density, setting) for setting in settings]
        sets = [_stretches(pool, real, chosen, sampling) for chosen in rows]
        how = "fresh images of the same law"
    else:
        features, values = describe(np.asarray(data.images), judges, density, steering)
        pool = Pool(features, values, data.images[:0])
        rows = [accepted_rows(pool, density, setting) for setting in settings]
        sets = _halves(pool, rows, sampling["repeats"])
        how = "one half of the data set against the other"
    shares = [len(chosen) / len(pool.density) for chosen in rows]
    return [
        {**setting, "acceptance": share, "repeats": repeats}
        for setting, share, repeats in zip(settings, shares, sets, strict=True)
    ], how


def _fresh_pool(
    data: ImageSet,
    settings: Sequence[Setting],
    needed: int,
    judges: Mapping[str, Extractor],
    density: PseudoDensity,
    steering: Extractor,
    progress: Progress,
) -> Pool:
    """Fresh scenes, after those of the data set, until every setting accepts ``needed``."""
    spec, batch, parts = data.manifest["spec"], 5000, []
    accepted = np.zeros(len(settings), dtype=int)
    progress.update(0)
    for start in range(0, 100 * needed, batch):
        index = np.arange(len(data) + start, len(data) + start + batch)
        images, _ = render(spec["scene"], index, spec["resolution"], spec["seed"])
        parts.append(describe(images, judges, density, steering))
        draws = uniform(0, "oracle acceptance", range(start, start + batch)).numpy()
        accepted += [_accepts(parts[-1][1], draws, density, setting).sum() for setting in settings]
        progress.update(min(int(accepted.min()), needed))
        if accepted.min() >= needed:
            features = {name: np.concatenate([f[name] for f, _ in parts]) for name in judges}
            return Pool(features, np.concatenate([d for _, d in parts]), images[:0])
    raise RuntimeError(
        f"the oracle accepts under 1 % at one of {list(settings)}: choose a milder tau or w"
    )


def _facts(pool: Pool, rows: np.ndarray, real: Features) -> dict[str, float]:
    mean = float(pool.density[rows].astype(np.float64).mean())
    return {"mean_density": mean, "n_fake": len(rows), "n_real": len(next(iter(real.values())))}


def _stretches(pool: Pool, real: Features, rows: np.ndarray, sampling: Setting) -> list[tuple]:
    """Disjoint stretches of the accepted proposals, each against all real images."""
    count, sets = sampling["images"], []
    for repeat in range(sampling["repeats"]):
        chosen = rows[repeat * count : (repeat + 1) * count]
        fake = {name: values[chosen] for name, values in pool.features.items()}
        sets.append((real, fake, _facts(pool, chosen, real)))
    return sets


def _halves(pool: Pool, accepted: Sequence[np.ndarray], repeats: int) -> list[list[tuple]]:
    """Accepted images of one half against all of the other, for each setting and repeat.

    Every setting of a repeat uses the same halves and as many fakes as the strictest accepts:
    recall depends on the number of fakes.
    """
    total = len(pool.density)
    sets: list[list[tuple]] = [[] for _ in accepted]
    for repeat in range(repeats):
        order = numpy_generator(0, "oracle halves", repeat).permutation(total)
        fake_half, real_half = order[: total // 2], order[total // 2 :]
        real = {name: values[real_half] for name, values in pool.features.items()}
        chosen = [fake_half[np.isin(fake_half, rows)] for rows in accepted]
        fewest = min(map(len, chosen))
        for target, rows in zip(sets, chosen, strict=True):
            rows = rows[:fewest]
            fake = {name: values[rows] for name, values in pool.features.items()}
            target.append((real, fake, _facts(pool, rows, real)))
    return sets
