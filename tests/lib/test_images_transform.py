"""Quantising and resizing: one rule for real and fake."""

import numpy as np
import pytest
import torch
from PIL import Image

from pseudodensity.images.transform import resize, to_float, to_uint8


def photo(height=32, width=32, seed=0):
    """A smooth random image (h, w, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def test_every_level_survives_the_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(levels)
    assert floats.dtype == torch.float32 and floats[0] == -1 and floats[-1] == 1
    assert torch.equal(to_uint8(floats), levels)
    assert torch.equal(to_uint8(to_float(levels.numpy())), levels)


def test_to_uint8_clamps_and_rounds_to_nearest():
    values = torch.tensor([-3.0, -1.001, 1.5, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1])
    assert to_uint8(values).tolist() == [0, 0, 255, 0, 1]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_to_uint8_refuses_what_would_become_black(value):
    images = torch.zeros(5, 3, 4, 4)
    images[1, 2, 3, 3] = images[3, 0, 0, 0] = images[3, 0, 0, 1] = value
    with pytest.raises(ValueError, match="^2 of 5 images hold NaN or infinity") as error:
        to_uint8(images)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="^1 of 1 images"):
        to_uint8(images[1].half())
    # Far beyond the range, but numbers: their sum is not finite.
    assert to_uint8(torch.tensor([3e36, 3e36, -3e36] * 100)).tolist() == [255, 255, 0] * 100


def test_to_float_refuses_floats():
    with pytest.raises(ValueError, match="float32"):
        to_float(torch.zeros(3))


@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [7, 16, 50])
def test_resize_keeps_constants(filter, size):
    images = torch.full((2, 3, 20, 20), 0.3)
    out = resize(images, size, filter)
    assert out.shape == (2, 3, size, size)
    torch.testing.assert_close(out, torch.full_like(out, 0.3))


@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
def test_resize_agrees_with_pillow(filter):
    """Pillow's resampling is antialiased and independent of torch's."""
    array = photo(64, 64)
    ours = resize(to_float(array.transpose(2, 0, 1)[None]), 16, filter)
    theirs = Image.fromarray(array).resize((16, 16), getattr(Image.Resampling, filter.upper()))
    difference = to_uint8(ours)[0].permute(1, 2, 0).numpy().astype(int) - np.array(theirs)
    assert np.abs(difference).max() <= 1


def test_resize_is_antialiased_differentiable_and_lazy():
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::2] = -1
    inner = resize(stripes, 16)[..., 2:-2]
    assert inner.abs().max() < 0.1
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images.requires_grad_()
    resize(images, 8).sum().backward()
    # An average spreads a unit gradient evenly: 64 outputs over 1024 inputs.
    assert images.grad.sum().item() == pytest.approx(3 * 64, rel=1e-4)
    assert resize(images, 32) is images


def test_resize_refuses_unknown_filters():
    with pytest.raises(ValueError, match="'nearest'"):
        resize(torch.zeros(1, 3, 8, 8), 4, "nearest")
