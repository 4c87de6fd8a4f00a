"""StyleGAN3-T: public names and sizes, each layer against its definition, equivariance."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import freqz

from pseudodensity.generators import filters, stylegan2
from pseudodensity.generators.filters import Resample, kaiser_lowpass, upfirdn
from pseudodensity.generators.stylegan3 import DECLARATION, build_generator

SMALL = {
    "z_dim": 8,
    "w_dim": 12,
    "num_layers": 4,
    "num_critical": 1,
    "first_cutoff": 1.5,
    "first_stopband": 2.5,
    "margin_size": 1,
    "channel_base": 128,
    "channel_max": 16,
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def layers_of(model):
    return [getattr(model.synthesis, name) for name in model.synthesis.layer_names]


@pytest.fixture
def generator():
    model = build_generator(16, **SMALL).eval()
    for layer in layers_of(model):
        layer.bias.data.normal_().mul_(0.3)
        layer.magnitude_ema.fill_(0.7)
    return model


# ---------------------------------------------------------------- public names and sizes


def test_the_full_generator_has_the_published_names_shapes_and_counts():
    with torch.device("meta"):
        model = build_generator(1024)
    names = [
        "L0_36_512",
        "L1_36_512",
        "L2_52_512",
        "L3_52_512",
        "L4_84_512",
        "L5_148_512",
        "L6_148_512",
        "L7_276_323",
        "L8_276_203",
        "L9_532_128",
        "L10_1044_81",
        "L11_1044_51",
        "L12_1044_32",
        "L13_1024_32",
        "L14_1024_3",
    ]
    assert model.synthesis.layer_names == names and model.synthesis.num_ws == 16
    assert sum(p.numel() for p in model.parameters()) == 22_313_167
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    assert len(shapes) == 114
    expected = {f"mapping.fc{i}.weight": (512, 512) for i in range(2)}
    expected |= {f"mapping.fc{i}.bias": (512,) for i in range(2)} | {"mapping.w_avg": (512,)}
    entry = {"weight": (512, 512), "affine.weight": (4, 512), "affine.bias": (4,)}
    entry |= {"transform": (3, 3), "freqs": (512, 2), "phases": (512,)}
    expected |= {f"synthesis.input.{name}": shape for name, shape in entry.items()}
    doubles = {"L2_52_512", "L4_84_512", "L5_148_512", "L7_276_323", "L9_532_128", "L10_1044_81"}
    inputs = 512
    for name in names:
        outputs, last = int(name.split("_")[2]), name == names[-1]
        k = 1 if last else 3
        tensors = {"weight": (outputs, inputs, k, k), "bias": (outputs,), "magnitude_ema": ()}
        tensors |= {"affine.weight": (inputs, 512), "affine.bias": (inputs,)}
        if not last:
            tensors["up_filter"] = (24,) if name in doubles else (12,)
            tensors["down_filter"] = (12,)
        expected |= {f"synthesis.{name}.{tensor}": shape for tensor, shape in tensors.items()}
        inputs = outputs
    assert shapes == expected


def test_the_256_px_model_keeps_14_layers_and_its_own_sizes():
    with torch.device("meta"):
        model = build_generator(256)
    assert model.synthesis.layer_names[0] == "L0_36_512"
    assert model.synthesis.layer_names[-1] == "L14_256_3"


def test_the_discriminator_is_that_of_stylegan2():
    assert DECLARATION["discriminator"] == stylegan2.DECLARATION["discriminator"]


def test_an_impossible_schedule_is_refused():
    with pytest.raises(ValueError, match="num_critical"):
        build_generator(16, **SMALL | {"num_critical": 4})


# ---------------------------------------------------------------- filters


def test_the_kaiser_filter_passes_the_band_and_stops_beyond_it():
    taps = kaiser_lowpass(24, cutoff=4, half_width=3, rate=32)
    assert taps.dtype == torch.float32 and torch.equal(taps, taps.flip(0))
    torch.testing.assert_close(taps.sum(), torch.tensor(1.0))
    frequency, response = freqz(taps.numpy(), worN=512, fs=32)
    gain = np.abs(response)
    assert gain[frequency < 0.7].min() > 0.98 and gain[frequency > 7.5].max() < 0.02
    assert abs(gain[np.argmin(abs(frequency - 4))] - 0.5) < 0.02


def upfirdn_by_loops(row, taps, up, down, padding):
    high = np.zeros(len(row) * up)
    high[::up] = row
    before, after = padding
    high = np.concatenate([np.zeros(max(before, 0)), high, np.zeros(max(after, 0))])
    high = high[max(-before, 0) : len(high) - max(-after, 0)]
    return np.convolve(high, taps, mode="valid")[::down]


@pytest.mark.parametrize(
    ("up", "down", "padding"),
    [(1, 1, (0, 0)), (2, 1, (5, 4)), (4, 1, (-3, 9)), (1, 2, (3, -1)), (2, 2, (7, 2))],
)
def test_both_forms_of_resampling_equal_the_loops(monkeypatch, up, down, padding):
    size, taps = 9, torch.randn(6)  # no symmetry: a flipped filter would show
    x = torch.randn(2, 3, size, size)
    expected = x.numpy().astype(np.float64)
    for axis in (2, 3):
        expected = np.apply_along_axis(
            upfirdn_by_loops, axis, expected, taps.numpy(), up, down, padding
        )
    expected = torch.tensor(expected, dtype=torch.float32)
    matrix = Resample(size, 6, up, down, padding)
    assert matrix.index is not None
    torch.testing.assert_close(matrix(x, taps), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(upfirdn(x, taps, up, down, padding), expected, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(filters, "DENSE_SIZE", 0)
    plain = Resample(size, 6, up, down, padding)
    assert plain.index is None
    torch.testing.assert_close(plain(x, taps), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(plain.matrix(taps), matrix.matrix(taps))


def test_the_whole_generator_is_the_same_in_either_form(generator, monkeypatch):
    z = torch.randn(3, 8)
    images = generator(z)
    monkeypatch.setattr(filters, "DENSE_SIZE", 0)
    other = build_generator(16, **SMALL).eval()
    other.load_state_dict(generator.state_dict(), strict=True)
    assert layers_of(other)[0].up.index is None
    torch.testing.assert_close(other(z), images, rtol=1e-4, atol=1e-5)


def test_resampling_up_and_down_keeps_a_constant_inside(generator):
    for layer in layers_of(generator)[:-1]:
        size = layer.up.index.shape[1]
        x = torch.ones(1, 2, size, size)
        high = layer.up(x, layer.up_filter * layer.up_gain)
        border = 2 * len(layer.up_filter)
        inside = high[:, :, border // 2 : -(border // 2), border // 2 : -(border // 2)]
        if inside.numel():
            assert (inside - 1).abs().max() < 0.02
        low = layer.down(torch.ones_like(high), layer.down_filter)
        torch.testing.assert_close(low, torch.ones_like(low))


# ---------------------------------------------------------------- one layer


def layer_by_definition(layer, x, w):
    """The layer as published: normalised weight and style, one convolution per sample, loops."""
    style = w @ layer.affine.weight.t() / math.sqrt(w.shape[1]) + layer.affine.bias
    weight = layer.weight / layer.weight.square().mean((1, 2, 3), keepdim=True).sqrt()
    style = style / style.square().mean().sqrt()
    weights = weight[None] * style[:, None, :, None, None]
    weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    weights = weights / layer.magnitude_ema.sqrt()
    y = torch.cat([F.conv2d(x[i : i + 1], weights[i], padding=2) for i in range(len(x))])
    y = (y + layer.bias[:, None, None]).detach().numpy().astype(np.float64)
    for axis in (2, 3):
        up = layer.up_filter.numpy() * layer.up.up
        y = np.apply_along_axis(upfirdn_by_loops, axis, y, up, layer.up.up, 1, layer.up.padding)
    y = np.where(y > 0, y, 0.2 * y) * math.sqrt(2)
    for axis in (2, 3):
        y = np.apply_along_axis(upfirdn_by_loops, axis, y, layer.down_filter.numpy(), 1, 2, (0, 0))
    return torch.tensor(y, dtype=torch.float32)


@pytest.mark.parametrize("index", range(4))
def test_a_layer_equals_its_definition(generator, index):
    layer = layers_of(generator)[index]
    size = layer.up.index.shape[1] - 2
    x, w = torch.randn(3, layer.weight.shape[1], size, size), torch.randn(3, 12)
    expected = layer_by_definition(layer, x, w)
    assert expected.shape[2] == int(generator.synthesis.layer_names[index].split("_")[1])
    torch.testing.assert_close(layer(x, w), expected, rtol=1e-4, atol=2e-5)


def test_a_layer_does_not_depend_on_the_scale_of_weight_or_style(generator):
    layer = layers_of(generator)[1]
    x, w = torch.randn(2, 16, 10, 10), torch.randn(2, 12)
    before = layer(x, w)
    layer.weight.data.mul_(3)
    layer.affine.weight.data.mul_(5)
    layer.affine.bias.data.mul_(5)
    torch.testing.assert_close(layer(x, w), before, rtol=1e-4, atol=1e-5)


def test_the_padding_centres_what_a_layer_sees(generator):
    """A mirrored input gives the mirrored output once the convolution is mirrored too."""
    for index in range(4):
        layer = layers_of(generator)[index]
        size = layer.up.index.shape[1] - 2
        x, w = torch.randn(1, layer.weight.shape[1], size, size), torch.randn(1, 12)
        straight = layer(x, w)
        layer.weight.data = layer.weight.data.flip(3)
        torch.testing.assert_close(layer(x.flip(3), w).flip(3), straight, rtol=1e-4, atol=1e-4)


def test_training_tracks_the_magnitude_of_the_input(generator):
    layer = layers_of(generator)[0]
    x, w = torch.randn(2, 16, 10, 10) * 2, torch.randn(2, 12)
    layer(x, w)
    assert layer.magnitude_ema == pytest.approx(0.7)
    layer.train()(x, w)
    expected = 0.999 * 0.7 + 0.001 * x.square().mean().item()
    assert layer.magnitude_ema.item() == pytest.approx(expected, rel=1e-5)


def test_measured_statistics_are_those_of_the_weights_at_hand(generator):
    """Mean square of what each layer is given, whatever the moving averages were before."""
    batches = [torch.randn(4, 8), torch.randn(4, 8)]
    before = {name: p.clone() for name, p in generator.named_parameters()}
    generator.measure_statistics(batches[:1])
    seen = []
    for layer in layers_of(generator):
        layer.register_forward_pre_hook(lambda _, x: seen.append(x[0].square().mean().item()))
    generator(batches[0])
    found = [layer.magnitude_ema.item() for layer in layers_of(generator)]
    assert found == pytest.approx(seen, rel=1e-5)
    generator.measure_statistics(batches)
    first = layers_of(generator)[0].magnitude_ema.item()
    inputs = [generator.synthesis.input(generator.mapping(z)) for z in batches]
    assert first == pytest.approx(torch.cat(inputs).square().mean().item(), rel=1e-5)
    assert not generator.training
    assert {layer.magnitude_beta for layer in layers_of(generator)} == {0.999}
    assert all(torch.equal(before[n], p) for n, p in generator.named_parameters())


# ---------------------------------------------------------------- the generator as a function


def test_images_have_the_promised_shape_and_do_not_depend_on_the_batch(generator):
    z = torch.randn(5, *generator.latent_shape)
    images = generator(z)
    assert images.shape == (5, 3, 16, 16) and images.dtype == torch.float32
    assert torch.equal(images, generator(z))
    torch.testing.assert_close(generator(z[3:4]), images[3:4], rtol=1e-4, atol=1e-5)
    assert not generator.couples_batch and generator.resolution == 16


def test_many_samples_equal_few(generator, monkeypatch):
    """The layers work through a large batch in parts."""
    z = torch.randn(6, 8)
    images = generator(z)
    for layer in layers_of(generator)[:-1]:
        monkeypatch.setattr(layer, "chunk", 4)
    torch.testing.assert_close(generator(z), images, rtol=1e-4, atol=1e-5)


def test_the_gradient_in_z_is_that_of_finite_differences(generator):
    generator.double()
    z = torch.randn(1, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a: generator(a)[:, :, ::5, ::5], z, atol=1e-4)


def test_recomputation_changes_no_image_and_no_gradient(generator):
    lean = build_generator(16, **SMALL, recompute=True).eval()
    lean.load_state_dict(generator.state_dict())
    z = torch.randn(3, 8)
    for model in (generator, lean):
        model(z).square().sum().backward()
    for ours, theirs in zip(lean.parameters(), generator.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_truncation_is_linear_in_w_and_zero_gives_one_image(generator):
    generator.mapping.w_avg.normal_()
    z, mean = torch.randn(4, 8), generator.mapping.w_avg
    w = generator.mapping(z)
    torch.testing.assert_close(generator.mapping(z, 0.3), mean + 0.3 * (w - mean))
    images = generator(z, psi=0)
    torch.testing.assert_close(images, images[:1].expand_as(images))
    ws = w[:, None].repeat(1, generator.synthesis.num_ws, 1)
    assert torch.equal(generator.synthesis(ws), generator.synthesis(w))


# ---------------------------------------------------------------- equivariance


def test_the_input_waves_follow_the_transform(generator):
    entry, w = generator.synthesis.input, torch.zeros(1, 12)
    still = entry(w)
    one_pixel = 1 / entry.rate
    entry.transform[0, 2] = one_pixel
    torch.testing.assert_close(entry(w)[..., :-1], still[..., 1:], rtol=1e-3, atol=1e-4)
    entry.transform[0, 2], entry.transform[1, 2] = 0, one_pixel
    torch.testing.assert_close(entry(w)[..., :-1, :], still[..., 1:, :], rtol=1e-3, atol=1e-4)


def test_the_input_waves_rotate_by_quarter_turns(generator):
    entry, w = generator.synthesis.input, torch.zeros(1, 12)
    still = entry(w)
    entry.affine.bias.data = torch.tensor([0.0, 2.0, 0.0, 0.0])  # only the direction counts
    torch.testing.assert_close(entry(w), still.rot90(1, (2, 3)), rtol=1e-3, atol=1e-4)


def test_the_translation_of_w_shifts_the_other_way(generator):
    entry, w = generator.synthesis.input, torch.zeros(1, 12)
    entry.transform[0, 2] = -0.1
    shifted = entry(w)
    entry.transform[0, 2] = 0
    entry.affine.bias.data = torch.tensor([1.0, 0.0, 0.1, 0.0])
    torch.testing.assert_close(entry(w), shifted, rtol=1e-3, atol=1e-4)


def test_waves_beyond_the_band_fade_out(generator):
    entry, w = generator.synthesis.input, torch.zeros(1, 12)
    entry.transform[:2, :2] *= 100
    assert entry(w).abs().max() == 0


@pytest.mark.parametrize("shift", [1, 2])
def test_the_image_moves_with_the_input(shift):
    """Equivariance: a shifted input shifts the picture, up to what the borders let in."""
    settings = SMALL | {"margin_size": 6, "num_layers": 6, "first_stopband": 2**2.1}
    model = build_generator(32, **settings).eval()
    for layer in layers_of(model):
        layer.bias.data.normal_().mul_(0.3)
    model.requires_grad_(False)
    z = torch.randn(4, 8)
    still = model(z)
    model.synthesis.input.transform[0, 2] = shift / 32
    moved = model(z)
    inside = slice(4, -4)
    error = (
        (moved[..., inside, 4 : -4 - shift] - still[..., inside, 4 + shift : -4]).square().mean()
    )
    unmoved = (moved - still)[..., inside, inside].square().mean()
    assert error < unmoved / 30
    assert 10 * math.log10(still.var() / error) > 20


# ---------------------------------------------------------------- it learns


def test_a_tiny_generator_fits_four_images():
    model = build_generator(16, **SMALL)
    z = torch.randn(4, 8)
    target = torch.rand(4, 3, 1, 1) * 2 - torch.ones(4, 3, 16, 16)
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
