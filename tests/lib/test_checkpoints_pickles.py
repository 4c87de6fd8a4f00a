"""Pickled public networks, written here in the published form, then read as data only.

The packages that the files name exist only while a file is written.
"""

import io
import os
import pickle
import struct
import sys
from collections import OrderedDict
from functools import partial

import numpy as np
import pytest
import torch
from public_files.pickled import (
    NVLABS,
    EasyDict,
    Persistent,
    fake_modules,
    persistent,
    published_projectedgan,
    write,
)
from torch import nn

from pseudodensity.artifacts import ArtifactError, file_sha256
from pseudodensity.checkpoints.convert import convert
from pseudodensity.checkpoints.reader import read_networks
from pseudodensity.generators.build import build_discriminator, build_generator

pytestmark = pytest.mark.filterwarnings("ignore:Detected pickle protocol")

STYLEGAN2 = {
    "z_dim": 8,
    "w_dim": 12,
    "mapping_layers": 3,
    "channel_base": 128,
    "channel_max": 16,
    "conv_clamp": 256,
    "w_avg_beta": 0.995,
}
STYLEGAN3 = {
    "z_dim": 8,
    "w_dim": 12,
    "mapping_layers": 2,
    "num_layers": 6,
    "num_critical": 2,
    "margin_size": 4,
    "channel_base": 128,
    "channel_max": 16,
    "conv_clamp": 256,
    "w_avg_beta": 0.998,
}
DISCRIMINATOR = {"channel_base": 128, "channel_max": 16, "conv_clamp": 256, "group_size": 2}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def trained(build) -> nn.Module:
    """A network none of whose tensors has its initial value."""
    module = build().eval().requires_grad_(False)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and "filter" not in name:
            tensor.add_(0.1 * torch.rand_like(tensor))
    return module


def assert_same(state, module):
    ours = module.state_dict()
    assert list(state) == list(ours)
    for name, tensor in ours.items():
        assert state[name].dtype == tensor.dtype and torch.equal(state[name], tensor), name


def assert_same_images(converted, module, part="average"):
    settings = converted["settings"]
    again = build_generator(
        ARCHITECTURE[type(module).__module__], settings["resolution"], settings["generator"]
    ).eval()
    again.load_state_dict(converted[part])
    z = torch.randn(2, *module.latent_shape)
    with torch.no_grad():
        assert torch.equal(again(z), module(z))


ARCHITECTURE = {
    "pseudodensity.generators.stylegan2": "stylegan2",
    "pseudodensity.generators.stylegan3": "stylegan3",
    "pseudodensity.generators.fastgan": "projectedgan",
}


# --------------------------------------------------------------------------- NVlabs pickles


def stylegan_networks(architecture):
    resolution, settings = (16, STYLEGAN2) if architecture == "stylegan2" else (16, STYLEGAN3)
    networks = {
        "G": trained(lambda: build_generator(architecture, resolution, settings)),
        "D": trained(lambda: build_discriminator(architecture, resolution, DISCRIMINATOR)),
        "G_ema": trained(lambda: build_generator(architecture, resolution, settings)),
    }
    return networks, settings


def stylegan_file(path, architecture, nested, protocol, change=None):
    """A snapshot whose source text would create the file ``path``.ran."""
    networks, settings = stylegan_networks(architecture)
    shape = ("z_dim", "w_dim", "mapping_layers", "w_avg_beta")
    synthesis = {k: v for k, v in settings.items() if k not in shape} | (change or {})
    common = {"c_dim": 0, "img_resolution": 16, "img_channels": 3}
    mapping = {"mapping_kwargs": EasyDict(w_avg_beta=settings["w_avg_beta"])}
    flat = {"synthesis_kwargs": EasyDict(synthesis)} if nested else synthesis
    kwargs = {"G": {**common, **mapping, **flat}}
    kwargs["G_ema"] = kwargs["G"]
    kwargs["D"] = {**common, "conv_clamp": 256, "epilogue_kwargs": {"mbstd_group_size": 2}}
    source = f"open({str(path) + '.ran'!r}, 'w').close()"
    content = {n: persistent(m, source, kwargs[n]) for n, m in networks.items()}
    content |= {"augment_pipe": None, "training_set_kwargs": EasyDict(resolution=16, xflip=True)}
    return write(path, content, NVLABS, protocol), networks, settings


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(
    ("architecture", "nested"), [("stylegan2", True), ("stylegan2", False), ("stylegan3", False)]
)
def test_a_stylegan_pickle_comes_back_bit_by_bit(tmp_path, architecture, nested, protocol):
    path, networks, settings = stylegan_file(tmp_path / "n.pkl", architecture, nested, protocol)
    converted = convert(path, "nvlabs", architecture)
    assert "torch_utils.persistence" not in sys.modules and "dnnlib.util" not in sys.modules
    assert not os.path.exists(f"{path}.ran")
    assert converted["settings"]["resolution"] == 16
    generator = converted["settings"]["generator"]
    assert generator == settings
    assert converted["settings"]["discriminator"] == DISCRIMINATOR
    for part, name in (("generator", "G"), ("average", "G_ema"), ("discriminator", "D")):
        assert_same(converted[part], networks[name])
    assert_same_images(converted, networks["G_ema"])


def test_large_images_of_stylegan3_are_computed_again_for_a_gradient(tmp_path, monkeypatch):
    path, _, settings = stylegan_file(tmp_path / "n.pkl", "stylegan3", False, 4)
    monkeypatch.setattr("pseudodensity.checkpoints.stylegan.RECOMPUTED", 16)
    converted = convert(path, "nvlabs", "stylegan3")
    assert converted["settings"]["generator"] == {**settings, "recompute": True}


def test_channel_settings_rebuild_the_published_sizes(tmp_path):
    # Channel numbers that do not divide: 100 // 16 = 6 at 16 px, 12 at 8 px, 20 at 4 px.
    settings = {**STYLEGAN2, "channel_base": 100, "channel_max": 20}
    network = trained(lambda: build_generator("stylegan2", 16, settings))
    path = write(tmp_path / "n.pkl", {"G_ema": persistent(network, "")}, NVLABS, 4)
    converted = convert(path, "nvlabs", "stylegan2")
    assert_same(converted["average"], network)
    assert converted["discriminator"] is None and converted["settings"]["discriminator"] is None
    assert_same(converted["generator"], network)  # nothing else to continue from


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv_kernel": 1}, "conv_kernel = 1"),
        ({"use_radial_filters": True}, "use_radial_filters = True"),
        ({"margin_size": "x"}, "margin_size = 'x'"),
        ({"mapping_kwargs": None, "conv_kernel": 1}, "conv_kernel = 1"),
        ({"margin_size": 6}, "does not fit a stylegan3 generator of 16 px"),
    ],
)
def test_variants_of_an_architecture_are_refused(tmp_path, change, words):
    path, _, _ = stylegan_file(tmp_path / "n.pkl", "stylegan3", False, 4, change)
    with pytest.raises(ArtifactError, match=words):
        convert(path, "nvlabs", "stylegan3")


def test_a_conditional_model_is_refused(tmp_path):
    network = trained(lambda: build_generator("stylegan2", 16, STYLEGAN2))
    content = {"G_ema": persistent(network, "", {"c_dim": 10})}
    path = write(tmp_path / "n.pkl", content, NVLABS, 4)
    with pytest.raises(ArtifactError, match="c_dim = 10"):
        convert(path, "nvlabs", "stylegan2")


# ----------------------------------------------------------------------- ProjectedGAN pickles


def _load_type(name):
    raise AssertionError("dill must never run")


class DillLike(pickle.Pickler):
    """Writes the types that dill writes by name."""

    def reducer_override(self, value):
        return (_load_type, ("set",)) if value is set else NotImplemented


@pytest.fixture(scope="module")
def projected():
    torch.manual_seed(0)
    settings = {"z_dim": 6, "ngf": 8}
    features = {"kind": "timm", "name": "tf_efficientnet_lite0", "weights": None}
    build = partial(build_generator, "projectedgan", 64, settings)
    build_d = partial(build_discriminator, "projectedgan", 64, {"width": 4, "features": features})
    networks = {"G": trained(build), "D": trained(build_d), "G_ema": trained(build)}
    public, modules = published_projectedgan(build, build_d, networks)
    modules |= fake_modules(dill___dill={"_load_type": _load_type})
    return networks, public, modules, settings


def test_the_files_made_here_have_the_published_names(projected):
    _, public, _, _ = projected
    generator, discriminator = public["G_ema"].state_dict(), public["D"].state_dict()
    for name in (
        "synthesis.init.init.0.weight_orig",
        "synthesis.feat_8.1.weight_u",
        "synthesis.feat_64.6.weight",
        "synthesis.se_64.main.3.weight_v",
        "synthesis.to_big.bias",
    ):
        assert name in generator
    for name in (
        "feature_network.pretrained.layer0.0.weight",
        "feature_network.pretrained.layer0.3.0.conv_dw.weight",
        "feature_network.scratch.layer3_ccm.bias",
        "feature_network.scratch.layer0_csm.out_conv.weight",
        "discriminator.mini_discs.3.main.0.main.0.weight_orig",
    ):
        assert name in discriminator


@pytest.mark.parametrize(
    ("protocol", "pickler"), [(3, pickle.Pickler), (4, pickle.Pickler), (3, DillLike)]
)
def test_a_projectedgan_pickle_comes_back_bit_by_bit(tmp_path, projected, protocol, pickler):
    networks, public, modules, settings = projected
    # Published files keep the tag of the device on which they were trained.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:3")
        path = write(tmp_path / "n.pkl", public, modules, protocol, pickler)
    assert b"cuda:3" in path.read_bytes()
    assert (b"dill" in path.read_bytes()) == (pickler is DillLike)
    converted = convert(path, "projectedgan", "projectedgan")
    assert converted["settings"]["generator"] == settings
    for part, name in (("generator", "G"), ("average", "G_ema"), ("discriminator", "D")):
        assert_same(converted[part], networks[name])
    assert_same_images(converted, networks["G_ema"])
    assert converted["settings"]["discriminator"]["width"] == 4


def test_the_hooked_generator_gives_the_images_of_ours(projected):
    networks, public, _, _ = projected
    z = torch.randn(2, 6)
    assert torch.allclose(public["G"](z), networks["G"](z), atol=1e-5)


# ------------------------------------------------------------------------------ wrong files


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    torch.manual_seed(0)
    return stylegan_file(tmp_path_factory.mktemp("s") / "n.pkl", "stylegan2", True, 4)[0]


def refusal(path, format="nvlabs", architecture="stylegan2", sha256=None) -> str:
    with pytest.raises(ArtifactError) as error:
        convert(path, format, architecture, sha256)
    message = str(error.value)
    assert "\n" not in message
    assert "weights_only" not in message  # no advice to load it unprotected
    return message


def test_the_digest_is_checked_first_and_reported(snapshot, tmp_path):
    digest = file_sha256(snapshot)
    assert convert(snapshot, "nvlabs", "stylegan2")["sha256"] == digest
    assert convert(snapshot, "nvlabs", "stylegan2", digest.upper())["sha256"] == digest
    message = refusal(snapshot, sha256="0" * 64)
    assert digest in message and "0" * 64 in message
    rubbish = tmp_path / "rubbish.pkl"
    rubbish.write_bytes(b"rubbish")
    assert "SHA-256" in refusal(rubbish, sha256="0" * 64)


def test_what_is_asked_for_and_what_is_there(snapshot, tmp_path, projected):
    assert "unknown format 'zip'" in refusal(snapshot, format="zip")
    assert "does not exist" in refusal(tmp_path / "none.pkl")
    assert "holds projectedgan, not stylegan2" in refusal(snapshot, format="projectedgan")
    message = refusal(snapshot, architecture="stylegan3")
    assert "holds a stylegan2 generator (Generator), not a stylegan3 generator" in message
    message = refusal(snapshot, format="projectedgan", architecture="projectedgan")
    assert "holds a stylegan2 generator" in message
    message = refusal(snapshot, format="openai", architecture="diffusion")
    assert "cannot be read as a state dict" in message
    _, public, modules, _ = projected
    path = write(tmp_path / "p.pkl", {"G_ema": public["G_ema"]}, modules, 4)
    assert "holds a projectedgan generator" in refusal(path)
    path = write(tmp_path / "d.pkl", {"D": public["G_ema"]}, modules, 4)
    assert "holds only D" in refusal(path)
    path = write(tmp_path / "t.pkl", ("G", "D", "Gs"), {}, 2)
    assert "TensorFlow" in refusal(path)
    path = tmp_path / "state.pt"
    torch.save({"a": torch.zeros(2)}, path)
    assert "zip archive" in refusal(path)


@pytest.mark.parametrize("fraction", [0.0, 0.001, 0.3, 0.7, 0.999999])
def test_a_truncated_file_is_refused(snapshot, tmp_path, fraction):
    content = snapshot.read_bytes()
    path = tmp_path / "short.pkl"
    path.write_bytes(content[: int(fraction * len(content))])
    assert "cannot be read as a pickled network" in refusal(path)


def test_a_file_beyond_the_cap_is_not_read(snapshot):
    with pytest.raises(ArtifactError, match="more than the 1000"):
        read_networks(snapshot, max_bytes=1000)


# ---------------------------------------------------------------------------- hostile files


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(tmp_path, content, protocol=4):
    path = tmp_path / "hostile.pkl"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write(path, content, NVLABS, protocol)
    message = refusal(path)
    assert "cannot be read as a pickled network" in message
    assert not (tmp_path / "ran").exists()
    return message


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("function", [os.system, eval, exec, getattr, __import__])
def test_no_function_that_a_file_names_is_called(tmp_path, function, protocol):
    code = {os.system: f"touch {tmp_path}/ran"}.get(function, f"open('{tmp_path}/ran', 'w')")
    message = hostile(tmp_path, {"G_ema": Call(function, code)}, protocol)
    assert "may be hostile" in message and function.__name__ in message


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch_utils.persistence", "_reconstruct_persistent_obj.__globals__"),
        ("torch.nn", "Module.__init__.__globals__"),
        ("torch.nn.os", "system.x"),
        ("collections", "OrderedDict.fromkeys"),
        ("torchx.nn", "Module"),
        ("torch", "load"),
        ("copyreg", "_reconstructor"),
        ("pickle", "loads"),
    ],
)
def test_other_names_are_refused(tmp_path, module, name):
    short = b"".join(b"\x8c" + bytes([len(s)]) + s.encode() for s in (module, name))
    assert "may be hostile" in hostile(tmp_path, b"\x80\x04" + short + b"\x93.")


def test_functions_of_known_packages_are_inert(tmp_path):
    # torch.nn.modules.module.torch is torch itself, which can load any file.
    for name in ("nn.functional\nlinear", "nn.modules.module\ntorch", "nn.Module\n__class__"):
        call = b"ctorch." + name.encode() + b"\n(U\x01aU\x01btR"
        message = hostile(tmp_path, b"\x80\x02}U\x05G_ema" + call + b"s.")
        assert "something else where a network belongs" in message


def typed_storage(tensor) -> torch.storage.TypedStorage:
    return torch.storage.TypedStorage(
        wrap_storage=tensor.untyped_storage(), dtype=tensor.dtype, _internal=True
    )


def test_bytes_of_a_storage_run_nothing(tmp_path):
    command = Call(os.system, f"touch {tmp_path}/ran")
    legacy = io.BytesIO()
    torch.save(command, legacy, _use_new_zipfile_serialization=False)
    zipped = io.BytesIO()
    torch.save(torch.zeros(3), zipped)
    for data in (pickle.dumps(command), legacy.getvalue(), zipped.getvalue(), b"", b"abc"):
        hostile(tmp_path, {"G_ema": Call(torch.storage._load_from_bytes, data)})


def tensor_call(storage, *geometry):
    return Call(torch._utils._rebuild_tensor_v2, storage, *geometry, False, OrderedDict())


def one_tensor(value):
    state = {"_parameters": {"w": value}, "_buffers": {}, "_modules": {}}
    return {"G_ema": Persistent("Generator", state, "")}


@pytest.mark.parametrize(
    "geometry",
    [
        (0, (7,), (1,)),
        (1, (6,), (1,)),
        (0, (2, 3), (4, 1)),
        (0, (10**12,), (0,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), (1, 1)),
        (0.0, (2,), (1,)),
        (10**30, (1,), (1,)),
    ],
)
def test_a_tensor_stays_within_its_storage(tmp_path, geometry):
    typed = typed_storage(torch.arange(6.0))
    path = write(tmp_path / "ok.pkl", one_tensor(tensor_call(typed, 2, (2, 2), (1, 2))), NVLABS, 4)
    (tensor,) = read_networks(path)["G_ema"].tensors.values()
    assert torch.equal(tensor, torch.tensor([[2.0, 4.0], [3.0, 5.0]]))
    assert "tensor" in hostile(tmp_path, one_tensor(tensor_call(typed, *geometry)))


def test_object_arrays_and_dtypes_are_refused(tmp_path):
    for array in (np.array([1, "a"], dtype=object), np.zeros(2, dtype="i4,f4")):
        state = {"_parameters": {}, "_buffers": {}, "_modules": {}, "size": array}
        message = hostile(tmp_path, {"G_ema": Persistent("Generator", state, "")})
        assert "no plain number" in message


def test_announced_sizes_are_not_believed(tmp_path):
    eight = struct.pack("<Q", 2**40)
    memo = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."
    assert "LONG_BINPUT" in hostile(tmp_path, memo)
    assert "FRAME" in hostile(tmp_path, b"\x80\x04\x95" + eight + b"}.")
    assert "PUT" in hostile(tmp_path, b"}p99999999999\n.")
    hostile(tmp_path, b"\x80\x04\x8e" + eight + b"abc.")
    hostile(tmp_path, b"\x80\x04\x96" + eight + b"abc.")
    # A storage stream that announces a billion numbers and holds six.
    stream = io.BytesIO()
    torch.save(typed_storage(torch.zeros(6)), stream, _use_new_zipfile_serialization=False)
    six, billion = b"K\x06", b"J" + struct.pack("<i", 10**9)
    assert stream.getvalue().count(six) == 1
    data = stream.getvalue().replace(six, billion)
    hostile(tmp_path, {"G_ema": Call(torch.storage._load_from_bytes, data)})


def test_many_tensors_over_one_storage_do_not_grow(tmp_path):
    tensor = torch.zeros(1000)
    state = {"_parameters": {f"w{i}": tensor for i in range(100)}, "_buffers": {}, "_modules": {}}
    content = {"G_ema": Persistent("Generator", state, "")}
    assert "larger than the file" in hostile(tmp_path, content)


def test_a_network_within_itself_ends(tmp_path):
    content = (
        b"\x80\x02}(U\x05G_ema"
        b"ctorch.nn\nModule\n)\x81q\x00"
        b"}(U\x0b_parameters}U\x08_buffers}U\x08_modules}U\x01ah\x00sub"
        b"u."
    )
    assert "nest without end" in hostile(tmp_path, content)


@pytest.mark.parametrize(
    "target",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
        b"ccollections\nOrderedDict\n",
        b"cnumpy\ndtype\n",
        b"ctorch.nn\nModule\n",
        b"cbuiltins\nset\n",
    ],
)
def test_constructors_cannot_be_altered(tmp_path, target):
    state = b"}U\x0c__setstate__ccollections\nOrderedDict\ns"
    for change in (state, b"N" + state + b"\x86"):  # of its dictionary, or by setattr
        assert "its root" not in hostile(tmp_path, b"\x80\x02" + target + change + b"b.")
