"""The pseudo density against its closed forms, and the network that learns it."""

import math
import warnings

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import ArtifactError
from pseudodensity.density.knn import knn_density, measure_knn_density
from pseudodensity.density.network import PAPER_PARAMETERS, PseudoDensity
from pseudodensity.density.quality import agreement_with_truth
from pseudodensity.images.procedural import sample_labels
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)


def torus_points(count: int, margin: float, *names: object) -> tuple[np.ndarray, np.ndarray]:
    """Uniform points of the unit torus continued over its edges, and which are the originals."""
    points = numpy_generator(0, "torus", count, *names).random((count, 2))
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    tiled = np.concatenate([points + shift for shift in shifts])
    near = ((tiled > -margin) & (tiled < 1 + margin)).all(axis=1)
    inside = ((tiled >= 0) & (tiled < 1)).all(axis=1)
    return tiled[near], inside[near]


@pytest.mark.parametrize("intensity", [2_500, 10_000])
def test_mean_distance_of_a_poisson_process(intensity):
    points, inside = torus_points(intensity, 0.1)
    j = np.arange(1, 11)
    ratio = np.exp([math.lgamma(i + 0.5) - math.lgamma(i) for i in j])
    expected = (intensity * math.pi) ** -0.5 * ratio.mean()
    measured = measure_knn_density(points, k=10).distances[inside].mean()
    assert measured == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("n", [1, 2])
def test_density_ratio_of_two_intensities(n):
    sparse, sparse_inside = torus_points(1_000, 0.2, "sparse")
    dense, dense_inside = torus_points(4_000, 0.2, "dense")
    density = knn_density(np.concatenate([sparse, dense + 3]), n=n)
    low = density[: len(sparse)][sparse_inside].mean()
    high = density[len(sparse) :][dense_inside].mean()
    assert high / low == pytest.approx(2**n, rel=0.05)


def test_density_ratio_is_exact_for_a_scaled_copy():
    points = numpy_generator(0, "scaled").normal(size=(300, 3))
    density = knn_density(np.concatenate([points, points / 2 + 1e3]), k=5, n=3)
    np.testing.assert_allclose(density[300:] / density[:300], 8, rtol=1e-3)


def test_matches_the_definition_on_a_line():
    # Neighbours of 0, 1, 3, 7 with k=2 lie at (1, 3), (1, 2), (2, 3) and (4, 6).
    distances = np.array([2, 1.5, 2.5, 5])
    expected = distances**-2.0
    measured = measure_knn_density(np.array([[0.0], [1], [3], [7]]), k=2, n=2)
    np.testing.assert_allclose(measured.distances, distances)
    np.testing.assert_allclose(measured.values, 4 * expected / expected.sum())
    assert measured.floored == 0


@pytest.mark.parametrize("n", [0.5, 1, 8, 768])
def test_mean_is_one_and_everything_finite(n):
    features = numpy_generator(0, "mean").standard_t(3, size=(500, 8)).astype(np.float32)
    density = knn_density(features, n=n)
    assert density.dtype == np.float64 and density.shape == (500,)
    assert np.isfinite(density).all()
    assert density.mean() == pytest.approx(1, abs=1e-12)


def test_decisions_do_not_depend_on_n_or_on_the_unit_of_the_features():
    features = numpy_generator(0, "decide").standard_t(3, size=(400, 6))
    reference = knn_density(features)
    for density in (knn_density(features, n=4), knn_density(features * 1024)):
        for percent in (20, 50, 80):
            index = int(percent / 100 * 400)
            accepted = density >= np.sort(density)[index]
            np.testing.assert_array_equal(accepted, reference >= np.sort(reference)[index])


def test_copies_are_floored_and_counted():
    features = numpy_generator(0, "copies").normal(size=(200, 4))
    features[:11] = features[0]
    measured = measure_knn_density(features, k=10, n=2)
    assert np.isfinite(measured.values).all()
    assert measured.floored == 11
    assert measured.floor == pytest.approx(1e-3 * np.median(measured.distances))
    assert measured.values.mean() == pytest.approx(1)


def test_a_set_of_mostly_or_only_copies_stays_finite():
    features = np.zeros((30, 3))
    np.testing.assert_allclose(knn_density(features), 1)
    features[20:] = numpy_generator(0, "few").normal(size=(10, 3))
    assert np.isfinite(knn_density(features, k=5)).all()


def test_dedup_gives_all_others_the_density_of_the_set_without_the_copies():
    """Twelve copies of row 40: more than k, so without dedup they have the floored distance."""
    features = numpy_generator(0, "dedup").normal(size=(150, 4)).astype(np.float32)
    places = [3, 40, 41, 60, 61, 62, 90, 97, 120, 155, 158, 160]
    others = [i for i in range(161) if i not in places]
    crowded = np.empty((161, 4), np.float32)
    crowded[others], crowded[places] = np.delete(features, 40, axis=0), features[40]
    plain = measure_knn_density(features, k=10)
    measured = measure_knn_density(crowded, k=10, dedup=True)
    np.testing.assert_allclose(measured.values[others], np.delete(plain.values, 40), rtol=1e-12)
    np.testing.assert_allclose(measured.values[places], plain.values[40], rtol=1e-12)
    np.testing.assert_array_equal(measured.distances[places], np.full(12, plain.distances[40]))
    assert (measured.first[places] == 3).all() and len(measured.counted) == 150
    assert measured.floored == 0 and measured.floor == plain.floor
    assert measured.values[measured.counted].mean() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(knn_density(crowded, dedup=True), measured.values)
    # What dedup is for: otherwise the copies hold nearly all of the density.
    without = knn_density(crowded)
    assert without[places].sum() > 0.98 * without.sum()
    assert np.median(without[others] / measured.values[others]) < 1 / 50


def test_dedup_changes_nothing_without_copies_and_tells_near_from_exact():
    features = numpy_generator(0, "near").normal(size=(50, 3)).astype(np.float32)
    features[7] = np.nextafter(features[6], np.float32(9))
    features[9, 0], features[8] = 0.0, features[9]
    features[8, 0] = -0.0  # the same number
    measured = measure_knn_density(features, k=4, dedup=True)
    assert measured.first[8] == 8 and measured.first[9] == 8 and measured.first[7] == 7
    distinct = np.delete(features, 9, axis=0)
    np.testing.assert_array_equal(knn_density(distinct, 4, dedup=True), knn_density(distinct, 4))


def test_dedup_counts_k_among_the_rows_that_are_left():
    features = np.repeat(numpy_generator(0, "few").normal(size=(5, 3)), 4, axis=0)
    assert np.isfinite(knn_density(features, k=4, dedup=True)).all()
    with pytest.raises(ValueError, match=r"1..4 for 5 features \(15 more are copies\), got 5"):
        knn_density(features, k=5, dedup=True)
    with pytest.raises(ValueError, match="10 different features or more, got 5"):
        PseudoDensity.fit(features, k=3, dedup=True)


@pytest.mark.parametrize(
    ("features", "settings", "message"),
    [
        (np.zeros((10, 2)), {"k": 10}, "k must lie"),
        (np.zeros((10, 2)), {"k": 0}, "k must lie"),
        (np.zeros((20, 2)), {"n": 0}, "n must be positive"),
        (np.zeros((20, 2)), {"n": float("nan")}, "n must be positive"),
        (np.full((20, 2), np.nan), {}, "20 features hold NaN"),
        (np.zeros(20), {}, "shape"),
    ],
)
def test_bad_input_is_refused_in_one_line(features, settings, message):
    with pytest.raises(ValueError, match=message) as error:
        knn_density(features, **settings)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    """A cloud whose density falls with the radius."""
    draw = numpy_generator(0, "cloud")
    return (draw.normal(size=(1500, 8)) * draw.gamma(3, size=(1500, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def density(features) -> PseudoDensity:
    return PseudoDensity.fit(features, seed=3, epochs=20)


def test_the_network_learns_the_labels(density, features):
    np.testing.assert_array_equal(density.labels, knn_density(features))
    assert density.report["r2"] > 0.8
    assert density.report["spearman"] > 0.9
    assert {"k": 10, "n": 1, "N": 1500, "floored": 0}.items() <= density.report.items()


def test_a_fit_with_dedup_is_the_fit_of_the_set_without_copies(features):
    distinct = features[:300]
    crowded = np.concatenate([distinct, np.repeat(distinct[:1], 11, axis=0)])
    fits = [
        PseudoDensity.fit(rows, k=5, epochs=2, dedup=dedup)
        for rows, dedup in ((distinct, False), (crowded, True), (crowded, False))
    ]
    np.testing.assert_array_equal(fits[1](features), fits[0](features))
    np.testing.assert_array_equal(fits[1].labels[:300], fits[0].labels)
    np.testing.assert_array_equal(fits[1].labels[300:], np.full(11, fits[0].labels[0]))
    assert [fit.report["copies"] for fit in fits] == [0, 11, 0]
    assert [fit.report["dedup"] for fit in fits] == [False, True, False]
    assert not np.allclose(fits[2](features), fits[0](features))


def test_the_network_is_differentiable_and_keeps_its_weights(density, features):
    inputs = torch.from_numpy(features[:16]).requires_grad_()
    outputs = density(inputs)
    assert outputs.shape == (16,)
    outputs.sum().backward()
    assert inputs.grad.abs().sum(dim=1).gt(0).all()
    assert all(not parameter.requires_grad for parameter in density.parameters())


def test_array_in_array_out(density, features):
    outputs = density(features[:16])
    assert isinstance(outputs, np.ndarray) and outputs.shape == (16,)
    np.testing.assert_array_equal(outputs, density(torch.from_numpy(features[:16])).numpy())


def test_the_fit_depends_on_its_seed_alone(features):
    fits = []
    for global_seed, seed in ((1, 5), (2, 5), (2, 6)):
        torch.manual_seed(global_seed)
        np.random.seed(global_seed)
        before = torch.get_rng_state()
        fits.append(PseudoDensity.fit(features[:300], seed=seed, epochs=2)(features))
        assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.allclose(fits[0], fits[2])


def test_the_fit_does_not_depend_on_the_unit_of_the_features(features):
    fit = PseudoDensity.fit(features[:300], epochs=2)
    scaled = PseudoDensity.fit(features[:300] * 1024, epochs=2)
    np.testing.assert_allclose(scaled(features * 1024), fit(features), rtol=1e-4)


def test_saved_and_loaded_bit_for_bit(density, features, tmp_path):
    density.save(tmp_path / "density.safetensors")
    loaded = PseudoDensity.load(tmp_path / "density.safetensors")
    np.testing.assert_array_equal(loaded(features), density(features))
    np.testing.assert_array_equal(loaded.labels, density.labels)
    assert loaded.report == density.report
    assert loaded.threshold(50) == density.threshold(50)


def test_another_kind_of_file_is_refused(tmp_path):
    save_tensors(tmp_path / "other.safetensors", {"x": torch.zeros(1)}, {"kind": "other"})
    with pytest.raises(ArtifactError):
        PseudoDensity.load(tmp_path / "other.safetensors")


def test_threshold_is_an_order_statistic_of_the_labels():
    density = PseudoDensity(2, np.array([4.0, 1, 3, 2]), {})
    wanted = {0: 1.0, 24: 1.0, 25: 2.0, 50: 3.0, 99: 4.0, 100: 4.0}
    assert {percent: density.threshold(percent) for percent in wanted} == wanted
    for percent in (-1, 101, float("nan")):
        with pytest.raises(ValueError, match="0..100"):
            density.threshold(percent)


def test_the_network_has_the_size_of_the_paper():
    count = sum(p.numel() for p in PseudoDensity(768, np.ones(1), {}).network.parameters())
    assert count == 558_081 < PAPER_PARAMETERS


def test_a_network_beyond_the_paper_is_fitted_with_a_warning(features, tmp_path):
    wide = np.tile(features[:60], (1, 256))
    with pytest.warns(UserWarning, match="2048-d features has 1,213,441 parameters") as caught:
        density = PseudoDensity.fit(wide, epochs=1)
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    assert caught[0].filename == __file__
    assert density.report["note"] == str(caught[0].message)
    assert density.report["parameters"] == 1_213_441 >= PAPER_PARAMETERS
    density.save(tmp_path / "wide.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = PseudoDensity.load(tmp_path / "wide.safetensors")
        assert PseudoDensity.fit(features[:60], epochs=1).report["note"] == ""
    assert loaded(wide).shape == (60,) and loaded.report["note"] == density.report["note"]


def test_features_of_another_dimension_are_refused(density):
    with pytest.raises(ValueError, match="8-d"):
        density(torch.zeros(4, 9))


def test_constant_labels_have_no_quality():
    report = PseudoDensity.fit(np.zeros((40, 3)), epochs=1).report
    assert report["r2"] is None and report["floored"] == 40


def test_agreement_with_a_known_law_is_named_after_the_density_that_it_judges():
    labels = sample_labels("faces", range(300), seed=0)
    truth = labels.log_prob
    found = agreement_with_truth(np.exp(truth), -truth, labels)
    assert found == {
        "spearman_pseudo_density": pytest.approx(1),
        "spearman_network_density": pytest.approx(-1),
    }
    assert agreement_with_truth(np.ones(300), np.ones(300), None) is None
