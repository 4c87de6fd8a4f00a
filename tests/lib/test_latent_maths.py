"""Acceptance of latents by weight, and ascent on the weight: laws and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from pseudodensity.control.move.latent_ascent import ascend, ascent_path, project
from pseudodensity.control.select.latent import (
    expected_latent_acceptance,
    latent_log_acceptance,
    share_above,
)
from pseudodensity.control.select.schemes import rejection
from pseudodensity.rng import generator as stream_of

torch.set_num_threads(1)


# ---------------------------------------------------------------------------------- acceptance


def test_accepted_latents_have_the_law_of_their_weights():
    """z uniform and w(z) = 2 z: the accepted ones have the density 2 z, in ten bins."""
    z = torch.rand(200_000, generator=stream_of(0), dtype=torch.float64)
    accepted = z[rejection(latent_log_acceptance(2 * z, 2.0), stream_of(1))]
    counts = torch.histc(accepted, 10, 0, 1).numpy()
    edges = np.linspace(0, 1, 11) ** 2
    expected = np.diff(edges) * len(accepted)
    assert chisquare(counts, expected).pvalue > 0.01
    assert len(accepted) / len(z) == pytest.approx(0.5, abs=0.005)
    # The same test tells a sampler apart that accepts by the root of the weight.
    wrong = z[rejection(latent_log_acceptance(2 * z, 2.0) / 2, stream_of(1))]
    counts = torch.histc(wrong, 10, 0, 1).numpy()
    assert chisquare(counts, np.diff(edges) * len(wrong)).pvalue < 1e-6


def test_weights_above_m_are_cut():
    weights = np.array([0.0, 1.0, 2.0, 4.0])
    logs = latent_log_acceptance(weights, 2.0)
    assert logs.tolist() == [-math.inf, pytest.approx(math.log(0.5)), 0.0, 0.0]
    assert expected_latent_acceptance(weights, 2.0) == pytest.approx(2.5 / 4)
    assert share_above(weights, 2.0) == 0.25
    found = latent_log_acceptance(torch.tensor(weights), 2.0)
    assert found.dtype == torch.float64 and found.tolist() == logs.tolist()
    assert share_above(torch.tensor(weights), 2.0) == 0.25


@pytest.mark.parametrize(
    ("weights", "m", "message"),
    [
        ([1.0], 0.0, "m must be positive and finite, got 0"),
        ([1.0], math.nan, "m must be positive"),
        ([-1.0], 1.0, "weights must be finite and not negative"),
        ([math.nan], 1.0, "weights must be finite"),
        ([math.inf], 1.0, "weights must be finite"),
    ],
)
def test_weights_that_are_none(weights, m, message):
    for given in (np.array(weights), torch.tensor(weights)):
        with pytest.raises(ValueError, match=message):
            latent_log_acceptance(given, m)


# ---------------------------------------------------------------------------------- ascent


def normal(count, dimensions, name="z"):
    shape = (count, dimensions)
    return torch.randn(shape, generator=stream_of(0, name), dtype=torch.float64)


def test_the_projected_gradient_is_orthogonal_to_the_latent():
    z, gradient = normal(50, 128), normal(50, 128, "g")
    assert (project(gradient, z, "exact") * z).sum(1).abs().max() < 1e-6
    # What the paper prints multiplies the radial part by 1 - |z|^2 / sqrt(d) instead.
    radial = (project(gradient, z, "paper") * z).sum(1) / (gradient * z).sum(1)
    expected = 1 - z.square().sum(1) / math.sqrt(128)
    assert torch.allclose(radial, expected) and -11.5 < radial.mean() < -9


def test_an_exact_ascent_stays_on_its_sphere_and_climbs():
    z, direction = normal(20, 64), normal(1, 64, "c").squeeze(0)
    path = ascent_path(lambda x: x @ direction, z, steps=10, step_size=0.05, projection="exact")
    assert path.shape == (11, 20, 64) and torch.equal(path[0], z)
    assert torch.allclose(path.norm(dim=2), z.norm(dim=1).expand(11, 20))
    assert ((path @ direction).diff(dim=0) > 0).all()


def test_a_free_ascent_on_a_linear_weight_is_a_straight_line():
    z, direction = normal(20, 2), torch.tensor([3.0, -1.0], dtype=torch.float64)
    found = ascend(lambda x: x @ direction, z, steps=10, step_size=0.05, projection="none")
    assert torch.allclose(found, z + 0.5 * direction)
    assert torch.equal(
        ascend(lambda x: x @ direction, z, steps=0, step_size=0.05, projection="none"), z
    )


def test_each_latent_climbs_alone_in_any_shape():
    z = normal(6, 64).view(6, 4, 16)
    parts = [
        ascend(
            lambda x: x.flatten(1).sin().sum(1), part, steps=3, step_size=0.1, projection="exact"
        )
        for part in (z, z[:2], z[2:])
    ]
    assert parts[0].shape == z.shape and torch.allclose(parts[0], torch.cat(parts[1:]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"projection": "sphere"}, "projection 'sphere' unknown: use one of exact, paper, none"),
        ({"projection": "exact"}, "a normal prior of 2 dimensions is no sphere"),
        ({"projection": "paper"}, "use projection='none'"),
        ({"steps": -1}, "steps and step_size must be finite and not negative"),
        ({"step_size": math.inf}, "steps and step_size must be finite"),
    ],
)
def test_an_ascent_that_cannot_be(changes, message):
    settings = {"steps": 1, "step_size": 0.1, "projection": "none", **changes}
    with pytest.raises(ValueError, match=message):
        ascend(lambda x: x.sum(1), normal(3, 2), **settings)
