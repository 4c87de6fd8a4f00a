"""StyleGAN2 pickles of TensorFlow, written here from networks of ours under the published names."""

import sys

import numpy as np
import pytest
import torch
from public_files.tensorflow import (
    Network,
    published_discriminator,
    published_generator,
    write_tensorflow,
)

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.convert import convert
from pseudodensity.generators.build import build_discriminator, build_generator

torch.set_num_threads(1)

SETTINGS = {
    "z_dim": 5,
    "w_dim": 6,
    "mapping_layers": 3,
    "w_avg_beta": 0.99,
    "channel_base": 64,
    "channel_max": 12,
}
SETTINGS_D = {"channel_base": 64, "channel_max": 12, "group_size": 2}


@pytest.fixture
def write(tmp_path):
    return lambda root: write_tensorflow(tmp_path / "n.pkl", root, "dnnlib.tflib.network", Network)


def trained(build, settings):
    network = build("stylegan2", 16, settings).requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if "filter" not in name:
            tensor.copy_(torch.randn_like(tensor))
    return network


@pytest.fixture
def networks():
    torch.manual_seed(0)
    generators = {role: trained(build_generator, SETTINGS) for role in ("G", "Gs")}
    return generators | {"D": trained(build_discriminator, SETTINGS_D)}


def published(networks, **kwargs):
    parts = {role: published_generator(networks[role], **kwargs) for role in ("G", "Gs")}
    return parts["G"], published_discriminator(networks["D"]), parts["Gs"]


def test_a_file_comes_back_as_the_networks_that_were_written(write, networks):
    path = write(published(networks))
    names = [name for name, _ in published_discriminator(networks["D"]).content["variables"]]
    assert {"16x16/FromRGB/bias", "8x8/Conv1_down/weight", "4x4/Dense0/bias", "Output/bias"} < set(
        names
    )
    found = convert(path, "nvlabs_tensorflow", "stylegan2")
    assert "dnnlib" not in sys.modules
    expected = {"resolution": 16, "generator": SETTINGS, "discriminator": SETTINGS_D}
    assert found["settings"] == expected
    for part, role in (("generator", "G"), ("average", "Gs"), ("discriminator", "D")):
        ours = networks[role].state_dict()
        assert found[part].keys() == ours.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(found[part][name], tensor, msg=f"{part} {name}")


@pytest.mark.parametrize(("name", "value"), [("label_size", 10), ("architecture", "orig")])
def test_variants_are_refused(write, networks, name, value):
    with pytest.raises(ArtifactError, match=f"a variant with {name} = {value!r}"):
        convert(write(published(networks, **{name: value})), "nvlabs_tensorflow", "stylegan2")


def test_an_unknown_variable_is_named(write, networks):
    root = published(networks)
    root[2].content["components"]["synthesis"].content["variables"].append(("lod", np.float32(0)))
    with pytest.raises(ArtifactError, match="1 are unknown") as error:
        convert(write(root), "nvlabs_tensorflow", "stylegan2")
    assert "\n" not in str(error.value)


def test_another_architecture_is_refused(write):
    other = Network("G", {"4x4/Dense/weight": np.zeros((2, 2), np.float32)}, {})
    with pytest.raises(ArtifactError, match="not a stylegan2 generator"):
        convert(write((other,) * 3), "nvlabs_tensorflow", "stylegan2")
