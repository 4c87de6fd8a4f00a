"""What the search asks of faiss: candidates in parts, on a GPU where there is one, and no more."""

import subprocess
import sys

import faiss
import numpy as np
import pytest
import torch

from pseudodensity import neighbors
from pseudodensity.feature_sets import frame, squared_distances
from pseudodensity.neighbors import ball_members, knn

LIGHT = ("neighbors", "metrics.manifold", "metrics.frechet", "density.knn", "quick")


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.mark.parametrize("module", LIGHT)
def test_faiss_is_imported_by_a_search_only(module):
    code = f"import sys, pseudodensity.{module}; assert 'faiss' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("references", "queries"), [(64, 7), (3, 300), (300, 1)])
def test_neither_the_size_of_an_index_nor_that_of_a_query_changes_anything(
    monkeypatch, references, queries
):
    x = normal(200, 16)
    expected = knn(x, x, 6, exclude_self=True), knn(x[:30], x, 6)
    monkeypatch.setattr(neighbors, "REFERENCES", references)
    monkeypatch.setattr(neighbors, "QUERIES", queries)
    np.testing.assert_equal((knn(x, x, 6, exclude_self=True), knn(x[:30], x, 6)), expected)


def test_a_search_has_as_many_threads_as_torch():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        knn(normal(50, 4), normal(60, 4), 3)
        assert faiss.omp_get_max_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_gpu_is_used_where_faiss_sees_one(monkeypatch):
    x, moved = normal(100, 8), []

    def to_gpu(resources, device, index):
        moved.append((resources, device, index.ntotal))
        return index

    expected = knn(x, x, 5)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    np.testing.assert_equal(knn(x, x, 5), expected)
    assert moved == [("resources", 0, 0)]
    # More than a GPU sorts stays on the CPU.
    monkeypatch.setattr(neighbors, "GPU_CANDIDATES", 12)
    np.testing.assert_equal(knn(x, x, 5)[1][:, 0], np.arange(100))
    assert len(moved) == 1


@pytest.mark.parametrize("spoil", [0.0, 2e-6])
def test_what_faiss_rounds_never_decides(monkeypatch, spoil):
    # Candidates in a wrong order, as far as float32 may be wrong, and with copies in any order.
    class Spoilt(faiss.IndexFlatL2):
        def search(self, queries, count):
            found, indices = super().search(queries, count)
            noise = np.random.default_rng(0).uniform(-spoil, spoil, found.shape)
            noise *= (queries**2).sum(1, keepdims=True)
            found = np.maximum(found + noise.astype("f4"), 0)
            order = np.lexsort((-indices, found))
            return np.take_along_axis(found, order, 1), np.take_along_axis(indices, order, 1)

    x = np.concatenate([normal(60, 12), normal(60, 12), np.repeat(normal(1, 12, seed=1), 40, 0)])
    x[60:120] += np.float32(1e-5) * normal(60, 12, seed=2)
    expected = knn(x, x, 4, exclude_self=True)
    monkeypatch.setattr(faiss, "IndexFlatL2", Spoilt)
    np.testing.assert_equal(knn(x, x, 4, exclude_self=True), expected)


def test_more_copies_than_candidates_come_in_order_of_the_index():
    x = np.concatenate([np.repeat(normal(1, 6), 50, 0), normal(50, 6, seed=1)])
    distances, indices = knn(x[:50], x, 4)
    assert (distances == 0).all()
    np.testing.assert_array_equal(indices, np.tile(np.arange(4), (50, 1)))
    assert (knn(x, x, 4, exclude_self=True)[1][1] == [0, 2, 3, 4]).all()


@pytest.mark.parametrize("tile", [7, 64, 300])
@pytest.mark.parametrize("case", ["plain", "copies", "near copies", "outlier"])
def test_the_nearest_real_is_found_in_the_pass_over_the_balls(monkeypatch, case, tile):
    real, fake = normal(200, 10), normal(150, 10, seed=1)
    if case == "copies":
        fake[::2] = real[:75]
    if case == "near copies":
        fake = real[:150] + np.float32(1e-6) * fake
    if case == "outlier":
        real[3] *= np.float32(1e6)
    monkeypatch.setattr(neighbors, "TILE", tile)
    reals, fakes = frame(real=real, fake=fake)
    found = torch.full((150,), torch.inf, dtype=torch.float64)
    radii = torch.zeros(200, dtype=torch.float64), torch.zeros(150, dtype=torch.float64)
    for _ in ball_members(reals, fakes, *radii, nearest_real=found):
        pass
    every = torch.arange(200).expand(150, 200)
    expected = squared_distances(fakes, torch.arange(150), reals, every).amin(1)
    assert torch.equal(found, expected)
