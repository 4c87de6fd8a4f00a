"""The FastGAN generator: published names and sizes, determinism, gradients, learning."""

import copy

import pytest
import torch
from torch.nn import functional as F

from pseudodensity.generators.fastgan import (
    DoublingConv2d,
    GatedLinearUnit,
    build_generator,
    public_key,
)

SMALL = {"z_dim": 8, "ngf": 2}


def small(resolution=16, seed=0, **settings):
    torch.manual_seed(seed)
    return build_generator(resolution, **{**SMALL, **settings})


def latents(n, seed=1, z_dim=8):
    return torch.randn(n, z_dim, generator=torch.Generator().manual_seed(seed))


def test_full_size_has_the_published_parameters_and_tensors():
    with torch.device("meta"):
        generator = build_generator(256)
    assert sum(p.numel() for p in generator.parameters()) == 105_684_175
    assert len(generator.state_dict()) == 138
    assert generator.latent_shape == (256,)


def test_public_keys_and_shapes_at_full_size():
    with torch.device("meta"):
        state = build_generator(256).state_dict()
    shapes = {public_key(name): tuple(tensor.shape) for name, tensor in state.items()}
    assert len(shapes) == len(state)
    # ConvTranspose2d: u has its output channels (dimension 1), v the rest.
    assert shapes["synthesis.init.init.0.weight_orig"] == (256, 4096, 4, 4)
    assert shapes["synthesis.init.init.0.weight_u"] == (4096,)
    assert shapes["synthesis.init.init.0.weight_v"] == (256 * 16,)
    assert shapes["synthesis.init.init.1.running_var"] == (4096,)
    assert shapes["synthesis.feat_8.1.weight_orig"] == (2048, 2048, 3, 3)
    assert shapes["synthesis.feat_8.2.weight"] == (1,)
    assert shapes["synthesis.feat_256.7.weight"] == (128,)
    assert shapes["synthesis.se_64.main.1.weight_orig"] == (256, 2048, 4, 4)
    assert shapes["synthesis.se_128.main.1.weight_orig"] == (128, 1024, 4, 4)
    assert shapes["synthesis.se_256.main.3.weight_orig"] == (64, 64, 1, 1)
    assert shapes["synthesis.to_big.weight_orig"] == (3, 64, 3, 3)
    assert shapes["synthesis.to_big.bias"] == (3,)
    assert not any("parametrizations" in name for name in shapes)


@pytest.mark.parametrize(
    ("resolution", "settings", "skips"),
    [
        (16, {}, {}),
        (16, {"skip_ratio": 4}, {16: 4}),
        (32, {"skip_ratio": 4}, {16: 4, 32: 8}),
        (64, {}, {64: 4}),
        (128, {"ngf": 4}, {64: 4, 128: 8}),
    ],
)
def test_shape_and_skips_at_every_scale(resolution, settings, skips):
    generator = small(resolution, **settings).eval()
    images = generator(latents(2))
    assert images.shape == (2, 3, resolution, resolution)
    assert images.dtype == torch.float32
    assert generator.synthesis.skips == skips
    assert generator.resolution == resolution


@pytest.mark.parametrize(
    ("resolution", "settings"), [(24, {}), (8, {}), (512, {"ngf": 2}), (16, {"skip_ratio": 1})]
)
def test_bad_settings_are_refused(resolution, settings):
    with pytest.raises(ValueError, match="FastGAN"):
        build_generator(resolution, **settings)


def test_skip_excitation_passes_the_small_map_on():
    generator = small(16, skip_ratio=4).eval()
    gate = generator.synthesis.se_16
    x = generator.synthesis.init(F.normalize(latents(2)))
    large = torch.ones(2, 8, 16, 16)
    gated = gate(x, large)
    assert gated.shape == large.shape
    assert torch.equal(gated, gated[..., :1, :1].expand_as(gated))
    assert (gated > 0).all() and (gated < 1).all()
    assert not torch.allclose(gated[0], gated[1])


def twin_gradients(layer, reference, x):
    """Outputs and gradients by input of two functions that should be one."""
    for function in (layer, reference):
        leaf = x.clone().requires_grad_()
        y = function(leaf)
        (gradient,) = torch.autograd.grad(y.sin().sum(), leaf)
        yield y.detach(), gradient


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_doubling_and_gating_are_what_the_published_layers_do(memory_format):
    torch.manual_seed(0)
    double = DoublingConv2d(6, 10).to(torch.float64, memory_format=memory_format)
    x = torch.randn(3, 6, 5, 4, dtype=torch.float64).contiguous(memory_format=memory_format)
    weight = double.weight
    gate = GatedLinearUnit()
    for layer, reference in (
        (double, lambda x: F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=1)),
        (gate, lambda x: F.glu(x, dim=1)),
    ):
        (ours, gradient), (theirs, expected) = twin_gradients(layer, reference, x)
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)
    assert gate(x).is_contiguous(memory_format=memory_format)


def with_noise(generator):
    """The same generator with noise strengths other than the initial zero."""
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(("2.weight", "6.weight")) and parameter.numel() == 1:
                parameter.fill_(0.5)
    return generator


def test_eval_is_deterministic_and_each_image_its_own():
    generator = with_noise(small(32)).eval()
    z = latents(5)
    with torch.no_grad():
        torch.manual_seed(3)
        together = generator(z)
        torch.manual_seed(4)
        again = generator(z)
        alone = torch.cat([generator(row[None]) for row in z])
        twin = with_noise(small(32)).eval()(z)
    assert torch.equal(together, again)
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.equal(together, twin)


def test_eval_noise_is_seen_and_differs_between_layers():
    generator = small(32).eval()
    with torch.no_grad():
        without = generator(latents(3))
        noisy = with_noise(generator)(latents(3))
    assert (noisy - without).abs().max() > 1e-3
    noises = [m._fixed for m in generator.modules() if hasattr(m, "_fixed")]
    assert len(noises) == 6
    assert len({noise.tobytes() for noise in noises}) == 6


def test_train_couples_the_batch_and_repeats_under_a_seed():
    generator = with_noise(small()).train()
    assert generator.couples_batch
    z = latents(6)

    def images(rows):
        torch.manual_seed(7)
        return copy.deepcopy(generator)(rows)

    assert torch.equal(images(z), images(z))
    silent = small().train()
    first = copy.deepcopy(silent)(z)[:3]
    assert not torch.allclose(first, copy.deepcopy(silent)(z[:3]), atol=1e-3)


def test_running_statistics_move_in_train_only():
    generator = small()
    batch_norm = generator.synthesis.init.init[1]
    generator.eval()(latents(4))
    assert batch_norm.num_batches_tracked == 0
    generator.train()(latents(4))
    assert batch_norm.num_batches_tracked == 1


def test_latent_scale_is_normalised_away():
    generator = small().eval()
    z = latents(3)
    assert torch.allclose(generator(z), generator(5 * z), atol=1e-5)


def test_gradient_reaches_z_and_agrees_with_differences():
    generator = small(skip_ratio=4).double().eval()
    z = latents(1).double().requires_grad_(True)
    probe = torch.linspace(-1, 1, 3 * 16 * 16, dtype=torch.float64).view(1, 3, 16, 16)
    (gradient,) = torch.autograd.grad((generator(z) * probe).sum(), z)
    step = 1e-6 * torch.nn.functional.one_hot(torch.tensor([2]), 8)
    with torch.no_grad():
        rise = ((generator(z + step) - generator(z - step)) * probe).sum() / 2e-6
    assert torch.allclose(gradient[0, 2], rise, rtol=1e-5)
    # Only the direction of z matters, so the gradient is orthogonal to z.
    assert abs((gradient * z).sum()) < 1e-6 * gradient.norm() * z.norm() + 1e-8


def test_state_dict_round_trip_and_deepcopy():
    generator = with_noise(small()).train()
    generator(latents(4))
    other = small(seed=9)
    other.load_state_dict(generator.state_dict())
    z = latents(2)
    with torch.no_grad():
        expected = generator.eval()(z)
        assert torch.equal(other.eval()(z), expected)
        assert torch.equal(copy.deepcopy(generator)(z), expected)


def test_it_learns_four_images_by_regression():
    generator = small(ngf=4).train()
    grey = torch.linspace(-0.8, 0.8, 4)[:, None, None, None].expand(4, 3, 16, 16)
    stripes = torch.tensor([1.0, -1.0]).repeat(8) * 0.2
    targets = grey + stripes
    z = latents(4)
    optimizer = torch.optim.Adam(generator.parameters(), lr=0.01)
    torch.manual_seed(0)
    for _ in range(150):
        loss = F.mse_loss(generator(z), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.02
    with torch.no_grad():
        assert F.mse_loss(generator.eval()(z), targets) < 0.03
