"""A pool of samples does not depend on how it was cut into batches."""

import numpy as np
import pytest
import torch
from torch import nn

from pseudodensity.control.select.pool import describe, draw_pool
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_generator
from pseudodensity.images.transform import to_uint8
from pseudodensity.progress import Progress
from pseudodensity.rng import normal, numpy_generator

torch.set_num_threads(1)

GENERATORS = {
    "stylegan2": {
        "z_dim": 4,
        "w_dim": 4,
        "mapping_layers": 2,
        "channel_base": 64,
        "channel_max": 8,
    },
    "projectedgan": {"z_dim": 4, "ngf": 4},
}


@pytest.fixture(scope="module")
def tools():
    """Two judges, a density and the extractor that it was fitted on."""
    cnn = {"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1}
    judges = {"a": build_extractor(cnn, 1), "b": build_extractor(cnn, 2)}
    steering = build_extractor(cnn, 3)
    images = numpy_generator(0, "pool").integers(0, 256, (60, 3, 16, 16), dtype=np.uint8)
    density = PseudoDensity.fit(extract(steering, images), k=3, epochs=2)
    return {"judges": judges, "density": density, "steering": steering}


def make_generator(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return build_generator(kind, 16, GENERATORS[kind]).eval().requires_grad_(False)


def draw(generator, tools, count=23, seed=0, **options):
    return draw_pool(generator, count, seed, **tools, progress=Progress("x", count), **options)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("batch_size", [1, 7, 23, 100])
def test_samples_do_not_depend_on_the_batch_size(kind, batch_size, tools):
    latents: list[torch.Tensor] = []
    generator = make_generator(kind)
    generator.register_forward_pre_hook(lambda _, arguments: latents.append(arguments[0]))
    pool = draw(generator, tools, batch_size=batch_size)
    assert torch.equal(torch.cat(latents), normal(0, "latents", range(23), (4,)))
    whole = draw(make_generator(kind), tools, batch_size=23)
    differences = np.abs(pool.images.astype(int) - whole.images)
    # Sums of another order may round to the neighbouring grey level, here and there.
    assert differences.max() <= 1 and (differences > 0).mean() < 0.01
    for name in ("a", "b"):
        np.testing.assert_allclose(pool.features[name], whole.features[name], atol=0.02)
    np.testing.assert_allclose(pool.density, whole.density, atol=0.02)


def test_a_larger_pool_starts_with_the_smaller_one(tools):
    small = draw(make_generator("stylegan2"), tools, count=8, batch_size=4)
    large = draw(make_generator("stylegan2"), tools, count=20, batch_size=4)
    assert (large.images[:8] == small.images).all()
    assert (large.features["a"][:8] == small.features["a"]).all()
    assert (large.density[:8] == small.density).all()
    other = draw(make_generator("stylegan2"), tools, count=8, seed=1)
    assert not (other.images == small.images).all()


@pytest.mark.parametrize(("kept", "found"), [(16, 16), (5, 5), (3, 3), (64, 23)])
def test_the_first_images_are_kept(kept, found, tools):
    pool = draw(make_generator("stylegan2"), tools, kept_images=kept, batch_size=5)
    assert pool.images.shape == (found, 3, 16, 16) and pool.images.dtype == np.uint8
    generator = make_generator("stylegan2")
    expected = to_uint8(generator(normal(0, "latents", range(found), (4,)))).numpy()
    assert np.abs(pool.images.astype(int) - expected).max() <= 1
    assert pool.density.shape == (23,) and pool.features["b"].shape == (23, 8)
    assert pool.seconds > 0


def test_a_sample_is_described_as_a_file_of_the_same_image_would_be(tools):
    pool = draw(make_generator("stylegan2"), tools, batch_size=23)
    features, density = describe(pool.images, **tools)
    for name, extractor in tools["judges"].items():
        assert (features[name] == pool.features[name]).all()
        assert (features[name] == extract(extractor, pool.images)).all()
    assert (density == pool.density).all()
    assert (density == tools["density"](extract(tools["steering"], pool.images))).all()
    assert not np.allclose(features["a"], features["b"])
