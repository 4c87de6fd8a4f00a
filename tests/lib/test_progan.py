"""ProGAN against its paper's table of layers and against layers written out one by one."""

import pytest
import torch
import torch.nn.functional as F

from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.progan import EqualisedConv, pixel_norm

torch.set_num_threads(1)

SMALL = {"channel_base": 64, "channel_max": 8}


def make(build, *arguments, **settings):
    """A network none of whose biases is zero."""
    torch.manual_seed(0)
    network = build("progan", *arguments, settings).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def test_the_published_size_has_the_parameters_of_the_papers_table_2():
    """23.1 million in either network at 1024 x 1024, 64 maps at 256 and 16 in the end."""
    with torch.device("meta"):
        generator = build_generator("progan", 1024, {})
        discriminator = build_discriminator("progan", 1024, {})
    for network in (generator, discriminator):
        assert round(sum(p.numel() for p in network.parameters()) / 1e5) == 231
    assert generator.b256.conv1.weight.shape == (64, 64, 3, 3)
    assert generator.torgb.weight.shape == (3, 16, 1, 1)
    assert discriminator.b4.conv.weight.shape == (512, 513, 3, 3)


@pytest.mark.parametrize(("up", "down"), [(False, False), (True, False), (False, True)])
def test_a_convolution_that_resamples_is_that_of_two_steps(up, down):
    torch.manual_seed(0)
    layer = EqualisedConv(5, 4, 3, up=up, down=down).double().requires_grad_(False)
    layer.bias.normal_()
    x = torch.randn(2, 5, 8, 8, dtype=torch.float64)
    doubled = F.interpolate(x, scale_factor=2, mode="nearest") if up else x
    y = F.conv2d(doubled, layer.weight * (2 / 45) ** 0.5, layer.bias, padding=1)
    expected = F.avg_pool2d(y, 2) if down else y
    torch.testing.assert_close(layer(x), expected)


def test_the_generator_is_its_layers_one_by_one():
    network = make(build_generator, 8, z_dim=6, **SMALL)
    state, z = network.state_dict(), torch.randn(3, 6)

    def conv(x, name, k, fan_in, gain=2**0.5):
        weight = state[f"{name}.weight"] * gain / (fan_in * k * k) ** 0.5
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=k // 2)

    def norm(x):
        x = F.leaky_relu(x, 0.2)
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    z = z / z.square().mean(1, keepdim=True).sqrt()
    dense = state["b4.weight"] * 2**0.5 / 4 / 6**0.5
    x = (z @ dense.t()).view(3, 8, 4, 4) + state["b4.bias"].view(1, 8, 1, 1)
    x = norm(conv(norm(x), "b4.conv", 3, 8))
    x = F.interpolate(x, scale_factor=2, mode="nearest")
    x = norm(conv(norm(conv(x, "b8.conv0", 3, 8)), "b8.conv1", 3, 8))
    torch.testing.assert_close(network(3 * z), conv(x, "torgb", 1, 8, gain=1), atol=1e-5, rtol=1e-4)


def test_the_discriminator_is_its_layers_one_by_one():
    network = make(build_discriminator, 8, group_size=2, **SMALL)
    state, x = network.state_dict(), torch.randn(4, 3, 8, 8)

    def conv(x, name, k, fan_in):
        weight = state[f"{name}.weight"] * (2 / (fan_in * k * k)) ** 0.5
        return F.conv2d(x, weight, state[f"{name}.bias"], padding=k // 2)

    y = F.leaky_relu(conv(x, "fromrgb", 1, 3), 0.2)
    y = F.leaky_relu(conv(y, "b8.conv0", 3, 8), 0.2)
    y = F.leaky_relu(F.avg_pool2d(conv(y, "b8.conv1", 3, 8), 2), 0.2)
    pairs = torch.stack([y[:2], y[2:]])  # images i and i + 2 are a group
    deviation = (pairs.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3)).repeat(2)
    y = torch.cat([y, deviation.view(4, 1, 1, 1).expand(-1, 1, 4, 4)], 1)
    y = F.leaky_relu(conv(y, "b4.conv", 3, 9), 0.2).flatten(1)
    width = len(state["b4.dense0.bias"])
    y = y @ state["b4.dense0.weight"].t() * (2 / 128) ** 0.5 + state["b4.dense0.bias"]
    y = F.leaky_relu(y, 0.2) @ state["b4.dense1.weight"].t() / width**0.5
    expected = (y + state["b4.dense1.bias"]).squeeze(1)
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)


def test_a_pixel_is_normalised_over_its_channels():
    x = torch.randn(2, 5, 3, 3)
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(2, 3, 3))


@pytest.mark.parametrize("resolution", [4, 12])
def test_other_resolutions_are_refused(resolution):
    with pytest.raises(ValueError, match="power of two"):
        build_generator("progan", resolution, {"z_dim": 4})


def test_a_size_that_leaves_no_channels_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        build_generator("progan", 16, {"z_dim": 4, "channel_base": 8})
