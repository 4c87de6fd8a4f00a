"""Memorisation against held-out reals: a coin where nothing is copied, and every copy found."""

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pseudodensity.metrics.training_ratio import (
    MOST,
    TAIL,
    chance_spread,
    summary,
    training_ratio,
)
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)


def normal(name: str, n: int, d: int) -> np.ndarray:
    return numpy_generator(0, name).standard_normal((n, d)).astype(np.float32)


def test_distances_and_ratios_by_brute_force():
    training, held_out, fake = (normal(name, 40, 5) for name in ("training", "held out", "fake"))
    found = training_ratio(training, held_out, fake[:17])
    by_force = [cdist(fake[:17].astype(float), side.astype(float)) for side in (training, held_out)]
    assert found.training.tolist() == by_force[0].argmin(1).tolist()
    assert found.held_out.tolist() == by_force[1].argmin(1).tolist()
    nearest = [distances.min(1) for distances in by_force]
    np.testing.assert_allclose(found.to_training, nearest[0], rtol=1e-12)
    np.testing.assert_allclose(found.to_held_out, nearest[1], rtol=1e-12)
    np.testing.assert_allclose(found.ratio, nearest[0] / nearest[1], rtol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 16])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_model_that_knows_no_image_is_a_coin_whether_it_is_good_or_bad(dimensions, shift):
    """Exchangeability: the mean over draws of both sides is 1/2, whatever the law of the fakes."""
    shares, medians = [], []
    for draw in range(20):
        sides = [normal(f"{side} {draw}", 200, dimensions) for side in ("training", "held out")]
        found = summary(training_ratio(*sides, normal(f"{draw}", 400, dimensions) + shift).ratio)
        shares.append(found["nearer_training"])
        medians.append(np.log(found["median_ratio"]))
    for values, truth in ((shares, 0.5), (medians, 0.0)):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 3 * error, (np.mean(values), error)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_tail_has_the_closed_form_of_points_that_fill_space(dimensions):
    """Volumes of empty balls are exponential, so P(ratio < r) = r^d / (1 + r^d)."""
    sides = [numpy_generator(1, side).random((4000, dimensions)) for side in ("training", "other")]
    ratio = training_ratio(*sides, numpy_generator(1, "fake").random((4000, dimensions))).ratio
    for r in (0.25, 0.5, 2.0):
        assert (ratio < r).mean() == pytest.approx(r**dimensions / (1 + r**dimensions), abs=0.03)
    assert summary(ratio)["tail_ratio"] == pytest.approx(99 ** (-1 / dimensions), rel=0.35)


@pytest.mark.parametrize("copied", [0.1, 0.5, 1.0])
def test_copies_of_training_images_are_found(copied):
    training, held_out, fake = (normal(name, 1000, 8) for name in ("a", "b", "c"))
    count = int(copied * len(fake))
    fake[:count] = training[:count]
    found = training_ratio(training, held_out, fake)
    assert found.ratio[:count].max() == 0
    assert found.training[:count].tolist() == list(range(count))
    told = summary(found.ratio)
    assert told["tail_ratio"] == 0
    assert told["nearer_training"] == pytest.approx(copied + (1 - copied) / 2, abs=0.05)
    # The other way round they are copies of held-out reals.
    other = training_ratio(held_out, training, fake).ratio
    assert (other[:count] == MOST).all()


def test_the_spread_of_chance_is_that_of_all_ways_to_name_the_halves():
    """Brute force: all 20 ways to call 3 of 6 reals the training images."""
    reals, fake = normal("reals", 6, 2), normal("fake", 9, 2)
    shares = []
    for chosen in itertools.combinations(range(6), 3):
        rest = [i for i in range(6) if i not in chosen]
        found = training_ratio(reals[list(chosen)], reals[rest], fake)
        shares.append(summary(found.ratio)["nearer_training"])
        assert chance_spread(found, 3) == pytest.approx(chance_spread_of(reals, fake))
    assert np.mean(shares) == pytest.approx(0.5)
    assert np.std(shares) == pytest.approx(chance_spread_of(reals, fake))


def chance_spread_of(reals: np.ndarray, fake: np.ndarray) -> float:
    return chance_spread(training_ratio(reals[:3], reals[3:], fake), 3)


def test_samples_that_are_alike_have_one_chance_together():
    sides = [normal(name, 50, 3) for name in ("training", "held out")]
    alike = training_ratio(*sides, np.ones((30, 3), np.float32))
    assert chance_spread(alike, 50) == pytest.approx(0.5)
    # And those that each have their own nearest real are independent, up to the finite number.
    found = training_ratio(*sides, np.concatenate(sides)[::2])
    assert chance_spread(found, 50) == pytest.approx(np.sqrt(100 / 99 / 4 * (1 / 50 - 1 / 100)))


def test_what_lies_on_both_sides_is_a_tie():
    same = normal("same", 30, 3)
    told = summary(training_ratio(same, same, same[:10]).ratio)
    assert told == {"nearer_training": 0.5, "median_ratio": 1.0, "tail_ratio": 1.0}


def test_the_tail_is_a_ratio_that_occurs():
    assert summary(np.arange(1, 201) / 100)["tail_ratio"] == 0.02 and TAIL == 0.01


def test_sides_of_unequal_number_are_refused_on_one_line():
    with pytest.raises(
        ValueError, match="10 training and 9 held-out reals: take as many"
    ) as raised:
        training_ratio(normal("a", 10, 2), normal("b", 9, 2), normal("c", 5, 2))
    assert "\n" not in str(raised.value)
    with pytest.raises(ValueError, match="no fake sample"):
        summary(np.empty(0))
