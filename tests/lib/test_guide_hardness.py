"""Hardness against SciPy's normal law and by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from pseudodensity.control.guide.hardness import COVARIANCES, fit_gaussians, hardness

torch.set_num_threads(1)


def labelled(classes: int = 3, each: int = 12, k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    labels = torch.arange(classes).repeat(each)
    spread = torch.rand(classes, k, k, generator=stream, dtype=torch.float64)
    noise = torch.randn(len(labels), 1, k, generator=stream, dtype=torch.float64)
    return (noise @ spread[labels])[:, 0] + 3 * labels[:, None], labels


def test_each_class_has_the_normal_law_of_its_own_mean_and_covariance():
    features, labels = labelled()
    found = fit_gaussians(features, labels, 3, "ledoit_wolf").hardness(features)
    for label in range(3):
        own = features[labels == label].numpy()
        law = multivariate_normal(own.mean(0), ledoit_wolf(own)[0])
        np.testing.assert_allclose(found[:, label], -law.logpdf(features.numpy()), rtol=1e-10)


def test_with_identity_covariance_it_is_half_the_squared_distance_and_a_constant():
    features, labels = labelled()
    gaussians = fit_gaussians(features, labels, 3, "identity")
    wanted = -multivariate_normal(gaussians.means[1]).logpdf(features.numpy())
    np.testing.assert_allclose(gaussians.hardness(features)[:, 1], wanted, rtol=1e-10)
    assert torch.equal(hardness(features, gaussians.means), gaussians.hardness(features))


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_at_the_mean_the_determinant_is_all_that_is_left(covariance):
    features, labels = labelled()
    gaussians = fit_gaussians(features, labels, 3, covariance)
    at_means = gaussians.hardness(gaussians.means).diagonal()
    for label in range(3):
        own = ledoit_wolf(features[labels == label].numpy())[0]
        sign, log_determinant = np.linalg.slogdet(np.eye(4) if covariance == "identity" else own)
        wanted = (log_determinant + 4 * math.log(2 * math.pi)) / 2
        assert sign == 1 and at_means[label].item() == pytest.approx(wanted, abs=1e-9)


def test_by_hand_for_a_diagonal_covariance_of_two_dimensions():
    # Shrinkage of so many points on a cross is small, and known to the estimator alone.
    cross = torch.tensor([[2.0, 0], [-2, 0], [0, 1], [0, -1]], dtype=torch.float64).repeat(500, 1)
    gaussians = fit_gaussians(cross, torch.zeros(2000, dtype=torch.int64), 1, "ledoit_wolf")
    a, b = np.diag(ledoit_wolf(cross.numpy())[0])
    assert (a, b) == pytest.approx((2, 0.5), rel=0.01)
    wanted = (3**2 / a + 4**2 / b + math.log(a * b) + 2 * math.log(2 * math.pi)) / 2
    found = gaussians.hardness(torch.tensor([[3.0, 4.0]]))
    assert found.dtype == torch.float32 and found.item() == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize(
    ("features", "labels", "classes", "covariance", "told"),
    [
        (torch.zeros(4, 2), [0, 0, 1, 1], 2, "full", "unknown: use one of identity, ledoit_wolf"),
        (
            torch.zeros(4, 2),
            [0, 0, 0, 0],
            2,
            "identity",
            r"at least 1 images of each, got \[4, 0\]",
        ),
        (torch.zeros(4, 2), [0, 0, 0, 1], 2, "ledoit_wolf", "at least 2 images"),
        (torch.zeros(4, 2), [0, 0, 1, 2], 2, "identity", "labels from 0 to 1"),
        (torch.zeros(4, 2), [0, 0, 1, 1], 2, "ledoit_wolf", "class 0 have the same features"),
    ],
)
def test_what_has_no_gaussian_is_refused_in_one_line(features, labels, classes, covariance, told):
    with pytest.raises(ValueError, match=told) as raised:
        fit_gaussians(features, torch.tensor(labels), classes, covariance)
    assert "\n" not in str(raised.value)
