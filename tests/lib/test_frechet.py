"""Fréchet distance against closed forms, exact arithmetic, and the peers' numbers."""

import mpmath
import numpy as np
import pytest
import torch
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from pseudodensity.metrics.frechet import frechet_distance


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def whitened(n, d, seed=0):
    """Samples whose mean is 0 and whose unbiased covariance is the identity, to rounding."""
    x = normal(n, d, seed)
    return np.linalg.qr(x - x.mean(0))[0] * np.sqrt(n - 1)


def exactly(real, fake):
    """The definition, in 60 digits: the root's trace from the eigenvalues of S1^1/2 S2 S1^1/2."""
    with mpmath.workdps(60):
        mean, covariance = [], []
        for x in (real, fake):
            x = mpmath.matrix(x.tolist())
            m = sum((x[i, :] for i in range(x.rows)), mpmath.matrix(1, x.cols)) / x.rows
            centred = mpmath.matrix(
                [[x[i, j] - m[j] for j in range(x.cols)] for i in range(x.rows)]
            )
            mean.append(m)
            covariance.append(centred.T * centred / (x.rows - 1))
        values, axes = mpmath.eigsy(covariance[0])
        root = axes * mpmath.diag([mpmath.sqrt(max(v, 0)) for v in values]) * axes.T
        product = root * covariance[1] * root
        values = mpmath.eigsy((product + product.T) / 2, eigvals_only=True)
        # Zero eigenvalues come back as 1e-60 of the largest, whose root is 1e-30: harmless.
        trace_root = sum(mpmath.sqrt(max(v, 0)) for v in values)
        shift = sum((mean[0][j] - mean[1][j]) ** 2 for j in range(mean[0].cols))
        trace = sum(c[j, j] for c in covariance for j in range(c.rows))
        return float(shift + trace - 2 * trace_root)


@pytest.mark.parametrize("n", [2, 3, 1000])
def test_gaussians_on_a_line(n):
    # (m1 - m2)^2 + (s1 - s2)^2
    real, fake = 3 + 2 * normal(n, 1), -1 + 0.5 * normal(n + 1, 1, seed=1)
    expected = (real.mean() - fake.mean()) ** 2 + (real.std(ddof=1) - fake.std(ddof=1)) ** 2
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("smallest", [1.0, 1e-4, 1e-8, 0.0])
def test_commuting_covariances(smallest):
    # |m|^2 + sum (sqrt a - sqrt b)^2 in the common axes, down to a constant direction.
    d = 12
    axes = np.linalg.qr(normal(d, d, seed=9))[0]
    a, b = np.linspace(1, 3, d), np.linspace(5, 0.5, d)
    a[3], b[7] = smallest, smallest
    shift = normal(1, d, seed=8)
    real = whitened(400, d) * np.sqrt(a) @ axes.T
    fake = whitened(300, d, seed=1) * np.sqrt(b) @ axes.T + shift
    expected = (shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("n", "m", "d"), [(40, 40, 6), (5, 7, 12), (5, 60, 10), (60, 5, 10)])
def test_exact_arithmetic(n, m, d):
    real = normal(n, d) @ normal(d, d, seed=2)
    fake = normal(m, d, seed=1) + 0.3
    assert frechet_distance(real, fake) == pytest.approx(exactly(real, fake), rel=1e-12)


def test_exact_arithmetic_with_dependent_and_constant_features():
    real, fake = normal(50, 8), normal(40, 8, seed=1)
    real[:, 2], real[:, 5] = 4.0, real[:, 0] - real[:, 1]
    fake[:, 3] = fake[:, 4]
    assert frechet_distance(real, fake) == pytest.approx(exactly(real, fake), rel=1e-12)


def test_equal_sets_are_at_distance_zero():
    for n in (50, 10):  # regular and singular
        x = normal(n, 20)
        scale = x.var() * 20
        assert 0 <= frechet_distance(x, x.copy()) <= 1e-12 * scale
        assert 0 <= frechet_distance(x, x[::-1]) <= 1e-12 * scale


def test_a_shift_counts_by_its_squared_length():
    x = normal(200, 10)
    assert frechet_distance(x, x + 2) == pytest.approx(40, rel=1e-12)


def test_symmetric_and_blind_to_translation_rotation_and_order():
    real, fake = normal(300, 10), 2 * normal(200, 10, seed=1) + 1
    expected = frechet_distance(real, fake)
    turn = np.linalg.qr(normal(10, 10, seed=3))[0]
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(real @ turn, fake @ turn) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(real[::-1], fake) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(real + 1e5, fake + 1e5) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(3 * real, 3 * fake) == pytest.approx(9 * expected, rel=1e-12)


def test_block_sizes_change_nothing(monkeypatch):
    real, fake = normal(500, 6), 2 * normal(300, 6, seed=1)
    real[:, 1] = real[:, 0]  # the singular route too
    expected = frechet_distance(real, fake)
    monkeypatch.setattr("pseudodensity.metrics.frechet._BLOCK", 37)
    monkeypatch.setattr("pseudodensity.metrics.frechet._STRIP", 4)
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)


def test_agrees_with_torch_fidelity():
    real, fake = normal(2000, 64), 1.3 * normal(1500, 64, seed=1) + 0.2
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (fake, real)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)
    theirs = theirs["frechet_inception_distance"]
    assert frechet_distance(real, fake) == pytest.approx(theirs, rel=1e-9)


def test_float32_features_arrays_or_tensors_are_taken_in_float64():
    real = (normal(500, 16) + 1000).astype(np.float32)
    fake = (normal(500, 16, seed=1) + 1000).astype(np.float32)
    expected = frechet_distance(real.astype(np.float64), fake.astype(np.float64))
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(torch.from_numpy(real), torch.from_numpy(fake)) == pytest.approx(
        expected, rel=1e-12
    )
    assert type(frechet_distance(real, fake)) is float


@pytest.mark.parametrize("n", [5, 50])
def test_inputs_stay_untouched(n):
    x = normal(n, 10)
    before = x.copy()
    frechet_distance(x, x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (normal(1, 3), normal(9, 3), "at least 2 real and 2 fake samples"),
        (normal(9, 3), normal(9, 4), "differ in dimension"),
        (normal(9, 3) * np.inf, normal(9, 3), "real: 9 of 9 rows hold NaN or infinity"),
    ],
)
def test_bad_input_is_refused(real, fake, message):
    with pytest.raises(ValueError, match=message):
        frechet_distance(real, fake)
