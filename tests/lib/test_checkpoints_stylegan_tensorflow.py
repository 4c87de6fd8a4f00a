"""StyleGAN2 pickles of TensorFlow, written here from networks of ours under the published names."""

import pickle
import re
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

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
SYNTHESIS = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
DISCRIMINATOR = {"conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "fromrgb": "FromRGB"}


class Network:
    """Pickles as the published class does: by name, with a dictionary as state."""

    def __init__(self, function, variables, kwargs, components=None):
        self.content = {"version": 4, "name": function, "static_kwargs": kwargs}
        self.content |= {"build_func_name": function, "build_module_src": "raise SystemExit"}
        self.content |= {"variables": list(variables.items()), "components": components or {}}

    def __getstate__(self):
        return self.content


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a root to a file; the module of its class exists only meanwhile."""

    def write(root):
        module = ModuleType("dnnlib.tflib.network")
        module.Network = Network
        with monkeypatch.context() as patch:
            patch.setattr(Network, "__module__", "dnnlib.tflib.network")
            for name in ("dnnlib", "dnnlib.tflib"):
                patch.setitem(sys.modules, name, ModuleType(name))
            patch.setitem(sys.modules, "dnnlib.tflib.network", module)
            (tmp_path / "n.pkl").write_bytes(pickle.dumps(root, 4))
        return tmp_path / "n.pkl"

    return write


def trained(build, settings):
    network = build("stylegan2", 16, settings).requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if "filter" not in name:
            tensor.copy_(torch.randn_like(tensor))
    return network


def stored(value: torch.Tensor, back_to_front: bool = False) -> np.ndarray:
    """In the layout of TensorFlow: pixels, inputs, outputs; or inputs, outputs."""
    array = value.numpy()
    if array.ndim == 4:
        array = array[:, :, ::-1, ::-1] if back_to_front else array
        return np.ascontiguousarray(array.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(array.T) if array.ndim == 2 else array


def published_generator(network, **kwargs):
    mapping, synthesis, own = {}, {}, {}
    for name, value in network.state_dict().items():
        if match := re.fullmatch(r"mapping\.fc(\d)\.(\w+)", name):
            mapping[f"Dense{match[1]}/{match[2]}"] = stored(value)
        elif name == "mapping.w_avg":
            own["dlatent_avg"] = value.numpy()
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.conv(\d)\.noise_const", name):
            number = 2 * int(np.log2(int(match[1]))) - 5 + int(match[2])
            synthesis[f"noise{number}"] = value.numpy()[None, None]
        elif name == "synthesis.b4.const":
            synthesis["4x4/Const/const"] = value.numpy()[None]
        elif match := re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.(affine\.)?(\w+)", name):
            size, layer, affine, kind = match.groups()
            if kind == "resample_filter":
                continue
            public = "Conv" if (size, layer) == ("4", "conv1") else SYNTHESIS[layer]
            value = value - 1 if affine and kind == "bias" else value
            kind = f"mod_{kind}" if affine else kind
            synthesis[f"{size}x{size}/{public}/{kind}"] = stored(value, layer == "conv0")
    components = {
        "mapping": Network("G_mapping", mapping, {}),
        "synthesis": Network("G_synthesis_stylegan2", synthesis, {}),
    }
    return Network("G_main", own, {"dlatent_avg_beta": 0.99, **kwargs}, components)


def published_discriminator(network):
    variables = {}
    for name, value in network.state_dict().items():
        block, layer, kind = name.split(".") if name.count(".") == 2 else ("", "", "filter")
        size = block.removeprefix("b")
        names = {"conv": "Conv", "fc": "Dense0"} if block == "b4" else DISCRIMINATOR
        if "filter" not in kind:
            public = "Output" if layer == "out" else f"{size}x{size}/{names[layer]}"
            variables[f"{public}/{kind}"] = stored(value)
    return Network("D_stylegan2", variables, {"mbstd_group_size": 2, "architecture": "resnet"})


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
