"""The three families of truncation against the laws of their variances."""

import math

import pytest
import torch
from diffusion_example import DIFFUSION
from scipy.stats import kstest, norm, truncnorm
from torch import nn

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.toy import Affine
from pseudodensity.generators.truncation import truncated_images
from pseudodensity.rng import generator

torch.set_num_threads(1)
STYLEGAN2 = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
STYLEGAN3 = STYLEGAN2 | {"num_layers": 4, "margin_size": 4}
SETTINGS = {
    "stylegan2": STYLEGAN2,
    "stylegan3": STYLEGAN3,
    "projectedgan": {"z_dim": 8, "ngf": 4},
    "diffusion": DIFFUSION,
}


def make(kind):
    torch.manual_seed(0)
    network = build_generator(kind, 16, SETTINGS[kind])
    if network.w_space:
        nn.init.normal_(network.mapping.w_avg)
    return network.eval().requires_grad_(False)


def latents(network, count=4, name="latents"):
    return torch.randn(count, *network.latent_shape, generator=generator(0, name))


@pytest.mark.parametrize("kind", SETTINGS)
def test_what_each_architecture_takes(kind):
    first = "style" if kind.startswith("stylegan") else "scale"
    assert list(make(kind).truncation) == [first, "resample"]
    assert list(Affine(torch.eye(2)).truncation) == ["scale", "resample"]


@pytest.mark.parametrize("kind", SETTINGS)
def test_psi_one_changes_nothing_and_others_do(kind):
    network = make(kind)
    z = latents(network)
    plain, family = network(z), network.truncation[0]
    assert torch.allclose(truncated_images(network, z, 1, family), plain, rtol=0, atol=1e-6)
    for psi in (0.5, 1.5):
        images = truncated_images(network, z, psi, family)
        assert (images - plain).abs().max() > 1e-3
    collapsed = truncated_images(network, z, 0, family)
    assert torch.allclose(collapsed, collapsed[:1].expand_as(collapsed), atol=1e-5)
    assert torch.equal(network(z), plain)
    boundless = truncated_images(network, z, math.inf, "resample", generator(1))
    assert torch.equal(boundless, plain)
    assert (truncated_images(network, z, 0.3, "resample", generator(1)) - plain).abs().max() > 1e-3


@pytest.mark.parametrize("psi", [0.3, 1.7])
def test_style_moves_w_along_the_line_through_its_mean(psi):
    network = make("stylegan2")
    z = latents(network)
    w, w_avg = network.mapping(z), network.mapping.w_avg
    expected = network.synthesis(w_avg + psi * (w - w_avg))
    assert torch.allclose(truncated_images(network, z, psi, "style"), expected, atol=1e-5)


@pytest.mark.parametrize("psi", [0.3, 1.7])
def test_style_scales_the_covariance_by_psi_squared(psi):
    """With a linear synthesis the images are those of w."""
    network = make("stylegan2")
    matrix = torch.randn(5, 8, generator=generator(2))

    class Linear(nn.Module):
        def forward(self, w, noise_mode=None):
            return w @ matrix.t()

    network.synthesis = Linear()
    z = latents(network, 200)
    plain = torch.cov(truncated_images(network, z, 1, "style").t())
    cut = truncated_images(network, z, psi, "style")
    assert torch.allclose(torch.cov(cut.t()), psi**2 * plain, rtol=1e-3, atol=1e-4)
    mean = network.mapping(z).mean(0).lerp(network.mapping.w_avg, 1 - psi) @ matrix.t()
    assert torch.allclose(cut.mean(0), mean, atol=1e-4)


@pytest.mark.parametrize("psi", [0.3, 1.7])
def test_scale_scales_the_covariance_by_psi_squared(psi):
    network = Affine(torch.randn(5, 3, generator=generator(3)), torch.ones(5))
    z = latents(network, 200)
    cut = truncated_images(network, z, psi, "scale")
    assert torch.allclose(cut, network(psi * z))
    assert torch.allclose(torch.cov(cut.t()), psi**2 * torch.cov(network(z).t()), rtol=1e-4)


def test_scale_of_a_diffusion_model_is_that_of_its_noise():
    network = make("diffusion")
    z = latents(network)
    assert torch.equal(truncated_images(network, z, 0.7, "scale"), network(0.7 * z))


def test_scale_reaches_a_generator_that_normalises_its_latent():
    """FastGAN undoes every scale of z, so psi acts behind the normalisation."""
    network = make("projectedgan")
    z = latents(network)
    assert torch.allclose(network(0.5 * z), network(z), atol=1e-5)
    unit = z / z.square().mean(1, keepdim=True).sqrt()
    expected = network.synthesis(0.5 * unit)
    assert torch.allclose(truncated_images(network, z, 0.5, "scale"), expected, atol=1e-5)


@pytest.mark.parametrize(("bound", "variance"), [(0.5, 0.0806), (1, 0.2911), (2, 0.7737)])
def test_resampled_coordinates_are_truncated_normal(bound, variance):
    law = 1 - 2 * bound * norm.pdf(bound) / (2 * norm.cdf(bound) - 1)
    assert law == pytest.approx(variance, abs=5e-5)
    network = Affine(torch.eye(4))
    z = latents(network, 20_000)
    cut = truncated_images(network, z, bound, "resample", generator(4))
    assert cut.abs().max() <= bound + 1e-6
    fourth = truncnorm.moment(4, -bound, bound)
    tolerance = 4 * math.sqrt((fourth - law**2) / cut.numel())
    assert cut.square().mean().item() == pytest.approx(law, abs=tolerance)
    assert kstest(cut.flatten(), truncnorm(-bound, bound).cdf).pvalue > 1e-3
    correlation = torch.corrcoef(cut.t()) - torch.eye(4)
    assert correlation.abs().max() < 4 / math.sqrt(20_000)


def test_resampling_keeps_what_lies_inside():
    network = Affine(torch.eye(4))
    z = latents(network, 100)
    cut = truncated_images(network, z, 0.8, "resample", generator(5))
    inside = z.abs() <= 0.8
    assert torch.equal(cut[inside], z[inside])
    assert (cut[~inside] != z[~inside]).all()


def test_resampling_in_batches_is_resampling_at_once():
    network = Affine(torch.eye(4))
    z, stream = latents(network, 30), generator(6)
    parts = [truncated_images(network, part, 0.8, "resample", stream) for part in z.split(7)]
    whole = truncated_images(network, z, 0.8, "resample", generator(6))
    assert torch.equal(torch.cat(parts), whole)


AFFINE = Affine(torch.eye(4))
BAD = [
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), 1, "style"), "scale or resample, not"),
    (lambda: truncated_images(make("stylegan2"), torch.zeros(2, 8), 1, "scale"), "style or re"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), -1, "scale"), "psi must be"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), math.nan, "scale"), "psi must be"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), math.inf, "scale"), "finite"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), 0, "resample", generator(0)), "psi must"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 3), 1, "scale"), r"\(4,\), not \(3,\)"),
    (lambda: truncated_images(AFFINE, torch.zeros(2, 4), 1, "resample"), "a stream"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
