"""Precision, recall, density and coverage: known answers, invariances, and the peers' numbers."""

import numpy as np
import prdc
import pytest
import torch
from torch_fidelity.metric_prc import (
    KEY_METRIC_PRECISION,
    KEY_METRIC_RECALL,
    prc_features_to_metric,
)

from pseudodensity import neighbors
from pseudodensity.metrics.manifold import Manifold, manifold_metrics


def brute_force(real, fake, k, inclusive=True):
    def squared(a, b):
        return ((a[:, None].astype(np.float64) - b[None].astype(np.float64)) ** 2).sum(2)

    def radii(x):
        return np.sort(squared(x, x) + np.diag(np.full(len(x), np.inf)), axis=1)[:, k - 1]

    inside = np.less_equal if inclusive else np.less
    between = squared(real, fake)
    in_real = inside(between, radii(real)[:, None])
    in_fake = inside(between, radii(fake)[None, :])
    return {
        "precision": in_real.any(0).mean(),
        "recall": in_fake.any(1).mean(),
        "density": in_real.sum() / (k * len(fake)),
        "coverage": in_real.any(1).mean(),
    }


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def answers(precision, recall, density, coverage):
    return pytest.approx(
        {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    )


def line(*values):
    return np.array(values, dtype=np.float32)[:, None]


def test_lattices_by_hand():
    # Real 0 1 2 3, k = 1: all radii 1. Fake 0.5 1.5 9 11: radii 1 1 2 2.
    real, fake = line(0, 1, 2, 3), line(0.5, 1.5, 9, 11)
    # 0.5 is in the balls of 0 and 1, 1.5 in those of 1 and 2; only real 3 is in no fake ball.
    assert manifold_metrics(real, fake, k=1) == answers(0.5, 0.75, 1.0, 0.75)
    # On the border: fake 4 and 6 (radii 2 2) touch real 3, whose own ball reaches to 4.
    assert manifold_metrics(real, line(4, 6), k=1) == answers(0.5, 0.5, 0.5, 0.25)
    assert manifold_metrics(real, line(4, 6), k=1, inclusive=False) == answers(0, 0.25, 0, 0)


def test_two_neighbours_by_hand():
    # Real 0 1 3 7, k = 2: radii 3 2 3 6. Fake 2 5 6: radii 4 3 4.
    # Fake 2 is in balls 0 1 3 7, fake 5 in 3 7, fake 6 in 3 (border) and 7: 8 over k times 3.
    assert manifold_metrics(line(0, 1, 3, 7), line(2, 5, 6), k=2) == answers(1, 1, 8 / 6, 1)


@pytest.mark.parametrize(("inclusive", "density"), [(True, 4 / 3), (False, 1.0)])
def test_fake_equal_to_real(inclusive, density):
    x = normal(500, 32)
    found = manifold_metrics(x, x.copy(), inclusive=inclusive)
    assert found == answers(1, 1, density, 1)


def test_all_points_equal():
    x = np.full((200, 8), 0.3, dtype=np.float32)
    assert manifold_metrics(x, x.copy()) == answers(1, 1, 200 / 3, 1)
    assert manifold_metrics(x, x.copy(), inclusive=False) == answers(0, 0, 0, 0)


def test_every_point_more_often_than_k():
    x = np.repeat(normal(100, 16), 5, axis=0)
    assert manifold_metrics(x, x.copy()) == answers(1, 1, 5 / 3, 1)
    assert manifold_metrics(x, x.copy(), inclusive=False) == answers(0, 0, 0, 0)


def test_collapse_is_precise_and_recalls_little():
    real = normal(1000, 16)
    fake = real[:1] + 0.05 * normal(1000, 16, seed=1)
    found = manifold_metrics(real, fake)
    assert found["precision"] > 0.9
    assert found["recall"] < 0.05
    assert found["coverage"] < 0.2


def test_a_far_outlier_does_not_spoil_the_rest():
    real, fake = normal(300, 8), normal(300, 8, seed=1)
    plain = manifold_metrics(real, fake)
    far = np.full((1, 8), 1e8, dtype=np.float32)
    # The real balls keep their members, and no fake ball shrinks.
    found = manifold_metrics(real, np.concatenate([fake, far]))
    assert found["precision"] * 301 == pytest.approx(plain["precision"] * 300)
    assert found["coverage"] == plain["coverage"]
    assert found["recall"] >= plain["recall"]


def near_copies():
    real = normal(400, 24)
    moved = real + np.float32(1e-3) * normal(400, 24, seed=1)
    return np.concatenate([real, moved[:200]]), np.concatenate([moved, moved[:100]])


CASES = {
    "plain": lambda: (normal(500, 24), normal(400, 24, seed=1)),
    "offset": lambda: (normal(500, 24) + 1000, normal(400, 24, seed=1) + 1000),
    "near copies": near_copies,
    "lattice": lambda: (np.round(normal(500, 4)), np.round(normal(400, 4, seed=1))),
    "clusters": lambda: (
        np.repeat(normal(4, 24), 100, 0) + np.float32(1e-4) * normal(400, 24),
        np.repeat(normal(4, 24), 100, 0) + np.float32(1e-4) * normal(400, 24, seed=1),
    ),
    "float64": lambda: (
        normal(300, 8).astype("f8") * 1e-9 + 1,
        normal(300, 8, seed=1).astype("f8") * 1e-9 + 1,
    ),
}


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_float64_differences_to_the_last_sample(case, inclusive):
    real, fake = CASES[case]()
    found = manifold_metrics(real, fake, k=3, inclusive=inclusive)
    assert found == brute_force(real, fake, 3, inclusive)


@pytest.mark.parametrize("case", CASES)
def test_balls_made_once_serve_every_set_of_fakes(case):
    real, fake = CASES[case]()
    balls = Manifold(real, k=3)
    assert len(balls) == len(real)
    for scale in (1, 1e-3, 1e3):  # a long fake changes the frame that the balls are compared in
        fakes = (fake * scale).astype(fake.dtype)
        assert manifold_metrics(balls, fakes, k=3) == manifold_metrics(real, fakes, k=3)
    with pytest.raises(ValueError, match="made with k=3, not k=4"):
        manifold_metrics(balls, fake, k=4)


@pytest.mark.parametrize("tile", [1, 2, 7, 30, 31])
@pytest.mark.parametrize("case", CASES)
def test_the_tile_size_changes_nothing(monkeypatch, case, tile):
    real, fake = (x[: 10 if tile == 1 else 30] for x in CASES[case]())
    expected = manifold_metrics(real, fake)
    monkeypatch.setattr(neighbors, "TILE", tile)
    assert manifold_metrics(real, fake) == expected


@pytest.mark.parametrize("case", ["plain", "near copies", "clusters"])
def test_order_translation_and_scale_change_nothing(case):
    # Shifts and scales that float32 holds without rounding: coordinates on a grid.
    real, fake = (np.round(x * 2**14) / 2**14 for x in CASES[case]())
    expected = manifold_metrics(real, fake)
    generator = np.random.default_rng(0)
    assert manifold_metrics(generator.permutation(real), generator.permutation(fake)) == expected
    assert manifold_metrics(real + np.float32(32), fake + np.float32(32)) == expected
    assert manifold_metrics(real * np.float32(2**-70), fake * np.float32(2**-70)) == expected
    turned = real[:, ::-1] * np.float32(-1), fake[:, ::-1] * np.float32(-1)
    assert manifold_metrics(*turned) == expected


def test_offset_1000_changes_nothing_that_float32_still_holds():
    real, fake = (np.round(x * 2**10) / 2**10 for x in CASES["plain"]())
    shifted = manifold_metrics(real + np.float32(1000), fake + np.float32(1000))
    assert shifted == manifold_metrics(real, fake)


def test_real_and_fake_swap_precision_and_recall():
    real, fake = CASES["plain"]()
    there, back = manifold_metrics(real, fake, k=5), manifold_metrics(fake, real, k=5)
    assert (there["precision"], there["recall"]) == (back["recall"], back["precision"])


@pytest.mark.parametrize(("d", "k"), [(64, 3), (64, 5), (768, 3)])
def test_agrees_with_prdc_to_the_last_sample(d, k):
    real, fake = normal(2000, d), normal(2000, d, seed=1)
    theirs = prdc.compute_prdc(real.astype("f8"), fake.astype("f8"), nearest_k=k)
    assert manifold_metrics(real, fake, k, inclusive=False) == pytest.approx(theirs, abs=1e-12)


def test_agrees_with_torch_fidelity_to_the_last_sample():
    real, fake = normal(2000, 64), np.float32(0.9) * normal(2000, 64, seed=1)
    theirs = prc_features_to_metric(  # generated first
        torch.from_numpy(fake).double(), torch.from_numpy(real).double(), verbose=False
    )
    ours = manifold_metrics(real, fake)
    # It averages in float32, which still tells 1 sample of 2000.
    assert ours["precision"] == pytest.approx(theirs[KEY_METRIC_PRECISION], abs=1e-6)
    assert ours["recall"] == pytest.approx(theirs[KEY_METRIC_RECALL], abs=1e-6)


def test_arrays_and_tensors_give_the_same_floats():
    real, fake = CASES["plain"]()
    found = manifold_metrics(torch.from_numpy(real), torch.from_numpy(fake))
    assert found == manifold_metrics(real, fake)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize(
    ("real", "fake", "k", "message"),
    [
        (normal(5, 3), normal(9, 3), 5, "below both sample counts, got k=5 for 5 real and 9 fake"),
        (normal(9, 3), normal(5, 3), 0, "k must be at least 1"),
        (normal(9, 3), normal(9, 4), 3, r"differ in dimension: real \(9, 3\), fake \(9, 4\)"),
        (normal(9, 3), normal(9, 3) * np.nan, 3, "fake: 9 of 9 rows hold NaN or infinity"),
    ],
)
def test_bad_input_is_refused(real, fake, k, message):
    with pytest.raises(ValueError, match=message):
        manifold_metrics(real, fake, k)
