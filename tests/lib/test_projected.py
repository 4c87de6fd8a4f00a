"""The projected discriminator and its augmentations: names, frozen parts, gradients, laws."""

import copy
from functools import partial
from itertools import pairwise

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pseudodensity.generators import projected
from pseudodensity.generators.diffaug import POLICIES, diff_augment
from pseudodensity.generators.projected import build_discriminator

TIMM = {"kind": "timm", "name": "tf_efficientnet_lite0"}


class Pyramid(nn.Module):
    """Three maps of an image: half, a quarter and an eighth of its side."""

    def __init__(self):
        super().__init__()
        widths = (3, 4, 6, 8)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU())
            for a, b in pairwise(widths)
        )

    def pyramid(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def small(seed=0, **settings):
    torch.manual_seed(seed)
    settings = {"width": 4, "head_end": 4, "input_size": 16, **settings}
    return build_discriminator(16, backbone=Pyramid(), **settings)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(n, seed=0):
    return torch.rand(n, 3, 16, 16, generator=stream(seed)) * 2 - 1


@pytest.fixture(scope="module")
def full_size():
    with torch.device("meta"):
        return build_discriminator(256, features=TIMM)


def test_full_size_has_four_heads_of_the_published_channels(full_size):
    assert full_size.feature_network.channels == [64, 64, 128, 256]
    assert full_size.feature_network.sizes == [128, 64, 32, 16]
    assert list(full_size.discriminator.mini_discs) == ["0", "1", "2", "3"]
    # Each head ends in an 8 x 8 map under a 4 x 4 convolution: 5 x 5 logits.
    assert full_size(torch.zeros(2, 3, 256, 256, device="meta")).shape == (2, 4 * 25)


def test_public_keys_and_shapes_at_full_size(full_size):
    state = full_size.state_dict()
    shapes = {projected.public_key(name): tuple(tensor.shape) for name, tensor in state.items()}
    assert len(shapes) == len(state)
    mixing = "feature_network.scratch"
    for i, (taken, mixed) in enumerate([(24, 64), (40, 128), (112, 256), (320, 512)]):
        assert shapes[f"{mixing}.layer{i}_ccm.weight"] == (mixed, taken, 1, 1)
        assert shapes[f"{mixing}.layer{i}_ccm.bias"] == (mixed,)
        out = 64 if i == 0 else mixed // 2
        assert shapes[f"{mixing}.layer{i}_csm.out_conv.weight"] == (out, mixed, 1, 1)
    pretrained = "feature_network.pretrained"
    assert shapes[f"{pretrained}.layer0.0.weight"] == (32, 3, 3, 3)
    assert shapes[f"{pretrained}.layer0.1.running_mean"] == (32,)
    assert shapes[f"{pretrained}.layer3.1.0.bn3.weight"] == (320,)
    stages = {name.split(".")[2] for name in shapes if name.startswith(pretrained)}
    assert stages == {"layer0", "layer1", "layer2", "layer3"}
    # Channels of the first head from 128 x 128 down to 8 x 8, by stride-2 convolutions.
    head = "discriminator.mini_discs.0.main"
    widths = [shapes[f"{head}.{i}.main.0.weight_orig"][:2] for i in range(4)]
    assert widths == [(64, 64), (128, 64), (256, 128), (512, 256)]
    assert shapes[f"{head}.4.weight_orig"] == (1, 512, 4, 4)
    assert shapes["discriminator.mini_discs.3.main.0.main.0.weight_orig"] == (512, 256, 4, 4)


def test_timm_weights_are_read_and_wrong_ones_refused(tmp_path):
    torch.manual_seed(0)
    first = build_discriminator(32, features=TIMM, width=4, input_size=32)
    network = first.feature_network.pretrained
    stored = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    stored["classifier.bias"] = torch.zeros(3)
    save_file(stored, tmp_path / "lite0.safetensors")
    torch.manual_seed(1)
    weights = str(tmp_path / "lite0.safetensors")
    second = build_discriminator(32, features={**TIMM, "weights": weights}, width=4, input_size=32)
    for name, tensor in second.feature_network.pretrained.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
    save_file({"classifier.bias": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no checkpoint of"):
        wrong = {**TIMM, "weights": str(tmp_path / "other.safetensors")}
        build_discriminator(32, features=wrong)


def test_only_the_heads_are_trained():
    discriminator = small()
    trained = {name for name, p in discriminator.named_parameters() if p.requires_grad}
    assert trained
    assert all(name.startswith("discriminator.mini_discs.") for name in trained)
    assert not any(p.requires_grad for p in discriminator.feature_network.parameters())


def test_one_pass_through_the_feature_network_serves_both_updates():
    """The heads' gradient from detached features, then the images' from the same features."""
    discriminator, images = small().train().double(), pictures(4).double().requires_grad_()
    heads = [p for p in discriminator.parameters() if p.requires_grad]
    separate = copy.deepcopy(discriminator)
    features = discriminator.features(images)
    judged = discriminator.judge([x.detach() for x in features]).square().sum()
    ours = torch.autograd.grad(judged, heads)
    ours += torch.autograd.grad(discriminator.judge(features).square().sum(), [images])
    heads = [p for p in separate.parameters() if p.requires_grad]
    theirs = torch.autograd.grad(separate(images.detach()).square().sum(), heads)
    theirs += torch.autograd.grad(separate(images).square().sum(), [images])
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_feature_network_stays_in_evaluation_mode():
    discriminator = small().train()
    assert discriminator.discriminator.mini_discs["0"].training
    assert not any(m.training for m in discriminator.feature_network.modules())
    before = copy.deepcopy(discriminator.feature_network.state_dict())
    discriminator(pictures(4)).sum().backward()
    for name, tensor in discriminator.feature_network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_random_mixing_is_part_of_the_state():
    first, second = small(seed=0), small(seed=1)
    x = pictures(3)
    assert not torch.allclose(first.eval()(x), second.eval()(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second.eval()(x))
    assert torch.equal(copy.deepcopy(first)(x), first(x))


def test_mixing_runs_from_coarse_to_fine():
    discriminator = small()
    network = discriminator.feature_network
    plain = network(pictures(1))
    assert [x.shape[1:] for x in plain] == [(4, 16, 16), (4, 8, 8), (8, 4, 4)]
    with torch.no_grad():
        network.scratch.layer2_ccm.bias += 1.0
    moved = [not torch.allclose(a, b) for a, b in zip(plain, network(pictures(1)), strict=True)]
    assert moved == [True, True, True]
    plain = network(pictures(1))
    with torch.no_grad():
        network.scratch.layer0_ccm.bias += 1.0
    moved = [not torch.allclose(a, b) for a, b in zip(plain, network(pictures(1)), strict=True)]
    assert moved == [True, False, False]


def test_gradient_reaches_every_pixel():
    x = pictures(2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(small().eval()(x).sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).float().mean() > 0.95


def test_small_images_are_enlarged_first():
    discriminator = small(input_size=32)
    assert discriminator.feature_network.sizes == [32, 16, 8]
    assert discriminator(pictures(2)).shape[0] == 2


def test_bad_discriminators_are_refused():
    with pytest.raises(ValueError, match="either a backbone or features"):
        build_discriminator(16)
    with pytest.raises(ValueError, match="either a backbone or features"):
        build_discriminator(16, backbone=Pyramid(), features=TIMM)
    with pytest.raises(ValueError, match="ready backbone"):
        build_discriminator(16, features={"kind": "checkpoint", "name": "small"})
    with pytest.raises(ValueError, match="maps halve"):
        build_discriminator(20, backbone=Pyramid(), input_size=16)


def test_hinge_training_separates_two_tiny_sets():
    discriminator = small().train()
    real, fake = pictures(8, seed=1) * 0.5 + 0.2, pictures(8, seed=2) * 0.5 - 0.2
    optimizer = torch.optim.Adam(
        [p for p in discriminator.parameters() if p.requires_grad], lr=0.01, betas=(0.0, 0.99)
    )
    for _ in range(100):
        loss = (
            torch.relu(1 - discriminator(real)).mean() + torch.relu(1 + discriminator(fake)).mean()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1.0
    assert discriminator(real).mean(1).min() > discriminator(fake).mean(1).max()


@pytest.mark.parametrize("policy", POLICIES)
def test_augmentation_is_affine_and_repeatable(policy):
    """Given the draws, T(a x + (1 - a) y) = a T(x) + (1 - a) T(y), for every policy."""
    augment = partial(diff_augment, policies=[policy])
    x, y = pictures(16, 1), pictures(16, 2)
    first, second = augment(x, stream(3)), augment(y, stream(3))
    mixed = augment(0.3 * x + 0.7 * y, stream(3))
    assert torch.allclose(mixed, 0.3 * first + 0.7 * second, atol=1e-5)
    assert torch.equal(first, augment(x, stream(3)))
    assert not torch.equal(first, augment(x, stream(4)))
    assert first.shape == x.shape and first.dtype == x.dtype


@pytest.mark.parametrize("policy", POLICIES)
def test_augmentation_draws_for_each_sample_and_passes_gradients(policy):
    same = pictures(1).expand(32, -1, -1, -1).clone().requires_grad_(True)
    augmented = diff_augment(same, stream(0), [policy])
    assert len({row.detach().numpy().tobytes() for row in augmented}) > 8
    (gradient,) = torch.autograd.grad(augmented.square().sum(), same)
    assert (gradient.abs().sum((1, 2, 3)) > 0).all()


def test_colour_is_the_identity_in_expectation():
    x = pictures(1).expand(40_000, -1, -1, -1)[..., :2, :2]
    mean = diff_augment(x, stream(0), ["color"]).mean(0)
    assert torch.allclose(mean, x[0], atol=0.02)


def test_translation_moves_whole_pixels_and_fills_with_zero():
    x = torch.zeros(500, 3, 16, 16)
    x[:, :, 8, 8] = 1.0
    moved = diff_augment(x, stream(0), ["translation"])
    assert torch.equal(moved.sum((2, 3)), torch.ones(500, 3))
    rows = {int(row) for row in moved[:, 0].sum(2).argmax(1)}
    columns = {int(column) for column in moved[:, 0].sum(1).argmax(1)}
    assert rows == columns == {6, 7, 8, 9, 10}
    filled = diff_augment(torch.ones(500, 3, 16, 16), stream(0), ["translation"])
    kept = filled[:, 0].sum((1, 2)).unique().tolist()
    assert set(kept) == {float(a * b) for a in (14, 15, 16) for b in (14, 15, 16)}


def test_cutout_covers_inner_pixels_equally_often():
    covered = 1 - diff_augment(torch.ones(20_000, 3, 16, 16), stream(0), ["cutout"])
    # The square starts at one of 17 places each way; 8 of them reach a pixel far from the edge.
    share = covered.mean((0, 1))
    inner = share[4:12, 4:12]
    assert torch.allclose(inner, torch.full((8, 8), (8 / 17) ** 2), atol=0.015)
    areas = covered[:, 0].sum((1, 2))
    assert areas.max() == 64
    assert set(covered.unique().tolist()) == {0.0, 1.0}


def test_no_policy_is_the_identity_and_an_unknown_one_is_refused():
    x = pictures(2)
    assert diff_augment(x, stream(), []) is x
    with pytest.raises(ValueError, match="unknown augmentation"):
        diff_augment(x, stream(), ["colour"])
