"""Experiment: the paths of some rare searches, and the density around each on a plane through its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.artifacts import load_npy
from pseudodensity.control.latent_names import names_of
from pseudodensity.control.move.rare_best import Iterate
from pseudodensity.control.move.rare_ground import Ground
from pseudodensity.control.move.rare_sampling import search_settings
from pseudodensity.control.move.rare_search import RareSamples, search
from pseudodensity.density.feature_density import FeatureDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import Extractor
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.images.transform import to_uint8
from pseudodensity.metrics import rarity
from pseudodensity.neighbors import knn
from pseudodensity.papers.diverse_rare.plane import Plane, plane_of
from pseudodensity.rng import normal

__all__ = ["chosen_references", "paths"]

GRID = 81  # points of the plane in each direction
FAKES = 500  # drawn as dots
LISTED = (
    "real",
    "real_off",
    "real_radius",
    "real_holds",
    "fake",
)  # of which each path has as many as it has


@dataclass(frozen=True)
class _Bench:
    """What the ground of a search asks for: see `control.choice.Tools`."""

    generator: nn.Module
    search_extractor: Extractor
    feature_density: FeatureDensity
    search_features: np.ndarray
    seed: int
    settings: Mapping[str, Any]
    device: str
    batch_size: int = 16


def paths(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The path of the first sample of each of p references, of those that `chosen_references` takes.

    inputs: those of the search. settings: ``point`` of the search; ``references``, that are searched around,
    the first of the pool; ``shown``, p; ``images``, of each path; ``seed`` of the pool; ``device``.

    arrays, with T steps: ``reference`` and ``kept``, the step that the search keeps, (p,); of the iterates
    (p, T + 1): ``log_density`` in nats per volume of standardised features, ``rarity``, ``distance`` from the
    reference, ``inside`` and ``feasible``; ``limit`` d* and ``along`` (p,), the share of the path's squared
    length from its reference that lies in the plane; ``picture`` (p, i), steps, and their ``images``
    (p, i, 3, R, R) uint8; in the plane ``path`` (p, T + 1, 2) and its distances from it, ``off`` (p, T + 1), and,
    each with the number of its path in ``<name>_path``, ``real`` (q, 2), the k nearest reals of each iterate, with
    ``real_off``, ``real_radius`` and ``real_holds``, whether its ball holds the iterate that is kept, and ``fake``
    (f, 2); ``heat`` (p, G, G), log-densities, y by x, between ``corners`` (p, 2, 2), lowest and highest x and y.
    facts: ``found``, of how many references the first sample kept more than its start.
    """
    device, point = settings["device"], settings["point"]
    bench = _Bench(
        load_checkpoint(inputs["checkpoint"]).frozen_generator(device),
        load_extractor(inputs["search_extractor"]),
        FeatureDensity.load(inputs["feature_density"], None).to(device),
        load_npy(inputs["search_features"]),
        settings["seed"],
        point,
        device,
    )
    ground = Ground.of(bench)
    rows = range(settings["references"])
    latents = normal(bench.seed, "latents", rows, bench.generator.latent_shape).to(device)
    _, fakes = ground.fakes(point["fakes"])
    walks, found, reference, limits = _walk(ground, latents, fakes)
    moved = (found.found[:, 0] & (found.steps[:, 0] > 0)).cpu().numpy()
    chosen = chosen_references(moved, settings["shown"])
    own = [
        _path(
            ground, walks, reference[row], fakes, settings["images"], int(found.steps[row, 0]), row
        )
        for row in chosen
    ]
    arrays = {name: np.stack([path[name] for path in own]) for name in own[0] if name not in LISTED}
    for name in LISTED:
        arrays[name] = np.concatenate([path[name] for path in own])
    for name in ("real", "fake"):
        arrays[f"{name}_path"] = np.repeat(np.arange(len(own)), [len(path[name]) for path in own])
    arrays |= {"reference": chosen, "limit": limits[chosen].cpu().numpy()}
    return arrays, {"found": int(moved.sum())}


def chosen_references(moved: np.ndarray, shown: int) -> np.ndarray:
    """The first references whose sample moved (r,) bool, and behind them the first of the others."""
    return np.argsort(~moved, kind="stable")[:shown]


@dataclass(frozen=True)
class _Walks:
    """Of the first sample of each reference, all iterates: latents (r, T + 1, *shape), features (r, T + 1, d),
    log-density and feasible (r, T + 1)."""

    latents: Tensor
    features: Tensor
    log_density: Tensor
    feasible: Tensor


def _walk(
    ground: Ground, latents: Tensor, fakes: Tensor
) -> tuple[_Walks, RareSamples, Tensor, Tensor]:
    """The search as the pool has it, watched; with the references' features and limits."""
    point, seen = ground.context.settings, []
    starts, reference, _ = ground.references(latents)
    limits = ground.limits(reference, fakes)

    def watch(iterate: Iterate, feasible: Tensor) -> None:
        firsts = iterate.latents, iterate.features, iterate.log_density, feasible
        seen.append([part[:, 0] for part in firsts])

    found = search(
        ground.space,
        starts,
        limits,
        search_settings(point),
        seed=ground.context.seed,
        numbers=names_of(latents),
        seen=watch,
    )
    walks = _Walks(*(torch.stack(parts, 1) for parts in zip(*seen, strict=True)))
    return walks, found, reference, limits


def _path(
    ground: Ground,
    walks: _Walks,
    reference: Tensor,
    fakes: Tensor,
    images: int,
    kept: int,
    row: int,
) -> dict[str, np.ndarray]:
    """Of one reference, arrays of `paths` without their first axis."""
    manifold, features = ground.space.manifold, walks.features[row]
    picture = _steps_shown(len(features), images, kept)
    plane = plane_of(features.cpu().double().numpy(), reference.cpu().double().numpy())
    iterates, reals = features.cpu().numpy(), manifold.features.cpu().numpy()
    near = np.unique(knn(iterates, reals, manifold.k)[1])
    balls = rarity.prepare({"features": reals}, k=manifold.k)
    centres, off = plane.project(reals[near])
    path, path_off = plane.project(iterates)
    radii = manifold.radii[near].cpu().numpy()
    corners = _corners(path)
    made = ground.images(walks.latents[row, picture])
    return {
        "log_density": walks.log_density[row].cpu().numpy(),
        "rarity": rarity.rarities(balls, iterates),
        "distance": np.linalg.norm(iterates - reference.cpu().numpy(), axis=1),
        "inside": manifold.inside(features).cpu().numpy(),
        "feasible": walks.feasible[row].cpu().numpy(),
        "kept": np.array(kept),
        "along": np.array(plane.share),
        "picture": np.array(picture),
        "images": to_uint8(made).cpu().numpy(),
        "path": path,
        "off": path_off,
        "real": centres,
        "real_off": off,
        "real_radius": radii,
        "real_holds": np.linalg.norm(reals[near] - iterates[kept], axis=1) <= radii,
        "fake": plane.project(fakes[:FAKES].cpu().numpy())[0],
        "heat": _heat(ground, plane, corners),
        "corners": corners,
    }


def _steps_shown(count: int, images: int, kept: int) -> list[int]:
    """Steps at even distances from the start, and the kept one in the place of the nearest of the others."""
    steps = np.unique(np.linspace(0, count - 1, images).round().astype(int))
    if kept not in steps:
        inner = 1 + int(np.abs(steps[1:] - kept).argmin())
        steps[inner] = kept
    return [int(step) for step in np.sort(steps)]


def _corners(path: np.ndarray) -> np.ndarray:
    """Lowest and highest x and y (2, 2) of a square that holds the path and the reference, at the origin,
    with half as much room around."""
    points = np.concatenate([path, np.zeros((1, 2))])
    low, high = points.min(0), points.max(0)
    half = max(float((high - low).max()), 1e-6)
    middle = (low + high) / 2
    return np.stack([middle - half, middle + half])


@torch.no_grad()
def _heat(ground: Ground, plane: Plane, corners: np.ndarray) -> np.ndarray:
    """Log-density (G, G) float32 over the plane; its inverse is exact."""
    x, y = (np.linspace(*corners[:, i], GRID) for i in range(2))
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    lifted = torch.from_numpy(plane.lift(points)).float().to(ground.context.device)
    found = [ground.space.log_density(part) for part in lifted.split(1000)]
    return torch.cat(found).view(GRID, GRID).cpu().numpy()
