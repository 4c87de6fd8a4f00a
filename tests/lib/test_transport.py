"""Discriminator optimal transport against closed forms and an independent computation."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

from pseudodensity.control.move.transport import (
    largest_slope,
    lipschitz_estimate,
    paper_transport_latents,
    transport_images,
    transport_latents,
)
from pseudodensity.rng import generator, normal

torch.set_num_threads(1)


class Identity(nn.Module):
    couples_batch = False

    def __init__(self, *latent_shape):
        super().__init__()
        self.latent_shape = latent_shape
        self.eval()

    def forward(self, z):
        return z


def bowl(centre, curvature):
    """D(x) = -(curvature / 2) |x - centre|^2."""
    return lambda x: -curvature / 2 * (x - centre).flatten(1).square().sum(1)


# ---------------------------------------------------------------- the minimum


@pytest.mark.parametrize("curvature, constant", [(1.0, 0.5), (2.0, 0.3), (0.5, 1.2)])
def test_far_from_the_mode_it_ends_at_the_closed_form(curvature, constant):
    """x* = m + (K / lambda) (y - m) / |y - m| where |y - m| > K / lambda."""
    m = torch.tensor([0.2, -0.1], dtype=torch.float64)
    y = m + torch.tensor([[3.0, 4.0], [-5.0, 1.0], [0.0, 2.6]], dtype=torch.float64)
    reached = transport_latents(
        Identity(2),
        bowl(m, curvature),
        y,
        lipschitz=constant,
        steps=3000,
        step_size=0.05,
        prior="none",
    )
    away = (y - m) / (y - m).norm(dim=1, keepdim=True)
    torch.testing.assert_close(reached, m + constant / curvature * away, rtol=0, atol=1e-9)


def test_the_textbook_case():
    y = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    settings = {"lipschitz": 0.5, "steps": 2000, "step_size": 0.05, "prior": "none"}
    reached = transport_latents(Identity(2), bowl(torch.zeros(2), 1.0), y, **settings)
    torch.testing.assert_close(reached, y * 0.1, rtol=0, atol=1e-9)


def test_near_the_mode_it_stays_within_a_step():
    """x* = y where |y - m| <= K / lambda; plain descent rattles about it by at most two steps."""
    y = torch.tensor([[0.3, 0.0], [0.1, -0.2]], dtype=torch.float64)
    for step in (1e-2, 1e-3):
        reached = transport_latents(
            Identity(2),
            bowl(torch.zeros(2), 1.0),
            y,
            lipschitz=0.5,
            steps=500,
            step_size=step,
            prior="none",
        )
        assert (reached - y).norm(dim=1).max() <= 2 * step


def test_one_step_is_a_step_up_the_discriminator():
    """The distance has no slope at its start, in no direction."""
    y, c = normal(0, "y", range(4), (7,)).double(), normal(0, "c", [0], (7,))[0].double()
    settings = {"lipschitz": 2.0, "steps": 1, "step_size": 0.1, "prior": "none"}
    reached = transport_latents(Identity(7), lambda x: x @ c, y, **settings)
    torch.testing.assert_close(reached, y + 0.05 * c)


def test_on_the_sphere_it_ends_where_the_slopes_meet():
    """Two circles of one problem: angle a moved from y towards c solves an equation in one unknown.

    |z - y| = 2 R sin(a / 2) and c.z = |c| R cos(phi - a), so at the minimum
    cos(a / 2) = (|c| / K) sin(phi - a).
    """
    d, constant = 40, 0.7
    c = 2 * nn.functional.normalize(normal(0, "c", [0], (d,)).double(), dim=1)[0]
    z = normal(0, "z", range(6), (d,)).double()
    settings = {"lipschitz": constant, "steps": 4000, "step_size": 0.02}
    reached = transport_latents(Identity(d), lambda x: x @ c, z, **settings)
    radius = z.norm(dim=1)
    torch.testing.assert_close(reached.norm(dim=1), radius)
    for start, end in zip(z.numpy(), reached.numpy(), strict=True):
        phi = math.acos(start @ c.numpy() / np.linalg.norm(start) / 2)
        moved = math.acos(start @ end / np.linalg.norm(start) / np.linalg.norm(end))
        balance = lambda a: math.cos(a / 2) - 2 / constant * math.sin(phi - a)  # noqa: B023
        assert moved == pytest.approx(brentq(balance, 0, phi), abs=1e-6)


def test_each_step_is_tangent_to_the_sphere():
    d = 64
    z = normal(0, "z", range(5), (d,)).double()
    steep = {"lipschitz": 1.0, "steps": 1, "step_size": 1e-7}
    moved = transport_latents(Identity(d), lambda x: (x**3).sum(1), z, **steep) - z
    cosine = (moved * z).sum(1) / moved.norm(dim=1) / z.norm(dim=1)
    assert cosine.abs().max() < 1e-6
    # Tangent part of 3 z^2, as linear algebra has it: g - (g.z) z / |z|^2.
    gradient = 3 * z.square()
    share = (gradient * z).sum(1, keepdim=True) / z.square().sum(1, keepdim=True)
    torch.testing.assert_close(moved, 1e-7 * (gradient - share * z), rtol=1e-5, atol=1e-13)


def test_uniform_priors_and_images_are_clipped():
    c = torch.ones(4)
    z = torch.tensor([[0.9, -0.9, 0.0, 0.5]])
    settings = {"lipschitz": 0.1, "steps": 30, "step_size": 0.05}
    reached = transport_latents(Identity(4), lambda x: x @ c, z, **settings, prior="uniform")
    torch.testing.assert_close(reached, torch.ones_like(z))
    images = normal(0, "images", range(3), (3, 4, 4)).clamp(-1, 1)
    pushed = transport_images(lambda x: x.flatten(1).sum(1), images, **settings)
    torch.testing.assert_close(pushed, torch.ones_like(images))


def test_images_move_as_the_closed_form_says():
    """Per sample, over all pixels at once: the same formula in 48 dimensions."""
    images = normal(0, "images", range(5), (3, 4, 4)).double() / 4
    m = torch.full((3, 4, 4), 0.1, dtype=torch.float64)
    reached = transport_images(bowl(m, 1.0), images, lipschitz=0.4, steps=2000, step_size=0.05)
    offset = images - m
    length = offset.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    assert (length > 0.4).all()
    torch.testing.assert_close(reached, m + 0.4 * offset / length, rtol=0, atol=1e-9)


def test_a_sample_does_not_depend_on_its_batch():
    z = normal(0, "z", range(4), (32,)).double()
    critic = lambda x: torch.sin(x).sum(1)
    settings = {"lipschitz": 0.5, "steps": 10, "step_size": 0.05}
    together = transport_latents(Identity(32), critic, z, **settings)
    alone = torch.cat([transport_latents(Identity(32), critic, row[None], **settings) for row in z])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-13)


# ---------------------------------------------------------------- the constant


def test_estimate_on_a_linear_critic():
    """|c| times the largest |cos| of a pair, whatever the pairs; never above |c|."""
    d = 100
    c = normal(0, "c", [0], (d,))[0].double()
    points = normal(0, "points", range(300), (d,)).double()
    estimate = lipschitz_estimate(lambda x: x @ c, points, generator(0, "pairs"))
    difference = points[:, None] - points
    cosine = (difference @ c).abs() / difference.norm(dim=2).clamp(min=1e-12) / c.norm()
    assert estimate <= cosine.max().item() * c.norm() * (1 + 1e-12)
    # Of 100 pairs the largest |cos| lies between the 0.1 % and the 99.9 % point of that maximum.
    ordered = cosine[~torch.eye(300, dtype=torch.bool)].sort().values
    low, high = (ordered[int(p ** (1 / 100) * len(ordered))] for p in (0.001, 0.999))
    assert low <= estimate / c.norm() <= high
    assert largest_slope(lambda x: x @ c, points) == pytest.approx(c.norm().item(), rel=1e-12)
    assert estimate < 0.5 * c.norm()  # why the estimate over-transports


def test_one_pair_is_its_own_slope():
    points = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    critic = lambda x: 10 * x[:, 0]
    assert lipschitz_estimate(critic, points, generator(0)) == pytest.approx(6.0)


def test_copies_of_a_point_do_not_spoil_the_estimate():
    points = torch.cat([torch.zeros(50, 2), torch.tensor([[3.0, 4.0]])])
    estimate = lipschitz_estimate(lambda x: 10 * x[:, 0], points, generator(0))
    assert estimate == pytest.approx(6.0)
    with pytest.raises(ValueError, match="coincide"):
        lipschitz_estimate(lambda x: x[:, 0], torch.zeros(9, 2), generator(0))


# ---------------------------------------------------------------- the main paper's own setting


def paper_by_hand(z, slope):
    """Its ten steps of Adam in NumPy, for D(G(z)) = slope . z."""
    start, second = z.copy(), np.zeros_like(z)
    for step in range(1, 11):
        shifted = z - start + 0.001
        gradient = shifted / np.linalg.norm(shifted) - slope / (0.086 * len(z))
        second = 0.9 * second + 0.1 * gradient**2
        z = z - 0.01 * gradient / (np.sqrt(second / (1 - 0.9**step)) + 1e-8)
    return z


def test_the_papers_setting_is_as_its_code_has_it():
    slope = normal(0, "slope", [0], (6,))[0].double() / 5
    z = normal(0, "z", range(4), (6,)).double()
    reached = paper_transport_latents(Identity(6), lambda x: x @ slope, z)
    torch.testing.assert_close(reached, torch.from_numpy(paper_by_hand(z.numpy(), slope.numpy())))


def test_the_papers_setting_depends_on_the_batch():
    """The fault that the per-sample norm mends: one norm is shared by all."""
    slope = normal(0, "slope", [0], (6,))[0].double() / 50
    z = normal(0, "z", range(4), (6,)).double()
    together = paper_transport_latents(Identity(6), lambda x: x @ slope, z)
    alone = paper_transport_latents(Identity(6), lambda x: x @ slope, z[:1])
    assert (together[:1] - alone).abs().max() > 1e-3


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"lipschitz": 0.0}, "must be positive"),
        ({"lipschitz": math.inf}, "must be positive and finite"),
        ({"steps": -1}, "not negative"),
        ({"step_size": math.nan}, "not negative"),
        ({"prior": "gaussian"}, "prior 'gaussian' unknown"),
        ({"prior": "normal"}, "no sphere"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    settings = {"lipschitz": 1.0, "steps": 3, "step_size": 0.1, "prior": "none"} | changes
    with pytest.raises(ValueError, match=message):
        transport_latents(Identity(2), lambda x: x.sum(1), torch.zeros(3, 2), **settings)


def test_unfit_latents_and_critics_are_refused():
    settings = {"lipschitz": 1.0, "steps": 3, "step_size": 0.1, "prior": "none"}
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        transport_latents(Identity(2), lambda x: x.sum(1), torch.zeros(3, 3), **settings)
    with pytest.raises(ValueError, match="one number per sample"):
        transport_latents(Identity(2), lambda x: x, torch.zeros(3, 2), **settings)
    with pytest.raises(ValueError, match="2 points"):
        lipschitz_estimate(lambda x: x.sum(1), torch.zeros(1, 2), generator(0))
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        paper_transport_latents(Identity(2), lambda x: x.sum(1), torch.zeros(3, 3))
