"""Extractors: one route from images to features, weights by digest, training on what is known."""

import warnings

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch_fidelity import feature_extractor_inceptionv3 as fidelity

from pseudodensity.artifacts import ArtifactError, file_sha256
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.features.training import TrainingSet, train_extractor
from pseudodensity.images.labels import Labels
from pseudodensity.images.transform import to_float
from pseudodensity.rng import numpy_generator

torch.set_num_threads(1)
# Small extractors with random weights serve most tests.
pytestmark = pytest.mark.filterwarnings("ignore:the extractor has random weights")

VIT = {"kind": "small_vit", "size": 16, "patch": 4, "width": 64, "depth": 3, "heads": 4}
CNN = {"kind": "small_cnn", "size": 16, "widths": [16, 32, 96], "blocks": 1}
TINY = {"kind": "small_cnn", "size": 8, "widths": [8, 16], "blocks": 1}


def random_images(n: int, size: int) -> np.ndarray:
    draw = numpy_generator(0, "images", n, size)
    return draw.integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def saved(state: dict, path) -> dict:
    """The `weights` and `sha256` settings of a state dict written to a file."""
    torch.save(state, path)
    return {"weights": str(path), "sha256": file_sha256(path)}


@pytest.mark.parametrize("spec", [VIT, CNN])
def test_features_do_not_depend_on_the_batch_size(spec):
    extractor, images = build_extractor(spec), random_images(37, 16)
    features = extract(extractor, images)
    assert features.shape == (37, extractor.dim) and features.dtype == np.float32
    for batch_size in (1, 10, 36):
        np.testing.assert_allclose(extract(extractor, images, batch_size), features, atol=1e-5)


@pytest.mark.parametrize("spec", [VIT, CNN])
def test_features_are_differentiable_at_any_image_size(spec):
    extractor = build_extractor(spec)
    images = to_float(random_images(3, 40)).requires_grad_()
    extractor(images).square().sum().backward()
    assert torch.isfinite(images.grad).all()
    assert images.grad.flatten(1).abs().sum(dim=1).gt(0).all()
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_extract_is_the_forward_pass_and_leaves_the_mode_alone():
    extractor, images = build_extractor(CNN).train(), random_images(5, 20)
    features = extract(extractor, torch.from_numpy(images))
    assert extractor.training
    with torch.no_grad():
        expected = extractor.eval()(to_float(images)).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_extract_refuses_other_images_and_broken_weights():
    extractor = build_extractor(TINY)
    with pytest.raises(ValueError, match="uint8"):
        extract(extractor, random_images(2, 8).astype(np.float32))
    with pytest.raises(ValueError, match="shape"):
        extract(extractor, random_images(2, 8)[:, :1])
    extractor.stem[0].weight.data[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        extract(extractor, random_images(2, 8))


def test_the_pyramid_of_the_cnn_halves_and_ends_in_the_feature():
    extractor, images = build_extractor(CNN), to_float(random_images(2, 32))
    maps = extractor.pyramid(images)
    assert [tuple(m.shape) for m in maps] == [(2, 16, 16, 16), (2, 32, 8, 8), (2, 96, 4, 4)]
    torch.testing.assert_close(maps[-1].mean(dim=(2, 3)), extractor(images))


def test_random_weights_depend_on_the_seed_alone():
    images = random_images(3, 8)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = extract(build_extractor(TINY, seed=4), images)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(2)
    np.testing.assert_array_equal(first, extract(build_extractor(TINY, seed=4), images))
    assert not np.allclose(first, extract(build_extractor(TINY, seed=5), images))


@pytest.mark.parametrize("spec", [VIT, CNN])
def test_saved_and_loaded_bit_for_bit(spec, tmp_path):
    extractor, images = build_extractor(spec, seed=7), random_images(4, 16)
    save_extractor(tmp_path / "extractor.safetensors", extractor, {"dataset": {"accuracy": 1.0}})
    loaded = load_extractor(tmp_path / "extractor.safetensors")
    assert loaded.spec == spec
    np.testing.assert_array_equal(extract(loaded, images), extract(extractor, images))


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        load_extractor(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "resnet"}, "unknown extractor kind"),
        ({"kind": "small_vit", "size": 16}, "settings of extractor small_vit"),
        (VIT | {"colour": 1}, "settings of extractor small_vit"),
        (VIT | {"patch": 5}, "must divide"),
        (CNN | {"size": 18}, "halved"),
        ({"kind": "vgg16", "weights": None, "sha256": None}, "download torchvision's vgg16"),
        ({"kind": "inception", "weights": "no/such.pth", "sha256": "0"}, "does not exist"),
        ({"kind": "timm", "name": "vit_none", "weights": None, "sha256": None}, "cannot build"),
        ({"kind": "timm", "name": "resnet18"}, "needs weights, sha256"),
        (TINY | {"sha256": "0"}, "has no setting sha256"),
        *(
            ({"kind": "timm", "name": name, "weights": None, "sha256": None}, "hub or a folder")
            for name in ("hf-hub:timm/resnet18", "hf_hub:a/b", "local-dir:x", "timm/resnet18", "")
        ),
    ],
)
def test_bad_settings_are_refused_in_one_line(spec, message):
    with pytest.raises(ValueError, match=message) as error:
        build_extractor(spec)
    assert "\n" not in str(error.value)


def test_weights_are_checked_against_their_digest(tmp_path):
    settings = saved({"x": torch.zeros(1)}, tmp_path / "weights.pth")
    for digest in ("0" * 64, None):
        with pytest.raises(ValueError, match="SHA-256") as error:
            build_extractor({"kind": "vgg16", **settings, "sha256": digest})
        assert settings["sha256"] in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match="does not fit") as error:
        build_extractor({"kind": "vgg16", **settings})
    assert "\n" not in str(error.value)


def test_a_weights_file_is_never_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the weights file was executed",))

    settings = saved({"x": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="no plain state dict"):
        build_extractor({"kind": "inception", **settings})


def test_timm_features_are_those_of_timm_with_its_own_normalisation(tmp_path):
    name = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    model = timm.create_model(name, pretrained=False).eval()
    path = tmp_path / "vit.safetensors"
    save_file(model.state_dict(), path)
    spec = {"kind": "timm", "name": name, "weights": str(path), "sha256": file_sha256(path)}
    # timm's mean and deviation are 0.5 for these weights, which leaves [-1, 1] as it is.
    images = to_float(random_images(2, 224))
    with torch.no_grad():
        expected = model.forward_head(model.forward_features(images), pre_logits=True)
        torch.testing.assert_close(build_extractor(spec)(images), expected)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv3_small_050",
        "ghostnet_050",
        "deit_tiny_distilled_patch16_224",
        "xcit_nano_12_p16_224",
    ],
)
def test_timm_networks_of_other_widths_and_heads(name, tmp_path):
    """num_features of the first two is the width before their head; the third has two classifiers."""
    model = timm.create_model(name, pretrained=False).eval()
    spec = {"kind": "timm", "name": name, **saved(model.state_dict(), tmp_path / "weights.pth")}
    extractor, images = build_extractor(spec), random_images(2, 40)
    features = extract(extractor, images)
    assert features.shape == (2, extractor.dim)
    model.reset_classifier(0)
    with torch.no_grad():
        expected = model(extractor.prepare(to_float(images)))
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-4)


def test_an_entry_of_a_config_is_taken_as_it_stands_and_says_that_it_is_not_trained(tmp_path):
    entry = TINY | {"trained_on": ["faces"], "training": {"seed": 0, "epochs": 1}, "mirror": True}
    extractor = build_extractor(entry)
    with pytest.warns(UserWarning, match="random weights"):
        extract(extractor, random_images(2, 8))
    save_extractor(tmp_path / "e.safetensors", extractor)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what was written was trained
        extract(load_extractor(tmp_path / "e.safetensors"), random_images(2, 8))


def test_a_wrong_weights_file_is_one_line_without_bad_advice(tmp_path):
    name = "mobilenetv3_small_050"
    (tmp_path / "w.pth").write_bytes(b"<html>not found</html>")
    wrong = {"weights": str(tmp_path / "w.pth"), "sha256": file_sha256(tmp_path / "w.pth")}
    other = saved(timm.create_model("ghostnet_050").state_dict(), tmp_path / "other.pth")
    listed = saved([torch.zeros(1)], tmp_path / "listed.pth")
    wrapped = saved({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "wrapped.pth")
    for settings in (wrong, other, listed, wrapped):
        with pytest.raises(ValueError, match="no plain state dict|does not fit") as error:
            build_extractor({"kind": "timm", "name": name, **settings})
        assert "\n" not in str(error.value) and "weights_only" not in str(error.value)


def test_the_full_size_vit_of_the_paper_builds_from_a_local_file(tmp_path):
    name = "vit_base_patch16_224.augreg_in21k_ft_in1k"
    with torch.device("meta"):
        shapes = timm.create_model(name, pretrained=False).state_dict()
    # One number stands for all weights of a layer, which keeps the file small.
    state = {key: torch.full((1,), 0.01).expand(value.shape) for key, value in shapes.items()}
    spec = {"kind": "timm", "name": name, **saved(state, tmp_path / "vit.pth")}
    extractor = build_extractor(spec)
    assert (extractor.dim, extractor.size) == (768, 224)
    assert extract(extractor, random_images(1, 32)).shape == (1, 768)
    save_extractor(tmp_path / "extractor.safetensors", extractor)
    assert (tmp_path / "extractor.safetensors").stat().st_size < 10_000
    assert load_extractor(tmp_path / "extractor.safetensors").spec == spec


def inception() -> torch.nn.Module:
    """torch-fidelity's Inception-v3 before any weights, which it builds around a file only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(fidelity.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        return fidelity.FeatureExtractorInceptionV3("reference", ["2048"])


def test_inception_gives_the_features_of_torch_fidelity(tmp_path):
    reference = inception()
    settings = saved(reference.state_dict(), tmp_path / "inception.pth")
    images = random_images(2, 32)
    features = extract(build_extractor({"kind": "inception", **settings}), images)
    expected = reference(torch.from_numpy(images))[0].numpy()
    assert features.shape == (2, 2048)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_vgg16_gives_its_second_hidden_layer(tmp_path):
    model = torchvision.models.vgg16(weights=None, init_weights=False).eval()
    # One number stands for all of a wide layer's weights, which keeps the file small.
    wide = ("classifier.0.weight", "classifier.3.weight", "classifier.6.weight")
    state = {
        name: torch.full((1,), 1e-4).expand(value.shape) if name in wide else value
        for name, value in model.state_dict().items()
    }
    extractor = build_extractor({"kind": "vgg16", **saved(state, tmp_path / "vgg.pth")})
    model.load_state_dict(state)
    x = torch.rand(1, 3, 224, 224)
    hidden = []
    model.classifier[4].register_forward_hook(lambda *args: hidden.append(args[2]))
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        model(normalise(x))
        torch.testing.assert_close(extractor(2 * x - 1), hidden[0])
    assert hidden[0].shape == (1, 4096)


def coloured_set(name: str, n: int, mirror: bool) -> TrainingSet:
    """Flat images whose red channel is a category and whose blue channel is a number."""
    draw = numpy_generator(0, name)
    category = draw.choice(3, size=n, p=[0.5, 0.3, 0.2])
    number = draw.normal(size=n).astype(np.float32)
    images = np.full((n, 3, 8, 8), 0 if name == "dark" else 255, dtype=np.uint8)
    images[:, 0] = (category * 120)[:, None, None]
    images[:, 2] = np.clip(128 + 40 * number, 0, 255)[:, None, None]
    labels = Labels(
        categorical=category[:, None],
        names=["red"],
        cardinalities=[3],
        log_prob=np.log([0.5, 0.3, 0.2])[category],
        continuous=number[:, None],
        continuous_names=["blue"],
    )
    return TrainingSet(name, images, labels, mirror)


def test_training_learns_every_task_of_every_data_set():
    sets = [coloured_set("dark", 400, True), coloured_set("light", 400, False)]
    bare = TrainingSet("bare", random_images(200, 8), None)
    settings = {"epochs": 12, "learning_rate": 3e-3, "batch_size": 32}
    extractor, report = train_extractor(TINY, [*sets, bare], seed=0, **settings)
    assert set(report) == {"dataset", "dark/red", "dark/blue", "light/red", "light/blue"}
    assert report["dataset"]["accuracy"] > 0.95
    assert report["dark/red"]["accuracy"] > max(0.9, report["dark/red"]["most_common"])
    assert report["light/blue"]["r2"] > 0.7
    assert not extractor.training
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_training_depends_on_its_arguments_alone():
    sets = [coloured_set("dark", 60, True), coloured_set("light", 60, True)]
    settings = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 32}
    features = []
    for global_seed, seed in ((1, 8), (2, 8), (2, 9)):
        torch.manual_seed(global_seed)
        extractor, _ = train_extractor(TINY, sets, seed, **settings)
        features.append(extract(extractor, sets[0].images))
    np.testing.assert_array_equal(features[0], features[1])
    assert not np.allclose(features[0], features[2])


def test_training_on_the_fewest_images_still_measures_every_task():
    sets = [coloured_set("dark", 10, True), coloured_set("light", 11, False)]
    _, report = train_extractor(TINY, sets, 0, epochs=1, learning_rate=1e-3)
    assert report["dark/red"]["accuracy"] in (0, 1)
    assert report["light/blue"]["r2"] is None


def test_training_without_anything_to_learn_is_refused():
    images = random_images(20, 8)
    with pytest.raises(ValueError, match="labels or a second data set"):
        train_extractor(TINY, [TrainingSet("a", images, None)], 0, epochs=1, learning_rate=1e-3)
    with pytest.raises(ValueError, match="10 images"):
        sets = [TrainingSet("a", images, None), TrainingSet("b", images[:5], None)]
        train_extractor(TINY, sets, 0, epochs=1, learning_rate=1e-3)
