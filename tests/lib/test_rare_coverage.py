"""Coverage of the rare against brute force, and against what can be counted by hand."""

import numpy as np
import pytest
import torch

from pseudodensity.metrics import manifold, rare_coverage

torch.set_num_threads(1)


def numbers(n, d, seed):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def scored(real, fake, **settings):
    side = rare_coverage.prepare({"features": real}, **settings)
    return rare_coverage.score(side, {"features": fake})["rare_coverage"]


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("d", [1, 4])
def test_it_is_what_brute_force_counts(k, d):
    real, fake = numbers(50, d, 0), numbers(6, d, 1)
    within = np.linalg.norm(real[:, None] - real[None].astype(np.float64), axis=2)
    radii = np.sort(within, 1)[:, k]
    rare = np.argsort(radii)[40:]
    across = np.linalg.norm(real[:, None] - fake[None].astype(np.float64), axis=2).min(1)
    expected = (across[rare] <= radii[rare]).mean()
    assert 0 < expected < 1
    assert scored(real, fake, k=k) == pytest.approx(expected)


def line(*points):
    return np.array(points, np.float32)[:, None]


# Eight that are close together, and three that are one or more apart.
REAL = line(*np.arange(8) / 100, 2.0, 4.0, 7.0)


def test_the_three_rare_ones_are_covered_one_by_one():
    # Their nearest neighbours are 1.93, 2 and 3 away, in front of all the others'.
    assert scored(REAL, line(0.0, 0.03), k=1) == 0
    assert scored(REAL, line(0.0, 8.0), k=1) == pytest.approx(1 / 3)
    assert scored(REAL, line(3.0, 10.0), k=1) == 1  # on the borders of the last one's, too
    assert scored(REAL, REAL, k=1) == 1
    assert scored(REAL, line(11.0, 12.0), k=1) == 0


def test_it_sees_what_coverage_of_all_does_not():
    """Fakes of the dense part alone: most reals are covered, of the rare ones none."""
    dense = line(*np.arange(8) / 100 - 0.001)
    side = manifold.prepare({"features": REAL}, k=1)
    coverage = manifold.score(side, {"features": dense})["coverage"]
    assert coverage == pytest.approx(8 / 11) and scored(REAL, dense, k=1) == 0


def test_equal_balls_are_rare_together():
    grid = line(*range(10))
    # All balls reach one far: those of 0 to 3 hold a fake.
    assert scored(grid, line(1.0, 2.0), k=1) == pytest.approx(4 / 10)
