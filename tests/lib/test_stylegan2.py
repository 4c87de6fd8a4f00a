"""StyleGAN2: public names and sizes, and each operation against an explicit, slow definition."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pseudodensity.generators.filters import double, halve, resample_kernel
from pseudodensity.generators.grouped import minibatch_stddev
from pseudodensity.generators.stylegan2 import Mapping, SynthesisLayer, ToRGB, build_generator
from pseudodensity.generators.stylegan2_discriminator import (
    Conv,
    Discriminator,
    DiscriminatorBlock,
    build_discriminator,
)

SMALL = {"z_dim": 8, "w_dim": 12, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
SMALL_D = {"channel_base": 128, "channel_max": 16}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def generator():
    model = build_generator(16, **SMALL)
    for name, parameter in model.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    return model.eval()


def parameters_and_tensors(model):
    return sum(p.numel() for p in model.parameters()), len(model.state_dict())


# ---------------------------------------------------------------- public names and sizes


def test_the_full_generator_has_the_published_names_shapes_and_counts():
    with torch.device("meta"):
        model = build_generator(1024)
    assert parameters_and_tensors(model) == (30_370_060, 182)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    layer = {
        "weight": lambda i, o, r: (o, i, 3, 3),
        "bias": lambda i, o, r: (o,),
        "noise_strength": lambda i, o, r: (),
        "noise_const": lambda i, o, r: (r, r),
        "resample_filter": lambda i, o, r: (4, 4),
        "affine.weight": lambda i, o, r: (i, 512),
        "affine.bias": lambda i, o, r: (i,),
    }
    expected = {f"mapping.fc{i}.weight": (512, 512) for i in range(8)}
    expected |= {f"mapping.fc{i}.bias": (512,) for i in range(8)}
    expected |= {"mapping.w_avg": (512,), "synthesis.b4.const": (512, 4, 4)}
    before = None
    for r in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
        c, block = min(32768 // r, 512), f"synthesis.b{r}"
        expected[f"{block}.resample_filter"] = (4, 4)
        expected |= {f"{block}.conv1.{n}": s(c, c, r) for n, s in layer.items()}
        if before:
            expected |= {f"{block}.conv0.{n}": s(before, c, r) for n, s in layer.items()}
        expected |= {f"{block}.torgb.weight": (3, c, 1, 1), f"{block}.torgb.bias": (3,)}
        expected |= {f"{block}.torgb.affine.weight": (c, 512), f"{block}.torgb.affine.bias": (c,)}
        before = c
    assert shapes == expected
    assert model.synthesis.num_ws == 18


def test_the_full_discriminator_has_the_published_names_shapes_and_counts():
    with torch.device("meta"):
        model = build_discriminator(1024)
    assert parameters_and_tensors(model) == (29_012_513, 82)
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    assert shapes["b1024.fromrgb.weight"] == (32, 3, 1, 1)
    assert "b512.fromrgb.weight" not in shapes
    assert shapes["b1024.conv1.weight"] == (64, 32, 3, 3)
    assert shapes["b8.skip.weight"] == (512, 512, 1, 1) and "b8.skip.bias" not in shapes
    assert shapes["b4.conv.weight"] == (512, 513, 3, 3)
    assert shapes["b4.fc.weight"] == (512, 8192) and shapes["b4.out.weight"] == (1, 512)
    assert shapes["b8.resample_filter"] == shapes["b4.conv.resample_filter"] == (4, 4)


def test_the_smaller_published_base_halves_the_wide_layers():
    with torch.device("meta"):
        model = build_generator(256, channel_base=16384)
    assert model.synthesis.b256.conv1.weight.shape[:2] == (64, 64)
    assert model.synthesis.b64.conv1.weight.shape[:2] == (256, 256)


@pytest.mark.parametrize("resolution", [4, 12, 100])
def test_a_resolution_that_cannot_be_built_is_refused(resolution):
    with pytest.raises(ValueError, match="power of two"):
        build_generator(resolution, **SMALL)


# ---------------------------------------------------------------- the generator as a function


def test_images_have_the_promised_shape_and_do_not_depend_on_the_batch(generator):
    z = torch.randn(5, *generator.latent_shape)
    images = generator(z)
    assert images.shape == (5, 3, 16, 16) and images.dtype == torch.float32
    assert torch.equal(images, generator(z))
    torch.testing.assert_close(generator(z[3:4]), images[3:4], rtol=1e-4, atol=1e-5)
    assert not generator.couples_batch and generator.resolution == 16


def test_the_gradient_in_z_is_that_of_finite_differences(generator):
    generator.double()
    z = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: generator(a)[:, :, ::5, ::5], z, atol=1e-4)


def test_noise_modes(generator):
    z = torch.randn(3, 8)
    none, const = generator(z, noise_mode="none"), generator(z, noise_mode="const")
    assert torch.equal(generator(z), const)
    assert (none - const).abs().max() > 0.1
    assert not torch.equal(generator(z, noise_mode="random"), generator(z, noise_mode="random"))
    torch.manual_seed(3)
    first = generator(z, noise_mode="random")
    torch.manual_seed(3)
    generator.train()
    torch.testing.assert_close(generator(z), first)
    with pytest.raises(ValueError, match="noise_mode"):
        generator(z, noise_mode="loud")


def test_the_stored_noise_is_added_before_bias_and_activation(generator):
    layer, style = generator.synthesis.b8.conv1, torch.randn(2, 12)
    x = torch.randn(2, 16, 8, 8)
    quiet = layer(x, style, "none") / math.sqrt(2)
    before = torch.where(quiet > 0, quiet, quiet / 0.2) + 0.5 * layer.noise_const
    expected = F.leaky_relu(before, 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, style, "const"), expected, rtol=1e-4, atol=1e-5)


def test_truncation_is_linear_in_w_and_zero_gives_one_image(generator):
    generator.mapping.w_avg.normal_()
    z, mean = torch.randn(4, 8), generator.mapping.w_avg
    w = generator.mapping(z)
    torch.testing.assert_close(generator.mapping(z, 0.7), mean + 0.7 * (w - mean))
    images = generator(z, psi=0)
    torch.testing.assert_close(images, images[:1].expand_as(images))
    torch.testing.assert_close(images[0], generator.synthesis(mean[None])[0])


def test_one_w_per_layer_routes_to_the_layers(generator):
    w = torch.randn(2, 12)
    ws = w[:, None].repeat(1, generator.synthesis.num_ws, 1)
    image = generator.synthesis(w)
    assert generator.synthesis.num_ws == 6
    assert torch.equal(generator.synthesis(ws), image)
    seen = []
    for block in (generator.synthesis.b4, generator.synthesis.b8, generator.synthesis.b16):
        for name in ("conv0", "conv1", "torgb"):
            if hasattr(block, name):
                affine = getattr(block, name).affine
                affine.register_forward_pre_hook(lambda _, x: seen.append(x[0][0, 0].item()))
    generator.synthesis(torch.arange(6.0)[None, :, None].repeat(1, 1, 12))
    assert seen == [0, 1, 1, 2, 3, 3, 4, 5]


def test_the_mapping_ignores_the_length_of_z_and_keeps_a_mean_of_w():
    mapping = Mapping(8, 12, 2, w_avg_beta=0.9)
    z = torch.randn(6, 8)
    w = mapping(z)
    torch.testing.assert_close(mapping.w_avg, 0.1 * w.mean(0))
    mapping.eval()
    torch.testing.assert_close(mapping(3 * z), w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mapping.w_avg, 0.1 * w.mean(0))


def test_the_mapping_is_the_stated_sequence_of_layers():
    mapping = Mapping(8, 12, 2, w_avg_beta=0.9).eval()
    z = torch.randn(3, 8)
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for layer, fan_in in ((mapping.fc0, 8), (mapping.fc1, 12)):
        x = x @ (layer.weight * 0.01 / math.sqrt(fan_in)).t() + layer.bias * 0.01
        x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    torch.testing.assert_close(mapping(z), x)
    assert 50 < mapping.fc0.weight.std() < 200


def test_weights_survive_a_round_trip_and_a_deep_copy(generator):
    other = build_generator(16, **SMALL).eval()
    other.load_state_dict(generator.state_dict(), strict=True)
    z = torch.randn(2, 8)
    assert torch.equal(other(z), generator(z))
    assert torch.equal(copy.deepcopy(generator)(z), generator(z))


# ---------------------------------------------------------------- FIR filters


def fir_by_loops(image, kernel, up, down, pad):
    """Zero insertion, padding, true convolution and subsampling, sample by sample."""
    h, w = image.shape
    high = np.zeros((h * up, w * up))
    high[::up, ::up] = image
    high = np.pad(high, pad)
    k, flipped = kernel.shape[0], kernel[::-1, ::-1]
    out = np.zeros((high.shape[0] - k + 1, high.shape[1] - k + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (high[i : i + k, j : j + k] * flipped).sum()
    return out[::down, ::down]


def test_fir_operations_equal_the_loops():
    x, kernel = torch.randn(1, 2, 6, 6), resample_kernel()
    for channel in range(2):
        image, taps = x[0, channel].numpy(), kernel.numpy()
        up = fir_by_loops(image, taps * 4, up=2, down=1, pad=((2, 1), (2, 1)))
        down = fir_by_loops(image, taps, up=1, down=2, pad=((1, 1), (1, 1)))
        torch.testing.assert_close(double(x, kernel)[0, channel].numpy(), up.astype(np.float32))
        got = halve(x, kernel)[0, channel].numpy()
        torch.testing.assert_close(got, down.astype(np.float32))


def test_the_filters_keep_a_constant():
    x, kernel = torch.full((1, 2, 8, 8), 3.0), resample_kernel()
    assert kernel.sum() == 1
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(double(x, kernel)[inside], torch.full((1, 2, 12, 12), 3.0))
    torch.testing.assert_close(halve(x, kernel)[:, :, 1:-1, 1:-1], x[:, :, :2, :2])


# ---------------------------------------------------------------- modulated convolution


def modulated_weight(layer, w, demodulate=True):
    """Explicit per-sample weights (n, o, i, k, k), StyleGAN2 equations 1 to 3."""
    style = w @ layer.affine.weight.t() / math.sqrt(w.shape[1]) + layer.affine.bias
    weight = layer.weight[None] * style[:, None, :, None, None]
    if demodulate:
        norm = weight.square().sum((2, 3, 4), keepdim=True)
        weight = weight / torch.sqrt(norm + 1e-8)
    return weight


def make_layer(up):
    layer = SynthesisLayer(5, 7, 8, w_dim=6, up=up, clamp=None)
    layer.bias.data.normal_()
    return layer, torch.randn(3, 5, 4 if up else 8, 4 if up else 8), torch.randn(3, 6)


def test_modulated_convolution_equals_one_convolution_per_sample():
    layer, x, w = make_layer(up=False)
    weights = modulated_weight(layer, w)
    expected = torch.cat([F.conv2d(x[i : i + 1], weights[i], padding=1) for i in range(3)])
    expected = F.leaky_relu(expected + layer.bias[:, None, None], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, "none"), expected, rtol=1e-5, atol=1e-5)


def test_upsampling_convolution_inserts_zeros_convolves_then_filters():
    layer, x, w = make_layer(up=True)
    weights = modulated_weight(layer, w)
    expected = []
    for i in range(3):
        high = torch.zeros(1, 5, 11, 11)
        high[:, :, 2:9:2, 2:9:2] = x[i]
        # a transposed convolution: every input pixel stamps the kernel, unflipped
        y = F.conv2d(high, weights[i].flip(2, 3))
        planes = [
            fir_by_loops(p.numpy(), layer.resample_filter.numpy() * 4, 1, 1, 1)
            for p in y[0].detach()
        ]
        expected.append(np.stack(planes))
    expected = torch.tensor(np.stack(expected), dtype=torch.float32)
    expected = F.leaky_relu(expected + layer.bias[:, None, None], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, "none"), expected, rtol=1e-5, atol=2e-5)


def test_colours_are_modulated_but_not_demodulated():
    layer, x, w = ToRGB(5, 6, clamp=None), torch.randn(3, 5, 4, 4), torch.randn(3, 6)
    layer.bias.data.normal_()
    weights = modulated_weight(layer, w, demodulate=False) / math.sqrt(5)
    expected = torch.cat([F.conv2d(x[i : i + 1], weights[i]) for i in range(3)])
    expected = expected + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x, w), expected, rtol=1e-5, atol=1e-5)


def test_demodulation_makes_the_layer_blind_to_the_scale_of_the_style():
    layer, x, w = make_layer(up=False)
    before = layer(x, w, "none")
    layer.affine.weight.data.mul_(10)
    layer.affine.bias.data.mul_(10)
    torch.testing.assert_close(layer(x, w, "none"), before, rtol=1e-4, atol=1e-5)


def test_activations_keep_unit_second_moment_at_the_start():
    layer = SynthesisLayer(64, 64, 16, w_dim=32, up=False, clamp=None)
    y = layer(torch.randn(8, 64, 16, 16), torch.randn(8, 32), "none")
    assert 0.8 < y.square().mean() < 1.2


def test_the_clamp_bounds_the_activations():
    layer, x, w = make_layer(up=False)
    free = layer(x, w, "none")
    layer.clamp = 0.5
    assert torch.equal(layer(x, w, "none"), free.clamp(-0.5, 0.5))


# ---------------------------------------------------------------- discriminator


def test_downsampling_convolutions_filter_then_stride():
    x = torch.randn(2, 3, 8, 8)
    for k, padding in ((3, 2), (1, 1)):
        layer = Conv(3, 4, k, down=True, activate=False, gain=0.5)
        planes = [
            fir_by_loops(p.numpy(), layer.resample_filter.numpy(), 1, 1, padding)
            for p in x.flatten(0, 1)
        ]
        smooth = torch.tensor(np.stack(planes), dtype=torch.float32).view(2, 3, *planes[0].shape)
        expected = F.conv2d(smooth, layer.weight, stride=2) * 0.5 / math.sqrt(3 * k * k)
        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_a_residual_block_sums_both_branches_with_equal_share():
    block, x = DiscriminatorBlock(4, 6, first=False, clamp=None), torch.randn(2, 4, 8, 8)
    block.conv1.bias.data.normal_()
    lone = Conv(4, 6, 3, down=True)
    lone.load_state_dict(block.conv1.state_dict())
    skip = Conv(4, 6, 1, down=True, activate=False)
    skip.load_state_dict(block.skip.state_dict())
    expected = (lone(block.conv0(x)) + skip(x)) * math.sqrt(0.5)
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-5)


def test_minibatch_stddev_is_the_mean_deviation_of_each_group():
    x = torch.randn(8, 3, 4, 4)
    y = minibatch_stddev(x, 4)
    assert y.shape == (8, 4, 4, 4) and torch.equal(y[:, :3], x)
    for group in (0, 1):
        members = x[group::2]
        expected = members.std(0, unbiased=False).mean()
        torch.testing.assert_close(y[group::2, 3], expected.expand(4, 4, 4), rtol=1e-4, atol=1e-5)
    assert minibatch_stddev(x[:3], 4).shape == (3, 4, 4, 4)
    with pytest.raises(ValueError, match="batch of 6"):
        minibatch_stddev(x[:6], 4)


@pytest.mark.parametrize(("n", "passes"), [(8, 1), (4, 1), (2, 2)])
def test_two_batches_in_one_pass_are_judged_as_in_two(n, passes):
    model = build_discriminator(16, **SMALL_D, group_size=4).double()
    real, fake = torch.randn(2, n, 3, 16, 16, dtype=torch.float64)
    calls = []
    model.b4.register_forward_hook(lambda *_: calls.append(1))
    both = model.judge_both([real], [fake])
    assert len(calls) == passes
    expected = model(real), model(fake)
    torch.testing.assert_close(both, expected, rtol=1e-12, atol=1e-12)
    loss = [F.softplus(-r).mean() + F.softplus(f).mean() for r, f in (both, expected)]
    gradients = [torch.autograd.grad(x, list(model.parameters())) for x in loss]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_logits_and_their_second_derivative_exist():
    model = build_discriminator(16, **SMALL_D)
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    logits = model(images)
    assert logits.shape == (4,)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.b16.conv0.weight.grad.abs().sum() > 0


def test_the_discriminator_accepts_settings_of_the_generator_family():
    assert isinstance(build_discriminator(32, **SMALL_D, conv_clamp=256.0), Discriminator)


# ---------------------------------------------------------------- they learn


def test_a_tiny_generator_fits_four_images():
    model = build_generator(16, **SMALL)
    z, target = torch.randn(4, 8), torch.rand(4, 3, 1, 1) * 2 - torch.ones(4, 3, 16, 16)
    target[:, :, 4:12, 4:12] *= -1
    optimizer = torch.optim.Adam(model.parameters(), 0.01, betas=(0.0, 0.99))
    losses = []
    for _ in range(120):
        loss = (model(z) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < losses[0] / 5


def test_a_tiny_discriminator_separates_two_sets():
    model = build_discriminator(16, **SMALL_D)
    smooth = torch.randn(8, 3, 1, 1).expand(8, 3, 16, 16)
    rough = torch.randn(8, 3, 16, 16)
    optimizer = torch.optim.Adam(model.parameters(), 0.003, betas=(0.0, 0.99))
    losses = []
    for _ in range(60):
        loss = F.softplus(-model(smooth)).mean() + F.softplus(model(rough)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


def test_a_filter_of_two_taps_is_a_box():
    x, box = torch.randn(2, 3, 6, 6), resample_kernel((1, 1))
    torch.testing.assert_close(halve(x, box), F.avg_pool2d(x, 2))
    torch.testing.assert_close(double(x, box), F.interpolate(x, scale_factor=2, mode="nearest"))


def test_the_filter_of_the_settings_reaches_every_layer_and_the_checkpoint():
    for network in (
        build_generator(16, **SMALL, resample_filter=[1, 1]),
        build_discriminator(16, channel_base=128, channel_max=16, resample_filter=[1, 1]),
    ):
        filters = [v for k, v in network.state_dict().items() if k.endswith("resample_filter")]
        assert filters and all(torch.equal(v, resample_kernel((1, 1))) for v in filters)
    with pytest.raises(ValueError, match="2 or 4 taps"):
        build_generator(16, **SMALL, resample_filter=[1, 2, 1])
