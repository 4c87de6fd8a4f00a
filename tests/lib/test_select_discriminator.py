"""Logits of single images, calibration, and rejection sampling from N(0, 4) to N(0, 1).

In that example log r(x) = log 2 - 3 x^2 / 8, so M = 2 and everything is known.
"""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from torch import nn

from pseudodensity.control.select.discriminator import (
    Calibration,
    consistent_logits,
    drs_log_acceptance,
    paper_drs_log_acceptance,
)
from pseudodensity.control.select.schemes import metropolis, rejection, sir
from pseudodensity.generators import projected
from pseudodensity.generators.stylegan2_discriminator import build_discriminator
from pseudodensity.rng import generator

torch.set_num_threads(1)
LOG_MAX = math.log(2)


def log_ratio_at(x):
    return LOG_MAX - 3 * x**2 / 8


def proposals(count):
    """Quantiles of N(0, 4) in random order: averages over them have almost no noise."""
    levels = (np.arange(count) + 0.5) / count
    order = torch.randperm(count, generator=generator(0, "order"))
    return torch.from_numpy(2 * norm.ppf(levels))[order]


def acceptance_and_std(x, log_acceptance):
    """Accepted share and standard deviation of what is accepted, both as expectations."""
    p = log_acceptance.exp()
    return p.mean().item(), ((p * x**2).sum() / p.sum()).sqrt().item()


def law_of_drs(percentile):
    """The same two numbers by quadrature, from the percentile of |x|."""

    def odds(x):
        return -3 * x**2 / 8 - np.log(-np.expm1(-3 * x**2 / 8))

    # F falls with |x|: its 80th percentile lies where |x| has its 20th.
    gamma = 0 if percentile is None else odds(2 * norm.ppf((2 - percentile / 100) / 2))

    def moment(k):
        integrand = lambda x: x**k * expit(odds(x) - gamma) * norm.pdf(x, scale=2)
        return 2 * quad(integrand, 0, 20, points=(0.1, 0.5, 1, 2, 5))[0]

    return moment(0), math.sqrt(moment(2) / moment(0))


@pytest.mark.parametrize(
    ("percentile", "accepted", "std"), [(None, 0.5, 1.0), (80, 0.244, 0.650), (95, 0.073, 0.341)]
)
def test_drs_by_the_law(percentile, accepted, std):
    assert law_of_drs(percentile) == pytest.approx((accepted, std), abs=2e-3)
    x = proposals(100_000)
    values = drs_log_acceptance(log_ratio_at(x), log_max=LOG_MAX, gamma_percentile=percentile)
    assert values.dtype == torch.float64
    found = acceptance_and_std(x, values)
    # eps moves a score only where r is M to eight digits, the grid a percentile by one step.
    assert found == pytest.approx(law_of_drs(percentile), rel=1e-3)


def test_without_gamma_the_acceptance_is_r_over_m():
    log_ratio = torch.tensor([-50.0, -3.0, -0.1, 0.6], dtype=torch.float64)
    values = drs_log_acceptance(log_ratio, log_max=0.7)
    assert values.numpy() == pytest.approx(log_ratio.numpy() - 0.7, abs=1e-6)


def test_gamma_is_where_one_half_is_accepted_and_scales_all_odds():
    log_ratio = torch.linspace(-5, -0.1, 101, dtype=torch.float64)
    free = drs_log_acceptance(log_ratio, log_max=0.0).exp()
    held = drs_log_acceptance(log_ratio, log_max=0.0, gamma_percentile=80).exp()
    assert held[80].item() == pytest.approx(0.5)
    factor = (held / (1 - held)) / (free / (1 - free))
    assert factor.numpy() == pytest.approx(factor[0].item())
    assert factor[0].item() == pytest.approx(((1 - free[80]) / free[80]).item())


def test_the_maximum_grows_in_the_order_drawn_and_never_looks_ahead():
    log_ratio = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    expected = [-0.5, 0, -1, 0, -3]
    whole = drs_log_acceptance(log_ratio, log_max=0.5)
    assert whole.numpy() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(whole[:3], drs_log_acceptance(log_ratio[:3], log_max=0.5))
    assert drs_log_acceptance(log_ratio, log_max=0.5, gamma_percentile=95).isfinite().all()


def test_the_setting_of_the_main_paper_hardly_rejects():
    x = proposals(100_000)
    logits = log_ratio_at(x)
    paper = paper_drs_log_acceptance(logits, log_max=LOG_MAX)
    # Measured once, and again by another script: the base law has 2, the target 1.
    assert acceptance_and_std(x, paper) == pytest.approx((0.803, 1.748), abs=8e-3)
    assert (paper.exp() > 0.49).double().mean() > 0.8
    # The percentile that was meant, in batches of four as well.
    meant = paper_drs_log_acceptance(logits, log_max=LOG_MAX, percentile=95)
    assert acceptance_and_std(x, meant) == pytest.approx((0.223, 0.974), abs=8e-3)
    # With the constant of the paper, far above all ratios, it is no better.
    accepted, std = acceptance_and_std(x, paper_drs_log_acceptance(logits))
    assert accepted > 0.74 and std > 1.75
    right = drs_log_acceptance(logits, log_max=LOG_MAX)
    assert acceptance_and_std(x, right)[1] == pytest.approx(1, abs=1e-3)


def test_a_logit_above_the_constant_of_the_paper_loses_its_batch():
    logits = torch.tensor([0.0, 1, 30, 2, 0, 1, 2, 3])
    values = paper_drs_log_acceptance(logits)
    assert (values[:4] == -math.inf).all() and values[4:].isfinite().all()


# A discriminator's logit need only rise with the ratio.
DISTORTED = {"logistic": lambda v: 2 * v - 3, "isotonic": lambda v: torch.expm1(v) + v / 9 + 5}


def samples(count, name, scale):
    return scale * torch.randn(count, generator=generator(0, name), dtype=torch.float64)


@pytest.fixture(scope="module", params=DISTORTED)
def calibrated(request):
    """A calibration on 8,000 held-out samples of each kind, and the distortion it undoes."""
    distort = DISTORTED[request.param]
    real, fake = (distort(log_ratio_at(samples(8000, f"fit {s}", s))) for s in (1.0, 2.0))
    return Calibration.fit(real, fake, method=request.param), distort


def test_calibration_finds_the_ratio(calibrated):
    calibration, distort = calibrated
    x = torch.linspace(-2.5, 2.5, 41, dtype=torch.float64)
    found = calibration.log_ratio(distort(log_ratio_at(x)))
    error = (found - log_ratio_at(x)).abs()
    # Two deviations of a share among the few hundred images that one step pools.
    assert error.mean() < 0.06 and error.max() < 0.3
    assert found.dtype == torch.float64
    assert calibration.log_ratio(torch.tensor([-1e6, 1e6])).isfinite().all()


def test_calibrated_z_is_small_and_raw_logits_are_not(calibrated):
    calibration, distort = calibrated
    real, fake = (distort(log_ratio_at(samples(3000, f"test {s}", s))) for s in (1.0, 2.0))
    assert abs(calibration.z_statistic(real, fake)) < 2
    # Other proportions of real and fake need no new calibration.
    assert abs(calibration.z_statistic(real[:700], fake)) < 3
    assert abs(Calibration(lambda logits: logits).z_statistic(real, fake)) > 10


def test_spread_of_z_under_a_perfect_calibration():
    exact = Calibration(lambda logits: logits)
    scores = []
    for i in range(300):
        pair = (log_ratio_at(samples(200, f"z {i} {s}", s)) for s in (1.0, 2.0))
        scores.append(exact.z_statistic(*pair))
    squares = [
        quad(lambda x, s=s: expit(log_ratio_at(x)) ** 2 * norm.pdf(x, scale=s), -20, 20)[0]
        for s in (1, 2)
    ]
    expected = math.sqrt(4 * sum(squares) / 2 - 1)
    # The spread of 300 deviations is known to 1 / sqrt(600), their mean to 1 / sqrt(300).
    assert np.std(scores) == pytest.approx(expected, rel=4 / math.sqrt(600))
    assert np.mean(scores) == pytest.approx(0, abs=4 * expected / math.sqrt(300))


def test_all_three_samplers_reach_the_target_through_a_calibration(calibrated):
    calibration, distort = calibrated
    x = samples(60_000, "pool", 2.0)
    log_ratio = calibration.log_ratio(distort(log_ratio_at(x)))
    burn_in = log_ratio[:10_000].max().item()
    accepted = rejection(drs_log_acceptance(log_ratio, log_max=burn_in), generator(1))
    assert accepted.double().mean().item() == pytest.approx(0.5, abs=0.08)
    assert x[accepted].std().item() == pytest.approx(1, abs=0.04)
    chain_ends = metropolis(log_ratio, 20, generator(2))
    assert x[chain_ends].std().item() == pytest.approx(1, abs=0.08)
    resampled = sir(log_ratio, 20, generator(3))
    assert x[resampled].std().item() == pytest.approx(1, abs=0.08)


def test_an_isotonic_fit_never_falls_and_knows_no_class_sizes():
    real, fake = samples(4000, "real", 1.0), samples(1000, "fake", 1.0) - 1
    grid = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    log_ratio = Calibration.fit(real, fake, method="isotonic").log_ratio(grid)
    assert (log_ratio.diff() >= 0).all()
    # log N(x; 0, 1) / N(x; -1, 1) = x + 1/2, whatever the numbers of images.
    middle = (grid > -1.5) & (grid < 0.5)
    assert (log_ratio - grid - 0.5)[middle].abs().max() < 0.4


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_the_largest_ratio_is_what_the_data_can_support(method):
    """Classes that do not overlap: no ratio without bound."""
    real, fake = torch.arange(100.0) + 1000, torch.arange(100.0)
    log_ratio = Calibration.fit(real, fake, method=method).log_ratio(torch.cat([real, fake]))
    assert log_ratio[:100].min() > 2 and log_ratio[100:].max() < -2
    assert log_ratio.abs().max() < 7


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_discriminator_that_knows_nothing_gives_even_odds(method):
    calibration = Calibration.fit(torch.ones(50), torch.ones(400), method=method)
    log_ratio = calibration.log_ratio(torch.tensor([1.0, 1.0]))
    assert log_ratio.abs().max() < 0.05


def make_discriminator(**settings):
    torch.manual_seed(0)
    network = build_discriminator(16, channel_base=128, channel_max=16, **settings)
    return network.double().eval().requires_grad_(False)


def pictures(count, name):
    return torch.rand(count, 3, 16, 16, generator=generator(0, name), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("group_size", [1, 2, 4])
def test_a_stylegan_logit_depends_on_its_image_alone(group_size):
    network = make_discriminator(group_size=group_size)
    # Contrast differs between images, so the standard deviation of a group tells who is in it.
    images = pictures(7, "images") * torch.linspace(0.05, 1, 7)[:, None, None, None]
    references = pictures(group_size - 1, "references")
    logits = consistent_logits(network, images, references)
    assert logits.shape == (7,)
    alone = torch.cat([consistent_logits(network, image[None], references) for image in images])
    assert torch.allclose(logits, alone, rtol=0, atol=1e-10)
    order = torch.tensor([3, 6, 0, 2])
    shuffled = consistent_logits(network, images[order], references)
    assert torch.allclose(logits[order], shuffled, rtol=0, atol=1e-10)
    by_hand = [network(torch.cat([image[None], references]))[0] for image in images]
    assert torch.allclose(logits, torch.stack(by_hand), rtol=0, atol=1e-10)
    if group_size > 1:
        batched = network(images[:group_size])
        assert (batched - network(images[1 : group_size + 1]).roll(1)).abs().max() > 1e-4
        other = consistent_logits(network, images, pictures(group_size - 1, "others") / 9)
        assert (other - logits).abs().max() > 1e-4


def test_the_gradient_reaches_the_image_and_only_its_own():
    network, references = make_discriminator(), pictures(5, "references")
    images = pictures(3, "gradient").requires_grad_()
    logits = consistent_logits(network, images, references)
    gradient = torch.autograd.grad(logits[1], images)[0]
    assert gradient[1].abs().sum() > 0 and (gradient[[0, 2]] == 0).all()
    # The discriminator is left as it was.
    assert network(images[:2]).shape == (2,)


def halving(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs))


class Pyramid(nn.Module):
    """Two maps of an image: half and a quarter of its side."""

    def __init__(self):
        super().__init__()
        self.fine, self.coarse = halving(3, 4), halving(4, 8)

    def pyramid(self, x):
        fine = self.fine(x)
        return [fine, self.coarse(fine)]


def test_a_projected_logit_is_the_mean_of_its_heads():
    torch.manual_seed(0)
    settings = {"width": 4, "head_end": 4, "input_size": 16}
    network = projected.build_discriminator(16, backbone=Pyramid(), **settings).double()
    network.train()(pictures(8, "statistics"))
    with pytest.raises(ValueError, match="eval"):
        consistent_logits(network, pictures(2, "heads"))
    network.eval()
    images = pictures(5, "heads")
    logits = consistent_logits(network, images)
    every = network(images)
    assert every.shape[1] > 1 and logits.shape == (5,)
    assert torch.allclose(logits, every.mean(1))
    alone = torch.cat([consistent_logits(network, image[None]) for image in images])
    assert torch.allclose(logits, alone, rtol=0, atol=1e-10)


BAD = [
    (lambda: consistent_logits(make_discriminator(), pictures(2, "x"), pictures(2, "y")), "3 ref"),
    (lambda: consistent_logits(make_discriminator(), pictures(2, "x")), "3 references, got 0"),
    (lambda: consistent_logits(make_discriminator().train(), pictures(2, "x")), "eval"),
    (lambda: Calibration.fit(torch.zeros(9), torch.zeros(10)), "10 of each"),
    (lambda: Calibration.fit(torch.zeros(10, 2), torch.zeros(10)), "real logits must be"),
    (lambda: Calibration.fit(torch.zeros(10), torch.full((10,), math.nan)), "fake logits hold"),
    (lambda: Calibration.fit(torch.zeros(10), torch.zeros(10), method="spline"), "'spline'"),
    (lambda: drs_log_acceptance(torch.zeros(3), log_max=0, gamma_percentile=0.95), "write 95"),
    (lambda: drs_log_acceptance(torch.zeros(3), log_max=0, gamma_percentile=101), "0..100"),
    (lambda: drs_log_acceptance(torch.zeros(3), log_max=math.inf), "log_max"),
    (lambda: drs_log_acceptance(torch.full((3,), math.inf), log_max=0), "log ratios hold"),
    (lambda: paper_drs_log_acceptance(torch.zeros(6)), "6 logits do not divide"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
