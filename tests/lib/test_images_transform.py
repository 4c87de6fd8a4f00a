"""Quantising, resizing and decoding: one rule, and every kind of file."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pseudodensity.images.transform import load_image, resize, to_float, to_uint8


def encode(image, suffix="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


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


def test_files_and_tensors_are_resized_by_one_rule():
    array = photo(64, 64)
    expected = to_uint8(resize(to_float(array.transpose(2, 0, 1)[None]), 16))[0].numpy()
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(array)), 16), expected)


def test_a_file_of_the_right_size_is_untouched(tmp_path):
    array = photo()
    (tmp_path / "a.png").write_bytes(encode(Image.fromarray(array)))
    for file in (tmp_path / "a.png", str(tmp_path / "a.png"), encode(Image.fromarray(array))):
        out = load_image(file, 32)
        assert out.dtype == np.uint8
        np.testing.assert_array_equal(out, array.transpose(2, 0, 1))


def test_the_centre_square_is_taken():
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = photo(16, 16)
    expected = photo(16, 16).transpose(2, 0, 1)
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(wide)), 16), expected)
    tall = Image.fromarray(wide.transpose(1, 0, 2).copy())
    np.testing.assert_array_equal(load_image(encode(tall), 16), expected.transpose(0, 2, 1))


GREY = photo()[..., 0]


def levels(mode):
    """The image as Pillow's mode, and the RGB that it should be read as."""
    rgb = Image.fromarray(photo())
    if mode == "1":
        image = Image.fromarray(GREY > 128)
        return image, np.where(GREY > 128, 255, 0)[..., None].repeat(3, 2)
    if mode == "L":
        return Image.fromarray(GREY), GREY[..., None].repeat(3, 2)
    if mode == "P":
        image = rgb.quantize(16)
        return image, np.array(image.convert("RGB"))
    return rgb, np.array(rgb)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_opaque_modes(mode):
    image, expected = levels(mode)
    assert image.mode == mode
    np.testing.assert_array_equal(load_image(encode(image), 32), expected.transpose(2, 0, 1))


def over_white(colour, alpha):
    share = alpha[..., None] / 255
    return colour * share + 255 * (1 - share)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_lies_over_white(mode):
    alpha = photo(seed=1)[..., 0]
    colour = GREY[..., None].repeat(3, 2) if mode == "LA" else photo()
    bands = [GREY] if mode == "LA" else list(photo().transpose(2, 0, 1))
    image = Image.merge(mode, [Image.fromarray(band) for band in (*bands, alpha)])
    out = load_image(encode(image), 32).transpose(1, 2, 0)
    assert np.abs(out - over_white(colour.astype(float), alpha)).max() <= 1


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.paste(1, (8, 0, 16, 16))
    out = load_image(encode(image, transparency=0), 16)
    assert out[:, :, :8].min() == 255
    np.testing.assert_array_equal(out[:, 5, 12], [0, 0, 200])


@pytest.mark.parametrize("transparent", [7, None])
def test_a_transparent_grey_is_white(transparent):
    image = Image.new("L", (16, 16), 7)
    options = {} if transparent is None else {"transparency": transparent}
    out = load_image(encode(image, **options), 16)
    assert set(np.unique(out).tolist()) == ({255} if transparent == 7 else {7})


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_sixteen_bit_greys_are_scaled_not_clipped(suffix):
    deep = (GREY.astype(np.uint16) * 257).astype(np.uint16)
    image = Image.fromarray(deep)
    assert image.mode == "I;16"
    out = load_image(encode(image, suffix), 32)
    np.testing.assert_array_equal(out, np.broadcast_to(GREY, (3, 32, 32)))


def test_integer_greys_keep_to_sixteen_bits():
    image = Image.fromarray(GREY.astype(np.int32) * 257)
    np.testing.assert_array_equal(load_image(encode(image, "TIFF"), 32)[0], GREY)
    with pytest.raises(ValueError, match="beyond 16 bits"):
        load_image(encode(Image.fromarray(GREY.astype(np.int32) * 70000), "TIFF"), 32)


def test_floats_have_no_scale():
    with pytest.raises(ValueError, match="no agreed scale"):
        load_image(encode(Image.fromarray(GREY.astype(np.float32)), "TIFF"), 32)


def test_cmyk_jpeg():
    rgb = Image.new("RGB", (32, 32), (220, 60, 20))
    out = load_image(encode(rgb.convert("CMYK"), "JPEG", quality=95), 32)
    assert np.abs(out.mean((1, 2)) - [220, 60, 20]).max() < 4


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, 0), (3, 2), (6, 3), (8, 1)],
)
def test_exif_orientation_is_obeyed(orientation, turn):
    array = np.zeros((32, 32, 3), np.uint8)
    array[:16, :16] = (250, 30, 30)
    array[16:, 16:] = (30, 30, 250)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = load_image(encode(Image.fromarray(array), "JPEG", quality=98, exif=exif), 32)
    # 6 asks for a quarter turn clockwise, numpy turns the other way round.
    expected = np.rot90(array, turn).transpose(2, 0, 1)
    assert np.abs(out.astype(int) - expected).mean() < 3


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_image(data, 16)[:, 3, 3], [255, 0, 0])


def test_unreadable_files_give_their_reason_in_one_line(tmp_path):
    whole = encode(Image.fromarray(photo(64, 64)), "JPEG")
    for data, reason in [
        (b"some text\n", "known format"),
        (b"", "known format"),
        (whole[:-100], "truncated"),
        (whole[:100], "(?i)truncated"),
        (encode(Image.fromarray(photo()))[:200], "."),
    ]:
        with pytest.raises(ValueError, match=reason) as caught:
            load_image(data, 16)
        assert "\n" not in str(caught.value) and " at 0x" not in str(caught.value)
    with pytest.raises(ValueError, match="No such file"):
        load_image(tmp_path / "absent.png", 16)
