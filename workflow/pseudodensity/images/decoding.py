"""Image files of anyone, decoded to squares of one size: by the format that their name says, and in
little more memory than their own pixels take.
"""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image, UnidentifiedImageError

from pseudodensity.artifacts import one_line
from pseudodensity.images.transform import resize, to_float, to_uint8
from pseudodensity.plan.files import FORMATS

__all__ = ["load_image"]

# Pillow holds a pixel in four bytes. The decoders of the second line hold it several times over.
MOST_MEGAPIXELS = 178
MEGAPIXELS_OF = {"WEBP": 64, "AVIF": 64, "JPEG2000": 64}
STRIP = 2**20  # pixels that are turned to floats at a time

# EXIF orientation -> is the upright image upside down in the file, left to right, and are rows columns.
# Exif 2.32, section 4.6.4, tag 0x0112.
TURNS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (True, True, False),
    4: (True, False, False),
    5: (False, False, True),
    6: (True, False, True),
    7: (True, True, True),
    8: (False, True, True),
}


def load_image(file: bytes, resolution: int, name: str = "") -> np.ndarray:
    """Decode an image file to uint8 (3, R, R): upright, on white, centre square, resized.

    Every mode of Pillow with an agreed scale is read: bilevel, grey of 8 and 16 bits, palette,
    alpha, CMYK and so on; of an animation the first frame. EXIF orientation is obeyed; colour
    profiles are not. Only strips of the square become floats, so that memory hardly exceeds what
    Pillow needs for the decoded image, 4 bytes per pixel. JPEGs are not decoded at a fraction of
    their size, as their format allows: at edges that costs up to 15 grey levels.

    Args:
        name: of the file; it is opened as what the end of its name says, and as nothing else. Without
            a known end the content decides, among the formats of `plan.files.FORMATS`.

    ValueError, in one line: it cannot be decoded, it is of another format than its name says, or
    it has more pixels than are decoded (178 megapixels; 64 of WebP, AVIF and JPEG 2000).
    """
    try:
        # Pillow warns of large images, for which we have a limit, and of odd tags, which we ignore.
        with warnings.catch_warnings(action="ignore"), _opened(file, name) as image:
            _check_pixels(image)
            image.load()
            down, left, transposed = TURNS.get(_orientation(image), TURNS[1])
            pixels = to_uint8(_square(image, resolution, down, left)[None])[0].numpy()
    except Image.DecompressionBombError:
        raise ValueError(
            f"it has more than {MOST_MEGAPIXELS} megapixels: scale it down first"
        ) from None
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise nearly every type
        raise ValueError(one_line(error)) from None
    pixels = pixels[:, :: -1 if down else 1, :: -1 if left else 1]
    return np.ascontiguousarray(pixels.swapaxes(1, 2) if transposed else pixels)


def _opened(file: bytes, name: str) -> Image.Image:
    """ValueError: of no known format, or of another than the name says."""
    suffix, known = os.path.splitext(name)[1].lower(), list(dict.fromkeys(FORMATS.values()))
    formats = [FORMATS[suffix]] if suffix in FORMATS else known
    try:
        return Image.open(io.BytesIO(file), formats=formats)
    except UnidentifiedImageError:
        pass
    try:
        with Image.open(io.BytesIO(file), formats=known) as image:
            found = image.format
    except UnidentifiedImageError:
        raise ValueError("not an image file of a known format") from None
    raise ValueError(f"its content is {found} and its name ends in {suffix}: rename it")


def _check_pixels(image: Image.Image) -> None:
    most = MEGAPIXELS_OF.get(image.format, MOST_MEGAPIXELS)
    found = image.width * image.height / 1e6
    if found > most:
        raise ValueError(
            f"its {found:.1f} megapixels are more than the {most} that are decoded of a "
            f"{image.format}: scale it down first"
        )


def _orientation(image: Image.Image) -> int:
    """The one tag that counts; what else is in the EXIF, and whether it can be read, does not."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - Pillow's parser raises nearly every type
        return 1


def _square(image: Image.Image, resolution: int, down: bool, left: bool) -> torch.Tensor:
    """The centre square as float32 (3, R, R) in [-1, 1].

    Its rows are resized strip by strip, then its columns at once: the resize is separable, so that
    the result is that of the whole, and floats are held of one strip only.
    """
    side = min(image.size)
    # Where one pixel more is cut on one side, it is the same one as of the upright image.
    x, y = (
        _half(length - side, turned)
        for length, turned in zip(image.size, (left, down), strict=True)
    )
    if side * side <= STRIP:
        return resize(_to_float_rgb(image.crop((x, y, x + side, y + side)))[None], resolution)[0]
    narrow, step = torch.empty(1, 3, side, resolution), max(1, STRIP // side)
    for start in range(0, side, step):
        stop = min(start + step, side)
        strip = _to_float_rgb(image.crop((x, y + start, x + side, y + stop)))[None]
        shape = (stop - start, resolution)
        narrow[:, :, start:stop] = F.interpolate(strip, shape, mode="bicubic", antialias=True)
    return resize(narrow, resolution)[0]


def _half(margin: int, turned: bool) -> int:
    return margin - margin // 2 if turned else margin // 2


def _to_float_rgb(image: Image.Image) -> torch.Tensor:
    """A decoded image as float32 (3, h, w) in [-1, 1]."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed scale: save as 8 or 16 bits")
    if image.mode.startswith("I"):
        # Pillow's own conversion to 8 bits would clip all but the darkest 256 levels.
        grey = np.asarray(image).astype(np.float32)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("integer pixels beyond 16 bits: save as 8 or 16 bits")
        return torch.from_numpy(grey / 32767.5 - 1).expand(3, -1, -1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.array(image.convert("RGB"))
    return to_float(pixels).permute(2, 0, 1)
