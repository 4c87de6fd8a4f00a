"""Polarity sampling against its closed forms on generators whose Jacobian is known."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, kstest
from spectra import column_of_volumes

from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.select.polarity import (
    DEFAULTS,
    choose,
    column_settings,
    label,
    polarity_log_weights,
    polarity_log_weights_by_class,
)
from pseudodensity.control.select.schemes import effective_sample_size, resample
from pseudodensity.generators.toy import Affine, GaussianGrid, TwoPieces
from pseudodensity.report.statistics import t_interval
from pseudodensity.rng import generator, numpy_generator

MASS = {-2: 0.9, -1: 0.75, 0: 0.5, 0.5: 0.366, 1: 0.25, 2: 0.1}  # of the left part, slope 1
N = 20_000


def log_volumes(network, latents):
    """Half the log determinant of J^T J, by automatic differentiation."""
    jacobians = torch.func.vmap(torch.func.jacrev(lambda z: network(z[None])[0]))(latents)
    return 0.5 * torch.logdet(jacobians.mT @ jacobians)


def pool(count=N, name="pool"):
    """Latents of the two-piece map with exactly half of them on each side, and log volumes."""
    half = torch.randn(count // 2, 1, generator=generator(0, name), dtype=torch.float64).abs()
    latents = torch.cat([half, -half])[torch.randperm(count, generator=generator(1, name))]
    return latents, log_volumes(TwoPieces(1, 3), latents)


@pytest.mark.parametrize("polarity", MASS)
def test_mass_of_the_two_pieces(polarity):
    latents, volumes = pool()
    log_weights = polarity_log_weights(volumes, polarity)
    expected = 1 / (1 + 3.0**polarity)
    assert expected == pytest.approx(MASS[polarity], abs=5e-4)
    assert log_weights.dtype == torch.float64
    left = (latents < 0)[:, 0]
    assert log_weights[left].exp().sum().item() == pytest.approx(expected, abs=1e-9)
    assert log_weights.logsumexp(0).item() == pytest.approx(0, abs=1e-9)
    drawn = resample(log_weights, 10_000, generator(2, polarity), replacement=True)
    sigma = math.sqrt(expected * (1 - expected) / 10_000)
    assert left[drawn].double().mean().item() == pytest.approx(expected, abs=4 * sigma)


def two_classes(count=2000):
    """Log volumes, labels and sides of a pool whose second class has three quarters of the latents and
    volumes a thousand times as large; in each class half the latents have slope 1, half slope 3."""
    sides = torch.arange(count) % 2
    labels = (torch.arange(count) >= count // 4).long()
    volumes = sides.double() * math.log(3.0) + labels.double() * math.log(1000.0)
    order = torch.randperm(count, generator=generator(1, "classes"))
    return volumes[order], labels[order], sides[order]


@pytest.mark.parametrize("polarity", MASS)
def test_mass_of_two_regions_within_each_class(polarity):
    volumes, labels, sides = two_classes()
    weights = polarity_log_weights_by_class(volumes, labels, polarity).exp()
    for number, share in ((0, 0.25), (1, 0.75)):
        own = labels == number
        assert weights[own].sum().item() == pytest.approx(share, abs=1e-12)
        left = weights[own & (sides == 0)].sum().item() / share
        assert left == pytest.approx(1 / (1 + 3.0**polarity), abs=1e-9)
    # Over all classes the law is another one.
    if polarity:
        moved = polarity_log_weights(volumes, polarity)[labels == 1].exp().sum().item()
        assert abs(moved - 0.75) > 0.1


def test_one_class_is_all_of_them():
    volumes = torch.randn(50, dtype=torch.float64)
    whole = polarity_log_weights(volumes, 0.7)
    one = polarity_log_weights_by_class(volumes, torch.full((50,), 4), 0.7)
    assert torch.equal(one, whole)


def test_the_method_draws_within_classes_where_a_pool_has_them():
    volumes, labels, _ = two_classes()
    columns = {"density": Column(np.zeros(len(volumes), np.float32))}
    columns |= {
        "singular_values": column_of_volumes(volumes.numpy()),
        "label": Column(labels.double().numpy()),
    }
    point = DEFAULTS | {"polarity": 1.0, "replacement": True, "volumes": len(volumes)}
    shares = {}
    for by_class in (True, False):
        asked = point | ({"by_class": True} if by_class else {})
        (rows,) = choose(Pool(columns, 0), asked, 4000, 1).rows
        shares[by_class] = labels[rows].double().mean().item()
    assert shares[True] == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 4000))
    assert shares[False] > 0.99


@pytest.mark.parametrize("polarity", [-1, 1, 2])
@pytest.mark.parametrize("share", [0.02, 0.5])
def test_without_replacement_the_pool_runs_dry_as_the_urn_law_says(polarity, share):
    """Each side decays as exp(-w t) until the wanted number is out (law of large numbers)."""
    latents, volumes = pool()
    count = int(share * N)
    drawn = resample(
        polarity_log_weights(volumes, polarity), count, generator(3, polarity), replacement=False
    )
    assert len(drawn.unique()) == count
    w, low, high = 3.0**polarity, 0.0, 100.0
    for _ in range(100):
        t = (low + high) / 2
        out = N / 2 * ((1 - math.exp(-t)) + (1 - math.exp(-w * t)))
        low, high = (t, high) if out < count else (low, t)
    expected = N / 2 * (1 - math.exp(-t))
    found = (latents[drawn] < 0).sum().item()
    # The urn's spread is below that of independent draws.
    assert found == pytest.approx(expected, abs=4 * math.sqrt(count * 0.25))
    if share == 0.5:
        assert abs(found / count - 0.5) < abs(1 / (1 + w) - 0.5) - 0.02


def test_polarity_one_is_uniform_on_the_manifold():
    """Latents uniform in -1 .. 1: the arc runs from -1 to 3."""
    latents = 2 * torch.rand(N, 1, generator=generator(4), dtype=torch.float64) - 1
    network = TwoPieces(1, 3)
    for polarity, uniform in ((1, True), (0, False)):
        log_weights = polarity_log_weights(log_volumes(network, latents), polarity)
        chosen = latents[resample(log_weights, 1000, generator(5), replacement=True)]
        arc = network(chosen).norm(dim=1) * chosen[:, 0].sign()
        pvalue = kstest((arc + 1) / 4, "uniform").pvalue
        assert (pvalue > 1e-3) == uniform


@pytest.mark.parametrize("corrected", [True, False])
def test_a_gaussian_prior_divided_out_leaves_the_manifold_uniform(corrected):
    """Latents normal within -1 .. 1: the arc is uniform only without their prior."""
    latents = torch.randn(5 * N, 1, generator=generator(6), dtype=torch.float64)
    latents = latents[latents[:, 0].abs() < 1]
    network, prior = TwoPieces(1, 3), -0.5 * latents[:, 0] ** 2
    log_weights = polarity_log_weights(
        log_volumes(network, latents), 1.0, prior if corrected else None
    )
    chosen = latents[resample(log_weights, 3000, generator(7), replacement=True)]
    arc = network(chosen).norm(dim=1) * chosen[:, 0].sign()
    pvalue = kstest((arc + 1) / 4, "uniform").pvalue
    assert (pvalue > 1e-3) == corrected


@pytest.mark.parametrize("prior", [torch.zeros(3), torch.tensor([0.0, math.nan])])
def test_a_prior_that_does_not_fit_is_refused(prior):
    with pytest.raises(ValueError, match="log priors must be finite, one for each of 2"):
        polarity_log_weights(torch.zeros(2), 1.0, prior)


def test_a_uniform_prior_fills_the_range_of_the_latents():
    """Latents N(0, 1) cut at 2: without their own prior, at polarity 0, what is drawn is uniform there."""
    latents = numpy_generator(0, "latents").standard_normal(60_000)
    latents = latents[np.abs(latents) < 2]
    columns = {
        "singular_values": column_of_volumes(np.zeros(len(latents))),
        "log_prior": Column(-(latents**2) / 2),
    }
    point = DEFAULTS | {"polarity": 0.0, "replacement": True, "volumes": len(latents)}
    asked = {"top": 1, "prior": "uniform"}
    (rows,) = choose(Pool(columns, 1), point | asked, 2000, 1).rows
    assert kstest(latents[rows], "uniform", (-2, 4)).pvalue > 0.01
    (plain,) = choose(Pool(columns, 1), point | asked | {"prior": "model"}, 2000, 1).rows
    assert kstest(latents[plain], "uniform", (-2, 4)).pvalue < 1e-6
    assert column_settings(point | asked)["log_prior"] == {}
    assert "log_prior" not in column_settings(point | asked | {"prior": "model"})
    assert label(point | asked).endswith("uniform prior")


# ------------------------------------------------------------------ intervals over repeats

VOLUMES, REPEATS, TRIALS = 150, 4, 300


def share_covered(shared: bool) -> float:
    """Share of nominal 95 % intervals of the mean log-volume that cover what it is.

    Log-volumes are N(0, 1/4); in proportion to volume^rho they are N(rho / 4, 1/4).
    """
    polarity, covered = 0.8, 0
    point = DEFAULTS | {"polarity": polarity, "replacement": True, "volumes": VOLUMES}
    for trial in range(TRIALS):
        draw = numpy_generator(trial, "log-volumes")
        values = 0.5 * draw.standard_normal(VOLUMES if shared else VOLUMES * REPEATS)
        pools = [Pool({"singular_values": column_of_volumes(values)}, 1000 * trial)]
        if shared:  # all repeats resample the same volumes
            pools = [
                Pool({"singular_values": column_of_volumes(values)}, 1000 * trial + r)
                for r in range(REPEATS)
            ]
        rows = [r for p in pools for r in choose(p, point, VOLUMES, REPEATS).rows]
        assert len(rows) == REPEATS
        _, low, high = t_interval([values[r].mean() for r in rows])
        covered += low <= polarity / 4 <= high
    return covered / TRIALS


def test_an_interval_over_repeats_covers_what_it_says():
    assert 0.88 <= share_covered(shared=False) <= 0.99


def test_an_interval_over_repeats_that_share_volumes_is_too_narrow():
    """Repeats on the same volumes differ by their resampling alone: three of four cover."""
    assert share_covered(shared=True) < 0.85


def test_no_two_repeats_have_a_volume_in_common():
    volumes = numpy_generator(0, "volumes").standard_normal(1000)
    point = DEFAULTS | {"polarity": 0.3, "replacement": True, "volumes": 300}
    choice = choose(Pool({"singular_values": column_of_volumes(volumes)}, 0), point, 100, 5)
    assert len(choice.rows) == 3 and choice.used == 900  # three repeats have volumes of their own
    for repeat, rows in enumerate(choice.rows):
        assert set(rows // 300) == {repeat}
    # Effective sample size of weights e^(rho v), v normal: exp(-rho^2) of them.
    assert choice.ess == pytest.approx(300 * np.exp(-(0.3**2)), rel=0.05)


@pytest.mark.parametrize("polarity", [-5, 0.3, 5])
def test_an_affine_map_has_no_modes(polarity):
    matrix = torch.randn(4, 2, generator=generator(6), dtype=torch.float64)
    latents = torch.randn(200, 2, generator=generator(7), dtype=torch.float64)
    volumes = log_volumes(Affine(matrix), latents)
    assert volumes.numpy() == pytest.approx(0.5 * torch.logdet(matrix.T @ matrix).item())
    log_weights = polarity_log_weights(volumes, polarity)
    assert log_weights.exp().numpy() == pytest.approx(1 / 200)
    drawn = resample(log_weights, 20_000, generator(8), replacement=True)
    assert chisquare(torch.bincount(drawn, minlength=200)).pvalue > 1e-3
    assert effective_sample_size(log_weights) == pytest.approx(200)


@pytest.mark.parametrize("polarity", [-5, 5])
def test_a_spread_of_ten_thousand_stays_finite(polarity):
    volumes = torch.linspace(-5e3, 5e3, 1001)
    log_weights = polarity_log_weights(volumes, polarity)
    assert log_weights.isfinite().all()
    best = 1000 if polarity > 0 else 0
    assert log_weights.argmax() == best
    assert effective_sample_size(log_weights) == pytest.approx(1)
    with_replacement = resample(log_weights, 50, generator(9), replacement=True)
    assert (with_replacement == best).all()
    without = resample(log_weights, 50, generator(9), replacement=False)
    # Steps of 50 in the log-weight leave one order only.
    assert torch.equal((without - best).abs(), torch.arange(50))


def test_the_effective_sample_size_of_the_two_pieces():
    _, volumes = pool()
    # (1 + w)^2 / (2 (1 + w^2)) of the pool, at w = 9 for polarity 2.
    expected = N * 100 / (2 * 82)
    assert effective_sample_size(polarity_log_weights(volumes, 2)) == pytest.approx(expected)


def test_a_flat_latent_is_never_drawn_and_cannot_be_preferred():
    volumes = torch.tensor([0.0, -math.inf, 1.0])
    assert polarity_log_weights(volumes, 1)[1] == -math.inf
    assert polarity_log_weights(volumes, 0).exp().numpy() == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="zero volume has infinite weight"):
        polarity_log_weights(volumes, -1)
    with pytest.raises(ValueError, match="constant"):
        polarity_log_weights(volumes[1:2], 1)


@pytest.mark.parametrize(
    ("volumes", "polarity", "message"),
    [
        (torch.tensor([math.nan]), 1, "NaN"),
        (torch.tensor([math.inf]), 1, "inf"),
        (torch.zeros(2, 2), 1, r"\(2, 2\)"),
        (torch.zeros(0), 1, "N > 0"),
        (torch.zeros(2), math.inf, "finite"),
    ],
)
def test_bad_input_is_one_clear_line(volumes, polarity, message):
    with pytest.raises(ValueError, match=message):
        polarity_log_weights(volumes, polarity)


def test_the_grid_is_the_mixture_that_it_claims_to_be():
    network = GaussianGrid()
    z = torch.randn(N, 2, generator=generator(10))
    x = network(z).double()
    nearest = (x / network.spacing).round()
    cells = (nearest + 2) @ torch.tensor([5.0, 1.0], dtype=torch.float64)
    assert chisquare(torch.bincount(cells.long(), minlength=25)).pvalue > 1e-3
    deviations = (x - nearest * network.spacing) / network.deviation
    assert kstest(deviations.flatten(), "norm").pvalue > 1e-3
    assert network(torch.tensor([[40.0, -40.0]])).isfinite().all()


def test_toy_generators_are_generators():
    for network in (Affine(torch.eye(3, 2)), TwoPieces(), GaussianGrid()):
        z = torch.randn(5, *network.latent_shape, generator=generator(11), requires_grad=True)
        x = network(z)
        assert x.dtype == z.dtype and len(x) == 5 and not network.couples_batch
        assert torch.autograd.grad(x.sum(), z)[0].isfinite().all()
    with pytest.raises(ValueError, match="matrix"):
        Affine(torch.zeros(3))
    with pytest.raises(ValueError, match="offset"):
        Affine(torch.eye(3, 2), torch.zeros(2))
