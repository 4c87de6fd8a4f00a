"""Importance sampling by density against its closed forms."""

import numpy as np
import pytest
import torch

from pseudodensity.control.select.acceptance import (
    expected_acceptance,
    importance_acceptance,
    sampling_weights,
)
from pseudodensity.rng import numpy_generator

# share below tau, w, accepted share, share of high samples among the accepted
TABLE = [
    (0.5, 0.01, 0.505, 0.0099),
    (0.2, 0.01, 0.208, 0.0385),
    (0.8, 33, 0.2242, 0.8919),
    (0.5, 33, 0.5152, 0.9706),
    (0.9, 100, 0.109, 0.9174),
    (0.3, 1, 1.0, 0.7),
]


@pytest.mark.parametrize(("p_low", "w", "accepted", "high"), TABLE)
def test_acceptance_table(p_low, w, accepted, high):
    density = np.arange(1000) / 1000
    probability = importance_acceptance(density, p_low, w)
    assert expected_acceptance(p_low, w) == pytest.approx(accepted, abs=5e-5)
    assert probability.mean() == pytest.approx(accepted, abs=5e-5)
    assert probability[density >= p_low].sum() / probability.sum() == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize("w", [0.01, 0.5, 1, 2, 33])
def test_high_samples_gain_exactly_w_in_odds(w):
    draw = numpy_generator(0, "odds", w)
    density = draw.random(200_000)
    probability = importance_acceptance(density, 0.7, w)
    assert probability.max() == 1
    accepted = draw.random(len(density)) < probability
    high = density >= 0.7
    odds = (accepted & high).sum() / (accepted & ~high).sum()
    assert odds == pytest.approx(w * high.sum() / (~high).sum(), rel=0.05)
    assert accepted.mean() == pytest.approx(expected_acceptance((~high).mean(), w), abs=0.005)


def test_tau_itself_is_high():
    density = np.array([0.9, 1.0, 1.1])
    np.testing.assert_array_equal(importance_acceptance(density, 1.0, 4), [0.25, 1, 1])
    np.testing.assert_array_equal(importance_acceptance(density, 1.0, 0.25), [1, 0.25, 0.25])
    np.testing.assert_array_equal(sampling_weights(density, 1.0, 4), [1, 4, 4])
    np.testing.assert_array_equal(sampling_weights(density, 1.0, 0.25), [1, 0.25, 0.25])


def test_real_and_fake_side_agree_up_to_a_constant():
    density = numpy_generator(0, "agree").random(100)
    for w in (0.03, 1, 33):
        ratio = sampling_weights(density, 0.5, w) / importance_acceptance(density, 0.5, w)
        np.testing.assert_allclose(ratio, max(1, w))


@pytest.mark.parametrize("function", [importance_acceptance, sampling_weights])
def test_tensors_stay_tensors(function):
    density = torch.tensor([0.1, 0.5, 0.9])
    outputs = function(density, 0.5, 3)
    assert isinstance(outputs, torch.Tensor) and outputs.dtype == torch.float64
    np.testing.assert_array_equal(outputs.numpy(), function(density.numpy(), 0.5, 3))


@pytest.mark.parametrize("function", [importance_acceptance, sampling_weights])
@pytest.mark.parametrize("w", [0, -1, float("nan"), float("inf")])
def test_a_weight_that_is_no_weight_is_refused(function, w):
    with pytest.raises(ValueError, match="w must be positive"):
        function(np.ones(3), 1.0, w)


@pytest.mark.parametrize("function", [importance_acceptance, sampling_weights])
def test_nan_is_refused(function):
    with pytest.raises(ValueError, match="NaN"):
        function(np.array([1.0, np.nan]), 1.0, 2)
    with pytest.raises(ValueError, match="NaN"):
        function(np.ones(3), float("nan"), 2)


def test_expected_acceptance_refuses_what_is_no_share():
    with pytest.raises(ValueError, match="share"):
        expected_acceptance(1.5, 2)
    with pytest.raises(ValueError, match="positive"):
        expected_acceptance(0.5, 0)
