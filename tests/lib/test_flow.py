"""Flows, of vectors and of pixels, against densities that are known."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import (
    AffineTransform,
    MultivariateNormal,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
)

from pseudodensity.artifacts import ArtifactError
from pseudodensity.density import flow as flows
from pseudodensity.density.pixel_flow import PixelFlow, from_logits, to_logits
from pseudodensity.images.digits import load
from pseudodensity.rng import normal
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

LAW = MultivariateNormal(torch.tensor([3.0, -1.0]), torch.tensor([[2.0, 0.9], [0.9, 0.7]]))


def small_flow(dimensions: int = 2) -> flows.Flow:
    torch.manual_seed(0)
    return flows.Flow(dimensions, transforms=4, width=32)


def trained(vectors, held_out, **settings):
    flow = small_flow(vectors.shape[1])
    flow.fit_gaussian(vectors)
    report = flows.train(
        flow,
        lambda rows, stream: vectors[rows],
        len(vectors),
        held_out,
        seed=0,
        **settings,
    )
    return flow, report


def test_the_density_of_a_gaussian_is_that_of_the_gaussian():
    vectors = normal(0, "vectors", range(4000), (2,)) @ LAW.scale_tril.T + LAW.mean
    held_out = normal(0, "held out", range(1000), (2,)) @ LAW.scale_tril.T + LAW.mean
    flow, report = trained(vectors, held_out, epochs=4)
    apart = flow.log_density(held_out) - LAW.log_prob(held_out)
    assert apart.abs().mean() < 0.02
    assert report["held_out"][1] == pytest.approx(LAW.log_prob(held_out).mean().item(), abs=0.02)


def curved(name: str, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points about a parabola, and their log-density."""
    noise = normal(0, name, range(count), (2,))
    points = torch.stack([noise[:, 0], noise[:, 0] ** 2 + 0.3 * noise[:, 1]], 1)
    standard = Normal(0.0, 1.0)
    return points, standard.log_prob(noise).sum(1) - math.log(0.3)


def test_couplings_learn_what_no_gaussian_is():
    vectors, _ = curved("vectors", 3000)
    held_out, truth = curved("held out", 500)
    flow, report = trained(vectors, held_out, epochs=25, learning_rate=3e-3)
    before, after = report["held_out"]
    assert before < truth.mean() - 0.7
    assert after == pytest.approx(truth.mean().item(), abs=0.12)
    assert flow.log_density(held_out).mean().item() == pytest.approx(after, abs=1e-5)
    # There and back.
    noise = normal(0, "noise", range(50), (2,))
    points = flow.from_noise(noise)
    whitened = (points - flow.centre) @ flow.axes / flow.spreads
    torch.testing.assert_close(flow.couplings().transform(whitened), noise, rtol=1e-3, atol=1e-4)


def test_a_flow_that_gets_worse_ends_as_its_gaussian():
    vectors = normal(0, "few", range(20), (6,))
    held_out = normal(0, "held out", range(500), (6,))
    flow, report = trained(vectors, held_out, epochs=50, patience=3, learning_rate=1e-2)
    assert (report["epochs"], report["best"]) == (3, 0)
    assert report["held_out"][0] == report["held_out"][1]
    untrained = small_flow(6)
    untrained.fit_gaussian(vectors)
    torch.testing.assert_close(flow.log_density(held_out), untrained.log_density(held_out))


# ------------------------------------------------------------------------------------------ pixels


def test_the_logit_transform_changes_densities_as_its_derivative_says():
    """A normal law of logits, against torch's chain of transforms."""
    pixels = torch.rand(40, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chain = [SigmoidTransform(), AffineTransform(-0.05 / 0.9, 1 / 0.9)]
    base = Normal(torch.tensor(0.3, dtype=torch.float64), torch.tensor(1.7, dtype=torch.float64))
    law = TransformedDistribution(base, chain)
    logits, stretched = to_logits(pixels)
    found = base.log_prob(logits).sum(1) + stretched
    torch.testing.assert_close(found, law.log_prob(pixels).sum(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(from_logits(logits), pixels, rtol=1e-12, atol=0)


def test_bits_are_those_of_the_gaussian_by_hand():
    images = np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 2, 2) * 10
    flow = PixelFlow(small_flow(12), (3, 2, 2), {})
    found = flow.bits_per_dimension(images, seed=5)
    # The noise moves a pixel by less than a level; the density is a standard normal one of its logit.
    ends = []
    for shift in (0.0, 1.0):
        pixels = (torch.from_numpy(images).double().flatten(1) + shift) / 256
        logits, stretched = to_logits(pixels)
        nats = Normal(0.0, 1.0).log_prob(logits).sum(1) + stretched
        ends.append(8 - nats.numpy() / 12 / math.log(2))
    low, high = np.sort(ends, axis=0)
    assert (low - 0.01 < found).all() and (found < high + 0.01).all() and (high - low < 0.2).all()
    assert found.dtype == np.float64
    assert flow.bits_per_dimension(images, seed=5).tolist() == found.tolist()


def test_even_noise_has_eight_bits():
    levels = np.random.default_rng(0).integers(0, 256, (1500, 3, 4, 4), dtype=np.uint8)
    flow = PixelFlow.fit(levels[:1200], levels[1200:], width=16, transforms=2, epochs=3)
    assert 7.99 < flow.bits_per_dimension(levels[1200:]).mean() < 8.1


def test_digits_are_told_from_others_and_a_file_gives_the_same_bits(tmp_path):
    digits, _ = load(8)
    flow = PixelFlow.fit(digits[:600], digits[600:800], width=32, transforms=2, epochs=6)
    before, after = flow.report["held_out"]
    assert flow.report["best"] > 0 and after > before
    held_out, turned = digits[600:800], 255 - digits[600:800]
    bits, far = flow.bits_per_dimension(held_out), flow.bits_per_dimension(turned)
    assert bits.mean() < 7 and (far > bits).mean() > 0.99
    # Far off the couplings change little: it is the Gaussian that says how far.
    gaussian = PixelFlow.fit(digits[:600], held_out, width=32, transforms=2, epochs=0)
    assert far.mean() < 10 * gaussian.bits_per_dimension(turned).mean()
    samples = flow.sample(range(50))
    assert samples.shape == (50, 3, 8, 8) and samples.dtype == np.uint8
    assert flow.bits_per_dimension(samples).mean() == pytest.approx(bits.mean(), abs=1)
    np.testing.assert_array_equal(flow.sample(range(20, 30)), samples[20:30])
    flow.save(tmp_path / "flow.safetensors")
    again = PixelFlow.load(tmp_path / "flow.safetensors")
    assert again.bits_per_dimension(held_out).tolist() == bits.tolist()
    assert again.report == flow.report
    save_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(1)}, {"kind": "other"})
    with pytest.raises(ArtifactError, match="another spec"):
        PixelFlow.load(tmp_path / "other.safetensors")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((5, 3, 4, 4), np.float32),
        np.zeros((1, 3, 4, 4), np.uint8),
        np.zeros((5, 3, 4), np.uint8),
        np.zeros((5, 3, 2, 2), np.uint8),
    ],
)
def test_other_images_are_refused_in_one_line(images):
    flow = PixelFlow(small_flow(48), (3, 4, 4), {})
    with pytest.raises(ValueError, match=r"2 or more uint8 images \(n, 3, 4, 4\)") as error:
        flow.bits_per_dimension(images)
    assert "\n" not in str(error.value)


def test_images_that_are_all_alike_are_refused():
    """Their noise is not: it is the vectors that must differ."""
    with pytest.raises(ValueError, match="all vectors are the same"):
        small_flow().fit_gaussian(torch.ones(10, 2))
    with pytest.raises(ValueError, match="2 or more dimensions, got 1"):
        flows.Flow(1)
