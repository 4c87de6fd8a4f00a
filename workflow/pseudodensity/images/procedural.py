"""Procedural images whose attributes, and the probability of each, are known.

The law is long-tailed on purpose: Zipf and small Bernoulli categories, heavy-tailed positions and
sizes. This gives pseudo density (Section 3.1 of the paper) a truth to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pseudodensity.images.canvas import Canvas
from pseudodensity.images.labels import Labels
from pseudodensity.images.scenes import SCENES
from pseudodensity.rng import uniform

__all__ = ["SCENES", "render", "sample_labels"]

# Student's t with 2.5 degrees of freedom has a wild tail; clipped at 4 its deviation is 1.484.
DEGREES_OF_FREEDOM = 2.5
CLIP = 4.0
DEVIATION = 1.484
# Pixels drawn at once: few enough that a shape's arrays stay in the processor's cache.
CHUNK_PIXELS = 2**15


def render(
    scene: str, indices: Sequence[int] | np.ndarray, resolution: int, seed: int
) -> tuple[np.ndarray, Labels]:
    """Images of a scene as uint8 (n, 3, R, R), and their labels.

    Row j depends on (scene, seed, indices[j]) only, whatever else is asked for; its labels do
    not depend on the resolution either: they are those of `sample_labels`. ValueError: unknown
    scene, or resolution below 8.
    """
    if resolution < 8:
        raise ValueError(f"resolution {resolution} is too small for a scene: use 8 or more")
    labels = sample_labels(scene, indices, seed)
    images = np.empty((len(indices), 3, resolution, resolution), np.uint8)
    chunk = max(1, CHUNK_PIXELS // resolution**2)
    for start in range(0, len(indices), chunk):
        part = slice(start, start + chunk)
        canvas = Canvas(len(indices[part]), resolution)
        attributes = dict(zip(labels.names, labels.categorical[part].T, strict=True))
        continuous = labels.continuous[part].T
        for name, column in zip(labels.continuous_names, continuous, strict=True):
            attributes[name] = np.ascontiguousarray(column)
        SCENES[scene].draw(canvas, attributes)
        images[part] = canvas.finish()
    return images, labels


def sample_labels(scene: str, indices: Sequence[int] | np.ndarray, seed: int) -> Labels:
    """Attributes of a scene's images, each drawn by inversion from one row of uniforms.

    Row j depends on (scene, seed, indices[j]) only. Unknown scene: ValueError.
    """
    if scene not in SCENES:
        raise ValueError(f"unknown scene {scene!r}: use one of {', '.join(SCENES)}")
    recipe = SCENES[scene]
    a, c = len(recipe.categorical), len(recipe.continuous)
    draws = uniform(seed, f"images/{scene}", indices, (a + 2 * c,)).numpy()
    categorical = np.empty((len(indices), a), np.int64)
    log_prob = np.zeros(len(indices))
    for column, probabilities in enumerate(recipe.categorical.values()):
        # Leaving out the last bound keeps rounding in the sum from yielding one class too many.
        bounds = np.cumsum(probabilities)[:-1]
        categorical[:, column] = np.searchsorted(bounds, draws[:, column], side="right")
        log_prob += np.log(probabilities)[categorical[:, column]]
    return Labels(
        categorical=categorical,
        names=list(recipe.categorical),
        cardinalities=[len(p) for p in recipe.categorical.values()],
        log_prob=log_prob,
        continuous=_heavy_tailed(draws[:, a : a + c], draws[:, a + c :]),
        continuous_names=list(recipe.continuous),
    )


def _heavy_tailed(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Two arrays of uniforms -> clipped Student-t of unit variance (Bailey's polar method)."""
    nu = DEGREES_OF_FREEDOM
    length = np.sqrt(nu * ((1 - radius) ** (-2 / nu) - 1))
    t = np.clip(length * np.cos(2 * np.pi * angle), -CLIP, CLIP)
    return (t / DEVIATION).astype(np.float32)
