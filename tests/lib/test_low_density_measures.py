"""Images measured one by one: hardness, sparsity and likelihoods against brute force and made-up sets."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from guided_example import checkpoint_with_classes
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import LocalOutlierFactor

from pseudodensity.artifacts import load_npy, save_npy
from pseudodensity.columns.pool import Column, save_column
from pseudodensity.density.pixel_flow import PixelFlow
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.checkpoint import save_checkpoint
from pseudodensity.generators.variational_bound import bits_per_dimension
from pseudodensity.images.building import build_dataset
from pseudodensity.images.digits import load
from pseudodensity.images.transform import to_float
from pseudodensity.papers.low_density.measured.along_hardness import along_hardness, rows_at
from pseudodensity.papers.low_density.measured.bounds import bounds
from pseudodensity.papers.low_density.measured.image_sets import (
    open_sets,
    reference_rows,
    training_labels,
)
from pseudodensity.papers.low_density.measured.pixel_flow import (
    as_seen,
    fitted_flow,
    likelihoods,
    training_rows,
)
from pseudodensity.papers.low_density.measured.shifts import edges, posterised
from pseudodensity.papers.low_density.measured.sparsity import sparsity
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

TOTAL, COUNT = 160, 12
FLOW = {"side": 4, "grey": True, "flow_seed": 0, "transforms": 2, "width": 16}
FLOW |= {"epochs": 3, "patience": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """160 digits of 8 px, their features by an untrained network, and pools of noise of two models."""
    folder = tmp_path_factory.mktemp("measured")
    build_dataset({"kind": "digits", "resolution": 8, "images": TOTAL}, folder)
    extractor = build_extractor({"kind": "small_cnn", "size": 8, "widths": [4, 6], "blocks": 1})
    extractor.trained = True
    save_extractor(folder / "extractor.safetensors", extractor)
    save_npy(folder / "features.npy", extract(extractor, load_npy(folder / "images.npy")))
    for number, name in enumerate(("plain", "guided")):
        (folder / name).mkdir()
        draw = numpy_generator(number, "images")
        save_npy(folder / name / "images.npy", draw.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8))
        known, meta = {"density": np.zeros(20, np.float32)}, {"calls": 1, "facts": {}}
        save_tensors(folder / name / "described.safetensors", known, {"kind": "pool"}, meta)
        labels = Column(draw.integers(0, 3, 20).astype(np.float64))
        save_column(folder / name / "label.safetensors", labels, {"kind": "column"})
    return folder


@pytest.fixture
def inputs(folder):
    found = {"data": folder / "images.npy", "features": folder / "features.npy"}
    found["extractor"] = folder / "extractor.safetensors"
    for name in ("plain", "guided"):
        found[name] = [folder / name / "described.safetensors"]
        found[f"{name}_label"] = [folder / name / "label.safetensors"]
    return found


def settings(**own):
    names = {"sets": ["plain", "guided"], "count": COUNT, "seed": 3, "split": True}
    return names | {"device": "cpu"} | own


# ---------------------------------------------------------------------------- the sets


def test_held_out_reals_are_training_images_that_nothing_is_compared_with(inputs):
    sets = open_sets(inputs, settings())
    data, labels = load_npy(inputs["data"]), training_labels(inputs["data"])
    left = reference_rows(TOTAL, settings())
    out = np.setdiff1d(np.arange(TOTAL), left)
    assert len(out) == COUNT and len(left) == TOTAL - COUNT
    found = sets["held_out"]
    pictures = {image.tobytes(): label for image, label in zip(data[out], labels[out], strict=True)}
    assert {
        image.tobytes(): label for image, label in zip(found.images, found.labels, strict=True)
    } == pictures
    assert list(sets) == ["held_out", "plain", "guided"]
    with pytest.raises(ValueError, match="lower papers.low_density.measures.count") as raised:
        reference_rows(2 * COUNT - 1, settings())
    assert "\n" not in str(raised.value)


def test_where_the_law_is_known_held_out_reals_are_fresh_and_every_training_image_counts(inputs):
    fresh = inputs | {"reals": inputs["guided"]}
    sets = open_sets(fresh, settings(split=False))
    assert np.array_equal(sets["held_out"].images, sets["guided"].images)
    assert reference_rows(TOTAL, settings(split=False)).tolist() == list(range(TOTAL))


# ---------------------------------------------------------------------------- sparsity


def test_hardness_avgknn_and_lof_are_those_of_their_definitions(inputs):
    arrays, facts = sparsity(inputs, settings(avg_knn=5, lof=20))
    assert facts == {
        "sets": ["held_out", "plain", "guided"],
        "reference": TOTAL - COUNT,
        "classes": True,
    }
    rows, labels = reference_rows(TOTAL, settings()), training_labels(inputs["data"])
    reals = load_npy(inputs["features"]).astype(np.float64)[rows]
    extractor = load_extractor(inputs["extractor"])
    laws = {}
    for label in range(10):
        own = reals[labels[rows] == label]
        laws[label] = multivariate_normal(own.mean(0), LedoitWolf().fit(own).covariance_)
    for number, own in enumerate(open_sets(inputs, settings()).values()):
        seen = extract(extractor, own.images).astype(np.float64)
        hard = [-laws[label].logpdf(one) for one, label in zip(seen, own.labels, strict=True)]
        assert arrays["hardness"][number] == pytest.approx(hard, rel=1e-6)
        apart = np.linalg.norm(seen[:, None] - reals, axis=2)
        assert arrays["avg_knn"][number] == pytest.approx(np.sort(apart, 1)[:, :5].mean(1))
        outliers = LocalOutlierFactor(20, novelty=True).fit(reals)
        assert arrays["lof"][number] == pytest.approx(-outliers.score_samples(seen))


def test_images_are_shown_about_the_quantiles_of_their_own_set(inputs, tmp_path):
    assert rows_at(np.array([3.0, 1, 2, 5, 4]), [0, 0.5, 1], 2).tolist() == [[1, 2], [2, 0], [4, 3]]
    arrays, facts = sparsity(inputs, settings(avg_knn=5, lof=20))
    path = tmp_path / "measured.safetensors"
    save_tensors(path, arrays, {}, facts)
    own = settings(shown=["plain", "held_out"], quantiles=[0, 1], images=3)
    found, _ = along_hardness(inputs | {"measured": path}, own)
    assert found["images"].shape == (2, 2, 3, 3, 8, 8)
    plain = np.argsort(arrays["hardness"][1])
    pictures = open_sets(inputs, settings())["plain"].images
    assert np.array_equal(found["images"][0, 1], pictures[plain[-3:]])
    ends = np.sort(arrays["hardness"][0])
    assert found["hardness"][1].tolist() == [ends[:3].tolist(), ends[-3:].tolist()]


# ---------------------------------------------------------------------------- the diffusion model's bound


def test_the_bound_of_images_of_others_is_the_models_for_their_own_classes(inputs, tmp_path):
    made = checkpoint_with_classes()
    save_checkpoint(tmp_path / "checkpoint.safetensors", made, {"kind": "trained", "spec": {}})
    # Fresh reals carry their classes among their own columns; the model knows three.
    save_npy(tmp_path / "images.npy", load_npy(inputs["guided"][0].with_name("images.npy")))
    known = {"density": np.zeros(20, np.float32), "label": np.arange(20.0) % 3}
    reals = tmp_path / "described.safetensors"
    save_tensors(reals, known, {"kind": "reals"}, {"calls": 1, "facts": {}})
    own = inputs | {"checkpoint": tmp_path / "checkpoint.safetensors", "reals": [reals]}
    told = settings(terms=4, sets=["plain"], split=False)
    model = made.frozen_generator("cpu")
    images = load_npy(inputs["plain"][0].with_name("images.npy"))[:COUNT]
    labels = open_sets(own, told)["plain"].labels
    arrays, facts = bounds(own, told)
    assert facts == {"sets": ["held_out", "plain"]} and arrays["bits"].shape == (2, 2, COUNT)

    def expected(numbers, seed):
        predict = partial(model.predict, labels=torch.from_numpy(numbers))
        with torch.no_grad():
            return bits_per_dimension(
                predict, model.process, to_float(images), 4, seed, range(COUNT)
            )

    assert arrays["bits"][1, 0] == pytest.approx(expected(labels, 3).numpy())
    assert arrays["bits"][1, 1] == pytest.approx(expected(labels, 4).numpy())
    assert np.abs(arrays["bits"][1, 0] - expected((labels + 1) % 3, 3).numpy()).min() > 0


def test_images_without_classes_have_no_bound_of_a_model_with_classes(inputs, tmp_path):
    save_checkpoint(
        tmp_path / "checkpoint.safetensors",
        checkpoint_with_classes(),
        {"kind": "trained", "spec": {}},
    )
    own = inputs | {"checkpoint": tmp_path / "checkpoint.safetensors", "reals": inputs["plain"]}
    with pytest.raises(ValueError, match="give `labels` of the data set") as raised:
        bounds(own, settings(terms=4, sets=[], split=False))
    assert "\n" not in str(raised.value)


# ---------------------------------------------------------------------------- shifted images


def test_edges_are_bright_where_the_brightness_jumps_and_black_elsewhere():
    image = np.zeros((1, 3, 8, 8), np.uint8)
    image[..., 4:] = 200
    found = edges(image)
    assert (found[..., 3:5] == 255).all() and not found[..., :3].any() and not found[..., 5:].any()
    assert np.array_equal(edges(image.swapaxes(2, 3)), found.swapaxes(2, 3))
    # Half as high a jump beside it is half as bright; one colour has no edge.
    image[..., 0] = 100
    assert edges(image)[0, 0, 4].tolist() == [128, 128, 0, 255, 255, 0, 0, 0]
    assert not edges(np.full((1, 3, 8, 8), 77, np.uint8)).any()


def test_the_edges_of_an_image_do_not_depend_on_the_others():
    images = numpy_generator(0, "edges").integers(0, 256, (5, 3, 8, 8), dtype=np.uint8)
    assert np.array_equal(edges(images)[2:3], edges(images[2:3]))


def test_posterised_images_have_the_nearest_of_even_levels():
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    found = posterised(ramp, 4).ravel()
    levels = np.array([0, 85, 170, 255])
    nearest = levels[np.abs(np.arange(256)[:, None] - levels).argmin(1)]
    assert np.array_equal(found, nearest)
    assert np.array_equal(posterised(ramp, 256), ramp)


# ---------------------------------------------------------------------------- the flow


def test_a_flow_sees_the_brightness_of_images_at_its_own_size():
    images = numpy_generator(0, "seen").integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    assert np.array_equal(as_seen(images, 8, grey=False), images)
    brightness = images.astype(np.float64).mean(1, keepdims=True)
    assert np.abs(as_seen(images, 8, grey=True) - brightness).max() <= 0.5 + 1e-4
    flat = np.full((1, 3, 8, 8), 77, np.uint8)
    assert as_seen(flat, 4, grey=True).ravel().tolist() == [77] * 16


def test_a_flow_sees_the_rows_it_is_asked_for_some_at_a_time(monkeypatch):
    images = np.arange(25 * 3 * 4, dtype=np.uint8).reshape(25, 3, 2, 2)
    monkeypatch.setattr("pseudodensity.papers.low_density.measured.pixel_flow.AT_ONCE", 4)
    rows = np.arange(24, 0, -2)
    assert np.array_equal(as_seen(images, 2, grey=False, rows=rows), images[rows])
    assert np.array_equal(as_seen(images, 2, grey=False), images)


def test_the_flow_learns_from_no_held_out_image_and_from_none_that_stops_it(inputs):
    kept = reference_rows(TOTAL, settings())
    learned, stopping = training_rows(kept)
    assert sorted([*learned, *stopping]) == kept.tolist()
    assert len(stopping) == math.ceil(len(kept) / 10)
    weights, facts = fitted_flow(inputs, settings(**FLOW))
    seen = as_seen(load_npy(inputs["data"]), 4, grey=True)
    how = {key: FLOW[key] for key in ("transforms", "width", "epochs", "patience")}
    alone = PixelFlow.fit(seen[learned], seen[stopping], 0, **how)
    assert facts == alone.facts
    assert all(torch.equal(weights[name], own) for name, own in alone.flow.state_dict().items())


def test_likelihoods_are_the_flows_own_and_tell_digits_from_noise(inputs, tmp_path):
    weights, facts = fitted_flow(inputs, settings(**FLOW))
    flow = tmp_path / "flow.safetensors"
    save_tensors(flow, weights, {"kind": "experiment"}, facts)
    other = tmp_path / "other.npy"
    save_npy(other, load(16)[0][-COUNT:])
    own = settings(side=4, grey=True, levels=4, shown=2)
    arrays, told = likelihoods(inputs | {"flow": flow, "other": other}, own)
    rows = ["training", "held_out", "plain", "guided", "edges", "posterised", "other"]
    assert told["rows"] == rows and told["report"] == facts["report"]
    sets = open_sets(inputs, settings())
    reals = sets["held_out"].images
    made = {"held_out": reals, "plain": sets["plain"].images}
    made |= {"edges": edges(reals), "posterised": posterised(reals, 4)}
    opened = PixelFlow.load(flow, None)
    for name, images in made.items():
        bits = opened.bits_per_dimension(as_seen(images, 4, grey=True), 3)
        assert arrays["bits"][rows.index(name)] == pytest.approx(bits)
        assert np.array_equal(arrays["images"][rows.index(name)], images[:2])
    medians = dict(zip(rows, np.median(arrays["bits"], axis=1), strict=True))
    assert medians["held_out"] < medians["plain"] and medians["other"] < medians["plain"]
    # Training images are of those that it learned from.
    learned = load_npy(inputs["data"])[training_rows(reference_rows(TOTAL, settings()))[0]]
    known = {image.tobytes() for image in learned}
    assert all(image.tobytes() in known for image in arrays["images"][0])


def test_another_data_set_must_have_as_many_images(inputs, tmp_path):
    weights, facts = fitted_flow(inputs, settings(**FLOW))
    save_tensors(tmp_path / "flow.safetensors", weights, {}, facts)
    save_npy(tmp_path / "other.npy", load(16)[0][: COUNT - 1])
    own = inputs | {"flow": tmp_path / "flow.safetensors", "other": tmp_path / "other.npy"}
    with pytest.raises(ValueError, match="holds 11 images, and 12 are measured") as raised:
        likelihoods(own, settings(side=4, grey=True, levels=4, shown=2))
    assert "\n" not in str(raised.value)
