"""Intervals of known width and coverage, Holm's correction on an example, and fronts."""

import numpy as np
import pytest
from scipy import stats

from pseudodensity.report.pareto import net_share, pareto_front
from pseudodensity.report.statistics import (
    Mean,
    clipped,
    difference,
    holm,
    log_ratio,
    mean_from_interval,
    paired,
    t_interval,
)


def test_interval_of_known_differences():
    # t(0.975, 2) = 4.302653, the sd of 1, 2, 3 is 1.
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
    assert t_interval([0.25, 0.25]) == (0.25, 0.25, 0.25)
    mean, low, high = t_interval([0.25])
    assert mean == 0.25 and np.isnan(low) and np.isnan(high)


def test_an_interval_ends_where_the_quantity_does():
    mean, low, high = t_interval([0.8, 0.95, 1.0])
    assert low < mean < 1 < high
    assert t_interval([0.8, 0.95, 1.0], (0, 1)) == (mean, low, 1.0)
    assert t_interval([0.0, 1.0], (0, 1)) == (0.5, 0.0, 1.0)
    assert t_interval([0.4, 2.0], (0, np.inf))[1:] == (0.0, t_interval([0.4, 2.0])[2])
    assert np.isnan(t_interval([0.4], (0, 1))[1:]).all()
    assert np.isnan(clipped(np.nan, 2.0, (0, 1))[0]) and clipped(np.nan, 2.0, (0, 1))[1] == 1


def test_a_cut_interval_covers_as_often_as_a_whole_one():
    samples = np.random.default_rng(5).beta(18, 1, (4000, 3))
    found = np.array([[t_interval(s)[1:], t_interval(s, (0, 1))[1:]] for s in samples])
    covered = (found[..., 0] <= 18 / 19) & (found[..., 1] >= 18 / 19)
    assert (covered[:, 0] == covered[:, 1]).all() and (found[:, 0, 1] > 1).mean() > 0.2


def test_interval_covers_the_truth_as_often_as_it_says():
    samples = np.random.default_rng(0).normal(0.3, 2.0, (4000, 3))
    intervals = np.array([t_interval(sample)[1:] for sample in samples])
    covered = np.mean((intervals[:, 0] < 0.3) & (intervals[:, 1] > 0.3))
    assert covered == pytest.approx(0.95, abs=0.012)


def test_p_values_are_those_of_scipy():
    values = np.random.default_rng(1).normal(0.4, 1.0, 7)
    assert paired(values).p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    other = np.random.default_rng(2).normal(0.0, 3.0, 4)
    welch = stats.ttest_ind(values, other, equal_var=False)
    found = difference(Mean.of(values), Mean.of(other))
    assert found.p == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert paired([0.5, 0.5]).p == 0 and paired([0.0, 0.0]).p == 1
    assert np.isnan(paired([0.5]).p) and np.isnan(difference(Mean.of([1]), Mean.of([1, 2])).p)


def test_the_interval_of_a_difference_covers_the_truth():
    draws = np.random.default_rng(3)
    found = [
        difference(Mean.of(draws.normal(1.0, 1.0, 4)), Mean.of(draws.normal(0.7, 2.0, 3)))
        for _ in range(4000)
    ]
    # Welch's approximation is not exact: within 1.5 % here.
    assert np.mean([x.low < 0.3 < x.high for x in found]) == pytest.approx(0.95, abs=0.015)


def test_the_interval_of_a_log_ratio_covers_the_truth():
    draws, truth = np.random.default_rng(4), np.log(5 / 4)
    found = [
        log_ratio(Mean.of(draws.normal(5, 0.2, 4)), Mean.of(draws.normal(4, 0.3, 4)))
        for _ in range(4000)
    ]
    assert np.mean([x.low < truth < x.high for x in found]) == pytest.approx(0.95, abs=0.015)
    assert np.isnan(log_ratio(Mean.of([0.0, 0.0]), Mean.of([1.0, 2.0])).effect)


def test_a_mean_is_recovered_from_its_interval():
    values = [1.0, 2.0, 4.0]
    again = mean_from_interval(*t_interval(values), 3)
    assert (again.value, again.error) == pytest.approx((7 / 3, Mean.of(values).error))
    assert np.isnan(mean_from_interval(1.0, 0.8, 1.2, 1).error)


def test_holm_on_a_textbook_example():
    # Four tests at .05: .005 < .05/4 and .01 < .05/3 are refused, .03 > .05/2 ends it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.01, np.nan, 0.02])[[0, 2]] == pytest.approx([0.02, 0.02])
    assert np.isnan(holm([0.01, np.nan])[1]) and len(holm([])) == 0
    assert holm([0.9, 0.8]).tolist() == [1, 1]


def test_holm_keeps_the_share_of_any_false_refusal():
    p = np.random.default_rng(5).uniform(size=(4000, 20))
    assert np.mean([holm(row).min() < 0.05 for row in p]) == pytest.approx(0.05, abs=0.011)
    assert np.mean(p.min(axis=1) < 0.05) > 0.6  # without it


def test_the_front_is_what_nothing_beats():
    precision, recall = [0.5, 0.6, 0.7, 0.5, 0.6, np.nan], [0.9, 0.8, 0.3, 0.8, 0.8, 1.0]
    front = [True, True, True, False, True, False]
    assert pareto_front(precision, recall).tolist() == front


def test_net_share_of_a_region():
    ours, theirs = [(0.5, 0.5), (0.8, 0.4)], [(0.5, 0.5), (0.6, 0.45), (1.0, 0.1)]
    # From .5: theirs give more to .6, ours to .8, theirs alone go on to 1.
    assert net_share(ours, theirs, 0.5) == pytest.approx((-0.1 + 0.2 - 0.2) / 0.5)
    assert net_share(theirs, ours, 0.5) == pytest.approx(0.1 / 0.5)
    assert net_share(ours, ours, 0.5) == 0
    assert net_share([(0.9, 0.2)], [(0.6, 0.2)], 0.7) == 1
    assert np.isnan(net_share(ours, theirs, 1.0)) and np.isnan(net_share([], theirs, 0.5))
    assert net_share([*ours, (np.nan, 1.0)], theirs, 0.5) == net_share(ours, theirs, 0.5)
