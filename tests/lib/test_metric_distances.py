"""Kernel distance, earth mover's distance and Vendi score against closed forms and other programs."""

import itertools

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

from pseudodensity.metrics import earth_mover, kernel, vendi


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def scores(metric, real, fake, **settings):
    return metric.score(metric.prepare({"features": real}, **settings), {"features": fake})


# ------------------------------------------------------------------------------ kernel distance


def test_kernel_distance_by_hand():
    # d = 1, kernel (xy + 1)^3. Real 0 1, fake 2 3: within 1 and 343, between 1 1 27 64.
    found = scores(kernel, np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]]))
    assert found["kid"] == pytest.approx(1 + 343 - 2 * (1 + 1 + 27 + 64) / 4)


def test_kernel_distance_is_that_of_loops(monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", 7)
    real, fake = normal(30, 4).astype("f8"), normal(25, 4, seed=1).astype("f8")

    def mean(pairs):
        return np.mean([(a @ b / 4 + 1) ** 3 for a, b in pairs])

    expected = mean(itertools.permutations(real, 2)) + mean(itertools.permutations(fake, 2))
    expected -= 2 * mean(itertools.product(real, fake))
    assert scores(kernel, real, fake)["kid"] == pytest.approx(expected, rel=1e-12)


def test_kernel_distance_is_what_torch_fidelity_gives_for_one_subset_of_all():
    real, fake = normal(300, 16), normal(300, 16, seed=1) + np.float32(0.3)
    theirs = kid_features_to_metric(
        torch.from_numpy(fake).double(),
        torch.from_numpy(real).double(),
        kid_subsets=1,
        kid_subset_size=300,
        verbose=False,
    )
    assert scores(kernel, real, fake)["kid"] == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-9)


@pytest.mark.parametrize("moved", [0.0, 0.3])
def test_the_standard_error_is_the_spread_of_draws(moved):
    found = [
        scores(kernel, normal(200, 8, s), normal(200, 8, 900 + s) + np.float32(moved))
        for s in range(150)
    ]
    values, errors = ([f[name] for f in found] for name in ("kid", "kid_error"))
    # Exact to the first order where the laws differ; of its size where they do not.
    low, high = (0.8, 1.2) if moved else (0.6, 2.0)
    assert low < np.mean(errors) / np.std(values) < high
    if not moved:
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


# -------------------------------------------------------------------------- earth mover's distance


def test_on_a_line_the_best_match_is_in_order():
    real, fake = normal(200, 1), 2 * normal(200, 1, seed=1)
    expected = np.abs(np.sort(real, 0).astype("f8") - np.sort(fake, 0)).mean()
    assert scores(earth_mover, real, fake)["emd"] == pytest.approx(expected, rel=1e-6)


def test_a_moved_set_is_as_far_as_it_was_moved():
    real = normal(150, 6)
    fake = real[np.random.default_rng(0).permutation(150)] + np.float32(0.5)
    # No match is better than the mean's way, and this one takes it.
    assert scores(earth_mover, real, fake)["emd"] == pytest.approx(0.5 * np.sqrt(6), rel=1e-6)


def test_few_samples_by_trying_all_matches():
    real, fake = normal(6, 3), normal(6, 3, seed=1)
    apart = np.linalg.norm(real[:, None] - fake, axis=2)
    expected = min(apart[range(6), list(p)].mean() for p in itertools.permutations(range(6)))
    assert scores(earth_mover, real, fake)["emd"] == pytest.approx(expected, rel=1e-6)


def test_as_many_are_matched_as_both_have_and_as_is_asked():
    real, fake = normal(90, 3), normal(70, 3, seed=1)
    whole = scores(earth_mover, real, fake)
    assert whole == scores(earth_mover, real[:70], fake)
    assert scores(earth_mover, real, fake, most=20) == scores(earth_mover, real[:20], fake[:20])
    with pytest.raises(ValueError, match="most must be 2 or more"):
        scores(earth_mover, real, fake, most=1)


# ---------------------------------------------------------------------------------- Vendi score


@pytest.mark.parametrize("kinds", [1, 3, 7])
def test_kinds_at_right_angles_count_once_each(kinds):
    fake = np.tile(np.eye(8, dtype=np.float32)[:kinds], (5, 1)) * np.float32(3)
    assert scores(vendi, normal(9, 8), fake)["vendi"] == pytest.approx(kinds, rel=1e-9)


def test_two_directions_in_closed_form():
    # Two samples with cosine c: eigenvalues (1 +- c) / 2.
    c = 0.6
    fake = np.array([[1, 0], [c, np.sqrt(1 - c**2)]])
    values = np.array([1 + c, 1 - c]) / 2
    expected = np.exp(-(values * np.log(values)).sum())
    assert scores(vendi, normal(5, 2), fake)["vendi"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [(40, 8), (8, 40)])
def test_vendi_is_that_of_the_matrix_of_all_cosines(shape):
    fake = normal(*shape).astype("f8")
    unit = fake / np.linalg.norm(fake, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(unit @ unit.T / len(unit))
    values = values[values > 1e-12]
    expected = np.exp(-(values * np.log(values)).sum())
    found = scores(vendi, normal(9, shape[1]).astype("f8"), fake)["vendi"]
    assert found == pytest.approx(expected, rel=1e-9)


def test_vendi_grows_with_the_number_of_samples():
    """Why it is compared at one number only: 64 directions, and 32 or 320 samples of one law."""
    few, many = (scores(vendi, normal(9, 64), normal(n, 64, 1))["vendi"] for n in (32, 320))
    assert few < 32 and many > 50


def test_a_vector_of_zeros_has_no_direction():
    with pytest.raises(ValueError, match="^fake features hold a row of zeros"):
        scores(vendi, normal(9, 3), np.zeros((4, 3), np.float32))
