"""Figures 8, 9, 18 and 19 of low-density diffusion: nearest training images, by brute force."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import binom

from pseudodensity.artifacts import save_json, save_npy
from pseudodensity.columns.pool import Column, save_column
from pseudodensity.features.build import build_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.images.dataset import MANIFEST
from pseudodensity.metrics import memorisation
from pseudodensity.papers.low_density.fig9 import fig9
from pseudodensity.papers.low_density.fig9_figure import fig9_figure
from pseudodensity.papers.low_density.measured import nearest as measured
from pseudodensity.papers.low_density.nearest_pairs import nearest_pairs
from pseudodensity.papers.low_density.nearest_pairs_figure import nearest_pairs_figure
from pseudodensity.papers.low_density.shares import quantile_interval, share_interval
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)

NAMES = {"block": "b", "model": "ADM", "dataset": "digits", "stands_for": "CIFAR-10", "seed": 0}
REPORTED = ROOT / "config/reported/low_density.csv"
REALS, MADE, K = 60, 40, 3


# ------------------------------------------------------------------------ distances


def points(count, stream):
    return numpy_generator(0, stream).standard_normal((count, 4)).astype(np.float32)


def test_generated_images_have_the_distances_and_ratios_of_brute_force():
    training, made = points(REALS, "training"), points(MADE, "made")
    found = measured.nearest_training(training, made, K)
    apart, among = cdist(made, training), cdist(training, training)
    np.fill_diagonal(among, np.inf)
    rows = np.argsort(apart, axis=1)[:, :K]
    assert np.array_equal(found.rows, rows)
    assert found.distances == pytest.approx(np.take_along_axis(apart, rows, 1), rel=1e-5)
    ratio = apart.min(1) / among.min(1)[apart.argmin(1)]
    assert found.ratio == pytest.approx(ratio, rel=1e-5)
    # The metric of that name says the same.
    side = memorisation.prepare({"features": training})
    assert found.ratio == pytest.approx(memorisation.copying(side, made)[0], rel=1e-5)


def test_an_image_that_is_left_out_is_as_if_it_had_never_been_there():
    training, rows = points(REALS, "training"), np.array([0, 7, 59, 30])
    found = measured.nearest_training(training, training[rows], K, rows)
    for place, row in enumerate(rows):
        others = np.delete(training, row, 0)
        alone = measured.nearest_training(others, training[[row]], K)
        assert found.distances[place] == pytest.approx(alone.distances[0], rel=1e-5)
        assert found.ratio[place] == pytest.approx(alone.ratio[0], rel=1e-5)
        assert np.array_equal(training[found.rows[place]], others[alone.rows[0]])
    # Two that are each other's nearest: with the image itself in, no ratio could be below 1.
    everyone = measured.nearest_training(training, training, 1, np.arange(REALS))
    assert (everyone.ratio < 1).mean() > 0.1


def test_a_copy_has_ratio_0_and_no_real_beside_it_has_the_most():
    training = np.array([[0, 0], [0, 0], [3, 0], [9, 0]], np.float32)
    made = np.array([[3, 0], [1, 0]], np.float32)
    found = measured.nearest_training(training, made, 1)
    assert found.ratio.tolist() == [0, memorisation.MOST]
    # Copies among the training images: either is the other's nearest, never its own.
    twins = measured.nearest_training(training, training[:2], 1, np.array([0, 1]))
    assert twins.rows[:, 0].tolist() == [1, 0] and twins.ratio.tolist() == [0, 0]


# ------------------------------------------------------------------------ intervals


def test_intervals_of_shares_miss_as_often_as_they_say():
    count, truth = 50, 0.07
    ends = [share_interval(hits, count) for hits in range(count + 1)]
    held = sum(
        binom.pmf(hits, count, truth)
        for hits, (low, high) in enumerate(ends)
        if low <= truth <= high
    )
    assert 0.95 <= held < 0.995
    assert share_interval(0, count) == pytest.approx((0, 1 - 0.025 ** (1 / count)))
    assert share_interval(count, count)[1] == 1


@pytest.mark.parametrize("count", [30, 400, 2000])
def test_intervals_of_a_quantile_lie_between_the_ranks_that_a_binomial_number_says(count):
    low, high = quantile_interval(np.arange(1.0, count + 1), 0.01, least=0.0)
    # So many values lie below the quantile: at least `low`, fewer than `high`.
    held = binom.cdf(high - 1, count, 0.01) - (binom.cdf(low - 1, count, 0.01) if low else 0)
    assert held >= 0.95
    # One rank further in, either end would miss more than its half.
    assert binom.cdf(high - 2, count, 0.01) < 0.975 and binom.cdf(low, count, 0.01) > 0.025
    assert (low == 0) == (0.99**count > 0.025)


# ------------------------------------------------------------------------ the experiment


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Two pools of noise and a data set of noise, whose first image the first pool has copied."""
    folder = tmp_path_factory.mktemp("nearest")
    draw = numpy_generator(0, "images")
    images = draw.integers(0, 256, (REALS + 2 * MADE, 3, 16, 16), dtype=np.uint8)
    training, pools = images[:REALS], images[REALS:].reshape(2, MADE, 3, 16, 16)
    pools[0, 5] = training[0]
    classes = np.arange(REALS)[:, None] % 3
    spec = {"resolution": 16}
    about = {"names": ["digit"], "cardinalities": [3], "continuous_names": []}
    known = {"categorical": classes, "log_prob": np.zeros(REALS)}
    known["continuous"] = np.zeros((REALS, 0), np.float32)
    save_tensors(folder / "labels.safetensors", known, spec, {})
    save_json(folder / MANIFEST, {"labels": about, "spec": spec, "names": []})
    save_npy(folder / "images.npy", training)
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    extractor.trained = True
    save_extractor(folder / "extractor.safetensors", extractor)
    save_npy(folder / "features.npy", extract(extractor, training))
    found = {"data": folder / "images.npy", "features": folder / "features.npy"}
    found["extractor"] = folder / "extractor.safetensors"
    for number, pool in enumerate(pools):
        part = folder / f"pool{number}"
        part.mkdir()
        density = {"density": np.zeros(MADE, np.float32)}
        save_tensors(part / "described.safetensors", density, {}, {"calls": 1, "facts": {}})
        save_npy(part / "images.npy", pool)
        save_column(part / "label.safetensors", Column(np.arange(MADE) % 3.0), {})
        found[f"set_{number}"] = [part / "described.safetensors"]
        found[f"label_{number}"] = [part / "label.safetensors"]
    return found


def settings(**own):
    return {
        "sets": ["guided", "plain"],
        "images": MADE,
        "k": K,
        "pairs": 12,
        "shown": 2,
        "seed": 0,
        "title": "small_cnn",
        "device": "cpu",
    } | own


@pytest.fixture(scope="module")
def found(inputs):
    return measured.nearest_reals(inputs, settings())


def test_pairs_are_those_of_smallest_distance_of_all(inputs, found):
    arrays, facts = found
    training = np.load(inputs["data"])
    made = np.load(inputs["set_0"][0].with_name("images.npy"))
    apart = cdist(made.reshape(MADE, -1) / 255, training.reshape(REALS, -1) / 255)
    order = np.argsort(apart.min(1), kind="stable")[:12]
    assert np.array_equal(arrays["pixels_pairs_0"], order) and order[0] == 5
    assert arrays["pixels_0"][:, 0] == pytest.approx(apart.min(1), rel=1e-5, abs=1e-6)
    assert np.array_equal(arrays["pixels_drawn_0"][:, 0], made[order])
    assert np.array_equal(arrays["pixels_drawn_0"][:, 1], training[apart.argmin(1)[order]])
    assert arrays["pixels_ratio_0"][5] == 0 and arrays["features_pairs_0"][0] == 5
    assert facts["sets"] == ["guided", "plain", measured.HELD_OUT]
    assert facts["held_out"] == "left out" and len(arrays["label_2"]) == MADE


def test_the_first_images_are_shown_with_their_nearest_in_features(inputs, found):
    arrays, _ = found
    training = np.load(inputs["data"])
    made = np.load(inputs["set_1"][0].with_name("images.npy"))
    assert np.array_equal(arrays["shown_1"][:, 0], made[:2])
    assert np.array_equal(arrays["shown_1"][:, 1:], training[arrays["features_rows_1"][:2]])


def test_fresh_reals_are_compared_with_all_training_images(inputs):
    # The second pool stands in for fresh images, whose described part has their classes.
    described = inputs["set_1"][0].with_name("reals")
    described.mkdir(exist_ok=True)
    columns = {"density": np.zeros(MADE, np.float32), "label": np.arange(MADE) % 3.0}
    path = described / "described.safetensors"
    save_tensors(path, columns, {}, {"calls": 1, "facts": {}})
    save_npy(described / "images.npy", np.load(inputs["set_1"][0].with_name("images.npy")))
    arrays, facts = measured.nearest_reals(inputs | {"reals": [path]}, settings())
    assert facts["held_out"] == "fresh"
    for name in ("features", "pixels", "features_ratio", "label"):
        assert np.array_equal(arrays[f"{name}_2"], arrays[f"{name}_1"])


def test_without_classes_it_says_so(inputs, tmp_path):
    save_json(tmp_path / MANIFEST, {"labels": None, "spec": {"resolution": 16}, "names": []})
    save_npy(tmp_path / "images.npy", np.load(inputs["data"]))
    with pytest.raises(ValueError, match="a data set with labels") as raised:
        measured.nearest_reals(inputs | {"data": tmp_path / "images.npy"}, settings())
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------ tables and figures


def written(tmp_path, distances, rows=None, **more):
    """A file of two generated sets and held-out reals in features; distances (3, n)."""
    count = len(distances[0])
    arrays = {"training_label": np.array([0, 1])}
    for number, own in enumerate(distances):
        near = np.zeros((count, 2), np.int64) if rows is None else rows[number]
        ratio = np.asarray(own) / 2
        pairs = np.argsort(own, kind="stable")[:4]
        arrays |= {
            f"features_{number}": np.stack([own, own], 1),
            f"label_{number}": np.zeros(count, np.int64),
        }
        arrays |= {f"features_rows_{number}": near, f"features_ratio_{number}": ratio}
        arrays[f"features_pairs_{number}"] = pairs
        arrays[f"features_drawn_{number}"] = np.zeros((4, 2, 3, 4, 4), np.uint8)
        arrays[f"shown_{number}"] = np.zeros((2, 3, 3, 4, 4), np.uint8)
    facts = {"sets": ["guided", "plain", "held"], "extractor": "e", "held_out": "left out"}
    path = tmp_path / "measured.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, facts | {"n_real": 2} | more)
    return {"measured": path, "reported": REPORTED}


def drawn(first=0, count=3):
    own = {"figure": 8, "space": "features", "first": first, "count": count}
    return own | {"names": NAMES}


def test_the_table_has_means_against_held_out_reals_beside_those_of_the_paper(tmp_path):
    inputs = written(tmp_path, [[2.0, 4, 6, 8], [1.0, 2, 3, 4], [2.0, 2, 3, 3]])
    frame = nearest_pairs(inputs, drawn()).frame
    assert frame["mean"].tolist() == [5, 2.5, 2.5]
    assert frame["over_reals"][:2].tolist() == pytest.approx([2, 1])
    assert frame["over_reals"].isna().tolist() == [False, False, True]
    assert frame["over_reals_low"][1] < 1 < frame["over_reals_high"][1]
    assert frame["paper_mean"].fillna(0).tolist() == [0.42, 0, 0.29]
    assert frame["paper_over_reals"][0] == pytest.approx(0.42 / 0.29)
    assert frame["tail_ratio"].tolist() == [1, 0.5, 1] and frame["median_ratio"][0] == 2.5
    assert frame["least_shown"].tolist() == [2, 1, 2] and frame["most_shown"].tolist() == [6, 3, 3]


def test_a_figure_that_goes_on_shows_the_ranks_that_follow(tmp_path):
    inputs = written(tmp_path, [[2.0, 4, 6, 8], [1.0, 2, 3, 4], [2.0, 2, 3, 3]])
    frame = nearest_pairs(inputs, drawn(first=3, count=3)).frame
    assert frame["pairs"].tolist() == [1, 1, 1] and frame["least_shown"].tolist() == [8, 4, 3]
    assert frame["first_rank"].tolist() == [4, 4, 4] == frame["last_rank"].tolist()
    figure = nearest_pairs_figure(inputs, drawn(first=3, count=3))
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["guided", "plain", "held"]
    none = nearest_pairs(inputs, drawn(first=4)).frame
    assert none["pairs"].tolist() == [0, 0, 0]
    assert nearest_pairs_figure(inputs, drawn(first=4))


def test_shares_of_equal_classes_are_counted_image_by_image(tmp_path):
    rows = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 1]], [[0, 0], [0, 0]]])
    inputs = written(tmp_path, [[1.0, 2], [1.0, 2], [1.0, 2]], rows)
    frame = fig9(inputs, {"names": NAMES, "plain": "plain"}).frame
    assert frame["equal"].tolist() == [0.25, 0.75, 1]
    assert frame["change"].fillna(9).tolist() == [-0.5, 9, 0.25]
    assert frame["nearest_equal"].tolist() == [0.5, 1, 1]
    assert frame["all_equal"].tolist() == [0, 0.5, 1] and frame["none_equal"].tolist() == [
        0.5,
        0,
        0,
    ]
    # Both images differ from the plain one of their latent by one half, so that there is no doubt.
    assert frame["change_low"][0] == frame["change_high"][0] == -0.5
    figure = fig9_figure(inputs, {"names": NAMES})
    words = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert words[:6] == ["class 0", "0", "≠ 1", "class 0", "≠ 1", "≠ 1"]


def test_what_the_paper_prints_is_there():
    own = pd.read_csv(REPORTED).query("metric == 'mean_nn_distance'")
    assert set(own["setting"]) == {"low-density", "real"}
