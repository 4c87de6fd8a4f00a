"""Nearest neighbours against brute force in float64, in the cases that break float32."""

import numpy as np
import pytest
import torch

from pseudodensity import neighbors
from pseudodensity.neighbors import ball_members, frame, knn, nearest


def brute_force(queries, references, k, exclude_self=False):
    differences = queries[:, None].astype(np.float64) - references[None].astype(np.float64)
    squared = (differences**2).sum(2)
    if exclude_self:
        np.fill_diagonal(squared, np.inf)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(squared, order, 1)), order


def features(case, n=300, d=24, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return {
        "plain": lambda: x,
        "line": lambda: x[:, :1],
        "offset": lambda: x + np.float32(1000),
        "copies": lambda: np.repeat(x[: n // 5], 5, axis=0),
        "near copies": lambda: np.tile(x[: n // 20], (20, 1)) + np.float32(1e-4) * x,
        "lattice": lambda: np.round(x[:, :6]),
        "tiny": lambda: x * np.float32(1e-25),
        "huge": lambda: x * np.float32(1e25),
        "outlier": lambda: np.concatenate([x[:-1] * np.float32(1e-3), x[-1:] * np.float32(1e6)]),
        "constant": lambda: np.full_like(x, 3),
    }[case]()


CASES = ["plain", "line", "offset", "copies", "near copies", "lattice", "tiny", "huge", "outlier"]


@pytest.mark.parametrize("exclude_self", [True, False])
@pytest.mark.parametrize("case", [*CASES, "constant"])
def test_neighbours_and_their_order_are_those_of_float64_differences(case, exclude_self):
    x = features(case)
    distances, indices = knn(x, x, 7, exclude_self)
    expected, order = brute_force(x, x, 7, exclude_self)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_two_sets(case):
    queries, references = features(case, n=100, seed=1), features(case)
    distances, indices = knn(queries, references, 5)
    expected, order = brute_force(queries, references, 5)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


@pytest.mark.parametrize("tile", [1, 2, 7, 64, 299, 300])
@pytest.mark.parametrize("case", ["plain", "near copies", "lattice"])
def test_the_tile_size_changes_nothing(monkeypatch, case, tile):
    n = 300 if tile > 7 else 20
    x = features(case, n)
    expected = knn(x, x, 6, exclude_self=True), knn(x[:30], x, 6)
    monkeypatch.setattr(neighbors, "TILE", tile)
    monkeypatch.setattr(neighbors, "GROUPS", 8)
    monkeypatch.setattr(neighbors, "PIECE", 5)
    found = knn(x, x, 6, exclude_self=True), knn(x[:30], x, 6)
    np.testing.assert_equal(found, expected)


def test_self_is_dropped_by_index_and_not_by_rank():
    # Four copies: each has the three others as neighbours, never itself.
    x = np.repeat(features("plain", 10), 4, axis=0)
    distances, indices = knn(x, x, 3, exclude_self=True)
    assert (distances == 0).all()
    assert (indices != np.arange(40)[:, None]).all()
    assert (indices // 4 == np.arange(40)[:, None] // 4).all()


def test_the_same_array_passed_twice_or_copied_gives_the_same():
    x = features("near copies")
    np.testing.assert_equal(knn(x, x, 5, True), knn(x, x.copy(), 5, True))
    np.testing.assert_equal(knn(x, x, 5), knn(x, x.copy(), 5))


def test_all_other_points_as_neighbours():
    x = features("plain", 150)
    distances, indices = knn(x, x, 149, exclude_self=True)
    expected, order = brute_force(x, x, 149, exclude_self=True)
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**60])
def test_a_power_of_two_scales_distances_and_nothing_else(factor):
    x = features("near copies")
    distances, indices = knn(x, x, 5, exclude_self=True)
    scaled, same = knn(x * np.float32(factor), x * np.float32(factor), 5, exclude_self=True)
    np.testing.assert_array_equal(same, indices)
    np.testing.assert_array_equal(scaled, distances * np.float32(factor))


def test_kind_and_dtype_follow_the_input():
    x = features("plain", 20)
    for array, dtype in [
        (x, np.float32),
        (x.astype(np.float16), np.float32),
        (x.astype(np.float64), np.float64),
        (np.round(x).astype(np.int32), np.float64),
        (x[::-1, ::2], np.float32),
    ]:
        distances, indices = knn(array, array, 3)
        assert (distances.dtype, indices.dtype) == (dtype, np.int64)
        np.testing.assert_allclose(distances, brute_force(array, array, 3)[0], rtol=1e-6)
    x = torch.from_numpy(x).requires_grad_()
    distances, indices = knn(x, x, 3)
    assert isinstance(distances, torch.Tensor) and isinstance(indices, torch.Tensor)
    assert distances.dtype == torch.float32 and not distances.requires_grad


def test_float64_is_not_rounded_to_float32_on_the_way():
    x = 1.0 + 1e-12 * np.arange(20)[:, None] ** 2
    np.testing.assert_array_equal(knn(x, x, 3)[1], brute_force(x, x, 3)[1])


def test_inputs_stay_untouched():
    x = features("offset")
    before = x.copy()
    x.flags.writeable = False
    knn(x, x, 3)
    np.testing.assert_array_equal(x, before)


def test_reduced_matrix_precision_does_not_leak_in():
    x = features("plain")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        np.testing.assert_array_equal(knn(x, x, 5)[1], brute_force(x, x, 5)[1])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_clusters_tighter_than_float32_can_see():
    # 3 clusters, 1e-4 of their distance wide: float32 decides no pair within a cluster.
    generator = np.random.default_rng(3)
    centres = generator.standard_normal((3, 40))
    x = (np.repeat(centres, 100, 0) + 1e-4 * generator.standard_normal((300, 40))).astype("f4")
    np.testing.assert_array_equal(knn(x, x, 10, True)[1], brute_force(x, x, 10, True)[1])


def test_lower_bounds_hold_and_their_slack_suffices():
    x = features("plain", 200, 300) + features("plain", 200, 300, seed=1)[:1] * np.float32(20)
    points = frame(points=x)[0]
    tiles = neighbors._Tiles(points, points, torch.float32)
    every = slice(0, 200)
    low = tiles(every, every).double()
    i, j = torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij")
    exact = neighbors.squared_distances(points, i.flatten(), points, j.flatten()).view(200, 200)
    assert (low <= exact).all()
    assert (exact <= low + tiles.slack(i, j)).all()


@pytest.mark.parametrize("width", [1, 2, 3, 17, 64, 100])
def test_the_yardstick_is_exact_on_integers_and_the_same_in_any_batch(width):
    generator = np.random.default_rng(width)
    whole = generator.integers(-9, 9, (50, width)).astype(np.float32)
    i, j = torch.arange(50), torch.arange(50).flip(0)
    points = frame(points=whole)[0]
    found = neighbors.squared_distances(points, i, points, j) / points.scale**2
    np.testing.assert_array_equal(found, ((whole - whole[::-1]) ** 2).sum(1))
    rough = frame(points=generator.standard_normal((50, width)))[0]
    together = neighbors.squared_distances(rough, i, rough, j)
    for p in range(50):
        alone = neighbors.squared_distances(rough, j[p : p + 1], rough, i[p : p + 1])
        assert alone == together[p]


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_ball_members_are_those_of_float64_differences(monkeypatch, case, inclusive):
    monkeypatch.setattr(neighbors, "TILE", 90)
    reals, fakes = frame(real=features(case, 200), fake=features(case, 220)[20:])
    r = nearest(reals, reals, 3, exclude_self=True)[0][:, -1]
    s = nearest(fakes, fakes, 3, exclude_self=True)[0][:, -1]
    in_real, in_fake = np.zeros((2, 200, len(fakes)), dtype=bool)
    for (i, j), (p, q) in ball_members(reals, fakes, r, s, inclusive):
        in_real[i, j], in_fake[p, q] = True, True
    i, j = torch.meshgrid(torch.arange(200), torch.arange(len(fakes)), indexing="ij")
    squared = neighbors.squared_distances(reals, i.flatten(), fakes, j.flatten()).view(i.shape)
    inside = torch.le if inclusive else torch.lt
    np.testing.assert_array_equal(in_real, inside(squared, r[:, None]))
    np.testing.assert_array_equal(in_fake, inside(squared, s[None, :]))


def bad_row(value):
    x = features("plain", 20)
    x[3, 5] = x[7, 0] = value
    return x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: knn(bad_row(np.nan), x, 3), "queries: 2 of 20 rows hold NaN or infinity"),
        (lambda x: knn(x, bad_row(-np.inf), 3), "references: 2 of 20 rows hold NaN or infinity"),
        (lambda x: knn(x, x, 20, exclude_self=True), "k must lie in 1..19 for 20 references"),
        (lambda x: knn(x, x, 21), "k must lie in 1..20 for 20 references, got 21"),
        (lambda x: knn(x, x, 0), "k must lie in 1..20"),
        (lambda x: knn(x[:, :5], x, 3), r"differ in dimension: .*\(20, 24\).*\(20, 5\)"),
        (lambda x: knn(x[:5], x, 3, exclude_self=True), "query i to be reference i.* 5 queries"),
        (lambda x: knn(x[0], x, 3), r"queries must be \(n, d\)"),
        (lambda x: knn(x, x[:0], 3), r"references must be \(n, d\) with n, d >= 1, got \(0, 24\)"),
        (lambda x: knn(x, torch.from_numpy(x), 3), "all be arrays or all be tensors"),
        (lambda x: knn(x.tolist(), x.tolist(), 3), "must be an array or a tensor"),
        (lambda x: knn(x + 1j, x, 3), "real numbers"),
        (lambda x: knn(x.astype("f8") * 1e200, x.astype("f8"), 3), "too large to square"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(features("plain", 20))
    assert "\n" not in str(error.value)
