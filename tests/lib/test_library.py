"""The library in two calls, on a generator whose law is known."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pseudodensity.control.select.acceptance import expected_acceptance
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.generators.external import ExternalGenerator
from pseudodensity.images.transform import to_uint8
from pseudodensity.library import frontier, importance_sample, read_images
from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import manifold_metrics
from pseudodensity.rng import generator as stream
from pseudodensity.rng import normal

torch.set_num_threads(1)


class Cloud(nn.Module):
    """A user's own: two latents -> two shades of an image of four pixels, the rest black."""

    def forward(self, z):
        image = torch.full((len(z), 3, 2, 2), -1.0)
        image[:, :2, 0, 0] = torch.tanh(0.5 * z)
        return image


class Shades(Extractor):
    """The two shades back."""

    def __init__(self):
        super().__init__(2, 2)

    def embed(self, x):
        return x[:, :2, 0, 0]


@pytest.fixture(scope="module")
def parts():
    """generator, density, extractor, real images."""
    model, extractor = ExternalGenerator(Cloud(), (2,)), Shades()
    real = to_uint8(model(normal(1, "real", range(1500), (2,)))).numpy()
    return model, PseudoDensity.fit(extract(extractor, real), k=5, epochs=20), extractor, real


@pytest.mark.parametrize("tau, w", [(50, 0.1), (80, 10), (20, 1)])
def test_odds_of_dense_images_gain_w(tau, w, parts):
    model, density, extractor, _ = parts
    plain = importance_sample(model, density, extractor, tau, 1.0, 4000, stream(1))
    low = (plain.density < density.threshold(tau)).double().mean().item()
    count = 2000
    sample = importance_sample(model, density, extractor, tau, w, count, stream(0))
    assert plain.acceptance == plain.expected == 1 and plain.proposals == 4000
    high = (sample.density >= density.threshold(tau)).double().mean().item()
    share = (1 - low) * w / (low + (1 - low) * w)
    # 4.5 standard deviations: of this share, and of the plain one carried through the formula.
    slope = w / (low + (1 - low) * w) ** 2
    error = np.sqrt(share * (1 - share) / count) + slope * np.sqrt(low * (1 - low) / 4000)
    assert abs(high - share) < 4.5 * error
    # Acceptance: what the closed form allows, from the measured share and from another sample's.
    spread = np.sqrt(sample.expected * (1 - sample.expected) / sample.proposals)
    assert abs(sample.acceptance - sample.expected) <= 4.5 * spread
    assert sample.expected == pytest.approx(expected_acceptance(low, w), abs=0.05)
    assert sample.images.shape == (count, 3, 2, 2) and sample.images.dtype == torch.uint8
    with torch.no_grad():  # everything of an image belongs together
        assert torch.equal(to_uint8(model(sample.latents)), sample.images)
    values = density(extract(extractor, sample.images))
    np.testing.assert_allclose(sample.density.numpy(), values, rtol=1e-5)


def test_the_sample_does_not_depend_on_the_batch_size(parts):
    model, density, extractor, _ = parts
    samples = [
        importance_sample(model, density, extractor, 80, 5, 30, stream(3), batch_size=size)
        for size in (7, 100)
    ]
    assert torch.equal(samples[0].images, samples[1].images)
    assert samples[0].proposals == samples[1].proposals
    assert samples[0].expected == samples[1].expected
    other = importance_sample(model, density, extractor, 80, 5, 30, stream(4))
    assert not torch.equal(samples[0].latents, other.latents)


@pytest.fixture(scope="module")
def points(parts):
    model, density, extractor, real = parts
    return frontier(
        *(model, density, extractor, extractor, real),
        taus=[50, 80],
        ws=[0.1, 1.0, 10],
        count=500,
        stream=stream(0),
    )


def test_a_point_is_what_the_same_sample_scores(points, parts):
    model, density, extractor, real = parts
    assert [(p["tau"], p["w"]) for p in points][:3] == [(None, 1.0), (50, 0.1), (50, 1.0)]
    judged = extract(extractor, real)
    for point in points[1:]:
        sample = importance_sample(
            model, density, extractor, point["tau"], point["w"], 500, stream(0)
        )
        fake = extract(extractor, sample.images)
        for name, value in manifold_metrics(judged, fake, k=3).items():
            assert point[name] == value
        assert point["fid"] == frechet_distance(judged, fake)
        assert point["acceptance"] == sample.acceptance and point["accepted"] == 500
        assert point["mean_density"] == pytest.approx(sample.density.double().mean().item())
    # w = 1 is plain sampling at every threshold.
    plain = {k: v for k, v in points[0].items() if k != "tau"}
    assert all({k: v for k, v in p.items() if k != "tau"} == plain for p in points if p["w"] == 1)


def test_density_rises_with_w_and_the_front_is_not_dominated(points):
    for tau in (50, 80):
        means = [point["mean_density"] for point in points if point["tau"] == tau]
        assert means == sorted(means)
    for point in points:
        dominated = any(
            other["precision"] >= point["precision"]
            and other["recall"] >= point["recall"]
            and other["precision"] + other["recall"] > point["precision"] + point["recall"]
            for other in points
        )
        assert point["front"] is not dominated
    assert any(point["front"] for point in points)


def test_a_pool_that_runs_dry_says_so(parts):
    model, density, extractor, real = parts
    few = frontier(
        *(model, density, extractor, extractor, real),
        taus=[90],
        ws=[100],
        count=200,
        stream=stream(0),
        proposals_per_image=1.5,
    )
    assert few[0]["accepted"] == 200 and few[0]["precision"] > 0 and few[0]["front"]
    assert few[1]["accepted"] < 200 and few[1]["precision"] is None and few[1]["front"] is None


def test_images_are_read_from_a_folder_and_broken_ones_are_named(tmp_path):
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    for name in ("b.png", "a.png"):
        Image.fromarray(pixels if name == "a.png" else 255 - pixels).save(tmp_path / name)
    found = read_images(tmp_path, 8)
    assert found.images.dtype == np.uint8 and found.names == ["a.png", "b.png"]
    assert found.rejected == {}
    np.testing.assert_array_equal(found.images[0], pixels.transpose(2, 0, 1))
    np.testing.assert_array_equal(found.images[1], 255 - found.images[0])
    (tmp_path / "aa.png").write_bytes(b"no image")
    some = read_images(tmp_path, 8, max_unreadable=0.4)
    np.testing.assert_array_equal(some.images, found.images)
    assert some.names == ["a.png", "b.png"]
    assert some.rejected == {"aa.png": "not an image file of a known format"}
    with pytest.raises(ValueError, match="first aa.png .not an image.* raise max_unreadable"):
        read_images(tmp_path, 8)
    with pytest.raises(ValueError, match="does not exist"):
        read_images(tmp_path / "nowhere", 8)


def test_bad_input_is_refused_before_work_starts(parts):
    model, density, extractor, real = parts
    for tau, w, count, message in (
        (101, 1, 5, "percentage"),
        (50, 0, 5, "w must be positive"),
        (50, 1, 0, "count is a number"),
    ):
        with pytest.raises(ValueError, match=message):
            importance_sample(model, density, extractor, tau, w, count, stream(0))
    with pytest.raises(ValueError, match="wrap it in an ExternalGenerator"):
        importance_sample(Cloud(), density, extractor, 50, 1, 5, stream(0))
    settings = {"taus": [50], "ws": [2], "stream": stream(0)}
    with pytest.raises(ValueError, match="k=3 needs more"):
        frontier(model, density, extractor, extractor, real, **settings, count=3)
    model.training = True
    try:
        with pytest.raises(ValueError, match="training mode"):
            frontier(model, density, extractor, extractor, real, **settings, count=9)
    finally:
        model.eval()


def test_real_images_of_another_size_are_refused_before_work_starts(parts):
    model, density, extractor, real = parts
    calls = []
    hook = model.function.register_forward_hook(lambda *_: calls.append(1))
    for odd in (real.repeat(2, axis=2), real.repeat(2, axis=2).repeat(2, axis=3), real[:, :1]):
        with pytest.raises(ValueError, match="read the real ones at 2 pixels") as caught:
            frontier(
                model,
                density,
                extractor,
                extractor,
                odd,
                taus=[50],
                ws=[2.0],
                count=20,
                stream=stream(0),
            )
        assert "\n" not in str(caught.value)
    hook.remove()
    assert len(calls) == 3  # one image each, to know its size


def test_a_frontier_says_how_far_it_is(parts, capfd):
    model, density, extractor, real = parts
    frontier(
        model, density, extractor, extractor, real, taus=[50], ws=[2.0], count=20, stream=stream(0)
    )
    assert "frontier: 20/20 images" in capfd.readouterr().err


def example_of_the_readme() -> str:
    """The Python block under "The library", with few images: the numbers are not looked at."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    section = text.split("\n## The library\n")[1].split("\n## ")[0]
    block = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    return re.sub(r"count=\d+", "count=20", block)


class MyGenerator(nn.Module):
    """128 numbers to an image of 64 px."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(128, 48)

    def forward(self, z):
        small = torch.tanh(self.layer(z)).unflatten(1, (3, 4, 4))
        return nn.functional.interpolate(small, scale_factor=16)


def test_the_example_of_the_readme_runs_as_printed(tmp_path, monkeypatch):
    torch.manual_seed(0)
    (tmp_path / "photos").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (30, 20, 24, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    entry = {"kind": "small_cnn", "size": 16, "blocks": 1, "trained_on": ["photos"]}
    entry["training"] = {"seed": 0, "epochs": 1, "learning_rate": 0.1, "batch_size": 8}
    names = {
        "A": entry | {"widths": [4, 8]},
        "B": entry | {"widths": [6, 8]},
        "MyGenerator": MyGenerator,
    }
    with pytest.warns(UserWarning, match="random weights"):
        exec(example_of_the_readme(), names)  # noqa: S102
    assert names["typical"].images.shape == (20, 3, 64, 64)
    assert len(names["points"]) == 5
