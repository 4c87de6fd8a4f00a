"""Experiments behind the pictures of low-density diffusion: the same seeds through samplers, extreme reals."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from auxiliary_example import trained_auxiliaries
from guided_example import MODEL
from sklearn.covariance import ledoit_wolf

from pseudodensity.artifacts import save_npy
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, load_generator, save_checkpoint
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.labels import class_numbers
from pseudodensity.images.transform import to_uint8
from pseudodensity.papers.low_density.measured.extreme_reals import extreme_reals
from pseudodensity.papers.low_density.measured.same_seeds import class_latents, same_seeds
from pseudodensity.plan.methods import points
from pseudodensity.plan.models import declaration
from pseudodensity.rng import normal
from pseudodensity.tensors import load_tensors, save_tensors

torch.set_num_threads(1)

SEED = 3


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    """200 small digits, an untrained diffusion model of their classes, its networks, and a judge."""
    folder = tmp_path_factory.mktemp("shown")
    build_dataset({"kind": "digits", "images": 200, "resolution": 8}, folder / "data")
    dataset = open_dataset(folder / "data")
    torch.manual_seed(0)
    settings = MODEL | {"classes": 10}
    states = {"average": build_generator("class_diffusion", 8, settings).state_dict()}
    checkpoint = CheckpointFile("class_diffusion", 8, {"generator": settings}, states, {})
    save_checkpoint(folder / "checkpoint.safetensors", checkpoint, {"kind": "trained", "spec": {}})
    extractor = build_extractor({"kind": "small_cnn", "size": 8, "widths": [4, 8], "blocks": 1})
    extractor.trained = True
    save_extractor(folder / "extractor.safetensors", extractor)
    save_npy(folder / "features.npy", extract(extractor, dataset.images))
    found = {name: folder / f"{name}.safetensors" for name in ("checkpoint", "extractor")}
    found |= {"data": folder / "data/images.npy", "features": folder / "features.npy"}
    found |= trained_auxiliaries(checkpoint, dataset, folder)
    _set_to_chance(found["real_classifier"])
    return found


def _set_to_chance(path: Path) -> None:
    """A classifier that no guide may steer by, whatever it learned of so bad a model."""
    tensors, meta = load_tensors(path)
    (name,) = (name for name in tensors if name.endswith("accuracy"))
    save_tensors(path, tensors | {name: torch.full_like(tensors[name], 0.5)}, {}, meta)


def point(name: str = "low_density", **grid) -> dict:
    own = {key: [value] for key, value in grid.items()}
    (found,) = points(name, own, {name: {"steps": 5}}, declaration("class_diffusion"))
    return found


PLAIN = point(loss="plain", alpha=0, beta=0)


def measured(inputs, *asked, classes=(7, 2), per_class=2):
    settings = {"points": list(asked), "classes": list(classes), "per_class": per_class}
    return same_seeds(inputs, settings | {"seed": SEED, "device": "cpu"})


def test_latents_of_a_class_differ_from_others_in_their_class_alone(inputs):
    model = load_generator(inputs["checkpoint"])
    found = class_latents(model, SEED, [7, 2], 2)
    assert model.labels(found).tolist() == [7, 7, 2, 2]
    drawn = normal(SEED, "latents", range(4), model.latent_shape)
    assert torch.equal(found[:, :-1], drawn[:, :-1])
    with pytest.raises(ValueError, match="asks for class 10, but there is no class 10") as raised:
        class_latents(model, SEED, [7, 10], 2)
    assert "\n" not in str(raised.value)


def test_plain_images_are_those_of_the_sampler(inputs):
    arrays, facts = measured(inputs, PLAIN)
    model = load_generator(inputs["checkpoint"])
    latents = class_latents(model, SEED, [7, 2], 2)
    first = latents[:, :2].clone(memory_format=torch.contiguous_format)
    names = [int(row) & (2**63 - 1) for row in first.view(torch.int64)[:, 0]]
    with torch.no_grad():
        made = sample(model, latents, step="ancestral", steps=5, noise=StepNoise(SEED, names))
    expected = to_uint8(made).numpy().reshape(1, 2, 2, 3, 8, 8)
    assert np.array_equal(arrays["images"], expected) and facts["notes"] == [""]


def test_strengths_of_zero_and_a_refused_classifier_give_the_plain_image_to_the_bit(inputs):
    refused = point(loss="plain", alpha=0, beta=1.0)
    unsmoothed = point("class_smoothing", smoothing=0)
    guided = point(loss="plain", alpha=0.5, beta=0)
    arrays, facts = measured(inputs, PLAIN, refused, unsmoothed, guided)
    images = arrays["images"]
    assert np.array_equal(images[1], images[0]) and np.array_equal(images[2], images[0])
    assert not np.array_equal(images[3], images[0])
    assert np.array_equal(arrays["hardness"][1], arrays["hardness"][0])
    assert [bool(note) for note in facts["notes"]] == [False, True, False, False]
    assert "beta 1 gave no push" in facts["notes"][1]


def test_an_image_depends_on_its_place_and_class_only(inputs):
    guided = point(loss="contrastive", alpha=0.3, beta=0)
    both, _ = measured(inputs, PLAIN, guided)
    alone, _ = measured(inputs, guided, classes=[7])
    assert np.abs(both["images"][1, :1] - alone["images"][0].astype(int)).max() <= 1
    other, _ = measured(inputs, guided, classes=[4])
    assert not np.array_equal(other["images"], alone["images"])


def test_without_a_point_the_model_makes_its_own_images(inputs):
    arrays, _ = measured(inputs, None)
    model = load_generator(inputs["checkpoint"])
    with torch.no_grad():
        expected = to_uint8(model(class_latents(model, SEED, [7, 2], 2))).numpy()
    assert np.array_equal(arrays["images"].reshape(4, 3, 8, 8), expected)


def gaussian_nats(features: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Equation 3 with scikit-learn's Ledoit-Wolf covariance, written out."""
    covariance, _ = ledoit_wolf(reals)
    apart = features - reals.mean(0)
    squared = np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart)
    _, logarithm = np.linalg.slogdet(covariance)
    return (squared + logarithm + reals.shape[1] * math.log(2 * math.pi)) / 2


def test_hardness_is_that_of_the_class_of_each_image(inputs):
    arrays, facts = measured(inputs, PLAIN)
    labels = class_numbers(open_dataset(inputs["data"].parent).labels)[0]
    reals = np.load(inputs["features"]).astype(np.float64)
    extractor = load_extractor(inputs["extractor"])
    for place, label in enumerate((7, 2)):
        features = extract(extractor, arrays["images"][0, place]).astype(np.float64)
        expected = gaussian_nats(features, reals[labels == label])
        np.testing.assert_allclose(arrays["hardness"][0, place], expected, rtol=1e-6)
    chosen, _ = extreme_reals(inputs, {"classes": list(range(10)), "per_class": 1, "seed": 0})
    assert chosen["hardness"][0].min() < facts["limit"] < chosen["hardness"][1].max()


# ------------------------------------------------------------------------------- real images


def extreme(inputs, classes, per_class, seed=0):
    return extreme_reals(inputs, {"classes": classes, "per_class": per_class, "seed": seed})


def test_extreme_reals_are_the_first_and_the_last_of_their_class(inputs):
    """All of a class: the least hard ones come in rising order, the hardest in falling order."""
    dataset = open_dataset(inputs["data"].parent)
    labels = class_numbers(dataset.labels)[0]
    count = int(min((labels == label).sum() for label in (3, 5)))
    arrays, facts = extreme(inputs, [3, 5], 4)
    for place, label in enumerate((3, 5)):
        own = dataset.images[labels == label]
        whole, _ = extreme(inputs, [label], len(own))
        assert (np.diff(whole["hardness"][0, 0]) >= 0).all()
        assert np.array_equal(whole["hardness"][1, 0], whole["hardness"][0, 0][::-1])
        assert sorted(whole["hardness"][2, 0]) == whole["hardness"][0, 0].tolist()
        assert {one.tobytes() for one in whole["images"][2, 0]} == {one.tobytes() for one in own}
        for row in range(3):
            expected = whole["images"][row, 0, :4]
            assert np.array_equal(arrays["images"][row, place], expected)
    assert facts["rows"][:2] == ["reals, high density", "reals, low density"]
    assert facts["chosen"] == [0, 1]
    again, _ = extreme(inputs, [3, 5], 4, seed=1)
    assert np.array_equal(again["images"][:2], arrays["images"][:2])
    assert not np.array_equal(again["images"][2], arrays["images"][2])
    with pytest.raises(ValueError, match="real images of class") as raised:
        extreme(inputs, [3, 5], count + 10)
    assert "\n" not in str(raised.value)


def test_the_hardness_of_a_real_image_does_not_count_itself(inputs):
    """Up to the shrinkage, which stays: it is harder than under a Gaussian that saw it."""
    arrays, _ = extreme(inputs, [3], 1)
    labels = class_numbers(open_dataset(inputs["data"].parent).labels)[0]
    reals = np.load(inputs["features"]).astype(np.float64)[labels == 3]
    assert arrays["hardness"][1, 0, 0] > gaussian_nats(reals, reals).max()
