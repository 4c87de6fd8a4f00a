"""A pool on disk and the points chosen from it, on a generator whose every law is known.

An image is one grey level, uniform in 0 .. 255; its density is the level over 256, so that a
share tau of the images lies below the threshold tau. Tolerances are four or more standard
deviations of the binomial or normal law in question.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from pseudodensity.artifacts import load_json
from pseudodensity.control.select.growing import Demand, PoolWriter, accepted_rows, set_name
from pseudodensity.control.select.importance import expected_acceptance
from pseudodensity.control.select.proposals import Proposer, load_described
from pseudodensity.features.extractor import Extractor
from pseudodensity.frontier import Judgement, measure_frontier, open_pool
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.progress import Progress

torch.set_num_threads(1)

N = 200


class Grey(BaseGenerator):
    """z (n, 1) -> grey images of level Phi(z); counts the images."""

    latent_shape, resolution = (1,), 8

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, z: Tensor) -> Tensor:
        self.calls += len(z)
        level = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
        return (2 * level - 1).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)


class Level(Extractor):
    """Features (n, 2): the grey level and its square, on the scale 0 .. 1."""

    def __init__(self):
        super().__init__(dim=2, size=8)
        self.eval()

    def embed(self, x: Tensor) -> Tensor:
        level = (x.mean((1, 2, 3)) + 1) / 2
        return torch.stack([level, level**2], 1)


class Density:
    """The level itself; tau percent of a uniform level lie below tau / 100."""

    def __call__(self, features):
        return np.asarray(features)[:, 0]

    def threshold(self, percent):
        # The brightest real image is brighter than any that the model makes.
        return percent / 100 if percent < 100 else 1.1


class Tilt:
    """A discriminator that knows: the data have density 2x where the model has 1."""

    def __call__(self, images: Tensor) -> Tensor:
        level = (images.mean((1, 2, 3)) + 1) / 2
        return (2 * level).clamp_min(1e-3).log()

    def real_logits(self, batch_size: int) -> np.ndarray:
        levels = np.sqrt(np.random.Generator(np.random.Philox(5)).random(4 * N))
        return np.log(2 * levels).astype(np.float32)

    how = "draws of the known law"


def importance(tau, w):
    return {"method": "importance", "tau": tau, "w": w}


POINTS = [
    {"method": "plain"},
    importance(50, 0.01),
    importance(80, 33.0),
    {"method": "truncation", "family": "scale", "psi": 0.5},
    {"method": "polarity", "polarity": -1.0, "replacement": True},
    {"method": "polarity", "polarity": 0.5, "replacement": False},
    {"method": "drs", "variant": "paper"},
    {"method": "drs", "variant": "mended"},
]


def make_writer(folder, points=POINTS, critic=None, **demand):
    settings = {"images": N, "repeats": 2, "set_repeats": 1, "volumes": 400, "part": 256}
    settings |= {"most": 10_000, **demand}
    proposer = Proposer(
        Grey().eval(), {"level": Level()}, Density(), Level(), 0, critic, batch_size=100
    )
    progress = Progress("pool", 1)
    return PoolWriter(folder, proposer, Demand(points, **settings), {"what": "test"}, progress)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A written pool, its writer, and its points measured."""
    folder = tmp_path_factory.mktemp("pool")
    writer = make_writer(folder, critic=Tilt())
    manifest = writer.write()
    pool = open_pool(folder / "pool.json", Density(), 0)
    levels = (np.arange(500, dtype=np.float32) + 0.5) / 500
    real = {"level": np.stack([levels, levels**2], 1)}
    judgement = Judgement.of(
        real, {"manifold": "level", "fid": "level"}, {"k": 3, "images": N, "repeats": 2}
    )
    points = measure_frontier(pool, POINTS, judgement, Progress("frontier", len(POINTS)))
    return SimpleNamespace(
        folder=folder, writer=writer, manifest=manifest, pool=pool, points=points
    )


def find(points, **settings):
    (point,) = [p for p in points if settings.items() <= p.items()]
    return point


def test_the_pool_is_as_large_as_its_most_demanding_point(made):
    """tau 80, w 33 takes 1 / (.2 + .8 / 33) proposals for each image."""
    calls = made.manifest["calls"]
    rate = expected_acceptance(0.8, 33.0)
    spread = math.sqrt(2 * N * (1 - rate)) / rate
    assert abs(calls["pool"] - 2 * N / rate) < 4 * spread + 256
    assert calls["truncation-scale-0.5"] == N
    # Beside the images only the volumes pass through the generator.
    assert load_json(made.folder / "pool.json") == made.manifest
    used = max(p["generator_calls"] for p in made.points if p["method"] == "importance")
    assert used <= calls["pool"] < used + 256


@pytest.mark.parametrize(("tau", "w"), [(50, 0.01), (80, 33.0)])
def test_importance_sampling_accepts_what_the_closed_form_says(made, tau, w):
    point = find(made.points, tau=tau, w=w)
    used = point["generator_calls"]
    rate = expected_acceptance(tau / 100, w)
    tolerance = 4.5 * math.sqrt(rate * (1 - rate) / used)
    assert point["acceptance"] == pytest.approx(rate, abs=tolerance)
    assert point["acceptance_closed_form"] == pytest.approx(rate, abs=tolerance)
    assert point["acceptance"] == pytest.approx(point["acceptance_closed_form"], abs=tolerance)
    assert len(point["repeats"]) == 2 and point["unique"] == 2 * N and point["note"] == ""
    low = tau / 100
    share = (1 - low) * w / (low + (1 - low) * w)
    # Uniform within low and within high: the mean density follows from the share of high ones.
    mean = (1 - share) * low / 2 + share * (1 + low) / 2
    measured = np.mean([repeat["mean_density"] for repeat in point["repeats"]])
    assert measured == pytest.approx(mean, abs=4.5 * 0.3 / math.sqrt(2 * N))


def test_plain_truncated_and_polarity_follow_their_laws(made):
    plain = find(made.points, method="plain")
    assert plain["acceptance"] == 1 and plain["generator_calls"] == 2 * N
    assert plain["ess"] == plain["unique"] == 2 * N
    # z halved: the variance of Phi(z / 2) is asin((1/4) / (5/4)) / (2 pi).
    narrow = load_described(made.folder / "truncation-scale-0.5.safetensors").density
    variance = math.asin(0.2) / (2 * math.pi)
    assert narrow.var() == pytest.approx(variance, rel=4.5 * math.sqrt(2 / N))
    # The volume element is the normal density at z: polarity -1 makes z uniform over the pool.
    flat = find(made.points, polarity=-1.0)
    peaked = find(made.points, polarity=0.5)
    assert flat["ess"] < 400 and flat["unique"] < 2 * N <= 400
    assert "same 400 volumes" in flat["note"] and peaked["unique"] <= 400
    assert flat["generator_calls"] == 400


def test_volumes_are_the_slope_of_the_level(made):
    volumes, seconds = made.pool.volumes
    z = made.writer.proposer.latents(range(400))[:, 0].double()
    # All 192 pixels move by 2 phi(z).
    slope = 2 * torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * math.sqrt(192)
    torch.testing.assert_close(volumes, slope.log(), atol=1e-4, rtol=0)
    assert seconds > 0


def test_a_calibrated_discriminator_brings_the_law_of_the_data(made):
    """Data of density 2x have the mean 2/3; the paper's setting stays near the model's 1/2."""
    mended, paper = find(made.points, variant="mended"), find(made.points, variant="paper")
    tolerance = 4.5 * math.sqrt(1 / 18 / N)
    assert mended["repeats"], mended["note"]
    assert mended["repeats"][0]["mean_density"] == pytest.approx(2 / 3, abs=tolerance + 0.02)
    assert paper["repeats"][0]["mean_density"] < 2 / 3 - 0.02
    assert "draws of the known law" in mended["note"] and "M = " in mended["note"]
    assert paper["acceptance"] > 0.5
    for point in (mended, paper):
        spread = math.sqrt(0.25 / point["generator_calls"])
        assert point["acceptance"] == pytest.approx(point["acceptance_closed_form"], abs=5 * spread)


def test_a_larger_demand_extends_a_pool_and_changes_nothing_of_it(tmp_path):
    points = [{"method": "plain"}, importance(50, 3.0)]
    make_writer(tmp_path, points).write()
    before = {f.name: f.read_bytes() for f in tmp_path.glob("part-*")}
    larger = make_writer(tmp_path, points, images=2 * N)
    larger.write()
    after = {f.name: f.read_bytes() for f in tmp_path.glob("part-*")}
    assert len(after) > len(before) and before.items() <= after.items()
    # What was there was not drawn again; each part holds 256 proposals.
    assert larger.proposer.generator.calls == 256 * (len(after) - len(before))
    again = make_writer(tmp_path, points, images=2 * N)
    again.write()
    assert again.proposer.generator.calls == 0


def test_decisions_stay_when_the_pool_grows_and_points_share_them():
    density = torch.rand(1000, generator=torch.Generator().manual_seed(1))
    few, many = (accepted_rows(density[:n], 0.5, 0.2, seed=3) for n in (600, 1000))
    assert torch.equal(few, many[many < 600])
    stricter = accepted_rows(density, 0.5, 0.1, seed=3)
    assert set(stricter.tolist()) <= set(many.tolist())


def test_a_part_of_another_stamp_is_drawn_again(tmp_path):
    points = [{"method": "plain"}]
    make_writer(tmp_path, points).write()
    other = make_writer(tmp_path, points)
    other.stamp = {"what": "another"}
    other.write()
    assert other.proposer.generator.calls == 512


def test_a_threshold_that_nothing_passes_is_one_line_after_the_first_part(tmp_path):
    points = [{"method": "plain"}, importance(100, 10.0)]
    writer = make_writer(tmp_path, points, part=512)
    with pytest.raises(ValueError, match="none of 512 samples passes tau = 100 %.*lower tau"):
        writer.write()
    assert writer.proposer.generator.calls == 512


def test_a_pool_that_may_not_grow_says_so_at_the_point(tmp_path):
    points = [{"method": "plain"}, importance(80, 100.0)]
    make_writer(tmp_path, points, most=600).write()
    pool = open_pool(tmp_path / "pool.json", Density(), 0)
    real = {"level": np.random.Generator(np.random.Philox(1)).random((50, 2), dtype=np.float32)}
    judgement = Judgement.of(
        real, {"manifold": "level", "fid": "level"}, {"k": 3, "images": N, "repeats": 2}
    )
    plain, dry = measure_frontier(pool, points, judgement, Progress("x", 2))
    assert len(pool.proposals) == 600 and len(plain["repeats"]) == 2
    assert dry["repeats"] == [] and dry["seconds_per_1000"] is None
    assert dry["note"] == "the pool holds images for 0 of 2 repeats"
    assert dry["acceptance"] == pytest.approx(0.208, abs=0.08)


def test_names_of_sets():
    assert (
        set_name({"method": "truncation", "family": "style", "psi": 0.7}) == "truncation-style-0.7"
    )
    assert set_name({"method": "dot", "variant": "paper"}) == "dot-paper"
