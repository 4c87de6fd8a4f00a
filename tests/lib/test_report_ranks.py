"""Statistics of ranks: intervals that hold what they say, brute force."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest, brunnermunzel, ks_2samp

from pseudodensity.report.ranks import (
    chance_to_exceed,
    distance_of_laws,
    median_interval,
    rank_correlation,
)

STREAM = np.random.default_rng(0)


def test_the_interval_of_a_median_ends_at_the_values_that_the_binomial_law_names():
    values = STREAM.permutation(np.arange(1.0, 26.0))
    middle, low, high = median_interval(values)
    # Of 25 values the 8th and the 18th: 7 heads or fewer of 25 have 2.16 %, 8 or fewer 5.4 %.
    assert (middle, low, high) == (13, 8, 18)
    assert binom.cdf(7, 25, 0.5) <= 0.025 < binom.cdf(8, 25, 0.5)


def test_the_interval_of_a_median_holds_it_as_often_as_it_says():
    draws = STREAM.standard_cauchy((1000, 30))
    held = np.mean([low <= 0 <= high for _, low, high in map(median_interval, draws)])
    exact = 1 - 2 * binom.cdf(9, 30, 0.5)
    assert exact >= 0.95 and held == pytest.approx(exact, abs=0.02)
    assert np.isnan(median_interval(np.arange(5.0))[1:]).all()
    assert median_interval(np.arange(6.0))[1:] == (0, 5)


def test_the_chance_to_exceed_is_that_of_all_pairs_and_its_test_brunner_and_munzels():
    values, others = STREAM.integers(0, 9, 30), STREAM.integers(2, 14, 41)
    pairs = values[:, None] - others
    found = chance_to_exceed(values, others)
    assert found.effect == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2)
    assert found.p == pytest.approx(brunnermunzel(values, others).pvalue)
    assert found.low < found.effect < found.high < 0.5
    turned = chance_to_exceed(others, values)
    assert (turned.effect, turned.low) == pytest.approx((1 - found.effect, 1 - found.high))


def test_samples_apart_have_the_exact_interval_of_as_many_pairs():
    above, below = np.arange(20, 32), np.arange(10)
    exact = binomtest(10, 10).proportion_ci(method="exact")
    found = chance_to_exceed(above, below)
    assert (found.effect, found.high) == (1, 1) and found.low == pytest.approx(exact.low)
    assert found.p == pytest.approx(binomtest(10, 10).pvalue)
    turned = chance_to_exceed(below, above)
    assert (turned.effect, turned.low) == (0, 0) and turned.high == pytest.approx(1 - exact.low)


def test_the_distance_of_laws_is_scipys():
    values, others = STREAM.normal(size=50), STREAM.normal(0.5, 1, 70)
    expected = ks_2samp(values, others).statistic
    assert distance_of_laws(values, others) == pytest.approx(expected)
    assert distance_of_laws(values, values) == 0


def test_a_rank_correlation_is_that_of_the_ranks():
    first = np.array([1.0, 3.0, 2.0, 5.0, 4.0, 6.0])
    # 1 - 6 sum d^2 / (n (n^2 - 1)), differences of ranks 0, 1, 1, 1, 1, 0.
    assert rank_correlation(first, np.exp(np.arange(6))).effect == pytest.approx(1 - 24 / 210)
    assert np.isnan(rank_correlation(first, np.ones(6)).effect)
