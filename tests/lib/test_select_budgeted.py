"""Budgeted rejection against exact laws, and against the shifted odds of DRS."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from pseudodensity.control.select import budgeted
from pseudodensity.control.select.budgeted import budgeted_log_acceptance
from pseudodensity.control.select.discriminator import drs_log_acceptance
from pseudodensity.control.select.schemes import rejection
from pseudodensity.rng import generator, numpy_generator

torch.set_num_threads(1)

# Three atoms, proposed with 1/3 each: the weights have the mean 1, so the target is r / 3.
WEIGHTS = np.array([2.0, 0.8, 0.2])
TARGET = WEIGHTS / 3


def law(acceptances: np.ndarray) -> np.ndarray:
    return acceptances / acceptances.sum()


def divergence(law: np.ndarray) -> float:
    """KL divergence of the target from a law."""
    return float((TARGET * np.log(TARGET / law)).sum())


def budgeted_acceptances(acceptance: float) -> np.ndarray:
    log_weights = torch.from_numpy(np.log(WEIGHTS))
    return budgeted_log_acceptance(log_weights, acceptance).exp().numpy()


def shifted_drs_acceptances(acceptance: float) -> np.ndarray:
    """DRS with its scores shifted to the wanted acceptance, a shift of any size."""
    log_ratio = torch.from_numpy(np.log(WEIGHTS))
    log_odds = drs_log_acceptance(log_ratio, log_max=math.log(2), eps=1e-12)
    odds = torch.logit(log_odds.exp(), eps=1e-12)
    shifted = lambda gamma: torch.sigmoid(odds - gamma).numpy()
    gamma = brentq(lambda gamma: shifted(gamma).mean() - acceptance, -20, 20, xtol=1e-12)
    return shifted(gamma)


@pytest.mark.parametrize(
    ("acceptance", "c", "accepted", "kl", "kl_of_drs"),
    [
        (0.5, 1.0, [0.6667, 0.2667, 0.0667], 0.0, 0.0),
        (0.7, 2.2, [0.4762, 0.4190, 0.1048], 0.0737, 0.0841),
        (0.8, 4.0, [5 / 12, 5 / 12, 1 / 6], 0.1332, 0.1515),
        (0.9, 7.0, [10 / 27, 10 / 27, 7 / 27], 0.2137, 0.2232),
    ],
)
def test_three_atoms_by_hand(acceptance, c, accepted, kl, kl_of_drs):
    found = budgeted_acceptances(acceptance)
    np.testing.assert_allclose(found, np.minimum(c * WEIGHTS / 2, 1), rtol=1e-12)
    assert found.mean() == pytest.approx(acceptance, abs=1e-12)
    np.testing.assert_allclose(law(found), accepted, atol=5e-5)
    assert divergence(law(found)) == pytest.approx(kl, abs=5e-5)
    rival = shifted_drs_acceptances(acceptance)
    assert rival.mean() == pytest.approx(acceptance, abs=1e-9)
    assert divergence(law(rival)) == pytest.approx(kl_of_drs, abs=5e-5)


def test_the_law_of_the_shifted_rival():
    np.testing.assert_allclose(
        law(shifted_drs_acceptances(0.7)), [0.4762, 0.3607, 0.1631], atol=5e-5
    )


@pytest.mark.parametrize("acceptance", [0.6, 0.7, 0.8, 0.9])
@pytest.mark.parametrize("divide", ["kl", "reverse kl", "chi square", "total variation"])
def test_no_other_acceptance_of_the_same_mean_comes_closer(acceptance, divide):
    """Optimal for every f-divergence: against a fine grid of all acceptance functions."""
    f = {
        "kl": lambda t: -np.log(t),  # of the target from the law
        "reverse kl": lambda t: t * np.log(t),
        "chi square": lambda t: (t - 1) ** 2,
        "total variation": lambda t: abs(t - 1) / 2,
    }[divide]
    from_target = lambda accepted: (
        TARGET * f(accepted / accepted.sum(-1, keepdims=True) / TARGET)
    ).sum(-1)
    grid = np.linspace(1e-3, 1, 400)
    first, second = np.meshgrid(grid, grid)
    third = 3 * acceptance - first - second
    possible = (third > 0) & (third <= 1)
    rivals = np.stack([first, second, third], -1)[possible]
    best = from_target(budgeted_acceptances(acceptance))
    assert len(rivals) > 1000
    assert best <= from_target(rivals).min() + 1e-12


@pytest.mark.parametrize("acceptance", [1e-3, 0.05, 1 / 3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_the_mean_is_the_wanted_one_and_heavier_is_never_accepted_less(count, spread, acceptance):
    draws = numpy_generator(0, "weights", count, spread).normal(size=count)
    log_weights = torch.from_numpy(5 + spread * np.round(draws, 1))  # with ties
    found = budgeted_log_acceptance(log_weights, acceptance)
    assert found.dtype == torch.float64 and found.shape == (count,)
    assert (found <= 0).all()
    assert found.exp().mean().item() == pytest.approx(acceptance, abs=1e-9)
    order = log_weights.argsort()
    assert (found[order].diff() >= 0).all()
    # One c for all: a proposal that is not certain is accepted in proportion to its weight.
    uncertain = found < 0
    if uncertain.any():
        log_c = (found - log_weights)[uncertain]
        assert (log_c.max() - log_c.min()).item() < 1e-9 * max(1, spread)


def test_the_unit_of_the_weights_and_their_order_do_not_matter():
    log_weights = torch.from_numpy(numpy_generator(0, "order").normal(size=200))
    found = budgeted_log_acceptance(log_weights, 0.4)
    torch.testing.assert_close(budgeted_log_acceptance(log_weights + 700, 0.4), found)
    order = torch.randperm(200, generator=generator(0, "order"))
    torch.testing.assert_close(budgeted_log_acceptance(log_weights[order], 0.4), found[order])


def test_a_budget_below_that_of_exact_rejection_keeps_its_law():
    np.testing.assert_allclose(law(budgeted_acceptances(0.2)), TARGET, rtol=1e-12)


def test_acceptance_one_is_plain_sampling_exactly():
    log_weights = torch.tensor([3.0, -1e5, 0.25, 3.0], dtype=torch.float32)
    found = budgeted_log_acceptance(log_weights, 1.0)
    assert torch.equal(found, torch.zeros(4, dtype=torch.float64))
    assert rejection(found, generator(0)).all()


def test_zero_weights_are_never_accepted_and_the_rest_may_all_be():
    log_weights = torch.tensor([0.0, -math.inf, -3.0, -9.0]).repeat(3)
    found = budgeted_log_acceptance(log_weights, 0.75)
    assert torch.equal(found.exp(), (log_weights > -math.inf).double())
    # As many as there are, though the share of them is no binary fraction.
    shares = torch.tensor([0.0] * 3 + [-math.inf] * 7)
    assert budgeted_log_acceptance(shares, 0.1 + 0.2).exp().sum().item() == pytest.approx(3)


def test_rejection_by_it_draws_the_law():
    which = torch.randint(3, (60_000,), generator=generator(0, "atoms"))
    log_weights = torch.from_numpy(np.log(WEIGHTS))[which]
    accepted = rejection(budgeted_log_acceptance(log_weights, 0.7), generator(0, "accept"))
    share = torch.bincount(which[accepted], minlength=3) / accepted.sum()
    assert accepted.double().mean().item() == pytest.approx(0.7, abs=4 * 0.458 / 245)
    np.testing.assert_allclose(share, law(budgeted_acceptances(0.7)), atol=4 * 0.5 / 200)


@pytest.mark.parametrize(
    ("log_weights", "acceptance", "message"),
    [
        ([0.0, 1.0], 0.0, r"in \(0, 1\], got 0"),
        ([0.0, 1.0], 1.1, r"in \(0, 1\]"),
        ([0.0, 1.0], -0.5, r"in \(0, 1\]"),
        ([0.0, 1.0], math.nan, r"in \(0, 1\]"),
        ([0.0, math.nan], 0.5, "NaN"),
        ([0.0, math.inf], 0.5, "inf"),
        ([], 0.5, "N > 0"),
        ([0.0, -math.inf, -math.inf, 1.0], 0.6, "2 of 4 proposals .* ask for 0.5 or less"),
        ([0.0, -math.inf], 1.0, "1 of 2 proposals"),
        ([-math.inf, -math.inf], 0.5, "all weights are zero"),
    ],
)
def test_bad_input_is_refused_in_one_line(log_weights, acceptance, message):
    with pytest.raises(ValueError, match=message) as error:
        budgeted_log_acceptance(torch.tensor(log_weights), acceptance)
    assert "\n" not in str(error.value)


def test_its_declarations_are_read_without_importing_it():
    tree = ast.parse(Path(budgeted.__file__).read_text())
    literals = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id.isupper()
    }
    assert literals["NAME"] == "budgeted"
    assert {"TITLE", "PAPER", "SOURCE"} <= set(literals)
