"""Metrics of nearest neighbours against closed forms, counts by hand and brute force."""

import numpy as np
import pytest
from scipy.special import comb
from two_modes import two_modes

from pseudodensity.metrics import clipped, memorisation, rarity, realism, retrieval
from pseudodensity.metrics.manifold import expected_coverage


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def line(*values):
    return np.array(values, dtype=np.float32)[:, None]


def scores(metric, real, fake, **settings):
    return metric.score(metric.prepare({"features": real}, **settings), {"features": fake})


def apart(a, b):
    return np.linalg.norm(a[:, None].astype("f8") - b[None].astype("f8"), axis=2)


def radii(x, k):
    return np.sort(apart(x, x), axis=1)[:, k]


def cubes(d, seed):
    """Two cubes that share .2 of their volume."""
    generator = np.random.default_rng(seed)
    real, fake = generator.random((2, 1000, d))
    return real.astype("f4"), (fake + 1 - 0.2 ** (1 / d)).astype("f4")


# ----------------------------------------------------------------- clipped density and coverage


def test_clipped_scores_by_hand():
    # Reals 0 1 2 4 10, k = 1: radii 1 1 1 2 6, of which 1 is the median: clipped 1 1 1 1 1. Reals hold
    # each other: 0 and 2 in the ball of 1's; its own ball's nearest is 0 (ties by index); 1 is in the
    # balls of 0 and 2: [1, 1, 0, 0, 0] of 1 at most, .4. Fakes 0.5 3.5 20: the first two are held.
    found = scores(clipped, line(0, 1, 2, 4, 10), line(0.5, 3.5, 20), k=1)
    assert found["clipped_density"] == min(2 / 3 / 0.4, 1)
    # Covered: 0, 1, 4 (by 3.5), 10 (radius 6, by 3.5? 6.5 away: no), 2 (1.5 away: no): .6 of reals,
    # and m fakes cover 1 - 4 / (4 + m) on average, so .6 is beyond 3 of them (3/7).
    assert found["clipped_coverage"] == 1
    # One fake near covers 2 of 5, between those of 2 and 3 fakes.
    found = scores(clipped, line(0, 1, 2, 4, 10), line(0.5, 30, 20), k=1)
    assert found["clipped_coverage"] == pytest.approx(
        np.interp(0.4, [0, 1 / 5, 2 / 6, 3 / 7], [0, 1 / 3, 2 / 3, 1])
    )


@pytest.mark.parametrize("k", [2, 5])
def test_clipped_scores_are_those_of_brute_force(k):
    real, fake = normal(80, 5), 2 * normal(71, 5, seed=1)
    r, d = radii(real, k), apart(real, fake)
    clip = np.minimum(r, np.median(r))
    own = (apart(real, real) <= clip[:, None]) & ~np.eye(80, dtype=bool)
    share = [np.minimum(inside.sum(0), k).mean() / k for inside in (d <= clip[:, None], own)]
    found = scores(clipped, real, fake, k=k)
    assert found["clipped_density"] == pytest.approx(share[0] / share[1], rel=1e-12)
    held = np.minimum((d <= r[:, None]).sum(1), k).mean() / k
    expected = clipped.expected_counts(80, 71, k)
    assert share[0] < share[1] and held < expected[-1]
    assert np.interp(found["clipped_coverage"], np.arange(72) / 71, expected) == pytest.approx(held)


def test_expected_counts_in_closed_form():
    # k = 1: whether any of m fakes is nearer than the nearest of n - 1 reals.
    found = clipped.expected_counts(50, 30, 1)
    assert found == pytest.approx([0, *(expected_coverage(50, m, 1) for m in range(1, 31))])
    # By counting orders of m fakes and n - 1 reals.
    n, m, k = 9, 6, 3
    orders = [comb(j + k - 1, j) * comb(n - 1 - k + m - j, m - j) for j in range(m + 1)]
    mean = np.dot(orders, np.minimum(np.arange(m + 1), k)) / np.sum(orders) / k
    assert clipped.expected_counts(n, m, k)[m] == pytest.approx(mean)
    with pytest.raises(ValueError, match="below the 3 reals, got 3"):
        clipped.expected_counts(3, 5, 3)


def test_two_samples_of_one_law_have_a_clipped_coverage_of_one():
    found = [scores(clipped, normal(200, 4, s), normal(200, 4, 500 + s)) for s in range(20)]
    assert np.mean([f["clipped_coverage"] for f in found]) == pytest.approx(1, abs=0.04)
    half = [scores(clipped, normal(200, 4, s), normal(100, 4, 500 + s)) for s in range(20)]
    far = [np.concatenate([normal(100, 4, 500 + s), normal(100, 4) + 90]) for s in range(20)]
    bad = [scores(clipped, normal(200, 4, s), far[s]) for s in range(20)]
    # Half of the fakes far off: half of the score; half as many fakes, all good: the whole.
    assert np.mean([f["clipped_coverage"] for f in bad]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([f["clipped_coverage"] for f in half]) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (0.0, (0.299, 0.971, 1.0)),
        (0.1, (0.273, 0.847, 1.0)),
        (0.2, (0.204, 0.536, 0.872)),
        (0.3, (0.130, 0.234, 0.351)),
    ],
)
def test_clipped_density_rewards_dense_regions(error, expected):
    """Values of an independent implementation: a perfect generator of sparse modes scores .3."""
    for dense_share, value in zip((0.1, 0.5, 0.9), expected, strict=True):
        draws = [
            scores(
                clipped, two_modes(1000, 0.5, 0, s), two_modes(1000, dense_share, error, 100 + s)
            )
            for s in range(3)
        ]
        assert np.mean([d["clipped_density"] for d in draws]) == pytest.approx(value, abs=0.02)


@pytest.mark.parametrize(("d", "expected"), [(1, 0.190), (8, 0.526), (64, 0.950)])
def test_clipped_density_of_cubes_that_share_a_fifth(d, expected):
    """Values of an independent implementation; the truth is .2."""
    draws = [scores(clipped, *cubes(d, s))["clipped_density"] for s in range(3)]
    assert np.mean(draws) == pytest.approx(expected, abs=0.05)


# ----------------------------------------------------------------------------- retrieved reals


def test_retrieved_reals_by_hand():
    found = scores(retrieval, line(0, 1, 2, 3, 4), line(0.1, 0.2, 3.9, 9))
    assert found["retrieved"] == 2 / 5
    # 2 distinct of 4 draws: s (s - 1) / s^4 is largest at s = 2 (2/16 against 6/81 at 3).
    assert found["irs"] == 2 / 5


def occupied(s, draws):
    """Probability of each number of distinct items, by the recurrence over draws."""
    chance = np.zeros(draws + 1)
    chance[0] = 1
    for _ in range(draws):
        chance[1:] = chance[1:] * np.arange(1, draws + 1) / s + chance[:-1] * (
            1 - np.arange(draws) / s
        ).clip(0)
        chance[0] = 0
    return chance


@pytest.mark.parametrize(("found", "draws", "most"), [(7, 12, 40), (20, 21, 60), (3, 50, 40)])
def test_the_most_likely_number_is_that_of_exact_probabilities(found, draws, most):
    sizes = range(found, most + 1)
    likely = sizes[int(np.argmax([occupied(s, draws)[found] for s in sizes]))]
    assert retrieval.retrievable(found, draws, most)[1] == likely


def test_bounds_hold_the_truth_nineteen_times_of_twenty():
    chance, held = occupied(200, 300), 0.0
    for found in np.flatnonzero(chance > 1e-9):
        low, _, high = retrieval.retrievable(int(found), 300, 400)
        held += chance[found] * (low <= 200 <= high)
    assert 0.93 < held < 0.97


def test_all_distinct_says_no_more_than_the_most_there_are():
    assert retrieval.retrievable(10, 10, 50)[1:] == (50, 50)
    assert retrieval.retrievable(1, 100, 50) == (1, 1, 1)


# -------------------------------------------------------------------------- rarity and realism


def test_rarity_on_a_lattice():
    """Reals 0 .. 10 and 100, k = 2: a radius of 1 inside, 91 at 100."""
    side = rarity.prepare({"features": line(*range(11), 100)}, k=2)
    found = rarity.rarities(side, line(0.5, 99.9, 50, -50))
    np.testing.assert_array_equal(found, [1, 91, 91, np.nan])
    assert rarity.score(side, {"features": line(0.5, 99.9, 50, -50)}) == {
        "rarity": pytest.approx(61),
        "outside": 0.25,
    }
    assert rarity.score(side, {"features": line(-50, -60)}) == {"rarity": 0, "outside": 1}


@pytest.mark.parametrize("k", [1, 3])
def test_rarity_and_realism_are_those_of_brute_force(k):
    real, fake = normal(80, 5) + 1000, normal(71, 5, seed=1) + 1000
    d, r = apart(real, fake), radii(real, k)
    inside = np.where(d <= r[:, None], r[:, None], np.inf).min(0)
    found = rarity.rarities(rarity.prepare({"features": real}, k=k), fake)
    np.testing.assert_allclose(found, np.where(np.isinf(inside), np.nan, inside), rtol=1e-9)
    kept = r <= np.median(r)
    found = realism.realisms(realism.prepare({"features": real}, k=k), fake)
    np.testing.assert_allclose(found, (r[:, None] / d)[kept].max(0), rtol=1e-6)


def test_realism_on_a_lattice():
    # Reals 0 1 2 9, k = 1: radii 1 1 1 7; the last is wider than the median and left out.
    side = realism.prepare({"features": line(0, 1, 2, 9)}, k=1)
    fake = line(0.5, 4, 9, 2)
    np.testing.assert_allclose(realism.realisms(side, fake), [2, 0.5, 1 / 7, realism.MOST])
    assert realism.score(side, {"features": fake}) == {"realism": 1.25, "realistic": 0.5}


# ------------------------------------------------------------------------------- memorisation


def test_memorisation_by_hand():
    # Reals 0 1 4: their neighbours are 1, 1 and 3 away.
    side = memorisation.prepare({"features": line(0, 1, 4)})
    ratios, rows = memorisation.copying(side, line(4, 1.25, 7, -2))
    np.testing.assert_allclose(ratios, [0, 0.25, 1, 2])
    assert rows.tolist() == [2, 1, 2, 0]
    assert memorisation.score(side, {"features": line(4, 1.25, 7, -2)}) == {
        "authentic": 0.25,
        "memorisation_tail": 0,
    }


def test_copies_show_in_the_tail_before_they_show_in_the_share():
    real, fresh = normal(1000, 16), normal(1000, 16, seed=1)
    some = fresh.copy()
    some[:20] = real[:20] + np.float32(1e-3)
    without, with_some = (scores(memorisation, real, fake) for fake in (fresh, some))
    assert without["memorisation_tail"] > 0.5 and with_some["memorisation_tail"] < 0.01
    assert abs(with_some["authentic"] - without["authentic"]) < 0.03


def test_a_real_that_has_a_copy_divides_by_nothing():
    found, _ = memorisation.copying(
        memorisation.prepare({"features": line(1, 1, 5)}), line(1, 1.5, 6)
    )
    np.testing.assert_allclose(found, [0, memorisation.MOST, 0.25])
