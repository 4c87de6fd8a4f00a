"""Paths of rare searches: the plane that shows them, who watches a search, and the path of a pool's sample."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from pseudodensity.artifacts import save_npy
from pseudodensity.columns.context import Context
from pseudodensity.control.move import rare_sampling
from pseudodensity.control.move.rare_search import Settings, Space, search
from pseudodensity.control.move.real_manifold import RealManifold
from pseudodensity.density.feature_density import FeatureDensity
from pseudodensity.density.gaussian import Gaussian
from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, save_checkpoint
from pseudodensity.papers.diverse_rare.measured.paths import chosen_references, paths
from pseudodensity.papers.diverse_rare.paths_figure import fig9_figure, fig19_figure
from pseudodensity.papers.diverse_rare.paths_table import paths_table
from pseudodensity.papers.diverse_rare.plane import plane_of, section_radii
from pseudodensity.progress import Progress
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

PANEL = {"block": "gan-faces", "model": "GAN", "dataset": "faces", "stands_for": "FFHQ"}
GENERATOR = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}


def points(name: str, count: int, width: int) -> np.ndarray:
    return normal(0, name, range(count), (width,)).numpy()


def written(table, folder):
    write_table(table, folder / "t.csv", folder / "t.md", folder / "t.tex")
    return folder / "t.csv"


def test_a_plane_has_an_exact_inverse_and_cuts_balls_as_pythagoras_says():
    cloud, origin = points("cloud", 30, 6), points("origin", 1, 6)[0]
    cloud[:, 2:] = origin[2:] + 0.1 * (cloud[:, 2:] - origin[2:])
    plane = plane_of(cloud, origin)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-6)
    places, off = plane.project(cloud)
    back, none = plane.project(plane.lift(places))
    np.testing.assert_allclose(back, places, atol=1e-6)
    np.testing.assert_allclose(none, 0, atol=1e-6)
    away = cloud - origin
    lengths = np.square(places).sum(1) + np.square(off)
    np.testing.assert_allclose(lengths, np.square(away).sum(1), rtol=1e-5)
    # The best plane has the two largest singular values.
    values = np.square(np.linalg.svd(away, compute_uv=False))
    assert (
        plane.share == pytest.approx(values[:2].sum() / values.sum(), rel=1e-5)
        and plane.share > 0.9
    )
    assert (places[-1] >= 0).all()
    np.testing.assert_allclose(
        section_radii(np.array([5.0, 5, 5]), np.array([3.0, 5, 6])), [4, 0, 0]
    )
    assert plane_of(origin[None], origin).share == 1


def test_who_watches_a_search_sees_every_iterate_and_changes_nothing():
    reals = torch.from_numpy(points("reals", 80, 2))
    space = Space(
        lambda z: z, lambda x: x, lambda x: -x.square().sum(1) / 2, RealManifold(reals, 3)
    )
    references, limits = torch.zeros(2, 2), torch.ones(2)
    settings, seen = Settings(count=3, steps=15, learning_rate=0.1), []
    arguments = (space, references, limits, settings)
    plain = search(*arguments, seed=0, numbers=[0, 1])
    watched = search(
        *arguments, seed=0, numbers=[0, 1], seen=lambda iterate, ok: seen.append((iterate, ok))
    )
    for name in ("latents", "steps", "found", "feasible", "log_density"):
        assert torch.equal(getattr(plain, name), getattr(watched, name))
    assert [int(iterate.steps[0, 0]) for iterate, _ in seen] == list(range(16))
    feasible = torch.stack([ok.float().mean(1) for _, ok in seen], 1)
    assert torch.equal(feasible, plain.feasible)
    latents = torch.stack([iterate.latents for iterate, _ in seen])
    own = latents.gather(0, plain.steps[None, ..., None].expand(1, 2, 3, 2))[0]
    assert torch.equal(own, plain.latents)


def test_references_whose_sample_moved_come_first_in_order():
    moved = np.array([False, True, False, True, True])
    assert chosen_references(moved, 2).tolist() == [1, 3]
    assert chosen_references(moved, 4).tolist() == [1, 3, 4, 0]


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Files of a tiny model, and a point of the search."""
    folder = tmp_path_factory.mktemp("paths")
    torch.manual_seed(0)
    states = {"average": build_generator("stylegan2", 16, GENERATOR).state_dict()}
    checkpoint = CheckpointFile(
        "stylegan2", 16, {"generator": GENERATOR, "discriminator": None}, states, {}
    )
    stamp = {"kind": "trained", "spec": {"architecture": "stylegan2", "resolution": 16}}
    save_checkpoint(folder / "checkpoint", checkpoint, stamp)
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    save_extractor(folder / "extractor", extractor)
    generator = checkpoint.frozen_generator()
    with torch.no_grad():
        real = extractor(generator(normal(0, "real", range(60), generator.latent_shape)))
    save_npy(folder / "real", real.numpy())
    FeatureDensity.start(Gaussian(real.shape[1]), real).save(folder / "density")
    names = ("checkpoint", "search_extractor", "search_features", "feature_density")
    files = (folder / name for name in ("checkpoint", "extractor", "real", "density"))
    inputs = dict(zip(names, files, strict=True))
    point = rare_sampling.DEFAULTS | {"method": "rare_search", "extractor": "net", "steps": 6}
    point |= {"neighbours": 10, "fakes": 40, "samples": 3, "learning_rate": 0.1}
    return inputs, point, stamp


def test_paths_are_those_of_the_samples_of_the_pool(searched, tmp_path):
    inputs, point, stamp = searched
    settings = {
        "point": point,
        "references": 6,
        "shown": 3,
        "images": 4,
        "seed": 0,
        "device": "cpu",
    }
    arrays, facts = paths(inputs, settings)
    context = Context(inputs, stamp, 0, point, Progress("paths", 1, every=1e9))
    maker = rare_sampling.maker(context)
    told = maker.make(maker.latents(range(18))).columns
    firsts = {
        name: told[f"search.{name}"][::3].numpy()
        for name in ("step", "limit", "distance", "log_density", "found")
    }
    assert facts["found"] == ((firsts["found"] > 0) & (firsts["step"] > 0)).sum() > 0
    rows, kept = arrays["reference"], arrays["kept"]
    assert np.array_equal(firsts["step"][rows], kept) and kept[0] > 0
    at = np.arange(3), kept
    for name, own in (
        ("distance", arrays["distance"][at]),
        ("log_density", arrays["log_density"][at]),
    ):
        np.testing.assert_allclose(own, firsts[name][rows], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(arrays["limit"], firsts["limit"][rows], rtol=1e-4)
    # Inside and with a rarity are the same; feasible is near the reference beside.
    assert np.array_equal(np.isfinite(arrays["rarity"]), arrays["inside"])
    near = arrays["distance"] <= arrays["limit"][:, None]
    assert np.array_equal(arrays["feasible"], arrays["inside"] & near)
    # Places and distances from the plane make up the distance from the reference, which is its origin.
    lengths = np.hypot(np.linalg.norm(arrays["path"], axis=2), arrays["off"])
    np.testing.assert_allclose(lengths, arrays["distance"], rtol=1e-3, atol=1e-4)
    assert all(step in shown for step, shown in zip(kept, arrays["picture"], strict=True))
    assert (arrays["picture"][:, 0] == 0).all()
    corners = arrays["corners"]
    assert (corners[:, 0] < arrays["path"].min(1)).all() and (
        corners[:, 1] > arrays["path"].max(1)
    ).all()
    save_tensors(tmp_path / "paths", arrays, {}, facts)
    look = {
        "number": 19,
        "shown": 3,
        "panel": PANEL,
        "point": point,
        "references": 6,
        "extractor": "net",
    }
    table = paths_table({"measured": tmp_path / "paths"}, look)
    assert table.frame["kept"].sum() == 3 and len(table.frame) == 21
    written(table, tmp_path)
    for figure, shown in ((fig9_figure, 1), (fig19_figure, 3)):
        save(figure({"measured": tmp_path / "paths"}, look | {"shown": shown}), tmp_path / "f.png")


def test_colours_of_a_plane_are_the_density_there(searched):
    inputs, point, stamp = searched
    settings = {
        "point": point,
        "references": 2,
        "shown": 1,
        "images": 2,
        "seed": 0,
        "device": "cpu",
    }
    arrays, _ = paths(inputs, settings)
    heat, corners = arrays["heat"][0], arrays["corners"][0]
    # The Gaussian law on a plane is a paraboloid: second differences are the same everywhere.
    for axis in (0, 1):
        second = np.diff(heat.astype(float), 2, axis=axis)
        np.testing.assert_allclose(second, second.mean(), atol=0.02 * np.ptp(heat) / 40)
    # The reference is the origin of the plane: its density is the colour there, between four points.
    context = Context(inputs, stamp, 0, point, Progress("paths", 1, every=1e9))
    told = rare_sampling.maker(context).make(context.latents([0] * 3)).columns
    assert arrays["reference"][0] == 0
    x, y = -corners[0] / (corners[1] - corners[0]) * (len(heat) - 1)
    assert abs(x - y) > 1
    found = float(map_coordinates(heat.astype(float), [[y], [x]], order=1)[0])
    expected = float(told["search.reference_log_density"][0])
    assert found == pytest.approx(expected, abs=1e-3 * float(np.ptp(heat)))
