"""Decoding: every kind of file, hostile ones, and in bounded memory."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, ExifTags, Image, ImageOps

from pseudodensity.images import decoding
from pseudodensity.images.decoding import load_image
from pseudodensity.images.transform import resize, to_float, to_uint8
from pseudodensity.plan.code import ROOT
from pseudodensity.plan.files import FORMATS

torch.set_num_threads(1)


def encode(image, suffix="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, suffix, **options)
    return buffer.getvalue()


def photo(height=32, width=32, seed=0):
    """A smooth random image (h, w, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def test_files_and_tensors_are_resized_by_one_rule():
    array = photo(64, 64)
    expected = to_uint8(resize(to_float(array.transpose(2, 0, 1)[None]), 16))[0].numpy()
    np.testing.assert_array_equal(load_image(encode(Image.fromarray(array)), 16), expected)


def test_a_file_of_the_right_size_is_untouched():
    array = photo()
    out = load_image(encode(Image.fromarray(array)), 32)
    assert out.dtype == np.uint8 and out.flags.c_contiguous
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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(21, 34), (35, 20)])
def test_exif_orientation_is_obeyed(orientation, size):
    """As Pillow turns the whole image, before anything is cut; odd margins are cut unevenly."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = Image.fromarray(photo(*size))
    data = encode(image, exif=exif)
    with Image.open(io.BytesIO(data)) as opened:
        upright = ImageOps.exif_transpose(opened)
    np.testing.assert_array_equal(load_image(data, 16), load_image(encode(upright), 16))
    if orientation != 1:
        assert not np.array_equal(load_image(data, 16), load_image(encode(image), 16))


def exif_with_an_odd_tag() -> bytes:
    """Orientation 6, and Software as a float where a text belongs: Pillow cannot write it again."""
    entries = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack("<HHIf", 0x0131, 11, 1, 1.5)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 0)


def test_odd_tags_do_no_harm():
    image = Image.fromarray(photo())
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    expected = load_image(encode(image, "JPEG", exif=exif), 16)
    odd = encode(image, "JPEG", exif=exif_with_an_odd_tag())
    np.testing.assert_array_equal(load_image(odd, 16), expected)
    garbage = encode(image, "JPEG", exif=b"Exif\0\0" + bytes(range(60)))
    upright = load_image(encode(image, "JPEG"), 16)
    np.testing.assert_array_equal(load_image(garbage, 16), upright)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16"])
def test_strips_of_a_large_image_give_what_the_whole_gives(mode, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (70, 83, 4), dtype=np.uint8)
    image = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    if mode != "I;16":
        image = Image.fromarray(noise, "RGBA").convert(mode)
    data = encode(image)
    whole = load_image(data, 16)
    for pixels in (1, 70 * 9, 70 * 69):
        monkeypatch.setattr(decoding, "STRIP", pixels)
        np.testing.assert_array_equal(load_image(data, 16), whole)


PEAK = """
import resource, sys
from pathlib import Path
import torch
from pseudodensity.images.decoding import load_image
torch.set_num_threads(1)
small, large = (Path(name).read_bytes() for name in sys.argv[1:])
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
load_image(small, 16)
before = used()
load_image(large, 16)
print((used() - before) / 4)
"""


def test_a_large_image_takes_little_more_memory_than_its_pixels(tmp_path):
    image = Image.fromarray(photo(4000, 6000))
    for name, side in (("small.png", 16), ("large.png", 0)):
        shown = image.resize((side, side)) if side else image
        shown.save(tmp_path / name, compress_level=1)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path / "small.png", tmp_path / "large.png"],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    # 24 megapixels of 4 bytes, and the floats of a strip; as floats they would be 7 times as many.
    assert float(done.stdout) < 2 * 24e6


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(load_image(data, 16)[:, 3, 3], [255, 0, 0])


def postscript() -> bytes:
    return encode(Image.new("RGB", (20, 20)), "EPS")


def many_pixels(width: int, height: int) -> bytes:
    """A PNG whose header promises pixels that the file does not hold."""
    data = bytearray(encode(Image.new("1", (8, 8))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


WHOLE = encode(Image.fromarray(photo(64, 64)), "JPEG")
HOSTILE = [
    # name, content, what the one line says
    ("text.png", b"some text\n", "not an image file of a known format"),
    ("empty.png", b"", "not an image file of a known format"),
    ("postscript.png", postscript(), "not an image file of a known format"),
    ("postscript", postscript(), "not an image file of a known format"),
    ("photo.png", WHOLE, "its content is JPEG and its name ends in .png: rename it"),
    ("scan.jpg", encode(Image.new("L", (9, 9)), "TIFF"), "its content is TIFF"),
    ("cut.jpg", WHOLE[:-100], "truncated"),
    ("head.jpg", WHOLE[:100], "runcated"),
    ("cut.png", encode(Image.fromarray(photo()))[:200], "."),
    ("wide.png", many_pixels(14_000, 12_800), "more than 178 megapixels: scale it down first"),
    ("wider.png", many_pixels(13_360, 13_360), "its 178.5 megapixels are more than the 178"),
    ("huge.png", many_pixels(2**31 - 1, 2**31 - 1), "more than 178 megapixels"),
    ("f.tif", encode(Image.new("F", (9, 9)), "TIFF"), "no agreed scale"),
]


@pytest.mark.parametrize(("name", "content", "reason"), HOSTILE, ids=[h[0] for h in HOSTILE])
def test_hostile_files_give_their_reason_in_one_line(name, content, reason, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", pytest.fail)
    with pytest.raises(ValueError, match=reason) as caught:
        load_image(content, 16, name)
    assert "\n" not in str(caught.value) and " at 0x" not in str(caught.value)


def test_heavy_formats_have_a_limit_of_their_own(monkeypatch):
    monkeypatch.setitem(decoding.MEGAPIXELS_OF, "WEBP", 0.0002)
    image = Image.new("RGB", (15, 15))
    assert load_image(encode(image, "PNG"), 8, "a.png").shape == (3, 8, 8)
    with pytest.raises(ValueError, match="more than the 0.0002 that are decoded of a WEBP"):
        load_image(encode(image, "WEBP"), 8, "a.webp")


def test_large_images_are_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with warnings.catch_warnings(action="error"):
        load_image(encode(Image.new("RGB", (15, 15))), 8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_suffix_is_read(suffix):
    image = Image.fromarray(photo(seed=3))
    data = encode(image, FORMATS[suffix])
    assert (
        np.abs(
            load_image(data, 32, f"A{suffix.upper()}").astype(int)
            - photo(seed=3).transpose(2, 0, 1)
        ).mean()
        < 6
    )
    np.testing.assert_array_equal(load_image(data, 32, f"a{suffix}"), load_image(data, 32, "key"))
