"""ProGAN pickles of TensorFlow: written here under the published names, and run in TensorFlow's terms.

The reference is NumPy that walks over pixels in TensorFlow's layout; it knows nothing of ours.
"""

import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.convert import convert
from pseudodensity.checkpoints.tensorflow import read_tensorflow
from pseudodensity.generators.build import build_discriminator, build_generator

torch.set_num_threads(1)

Z, CHANNELS = 5, {2: 12, 4: 12, 8: 8, 16: 4}
SETTINGS = {"z_dim": Z, "channel_base": 64, "channel_max": 12}
SOURCE = "raise AssertionError('the source text of the file must never run')"


class Network:
    """Pickles as the published class does: by name, with a dictionary as state."""

    def __init__(self, function, variables, kwargs):
        self.content = {"version": 2, "name": function, "static_kwargs": kwargs}
        self.content |= {"build_module_src": SOURCE, "build_func_name": function}
        self.content["variables"] = list(variables.items())

    def __getstate__(self):
        return self.content


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a root to a file; the module of its class exists only meanwhile."""

    def write(root, protocol=4):
        module = ModuleType("tfutil")
        module.Network = Network
        with monkeypatch.context() as patch:
            patch.setattr(Network, "__module__", "tfutil")
            patch.setitem(sys.modules, "tfutil", module)
            (tmp_path / "n.pkl").write_bytes(pickle.dumps(root, protocol))
        return tmp_path / "n.pkl"

    return write


def layer(name, draw, *shape, bias):
    weight = draw.standard_normal(shape, dtype=np.float32)
    return {f"{name}/weight": weight, f"{name}/bias": draw.standard_normal(bias, dtype=np.float32)}


def generator_variables(draw, fused=True):
    c = CHANNELS
    variables = {"lod": np.float32(0)}
    variables |= layer("4x4/Dense", draw, Z, c[4] * 16, bias=c[4])
    variables |= layer("4x4/Conv", draw, 3, 3, c[4], c[4], bias=c[4])
    variables |= layer("ToRGB_lod2", draw, 1, 1, c[4], 3, bias=3)
    for size, lod in ((8, 1), (16, 0)):
        i, o = c[size // 2], c[size]
        up, shape = ("Conv0_up", (3, 3, o, i)) if fused else ("Conv0", (3, 3, i, o))
        variables |= layer(f"{size}x{size}/{up}", draw, *shape, bias=o)
        variables |= layer(f"{size}x{size}/Conv1", draw, 3, 3, o, o, bias=o)
        variables |= layer(f"ToRGB_lod{lod}", draw, 1, 1, o, 3, bias=3)
    return variables


def discriminator_variables(draw):
    c = CHANNELS
    variables = {"lod": np.float32(0)}
    for size, lod in ((16, 0), (8, 1)):
        i, o = c[size], c[size // 2]
        variables |= layer(f"FromRGB_lod{lod}", draw, 1, 1, 3, i, bias=i)
        variables |= layer(f"{size}x{size}/Conv0", draw, 3, 3, i, i, bias=i)
        variables |= layer(f"{size}x{size}/Conv1_down", draw, 3, 3, i, o, bias=o)
    variables |= layer("FromRGB_lod2", draw, 1, 1, 3, c[4], bias=c[4])
    variables |= layer("4x4/Conv", draw, 3, 3, c[4] + 1, c[4], bias=c[4])
    variables |= layer("4x4/Dense0", draw, c[4] * 16, c[2], bias=c[2])
    return variables | layer("4x4/Dense1", draw, c[2], 1, bias=1)


def parts(**changes):
    draw = np.random.default_rng(0)
    variables = {"G": generator_variables(draw), "D": discriminator_variables(draw)}
    variables["Gs"] = generator_variables(draw)
    kwargs = {"num_channels": 3, "resolution": 16, "label_size": 0, "fused_scale": True} | changes
    return variables, kwargs


def networks(variables, kwargs):
    return tuple(Network(f"{r}_paper", variables[r], OrderedDict(kwargs)) for r in ("G", "D", "Gs"))


# ------------------------------------------------------------------ TensorFlow's terms, by pixels


def conv(x, weight, stride=1):
    """x (n, c, h, w), weight (k, k, in, out), padding SAME, cross-correlation."""
    k, size = weight.shape[0], x.shape[2]
    out = size // stride
    total = max((out - 1) * stride + k - size, 0)
    padded = np.pad(x, ((0, 0), (0, 0), *[(total // 2, total - total // 2)] * 2))
    y = np.zeros((len(x), weight.shape[3], out, out))
    for row in range(out):
        for column in range(out):
            top, left = row * stride, column * stride
            seen = padded[:, :, top : top + k, left : left + k]
            y[:, :, row, column] = np.einsum("ncij,ijco->no", seen, weight)
    return y


def windows(weight):
    """A kernel (3, 3, a, b) summed over windows of 2 x 2: (4, 4, a, b)."""
    w = np.pad(weight, ((1, 1), (1, 1), (0, 0), (0, 0)))
    return w[1:, 1:] + w[:-1, 1:] + w[1:, :-1] + w[:-1, :-1]


def conv_up(x, weight):
    """The gradient of a convolution of stride 2: each pixel adds its kernel (k, k, out, in)."""
    kernel, size = windows(weight), x.shape[2]
    y = np.zeros((len(x), kernel.shape[2], 2 * size + 2, 2 * size + 2))
    for row in range(size):
        for column in range(size):
            stamp = np.einsum("nc,ijoc->noij", x[:, :, row, column], kernel)
            y[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += stamp
    return y[:, :, 1:-1, 1:-1]


def scaled(variables, name, fan_in, gain=2**0.5):
    return variables[f"{name}/weight"].astype(np.float64) * gain / np.sqrt(fan_in)


def activate(x, bias):
    x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    return np.where(x > 0, x, 0.2 * x)


def norm(x):
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def run_generator(v, z, fused=True):
    x = norm(z) @ scaled(v, "4x4/Dense", Z, np.sqrt(2) / 4)
    x = norm(activate(x.reshape(len(z), -1, 4, 4), v["4x4/Dense/bias"]))
    x = norm(activate(conv(x, scaled(v, "4x4/Conv", 9 * x.shape[1])), v["4x4/Conv/bias"]))
    for size in (8, 16):
        name, fan_in = f"{size}x{size}", 9 * x.shape[1]
        if fused:
            x = conv_up(x, scaled(v, f"{name}/Conv0_up", fan_in))
            x = norm(activate(x, v[f"{name}/Conv0_up/bias"]))
        else:
            x = conv(x.repeat(2, 2).repeat(2, 3), scaled(v, f"{name}/Conv0", fan_in))
            x = norm(activate(x, v[f"{name}/Conv0/bias"]))
        x = conv(x, scaled(v, f"{name}/Conv1", 9 * x.shape[1]))
        x = norm(activate(x, v[f"{name}/Conv1/bias"]))
    return conv(x, scaled(v, "ToRGB_lod0", x.shape[1], 1)) + v["ToRGB_lod0/bias"].reshape(-1, 1, 1)


def run_discriminator(v, images):
    x = activate(conv(images, scaled(v, "FromRGB_lod0", 3)), v["FromRGB_lod0/bias"])
    for size in (16, 8):
        name, fan_in = f"{size}x{size}", 9 * x.shape[1]
        x = activate(conv(x, scaled(v, f"{name}/Conv0", fan_in)), v[f"{name}/Conv0/bias"])
        kernel = windows(scaled(v, f"{name}/Conv1_down", fan_in)) / 4
        x = activate(conv(x, kernel, stride=2), v[f"{name}/Conv1_down/bias"])
    deviation = np.sqrt(x.var(0) + 1e-8).mean()  # the batch is one group
    x = np.concatenate([x, np.full((len(x), 1, 4, 4), deviation)], 1)
    x = activate(conv(x, scaled(v, "4x4/Conv", 9 * x.shape[1])), v["4x4/Conv/bias"])
    x = x.reshape(len(x), -1) @ scaled(v, "4x4/Dense0", x[0].size)
    x = activate(x, v["4x4/Dense0/bias"])
    return (x @ scaled(v, "4x4/Dense1", x.shape[1], 1) + v["4x4/Dense1/bias"])[:, 0]


# ------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_the_networks_of_a_file_give_what_tensorflow_would(write, protocol):
    variables, kwargs = parts()
    found = convert(write(networks(variables, kwargs), protocol), "progan", "progan")
    assert "tfutil" not in sys.modules
    assert found["settings"]["resolution"] == 16
    assert found["settings"]["generator"] == SETTINGS
    z = np.random.default_rng(1).standard_normal((4, Z))
    for part, role in (("average", "Gs"), ("generator", "G")):
        network = build_generator("progan", 16, found["settings"]["generator"]).double()
        network.load_state_dict(found[part])
        images = network(torch.from_numpy(z)).detach().numpy()
        np.testing.assert_allclose(images, run_generator(variables[role], z), rtol=1e-5, atol=1e-6)
    network = build_discriminator("progan", 16, found["settings"]["discriminator"]).double()
    network.load_state_dict(found["discriminator"])
    logits = network(torch.from_numpy(images)).detach().numpy()
    expected = run_discriminator(variables["D"], images)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


def test_a_file_that_doubles_apart_from_its_convolutions_is_read_too(write):
    variables, kwargs = parts(fused_scale=False)
    variables["Gs"] = variables["G"] = generator_variables(np.random.default_rng(2), fused=False)
    found = convert(write(networks(variables, kwargs)), "progan", "progan")
    network = build_generator("progan", 16, SETTINGS).double()
    network.load_state_dict(found["average"])
    z = np.random.default_rng(1).standard_normal((2, Z))
    expected = run_generator(variables["Gs"], z, fused=False)
    np.testing.assert_allclose(
        network(torch.from_numpy(z)).detach().numpy(), expected, rtol=1e-5, atol=1e-6
    )


def test_components_are_read_below_their_names(write):
    mapping = Network("G_mapping", {"Dense0/weight": np.ones((2, 3), np.float32)}, {})
    root = Network("G_main", {"lod": np.float32(0)}, {})
    root.content["components"] = {"mapping": mapping}
    found = read_tensorflow(write((root, mapping, root)))
    assert list(found["Gs"].tensors) == ["lod", "mapping/Dense0/weight"]
    assert list(found["D"].tensors) == ["Dense0/weight"]


def test_bytes_of_the_other_order_and_columns_first_are_understood(write):
    array = np.arange(6, dtype=">f4").reshape(2, 3)
    network = Network("G", {"a": array, "b": np.asfortranarray(array)}, {})
    tensors = read_tensorflow(write((network,) * 3))["G"].tensors
    expected = torch.arange(6.0).view(2, 3)
    assert torch.equal(tensors["a"], expected) and torch.equal(tensors["b"], expected)


# ------------------------------------------------------------------------------- wrong files


def message(path) -> str:
    with pytest.raises(ArtifactError) as error:
        convert(path, "progan", "progan")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["label_size", "normalize_latents", "use_wscale", "use_pixelnorm"])
def test_variants_are_refused(write, name):
    variables, kwargs = parts(**{name: 10 if name == "label_size" else False})
    assert f"a variant with {name}" in message(write(networks(variables, kwargs)))


def test_a_network_that_still_grows_is_refused(write):
    variables, kwargs = parts()
    variables["Gs"]["lod"] = np.float32(0.5)
    assert "still growing" in message(write(networks(variables, kwargs)))


def test_missing_unknown_and_misshapen_variables_are_named(write):
    variables, kwargs = parts()
    lost = variables["Gs"].pop("8x8/Conv1/bias")
    assert "1 tensors are missing (first b8.conv1.bias)" in message(
        write(networks(variables, kwargs))
    )
    variables["Gs"] |= {"8x8/Conv1/bias": lost, "8x8/Noise/weight": lost}
    assert "unknown (first 8x8/Noise/weight)" in message(write(networks(variables, kwargs)))
    del variables["Gs"]["8x8/Noise/weight"]
    swapped = variables["Gs"]["16x16/Conv0_up/weight"].transpose(0, 1, 3, 2)
    variables["Gs"]["16x16/Conv0_up/weight"] = swapped
    assert "have another shape (first b16.conv0.weight" in message(
        write(networks(variables, kwargs))
    )


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"G_ema": None}, "its root is a dict, not G, D and Gs"),
        ((1, 2, 3), "something else where a network belongs"),
    ],
)
def test_something_else_is_refused(write, root, words):
    assert words in message(write(root))


def test_what_a_file_holds_is_bounded_and_of_plain_numbers(write):
    # Arrays over one string of bytes, which NumPy pickles once.
    one = np.zeros(1000, np.float32)
    many = Network("G", {f"a{i}": one for i in range(20)}, {})
    assert "larger than the file" in message(write((many,) * 3))
    objects = Network("G", {"a": np.array([print, 1], dtype=object)}, {})
    with pytest.raises(ArtifactError):
        convert(write((objects,) * 3), "progan", "progan")
    nested = Network("G", {}, {})
    nested.content["components"] = {"mapping": nested}
    assert "something else where a network belongs" in message(write((nested,) * 3))


def test_a_name_that_no_network_needs_is_refused_and_not_run(tmp_path):
    path = tmp_path / "n.pkl"
    path.write_bytes(b"cos\nmkdir\n(S'" + str(tmp_path / "made").encode() + b"'\ntR.")
    assert "os.mkdir, which no checkpoint needs" in message(path)
    assert not (tmp_path / "made").exists()
