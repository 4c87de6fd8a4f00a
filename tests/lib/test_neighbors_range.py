"""Nearest neighbours at every size that numbers have, against exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from pseudodensity.density.knn import knn_density
from pseudodensity.metrics import manifold
from pseudodensity.neighbors import knn

torch.set_num_threads(1)

SIZES = [1e-135, 1e-49, 1e-30, 1.0, 1e19, 1e30, 1e49, 1e100, 1e145]


def exact_order(queries, references, k):
    """Indices of the k nearest by rational numbers, equal distances in order of the index."""
    rows = [[Fraction(float(x)) for x in row] for row in references]
    order = []
    for query in queries:
        point = [Fraction(float(x)) for x in query]
        squared = [sum((a - b) ** 2 for a, b in zip(point, row, strict=True)) for row in rows]
        order.append(sorted(range(len(rows)), key=lambda j: (squared[j], j))[:k])
    return np.array(order)


def distances_of(queries, references, order):
    """float64 distances, by numpy, which scales by itself."""
    differences = queries[:, None].astype(np.float64) - references[order].astype(np.float64)
    largest = np.abs(differences).max() or 1.0
    return np.linalg.norm(differences / largest, axis=2) * largest


def points(size, n=60, d=3, seed=0, dtype=np.float64):
    normal = np.random.default_rng(seed).standard_normal((n, d))
    normal[::7] *= 1e-3  # near the mean, and near each other
    return (normal * size).astype(dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [1, 3])
def test_float64_neighbours_are_exact(size, width):
    queries, references = points(size, 20, width, seed=1), points(size, d=width)
    distances, indices = knn(queries, references, 5)
    order = exact_order(queries, references, 5)
    np.testing.assert_array_equal(indices, order)
    assert distances.dtype == np.float64
    np.testing.assert_allclose(distances, distances_of(queries, references, order), rtol=1e-14)


@pytest.mark.parametrize("size", [1e-42, 1e-30, 1.0, 1e19, 1e30, 1e37])
def test_float32_neighbours_are_exact(size):
    queries, references = points(size, 20, 3, 1, np.float32), points(size, dtype=np.float32)
    distances, indices = knn(queries, references, 5)
    order = exact_order(queries, references, 5)
    np.testing.assert_array_equal(indices, order)
    expected = distances_of(queries, references, order).astype(np.float32)
    np.testing.assert_allclose(distances, expected, rtol=1e-6, atol=2e-45)


@pytest.mark.parametrize("sizes", [(1e30, 1e33), (1e33, 1e31), (1e-42, 1e-40), (1e-30, 1e-33)])
def test_sets_of_two_types_and_two_sizes(sizes):
    queries, references = points(sizes[0], 20, 3, 1, np.float32), points(sizes[1])
    for first, second in ((queries, references), (references, queries)):
        _, indices = knn(first, second, 5)
        np.testing.assert_array_equal(indices, exact_order(first, second, 5))


@pytest.mark.parametrize("size", SIZES)
def test_density_and_metrics_do_not_depend_on_the_unit(size):
    real, fake, power = points(1.0), points(1.0, seed=1), 2.0 ** round(np.log2(size))
    ours = manifold.score(manifold.prepare({"features": real * power}), {"features": fake * power})
    theirs = manifold.score(manifold.prepare({"features": real}), {"features": fake})
    assert ours.pop("median_nearest") == pytest.approx(theirs.pop("median_nearest") * power)
    assert ours == theirs
    np.testing.assert_allclose(knn_density(real * power, 3), knn_density(real, 3), rtol=1e-12)


@pytest.mark.parametrize(
    ("size", "said"),
    [(1e155, "too large .* 1e.150"), (1e300, "too large"), (1e-145, "small"), (1e-170, "small")],
)
def test_sizes_that_cannot_be_squared_are_refused(size, said):
    x = points(size)
    for call in (lambda: knn(x, x, 3, True), lambda: manifold.manifold_metrics(x, x)):
        with pytest.raises(ValueError, match=f"{said}.*scale them") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [0.0, 1e-170, 1e-300, -5e-324, 3.0])
def test_copies_of_any_size_are_copies(value):
    x = np.full((20, 3), value)
    distances, indices = knn(x, x, 3)
    assert (distances == 0).all() and (indices == [0, 1, 2]).all()


def test_distances_beyond_float32_are_refused():
    x = points(3e38, dtype=np.float64).clip(-3.4e38, 3.4e38).astype(np.float32)
    with pytest.raises(ValueError, match="beyond float32: pass all features as float64"):
        knn(x, x, 59, exclude_self=True)
    knn(x.astype(np.float64), x.astype(np.float64), 59, exclude_self=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_named(value):
    x = points(1.0, 600)
    x[[300, 517], 1] = value
    with pytest.raises(ValueError, match="references: 2 of 600 rows .*first row 300; drop them"):
        knn(x, x, 3)
    with pytest.raises(ValueError, match="2 features hold NaN or infinity, first row 300: check"):
        knn_density(x)
