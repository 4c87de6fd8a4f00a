"""OpenAI state dicts: names, order of blocks and heads, against a small network of that form."""

import os
import pickle

import pytest
import torch
from public_files.openai_unet import LegacyAttention, OpenAiUNet
from torch import nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.convert import convert, import_checkpoint
from pseudodensity.checkpoints.openai import split_heads
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import load_checkpoint
from pseudodensity.generators.diffusers_unet import DiffusersUNet
from pseudodensity.generators.unet import UNetShape


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def random_network(flavour, channels=(64, 64, 128), blocks=2, attended=(1, 2), classes=None):
    network = OpenAiUNet(channels, blocks, attended, flavour, classes).eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if tensor.ndim == 1:  # norms and biases away from ones and zeros
            tensor.add_(0.2 * torch.randn_like(tensor))
        elif "qkv" in name:  # sharp attention, so that a wrong order shows
            tensor.mul_(3)
    return network


def saved(path, network):
    torch.save(network.state_dict(), path)
    return path


# ------------------------------------------------------------------------------------ tests


@pytest.mark.parametrize(
    ("flavour", "head_channels", "dropout"), [("adm", 64, 0.1), ("iddpm", None, 0.0)]
)
def test_a_converted_unet_gives_the_same_output(tmp_path, flavour, head_channels, dropout):
    network = random_network(flavour)
    converted = convert(saved(tmp_path / "m.pt", network), "openai", "diffusion")
    settings = converted["settings"]["generator"]
    assert converted["settings"]["resolution"] == 32
    assert converted["settings"]["discriminator"] is None and converted["discriminator"] is None
    expected = {
        "flavour": flavour,
        "channels": [64, 64, 128],
        "blocks": 2,
        "attention_levels": [1, 2],
        "head_channels": head_channels,
        "dropout": dropout,
    }
    assert settings.items() >= expected.items()
    model = build_generator("diffusion", 32, settings).eval()
    model.load_state_dict(converted["average"])
    x, times = torch.randn(2, 3, 16, 16), torch.tensor([3, 911])
    with torch.no_grad():
        ours, theirs = model.predict(x, times), network(x, times)
    assert theirs.std() > 0.1
    assert torch.allclose(ours, theirs, atol=2e-4 * float(theirs.abs().max()))


WIDTHS = {64: (64, 64, 128, 128), 256: (64, 64, 64, 64, 64, 128)}


@pytest.mark.parametrize(("resolution", "schedule"), [(64, "cosine"), (256, "linear")])
def test_a_converted_unet_with_classes_gives_the_same_output(tmp_path, resolution, schedule):
    channels = WIDTHS[resolution]
    last = len(channels) - 1
    network = random_network("adm", channels, 1, (last,), classes=7)
    converted = convert(saved(tmp_path / "m.pt", network), "openai", "class_diffusion")
    settings = converted["settings"]["generator"]
    assert converted["settings"]["resolution"] == resolution
    expected = {"classes": 7, "schedule": schedule, "attention_levels": [last]}
    assert settings.items() >= (expected | {"head_channels": 64, "network": "diffusers"}).items()
    model = build_generator("class_diffusion", resolution, settings).eval()
    model.load_state_dict(converted["average"])
    assert model.shares.tolist() == [1 / 7] * 7
    x, times, labels = torch.randn(2, 3, 32, 32), torch.tensor([3, 911]), torch.tensor([6, 0])
    with torch.no_grad():
        ours, theirs = model.predict(x, times, labels), network(x, times, labels)
        others = model.predict(x, times, labels.flip(0))
    assert theirs.std() > 0.1 and not torch.allclose(ours, others, atol=1e-2)
    assert torch.allclose(ours, theirs, atol=2e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_split_heads_is_the_attention_of_the_published_order(heads):
    channels = 64
    legacy = LegacyAttention(channels, heads).requires_grad_(False)
    legacy.qkv.weight.mul_(5)
    legacy.norm.weight.add_(torch.randn(channels))
    shape = UNetShape(8, 1, "adm", [64], 1, [0], channels // heads, 32, 0.0)
    block = DiffusersUNet(shape).network.mid_block.attentions[0].requires_grad_(False)
    weights = split_heads(legacy.qkv.weight.squeeze(2), channels // heads)
    biases = split_heads(legacy.qkv.bias, channels // heads)
    for layer, weight, bias in zip(
        (block.to_q, block.to_k, block.to_v), weights, biases, strict=True
    ):
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    block.group_norm.load_state_dict(legacy.norm.state_dict())
    block.to_out[0].weight.copy_(legacy.proj_out.weight.squeeze(2))
    block.to_out[0].bias.copy_(legacy.proj_out.bias)
    x = torch.randn(2, channels, 8, 8)
    assert torch.allclose(block(x), legacy(x), atol=1e-5)
    if heads > 1:  # plain thirds would be another function
        for layer, weight in zip(
            (block.to_q, block.to_k, block.to_v), legacy.qkv.weight.squeeze(2).chunk(3), strict=True
        ):
            layer.weight.copy_(weight)
        assert not torch.allclose(block(x), legacy(x), atol=1e-2)


def test_split_heads_refuses_rows_that_do_not_divide():
    with pytest.raises(ArtifactError, match="no multiple"):
        split_heads(torch.zeros(6, 2), 64)


@pytest.mark.parametrize(
    ("flavour", "channels", "attended", "tensors"),
    [
        ("adm", (256, 256, 512, 512, 1024, 1024), (3, 4, 5), 566),
        ("iddpm", (128, 128, 256, 256, 512, 512), (4,), 426),
    ],
)
def test_the_published_sizes(tmp_path, monkeypatch, flavour, channels, attended, tensors):
    with torch.device("meta"):
        network = OpenAiUNet(channels, 2, attended, flavour)
    public = network.state_dict()
    assert len(public) == tensors
    path = tmp_path / "m.pt"
    path.write_bytes(b"-")
    monkeypatch.setattr("pseudodensity.checkpoints.openai.read_state_dict", lambda _: public)
    converted = convert(path, "openai", "diffusion")
    assert converted["settings"]["resolution"] == 256
    assert converted["settings"]["generator"]["attention_levels"] == list(attended)
    count = sum(tensor.numel() for tensor in converted["average"].values())
    assert count == {"adm": 552_814_086, "iddpm": 113_676_678}[flavour]


@pytest.mark.parametrize(
    ("channels", "blocks", "attended", "millions"),
    [
        ((192, 384, 576, 768), 3, (1, 2, 3), 296),
        ((256, 256, 512, 512, 1024, 1024), 2, (3, 4, 5), 554),
    ],
)
def test_the_published_sizes_with_classes(
    tmp_path, monkeypatch, channels, blocks, attended, millions
):
    """ImageNet at 64 and 256 px; Dhariwal and Nichol (2021) print the numbers of parameters."""
    with torch.device("meta"):
        public = OpenAiUNet(channels, blocks, attended, "adm", 1000).state_dict()
    path = tmp_path / "m.pt"
    path.write_bytes(b"-")
    monkeypatch.setattr("pseudodensity.checkpoints.openai.read_state_dict", lambda _: public)
    found = convert(path, "openai", "class_diffusion")
    settings = found["settings"]["generator"]
    assert settings["channels"] == list(channels) and settings["blocks"] == blocks
    assert settings["attention_levels"] == list(attended) and settings["classes"] == 1000
    weights = {name: t for name, t in found["average"].items() if name != "shares"}
    assert round(sum(tensor.numel() for tensor in weights.values()) / 1e6) == millions


def refusal(path, architecture="diffusion") -> str:
    with pytest.raises(ArtifactError) as error:
        convert(path, "openai", architecture)
    message = str(error.value)
    assert "\n" not in message and "weights_only" not in message
    return message


def test_other_networks_are_refused(tmp_path):
    network = random_network("iddpm", (32, 32), 1, ())
    state, path = network.state_dict(), tmp_path / "m.pt"

    def change(**changed):
        kept = {k: v for k, v in state.items() if k not in changed}
        torch.save(kept | {k: v for k, v in changed.items() if v is not None}, path)
        return refusal(path)

    assert "a class_diffusion generator" in change(**{"label_emb.weight": torch.zeros(10, 128)})
    assert "1 tensors are missing (first out.2.bias)" in change(**{"out.2.bias": None})
    assert "1 are unknown (first extra)" in change(extra=torch.zeros(1))
    message = change(**{"out.2.weight": torch.zeros(3, 32, 3, 3)})
    assert "first out.2.weight: found (3, 32, 3, 3), expected (6, 32, 3, 3)" in message
    joint = {"middle_block.0.emb_layers.1.weight": torch.zeros(64, 128)}
    assert "conv resampling and time embedding by scale and shift" in change(**joint)
    assert "of a known shape" in change(**{"middle_block.0.emb_layers.1.weight": torch.tensor(1.0)})
    assert "no state dict" in change(extra=3)
    assert "no state dict" in change(extra=torch.zeros(2, dtype=torch.int64))
    assert "larger than the file" in change(extra=torch.zeros(1).expand(10**9))
    assert "unknown network of 1 tensors" in refusal(saved(path, nn.Linear(1, 1, bias=False)))


def test_other_models_with_classes_are_refused(tmp_path):
    path = tmp_path / "m.pt"

    def said(*network, classes=3):
        return refusal(saved(path, random_network(*network, classes=classes)), "class_diffusion")

    assert "holds a diffusion generator" in said("adm", (64, 64), 1, (), classes=None)
    five = said("adm", (64,) * 5, 1, ())
    assert "holds a class-conditional adm U-Net of 128 px: only those of ADM of 64 and 256" in five
    assert "class-conditional iddpm U-Net of 64 px" in said("iddpm", (32,) * 4, 1, ())


def test_damaged_and_hostile_files_are_refused(tmp_path):
    class Command:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    path = tmp_path / "m.pt"
    torch.save({"a": torch.zeros(100), "b": Command()}, path)
    assert "something else than tensors" in refusal(path)
    path.write_bytes(pickle.dumps(Command(), protocol=2))
    refusal(path)
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    assert "cannot be read as a state dict" in refusal(path)
    path.write_bytes(b"")
    refusal(path)
    assert not (tmp_path / "ran").exists()


def test_weights_that_are_not_finite_are_not_imported(tmp_path):
    network, place = random_network("iddpm"), tmp_path / "ours.safetensors"
    spec = {"architecture": "diffusion", "resolution": 32}
    spec["source"] = {"format": "openai", "sha256": None}
    import_checkpoint(saved(tmp_path / "m.pt", network), spec, place)
    load_checkpoint(place, spec).frozen_generator()
    place.unlink()
    list(network.parameters())[3].view(-1)[5] = torch.nan
    with pytest.raises(ValueError, match=r"m\.pt holds NaN or infinity in 1 of") as error:
        import_checkpoint(saved(tmp_path / "m.pt", network), spec, place)
    assert "\n" not in str(error.value) and not place.exists()


def test_steps_of_sampling_are_said_of_a_file_that_does_not_hold_them(tmp_path):
    path, place = saved(tmp_path / "m.pt", random_network("iddpm")), tmp_path / "ours.safetensors"
    spec = {"architecture": "diffusion", "resolution": 32}
    spec |= {"source": {"format": "openai", "sha256": None}, "sampling": {"sampling_steps": 4}}
    import_checkpoint(path, spec, place)
    assert load_checkpoint(place, spec).frozen_generator().sampler.steps == 4
    place.unlink()
    spec["sampling"] = {"sampling_steps": 7}
    with pytest.raises(ValueError, match="7 sampling steps do not divide 1000: use a divisor"):
        import_checkpoint(path, spec, place)
    assert not place.exists()
