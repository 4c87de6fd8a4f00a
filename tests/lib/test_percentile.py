"""Thresholds and percentiles of densities: one definition, read in both directions."""

import numpy as np
import pytest

from pseudodensity.density.network import PseudoDensity
from pseudodensity.density.percentile import percentile, threshold
from pseudodensity.rng import numpy_generator


@pytest.mark.parametrize("levels", [1, 3, 20, 10**6])
@pytest.mark.parametrize("count", [1, 2, 7, 100, 1797])
def test_a_percentile_is_reached_exactly_when_the_threshold_is(count, levels):
    """With few levels most densities are equal."""
    labels = numpy_generator(0, "labels", count, levels).integers(levels, size=count) / 7
    percents = np.arange(10_001) / 100
    found = percentile(labels, labels)
    for percent in percents[:: 1 if count < 1000 else 23]:
        high = labels >= threshold(labels, percent)
        np.testing.assert_array_equal(found >= percent, high, err_msg=f"at {percent} %")


@pytest.mark.parametrize("count", [7, 1797, 25_000])
def test_two_printed_decimals_are_enough(count):
    """What is read back from a table agrees with the threshold at the percents of the paper."""
    labels = numpy_generator(0, "printed", count).normal(size=count)
    printed = np.array([float(f"{value:.6g}") for value in percentile(labels, labels)])
    for percent in (0.1, 2.5, 20, 33.33, 50, 80, 90, 99.99, 100):
        np.testing.assert_array_equal(printed >= percent, labels >= threshold(labels, percent))


def test_percentiles_by_hand():
    labels = np.array([4.0, 1, 3, 3, 2])
    # 2 is the threshold from 20 % up to just below 40 %, where 3 takes over until 80 %.
    np.testing.assert_array_equal(percentile(labels, labels), [100, 19.99, 79.99, 79.99, 39.99])
    # Images that are not of the data set stand between its images, or outside of them all.
    np.testing.assert_array_equal(percentile(labels, np.array([2.5, 9, 0.5])), [39.99, 100, 0])


def test_the_network_takes_its_threshold_from_the_same_definition():
    labels = numpy_generator(0, "network").normal(size=50)
    density = PseudoDensity(2, labels, {})
    for percent in (0, 29, 33.3, 55, 99.99, 100):
        assert density.threshold(percent) == threshold(labels, percent)
        assert threshold(labels, percent) == np.sort(labels)[min(int(percent / 100 * 50), 49)]


def test_bad_input_is_refused():
    for percent in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match="0..100"):
            threshold(np.ones(3), percent)
    with pytest.raises(ValueError, match="no densities"):
        percentile(np.ones(0), np.ones(3))
    with pytest.raises(ValueError, match="no densities"):
        threshold(np.ones(0), 50)
