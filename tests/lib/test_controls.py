"""Controls on a law that is known: what they choose has the shares that a closed form says.

Densities are uniform, of the real images as of the pool: a share tau of them lies below tau.
"""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.select.acceptance import expected_acceptance
from pseudodensity.plan.methods import method
from pseudodensity.rng import numpy_generator

N = 40_000
DENSITY = numpy_generator(0, "densities").permutation((np.arange(N) + 0.5) / N)
POOL = Pool({"density": Column(DENSITY, DENSITY[:5000])}, 0)
SETTINGS = [(80, 33.0), (20, 0.03), (50, 2.0), (50, 0.5), (0, 0.1)]


def choose(images, repeats, pool=POOL, **point):
    return method(point["method"]).choose(pool, point, images, repeats)


def every_accepted(tau, w) -> set[int]:
    rows = choose(1, N, method="oracle", tau=tau, w=w).rows
    return set(np.concatenate(rows).tolist())


@pytest.mark.parametrize(("tau", "w"), SETTINGS)
def test_the_oracle_has_the_shares_of_the_reweighted_law(tau, w):
    p = (DENSITY < np.sort(DENSITY[:5000])[int(tau / 100 * 5000)]).mean()
    share = expected_acceptance(p, w)
    choice = choose(1, N, method="oracle", tau=tau, w=w)
    rows = np.concatenate(choice.rows)
    error = math.sqrt(share * (1 - share) / N)
    assert len(rows) / N == pytest.approx(share, abs=5 * error)
    assert choice.acceptance == pytest.approx(share, abs=5 * error)
    assert choice.expected == pytest.approx(share, abs=2e-3)
    high = (1 - p) * w / (p + (1 - p) * w)
    found = int((DENSITY[rows] >= np.sort(DENSITY[:5000])[int(tau / 100 * 5000)]).sum())
    assert binomtest(found, len(rows), high).pvalue > 1e-4


def test_points_of_the_oracle_share_their_draws():
    """Of two weights the milder one keeps all that the stricter keeps: differences have less noise."""
    accepted = {w: every_accepted(50, w) for w in (33.0, 4.0, 2.0, 1.0, 0.5, 0.03)}
    assert accepted[33.0] < accepted[4.0] < accepted[2.0] < accepted[1.0] == set(range(N))
    assert accepted[0.03] < accepted[0.5] < accepted[1.0]


def test_the_oracle_chooses_among_real_images_as_the_method_among_proposals():
    for tau, w in SETTINGS:
        ours = choose(500, 3, method="oracle", tau=tau, w=w)
        theirs = choose(500, 3, method="importance", tau=tau, w=w)
        assert [r.tolist() for r in ours.rows] == [r.tolist() for r in theirs.rows]


def test_held_out_images_are_those_of_the_law_one_after_the_other():
    choice = choose(500, 3, method="held_out")
    assert np.concatenate(choice.rows).tolist() == list(range(1500))
    assert choice.acceptance == choice.expected == 1 and choice.ess == choice.used == 1500
    assert kstest(DENSITY[np.concatenate(choice.rows)], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("acceptance", [0.1, 0.5, 1.0])
def test_a_random_choice_keeps_the_law_and_its_share(acceptance):
    choice = choose(1, N, method="random_choice", acceptance=acceptance)
    rows = np.concatenate(choice.rows)
    assert binomtest(len(rows), N, acceptance).pvalue > 1e-4
    assert kstest(DENSITY[rows], "uniform").pvalue > 1e-3
    assert choice.expected == pytest.approx(acceptance)
    # All weights are the same, so nothing is lost but the proposals.
    assert choice.ess == pytest.approx(choice.used)


def test_copies_are_training_images_any_as_often_as_another():
    pool = Pool({"density": Column(DENSITY[:100], DENSITY[:100])}, 0)
    choice = choose(5000, 2, pool=pool, method="training_copies")
    assert choice.acceptance is None and [len(rows) for rows in choice.rows] == [5000, 5000]
    first, second = (np.bincount(rows, minlength=100) for rows in choice.rows)
    for counts in (first, second):
        assert len(counts) == 100 and abs(((counts - 50) ** 2 / 50).sum() - 99) < 5 * math.sqrt(198)
    assert (first != second).any()
