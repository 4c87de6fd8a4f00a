"""The distance of pairs: laws whose mean distance is known, and which pairs are drawn."""

from math import lgamma, sqrt

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from pseudodensity.metrics.pair_distance import drawn_pairs, prepare, score

torch.set_num_threads(1)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def measured(fakes, **settings):
    return score(prepare({"features": fakes}, **settings), {"features": fakes})


@pytest.mark.parametrize(("d", "deviation"), [(1, 1.0), (8, 0.5), (96, 3.0)])
def test_pairs_of_a_normal_law(d, deviation):
    """The difference is normal with twice the variance: its length has the law of chi, squared of chi2."""
    fakes = deviation * normal(4000, d) + 7
    length = 2 * deviation * np.exp(lgamma((d + 1) / 2) - lgamma(d / 2))
    spread = sqrt(2 * d * deviation**2 - length**2)
    found = measured(fakes)
    # 10,000 pairs and 4,000 samples: five standard errors of the smaller number.
    assert found["pair_distance"] == pytest.approx(length, abs=5 * spread / sqrt(4000))
    assert found["pair_deviation"] == pytest.approx(spread, rel=0.05)
    squared = measured(fakes, squared=True)
    mean, deviation_of_squares = 2 * d * deviation**2, 2 * deviation**2 * sqrt(2 * d)
    error = 5 * deviation_of_squares / sqrt(4000)
    assert squared["pair_distance"] == pytest.approx(mean, abs=error)
    assert squared["pair_deviation"] == pytest.approx(deviation_of_squares, rel=0.1)


def test_all_pairs_are_those_of_brute_force():
    fakes = normal(100, 5).astype(np.float32)
    apart = pdist(fakes.astype(np.float64))
    expected = {"pair_distance": apart.mean(), "pair_deviation": apart.std(ddof=1)}
    assert measured(fakes) == pytest.approx(expected, rel=1e-12)
    assert measured(fakes, pairs=4950) == measured(fakes)
    assert measured(fakes, squared=True)["pair_distance"] == pytest.approx((apart**2).mean())


def test_copies_of_one_sample_are_no_distance_apart():
    assert measured(np.full((50, 4), 3.0)) == {"pair_distance": 0, "pair_deviation": 0}
    # a of one point and b of another, 5 apart: 2ab of (a + b)(a + b - 1) ordered pairs are mixed.
    two = np.repeat([[0.0, 0.0], [3.0, 4.0]], [10, 30], axis=0)
    share = 2 * 10 * 30 / (40 * 39)
    assert measured(two)["pair_distance"] == pytest.approx(5 * share)
    assert measured(two, squared=True)["pair_distance"] == pytest.approx(25 * share)


@pytest.mark.parametrize("count", [3, 4, 10, 1000, 50_000])
def test_pairs_differ_and_are_none_of_a_sample_with_itself(count):
    i, j = (rows.numpy() for rows in drawn_pairs(count, 2000))
    assert len(i) == min(2000, count * (count - 1) // 2)
    assert (i >= 0).all() and (i < j).all() and (j < count).all()
    assert len(set(zip(i.tolist(), j.tolist(), strict=True))) == len(i)
    assert all(np.array_equal(a, b) for a, b in zip((i, j), drawn_pairs(count, 2000), strict=True))


def test_each_sample_is_drawn_about_as_often_as_another():
    # Half of 19,900 pairs: a sample has 199, of which 99.5 are drawn, with a deviation of 7.
    counts = np.bincount(np.concatenate(drawn_pairs(200, 9950)), minlength=200)
    assert counts.mean() == 99.5 and abs(counts - 99.5).max() < 5 * 7
    assert 5 < counts.std() < 9


def test_two_fakes_or_one_pair_are_refused_in_one_line():
    reals = {"features": normal(5, 2)}
    for given, match in (
        ({"features": normal(2, 2)}, "3 or more fakes, got 2"),
        ({"features": normal(5, 3)}, "real features have 2 dimensions, fake ones 3"),
    ):
        with pytest.raises(ValueError, match=match) as raised:
            score(prepare(reals), given)
        assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="pairs must be 2 or more, got 1"):
        prepare(reals, pairs=1)
