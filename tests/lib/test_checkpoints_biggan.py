"""BigGAN-deep state dicts: made here under the published names, and run as the paper has it.

The reference keeps its weights before spectral normalisation and all statistics by truncation, and makes
as many maps as its last layer has inputs, of which it shows three.
"""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.convert import convert, import_checkpoint
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import load_generator

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
torch.set_num_threads(1)

CLASSES, Z, WIDTH, TRUNCATIONS = 7, 6, 5, 51
# (doubles, inputs, outputs) of each block; attention comes before block 2.
BLOCKS = [(False, 16, 16), (True, 16, 12), (False, 12, 12), (True, 12, 8)]
ATTENTION = 2


def linear(*sizes, bias=False):
    return spectral_norm(nn.Linear(*sizes, bias=bias))


def conv(inputs, outputs, side, bias=True):
    return spectral_norm(nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=bias))


class Statistics(nn.Module):
    """Batch normalisation by the statistics of one truncation, of 51 that are 0, .02, ..., 1."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("running_means", 0.3 * torch.randn(TRUNCATIONS, channels))
        self.register_buffer("running_vars", 0.1 + torch.rand(TRUNCATIONS, channels))

    def unit(self, x, truncation):
        row = round(truncation * (TRUNCATIONS - 1))
        mean, variance = self.running_means[row], self.running_vars[row]
        return (x - mean[:, None, None]) / (variance[:, None, None] + 1e-4).sqrt()


class Conditional(Statistics):
    def __init__(self, channels):
        super().__init__(channels)
        self.scale, self.offset = linear(Z + WIDTH, channels), linear(Z + WIDTH, channels)

    def forward(self, x, condition, truncation):
        gain, bias = 1 + self.scale(condition), self.offset(condition)
        return self.unit(x, truncation) * gain[:, :, None, None] + bias[:, :, None, None]


class Plain(Statistics):
    def __init__(self, channels):
        super().__init__(channels)
        self.weight, self.bias = (nn.Parameter(torch.randn(channels)) for _ in range(2))

    def forward(self, x, truncation):
        return self.unit(x, truncation) * self.weight[:, None, None] + self.bias[:, None, None]


class PublicBlock(nn.Module):
    def __init__(self, doubles, inputs, outputs):
        super().__init__()
        self.doubles, self.outputs, narrow = doubles, outputs, inputs // 4
        self.bn_0, self.conv_0 = Conditional(inputs), conv(inputs, narrow, 1)
        self.bn_1, self.conv_1 = Conditional(narrow), conv(narrow, narrow, 3)
        self.bn_2, self.conv_2 = Conditional(narrow), conv(narrow, narrow, 3)
        self.bn_3, self.conv_3 = Conditional(narrow), conv(narrow, outputs, 1)

    def resized(self, x):
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3) if self.doubles else x

    def forward(self, x, condition, truncation):
        h = self.conv_0(F.relu(self.bn_0(x, condition, truncation)))
        h = self.conv_1(self.resized(F.relu(self.bn_1(h, condition, truncation))))
        h = self.conv_2(F.relu(self.bn_2(h, condition, truncation)))
        h = self.conv_3(F.relu(self.bn_3(h, condition, truncation)))
        return h + self.resized(x[:, : self.outputs])


class PublicAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.snconv1x1_theta = conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_phi = conv(channels, channels // 8, 1, bias=False)
        self.snconv1x1_g = conv(channels, channels // 2, 1, bias=False)
        self.snconv1x1_o_conv = conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.tensor([0.8]))

    def forward(self, x, condition, truncation):
        n, _, side, _ = x.shape
        theta = self.snconv1x1_theta(x).reshape(n, -1, side**2)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).reshape(n, -1, side**2 // 4)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).reshape(n, -1, side**2 // 4)
        shares = torch.einsum("nci,ncj->nij", theta, phi).softmax(2)
        passed = torch.einsum("ncj,nij->nci", g, shares).reshape(n, -1, side, side)
        return x + self.gamma * self.snconv1x1_o_conv(passed)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.gen_z = linear(Z + WIDTH, 16 * BLOCKS[0][1], bias=True)
        layers: list[nn.Module] = [PublicBlock(*block) for block in BLOCKS]
        layers.insert(ATTENTION, PublicAttention(BLOCKS[ATTENTION][1]))
        self.layers = nn.ModuleList(layers)
        last = BLOCKS[-1][2]
        self.bn, self.conv_to_rgb = Plain(last), conv(last, last, 3)

    def forward(self, condition, truncation):
        x = self.gen_z(condition).reshape(len(condition), 4, 4, -1).permute(0, 3, 1, 2)
        for layer in self.layers:
            x = layer(x, condition, truncation)
        return self.conv_to_rgb(F.relu(self.bn(x, truncation)))[:, :3].tanh()


class Public(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Linear(CLASSES, WIDTH, bias=False)
        self.generator = Generator()

    def forward(self, z, labels, truncation=1.0):
        vectors = self.embeddings(F.one_hot(labels, CLASSES).float())
        return self.generator(torch.cat([z, vectors], 1), truncation)


@pytest.fixture
def public():
    torch.manual_seed(0)
    network = Public()
    network(torch.randn(2, Z), torch.tensor([0, 1]))  # moves the vectors of the norms
    return network.eval().requires_grad_(False)


@pytest.fixture
def saved(public, tmp_path):
    torch.save(public.state_dict(), tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


def test_a_converted_generator_gives_the_same_images(public, saved):
    converted = convert(saved, "biggan", "biggan")
    settings = converted["settings"]["generator"]
    assert converted["settings"]["resolution"] == 16 and converted["discriminator"] is None
    assert settings == {
        "classes": CLASSES,
        "z_dim": Z,
        "class_dim": WIDTH,
        "channels": [16, 12, 8],
        "reduction": 4,
        "attention": 8,
        "spectral_norm": False,
    }
    model = build_generator("biggan", 16, settings).eval()
    model.load_state_dict(converted["average"])
    z, labels = torch.randn(5, Z), torch.tensor([0, 3, 6, 1, 1])
    latents = torch.cat([z, torch.zeros(5, 1)], 1)
    latents = torch.cat(
        [model.with_class(row[None], int(k)) for row, k in zip(latents, labels, strict=True)]
    )
    images = model(latents)
    torch.testing.assert_close(images, public(z, labels), atol=1e-5, rtol=1e-4)
    # The statistics are those without truncation, and they count.
    assert (images - public(z, labels, truncation=0.5)).abs().max() > 0.05
    assert images.std() > 0.1


def test_it_becomes_a_checkpoint(saved, tmp_path):
    source = {"format": "biggan", "sha256": None}
    spec = {"architecture": "biggan", "resolution": 16, "source": source}
    import_checkpoint(saved, spec, tmp_path / "c.safetensors")
    model = load_generator(tmp_path / "c.safetensors")
    assert model(torch.randn(2, *model.latent_shape)).shape == (2, 3, 16, 16)


def refusal(state, path) -> str:
    torch.save(state, path)
    with pytest.raises(ArtifactError) as error:
        convert(path, "biggan", "biggan")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_other_networks_are_refused(public, tmp_path):
    state, path = public.state_dict(), tmp_path / "m.bin"
    norm = "generator.layers.0.conv_1.weight_u"
    without = {name: tensor for name, tensor in state.items() if name != norm}
    assert "conv_1.weight_orig without the two vectors" in refusal(without, path)
    assert "without the two vectors" in refusal(state | {norm: torch.ones(9)}, path)
    assert "1 are unknown (first layers.0.more)" in refusal(
        state | {"generator.layers.0.more": torch.ones(2)}, path
    )
    one = {
        n: t
        for n, t in state.items()
        if not n.startswith(("generator.layers.1.", "generator.layers.3"))
    }
    assert "does not fit a BigGAN-deep generator" in refusal(one, path)
    none = {n: t for n, t in state.items() if not n.startswith("generator.layers.")}
    assert "holds 0 blocks" in refusal(none, path)
    assert "holds an unknown network of 1 tensors" in refusal({"weight": torch.ones(2)}, path)
    assert "it holds whole numbers" in refusal(state | {"n": torch.tensor(3)}, path)
    flat = state | {"embeddings.weight": torch.ones(4)}
    assert "no embeddings.weight of a known shape" in refusal(flat, path)


def test_a_file_that_is_a_program_is_refused(tmp_path):
    class Program:
        def __reduce__(self):
            return print, ("ran",)

    (tmp_path / "m.bin").write_bytes(pickle.dumps({"a": Program()}))
    with pytest.raises(ArtifactError, match="cannot be read as a state dict"):
        convert(tmp_path / "m.bin", "biggan", "biggan")
