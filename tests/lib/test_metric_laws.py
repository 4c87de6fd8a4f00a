"""Which answers the metrics give where the truth is known, and where they are known to fail."""

import numpy as np
import pytest
from two_modes import two_modes

from pseudodensity.metrics import frechet, manifold
from pseudodensity.metrics.manifold import expected_coverage, manifold_metrics


def scores(real, fake, k):
    return manifold.score(manifold.prepare({"features": real}, k=k), {"features": fake})


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def shell(n, d, radius, seed):
    x = normal(n, d, seed)
    return np.float32(radius) * x / np.linalg.norm(x, axis=1, keepdims=True)


def line(*values):
    return np.array(values, dtype=np.float32)[:, None]


def test_all_scores_by_hand():
    # Real 0 1 2 3, k = 1: radii 1. Fake .5 1.5 9 11: radii 1 1 2 2; only real 3 is in no fake ball,
    # the balls of fakes 9 and 11 hold no real, and .5 .5 6 8 are the distances to the nearest.
    assert scores(line(0, 1, 2, 3), line(0.5, 1.5, 9, 11), 1) == pytest.approx(
        {
            "precision": 0.5,
            "recall": 0.75,
            "density": 1.0,
            "coverage": 0.75,
            "symmetric_precision": 0.5,
            "symmetric_recall": 0.75,
            "median_nearest": 3.25,
            "expected_coverage": 1 - 3 / 7,
        }
    )


def test_symmetry_binds_where_only_one_side_reaches_the_other():
    # Real 0 10, radii 10: both hold fakes 4 and 4.5, whose own radii of .5 reach no real.
    found = scores(line(0, 10), line(4, 4.5), 1)
    assert (found["precision"], found["symmetric_precision"]) == (1, 0)
    assert (found["recall"], found["coverage"]) == (0, 1)
    # The other way round all reals are recalled and none is covered.
    found = scores(line(4, 4.5), line(0, 10), 1)
    assert (found["recall"], found["symmetric_recall"]) == (1, 0)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("moved", [0, 3, -1])
def test_scores_are_those_of_brute_force(k, moved):
    real, fake = normal(80, 5), normal(71, 5, seed=1)
    fake[:, 0] *= 10.0**moved
    apart = np.linalg.norm(real[:, None].astype("f8") - fake[None].astype("f8"), axis=2)

    def radii(x):
        inner = np.linalg.norm(x[:, None].astype("f8") - x[None].astype("f8"), axis=2)
        return np.sort(inner, axis=1)[:, k]

    found = scores(real, fake, k)
    held = (apart <= radii(fake)).any(0).mean()
    assert found["symmetric_precision"] == min(found["precision"], held)
    assert found["symmetric_recall"] == min(found["recall"], found["coverage"])
    assert found["median_nearest"] == pytest.approx(np.median(apart.min(0)), rel=1e-12)


def test_median_distance_is_in_units_of_the_features():
    real, fake = normal(90, 4), normal(90, 4, seed=1)
    plain = scores(real, fake, 3)
    for factor in (1e-20, 0.125, 1e20):
        scaled = scores(real * np.float32(factor), fake * np.float32(factor), 3)
        assert scaled["median_nearest"] == pytest.approx(factor * plain["median_nearest"], rel=1e-6)


# --------------------------------------------------------------- expected coverage


@pytest.mark.parametrize(
    ("reals", "fakes", "k", "expected"),
    [
        (5000, 5000, 3, 0.8751),
        (5000, 5000, 5, 0.9688),
        (5000, 5000, 10, 0.999),
        (50_000, 10_000, 3, 0.421),
        (50_000, 10_000, 5, 0.598),
        (50_000, 10_000, 10, 0.839),
    ],
)
def test_expected_coverage_in_closed_form(reals, fakes, k, expected):
    digits = len(str(expected)) - 2
    assert round(expected_coverage(reals, fakes, k), digits) == expected


def test_expected_coverage_of_few_samples_by_counting():
    # 2 reals, 1 fake: the nearer of the other two to a real is the fake in one case of two.
    assert expected_coverage(2, 1, 1) == 0.5
    # 3 reals, 2 fakes, k = 2: uncovered if the nearest two of four are the two reals: 1 of 6.
    assert expected_coverage(3, 2, 2) == pytest.approx(5 / 6)
    with pytest.raises(ValueError, match="below the 3 reals, got 3"):
        expected_coverage(3, 5, 3)


@pytest.mark.parametrize(("reals", "fakes", "k", "d"), [(60, 60, 3, 2), (90, 30, 5, 8)])
def test_two_samples_of_one_law_have_the_expected_coverage(reals, fakes, k, d):
    draws = [
        manifold_metrics(normal(reals, d, seed), normal(fakes, d, 10_000 + seed), k)["coverage"]
        for seed in range(300)
    ]
    error = np.std(draws) / np.sqrt(len(draws))
    assert error < 0.005
    assert abs(np.mean(draws) - expected_coverage(reals, fakes, k)) < 4 * error


# ------------------------------------------------------------- known-answer checks


@pytest.mark.parametrize(("d", "radius"), [(16, 0.5), (128, 0.1)])
def test_a_shell_inside_that_of_the_reals_is_not_symmetrically_precise(d, radius):
    # The two never meet. Precision fails this check, and is recorded as failing it.
    found = scores(shell(1000, d, 1, 0), shell(1000, d, radius, 1), 5)
    assert found["precision"] == 1 and found["density"] > 5
    assert found["symmetric_precision"] == 0


def test_a_shell_around_that_of_the_reals_is_not_symmetrically_recalled():
    found = scores(shell(1000, 128, 1, 0), shell(1000, 128, 1.9, 1), 5)
    assert found["recall"] == 1
    assert found["symmetric_recall"] == 0


def test_precision_of_identical_laws_falls_with_the_dimension():
    # The truth is 1, which precision fails. Recorded, so that a silent change is seen.
    for d, precision in ((8, 0.890), (64, 0.621)):
        found = [
            scores(normal(1000, d, seed), normal(1000, d, 100 + seed), 3)["precision"]
            for seed in range(3)
        ]
        assert np.mean(found) == pytest.approx(precision, abs=0.03)


def two_mode_scores(dense_share, error):
    """Mean over 3 draws: precision (k = 3), density and symmetric precision (k = 5)."""
    draws = []
    for seed in range(3):
        real = two_modes(1000, 0.5, 0, seed)
        fake = two_modes(1000, dense_share, error, 100 + seed)
        three, five = scores(real, fake, 3), scores(real, fake, 5)
        names = ("density", "symmetric_precision", "median_nearest")
        draws.append([three["precision"], *(five[name] for name in names)])
    return np.mean(draws, axis=0)


def test_reweighting_a_perfect_generator_changes_no_fidelity():
    draws = np.array([two_mode_scores(share, 0) for share in (0.1, 0.5, 0.9)])
    assert (np.ptp(draws[:, [0, 2]], axis=0) <= 0.05).all()
    assert np.ptp(draws[:, 1]) <= 0.05


def test_one_absolute_error_costs_precision_where_the_reals_are_dense():
    # The finding "a larger w lowers precision though density rises", with ground truth.
    half, most = two_mode_scores(0.5, 0.2), two_mode_scores(0.9, 0.2)
    assert half[:3] == pytest.approx([0.633, 0.664, 0.730], abs=0.03)
    assert most[:3] == pytest.approx([0.523, 0.461, 0.640], abs=0.03)
    # Though the fakes come nearer to the reals.
    assert most[3] < half[3]


def test_the_real_side_of_the_distance_may_be_shared():
    real, fake = normal(50, 8), normal(40, 8, seed=1)
    side = frechet.prepare({"features": real})
    found = frechet.score(side, {"features": fake})
    assert found == {"fid": frechet.frechet_distance(real, fake)}
