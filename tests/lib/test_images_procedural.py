"""Procedural scenes and digits: drawn by number, by known probabilities, with exact labels."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from pseudodensity.images import digits
from pseudodensity.images.canvas import SUPERSAMPLING, Canvas
from pseudodensity.images.labels import class_numbers
from pseudodensity.images.procedural import SCENES, render, sample_labels
from pseudodensity.plan.data import SCENES_VERSION

ALL_SCENES = pytest.mark.parametrize("scene", SCENES)


@pytest.fixture(scope="module")
def many():
    return {scene: sample_labels(scene, range(20000), seed=0) for scene in SCENES}


@ALL_SCENES
def test_an_image_does_not_depend_on_its_batch(scene):
    indices = np.random.default_rng(0).permutation(3000)[:300]
    images, labels = render(scene, indices, resolution=16, seed=3)
    assert images.shape == (300, 3, 16, 16) and images.dtype == np.uint8
    for position in (0, 7, 150, 299):
        alone, label = render(scene, [indices[position]], resolution=16, seed=3)
        np.testing.assert_array_equal(alone[0], images[position])
        np.testing.assert_array_equal(label.categorical[0], labels.categorical[position])
        np.testing.assert_array_equal(label.continuous[0], labels.continuous[position])
    backwards, _ = render(scene, indices[::-1], resolution=16, seed=3)
    np.testing.assert_array_equal(backwards[::-1], images)


@ALL_SCENES
def test_seed_and_scene_change_the_draws_and_resolution_does_not(scene, many):
    images, labels = render(scene, range(200), resolution=16, seed=0)
    other, other_labels = render(scene, range(200), resolution=16, seed=1)
    assert not np.array_equal(images, other)
    assert not np.array_equal(labels.categorical, other_labels.categorical)
    larger, larger_labels = render(scene, range(200), resolution=32, seed=0)
    np.testing.assert_array_equal(larger_labels.categorical, labels.categorical)
    # The same picture, only finer: halving it gives nearly the small one.
    halved = larger.reshape(200, 3, 16, 2, 16, 2).mean((3, 5))
    assert np.abs(halved - images).mean() < 6
    np.testing.assert_array_equal(labels.categorical, many[scene].categorical[:200])


@ALL_SCENES
def test_attributes_follow_their_probabilities(scene, many):
    labels = many[scene]
    for column, (name, probabilities) in enumerate(SCENES[scene].categorical.items()):
        assert labels.names[column] == name
        counts = np.bincount(labels.categorical[:, column], minlength=labels.cardinalities[column])
        assert len(counts) == len(probabilities)
        # 17 tests in all; the seed is fixed, so this either always holds or never.
        assert stats.chisquare(counts, np.array(probabilities) * len(labels)).pvalue > 1e-3


@ALL_SCENES
def test_attributes_are_independent_of_each_other(scene, many):
    values = np.hstack([many[scene].categorical, many[scene].continuous]).astype(float)
    correlation = np.corrcoef(values.T) - np.eye(values.shape[1])
    assert np.abs(correlation).max() < 4 / np.sqrt(len(values))


@ALL_SCENES
def test_log_prob_is_the_law_of_the_categories(scene, many):
    labels, tables = many[scene], list(SCENES[scene].categorical.values())
    # Each observed combination has the product of its probabilities ...
    for row in range(50):
        factors = [p[v] for p, v in zip(tables, labels.categorical[row], strict=True)]
        assert labels.log_prob[row] == pytest.approx(np.log(np.prod(factors)), rel=1e-12)
    # ... these add up to 1 over all combinations ...
    assert sum(np.prod(c) for c in itertools.product(*tables)) == pytest.approx(1)
    # ... and the mean log-probability is minus the entropy.
    entropy = sum(stats.entropy(p) for p in tables)
    error = labels.log_prob.std() / np.sqrt(len(labels))
    assert abs(labels.log_prob.mean() + entropy) < 4 * error


@ALL_SCENES
def test_continuous_attributes_are_clipped_student_t(scene, many):
    law, clip, deviation = stats.t(2.5), 4.0, 1.484
    values = many[scene].continuous.astype(np.float64) * deviation
    bound = 0.999 * clip
    inside = law.cdf(bound) - law.cdf(-bound)

    def inner_law(t):
        return (law.cdf(t) - law.cdf(-bound)) / inside

    assert np.abs(values).max() == pytest.approx(clip)
    for column in values.T:
        inner = column[np.abs(column) < bound]
        assert stats.kstest(inner, inner_law).pvalue > 1e-3
        assert len(inner) / len(column) == pytest.approx(inside, abs=0.01)
        assert column.std() / deviation == pytest.approx(1, abs=0.03)


@ALL_SCENES
def test_images_are_colourful_and_distinct(scene):
    images, _ = render(scene, range(500), resolution=16, seed=0)
    assert len(np.unique(images.reshape(500, -1), axis=0)) == 500
    assert images.std(axis=(1, 2, 3)).min() > 15
    assert (images.max(1).astype(int) - images.min(1)).mean() > 30


@ALL_SCENES
def test_every_category_shows(scene):
    images, labels = render(scene, range(1500), resolution=16, seed=0)
    flat = images.reshape(len(images), -1).astype(float)
    for column in labels.categorical.T:
        means = [flat[column == value].mean(0) for value in np.unique(column)]
        for a, b in itertools.combinations(means, 2):
            assert np.abs(a - b).max() > 20


def test_a_scene_drawn_otherwise_needs_a_new_version():
    """The names of all files follow from SCENES_VERSION: raise it, then mend these means."""
    means = {s: render(s, range(200), 16, seed=0)[0].mean((0, 2, 3)) for s in SCENES}
    assert SCENES_VERSION == 2
    assert means == {
        "faces": pytest.approx([143.03, 144.91, 146.15], abs=0.02),
        "church": pytest.approx([133.2, 148.64, 152.57], abs=0.02),
        "bedroom": pytest.approx([168.97, 154.93, 144.06], abs=0.02),
    }


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="unknown scene 'cats'.*faces"):
        render("cats", [0], resolution=16, seed=0)
    with pytest.raises(ValueError, match="resolution 4"):
        render("faces", [0], resolution=4, seed=0)


def test_no_indices_give_no_images():
    images, labels = render("church", [], resolution=16, seed=0)
    assert images.shape == (0, 3, 16, 16) and len(labels) == 0


def draw(shape, **sizes):
    canvas = Canvas(1, 32)
    sizes = {k: np.array([v], np.float32) for k, v in sizes.items()}
    getattr(canvas, shape)(np.full((3, 1), 255, np.float32), **sizes)
    return canvas


@pytest.mark.parametrize(
    ("shape", "sizes", "area"),
    [
        ("rectangle", {"left": 0.2, "top": 0.3, "right": 0.7, "bottom": 0.5}, 0.1),
        ("ellipse", {"x": 0.5, "y": 0.5, "rx": 0.3, "ry": 0.3}, np.pi * 0.09),
        ("ellipse", {"x": 0.5, "y": 0.5, "rx": 0.4, "ry": 0.2}, np.pi * 0.08),
        ("ellipse", {"x": 0.5, "y": 0.5, "rx": 0.3, "ry": 0.3, "above": 0.5}, np.pi * 0.045),
        ("triangle", {"x": 0.5, "top": 0.1, "bottom": 0.7, "half_width": 0.3}, 0.18),
    ],
)
def test_shapes_cover_their_area(shape, sizes, area):
    canvas = draw(shape, **sizes)
    assert canvas.pixels.mean() / 255 == pytest.approx(area, rel=0.02)
    assert canvas.finish().mean() / 255 == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("shape", ["rectangle", "ellipse", "triangle"])
def test_skipped_pixels_would_not_have_changed(shape, monkeypatch):
    sizes = {
        "rectangle": {"left": 0.31, "top": 0.3, "right": 0.34, "bottom": 0.8},
        "ellipse": {"x": 0.4, "y": 0.6, "rx": 0.25, "ry": 0.02},
        "triangle": {"x": 0.5, "top": 0.4, "bottom": 0.9, "half_width": 0.03},
    }
    windowed = draw(shape, **sizes[shape]).pixels
    monkeypatch.setattr(Canvas, "_span", lambda self, low, high: slice(0, self.size))
    np.testing.assert_array_equal(draw(shape, **sizes[shape]).pixels, windowed)


def test_finish_averages_boxes_and_rounds():
    canvas = Canvas(2, 8)
    canvas.pixels[:] = np.random.default_rng(0).uniform(-20, 280, canvas.pixels.shape)
    blocks = canvas.pixels.reshape(3, 8, SUPERSAMPLING, 8, SUPERSAMPLING, 2)
    expected = np.clip(np.rint(blocks.astype(np.float64).mean((2, 4))), 0, 255)
    np.testing.assert_array_equal(canvas.finish(), expected.transpose(3, 0, 1, 2))


def test_digits_are_grey_labelled_and_of_the_asked_size():
    images, labels = digits.load(16)
    assert images.shape == (1797, 3, 16, 16) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[:, 0], images[:, 2])
    assert labels.cardinalities == [10] and labels.continuous.shape == (1797, 0)
    share = np.bincount(labels.categorical[:, 0]) / 1797
    np.testing.assert_allclose(np.exp(labels.log_prob), share[labels.categorical[:, 0]])
    assert np.exp(labels.log_prob[np.unique(labels.categorical, return_index=True)[1]]).sum() == (
        pytest.approx(1)
    )
    small, _ = digits.load(8)
    assert {0, 255} <= set(np.unique(small).tolist()) and len(np.unique(small)) <= 17


def test_the_global_generators_are_left_alone():
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, _ = render("bedroom", range(20), resolution=16, seed=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(1)
    np.testing.assert_array_equal(first, render("bedroom", range(20), resolution=16, seed=0)[0])


def test_classes_are_the_combinations_of_the_attributes_that_are_named():
    labels = sample_labels("church", range(50), seed=0)
    sky, _, wall, tower, _ = labels.categorical.T
    labels.classes = ["tower", "wall"]
    numbers, count = class_numbers(labels.head(40))
    assert count == 3 * 4
    np.testing.assert_array_equal(numbers, (tower * 4 + wall)[:40])
    labels.classes = ["sky"]
    np.testing.assert_array_equal(class_numbers(labels)[0], sky)
    labels.classes = ["roof"]
    with pytest.raises(
        ValueError, match="'roof': its attributes are sky, ground, wall, tower, tree"
    ):
        class_numbers(labels)
