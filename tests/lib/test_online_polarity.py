"""Polarity online, as a method, against the law of generators that are known."""

import math

import numpy as np
import pytest
from spectra import column_of_volumes

from pseudodensity.columns.pool import Pool
from pseudodensity.control.select.online_polarity import (
    DEFAULTS,
    choose,
    points,
    proposals,
    why_not,
)
from pseudodensity.rng import numpy_generator

SIDES = numpy_generator(0, "sides").permutation(np.arange(20_000) % 2)


def two_slopes() -> Pool:
    """Volumes 1 on one half of the latents and 3 on the other."""
    return Pool({"singular_values": column_of_volumes(SIDES * math.log(3))}, seed=0)


@pytest.mark.parametrize("exponent", [-2, -1, 0, 1, 2])
def test_mass_of_two_slopes(exponent):
    (point,) = points({"exponents": [exponent]}, DEFAULTS, {})
    chosen = choose(two_slopes(), point, 1000, 4)
    rows = np.concatenate(chosen.rows)
    expected = 1 / (1 + 3.0**exponent)
    sigma = math.sqrt(expected * (1 - expected) / len(rows))
    assert (SIDES[rows] == 0).mean() == pytest.approx(expected, abs=4 * sigma)
    assert rows.min() >= 1000 and len(np.unique(rows)) == len(rows) == 4000
    # Two weights: the burn-in has met the larger one, whose share of the proposals is accepted whole.
    assert "at most 0" in chosen.note
    mean = (1 + 3.0 ** -abs(exponent)) / 2
    assert chosen.acceptance == pytest.approx(mean, abs=0.03)
    assert chosen.expected == pytest.approx(mean, abs=0.03)


def test_too_few_accepted_give_fewer_repeats():
    (point,) = points({"exponents": [2]}, DEFAULTS, {})
    assert len(choose(two_slopes(), point, 6000, 4).rows) == 1
    assert choose(two_slopes(), point, 20_000, 4).rows == []
    assert proposals(point, 100, 3) == 6000
    with pytest.raises(ValueError, match="there are 6000: raise methods.online_polarity.volumes"):
        proposals(point, 6000, 3)


def test_classes_are_refused():
    assert "shares of its classes" in why_not({"classes": True, "no_jacobian": None})
    assert why_not({"classes": False, "no_jacobian": "has none"}) == "has none"
