"""One rule for quantising, resizing and decoding images, for real and fake alike."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError

from pseudodensity.artifacts import one_line
from pseudodensity.tensors import NonFiniteError

__all__ = ["load_image", "resize", "to_float", "to_uint8"]


def to_float(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 images of any shape -> float32 in [-1, 1]."""
    images = torch.as_tensor(images)
    if images.dtype != torch.uint8:
        raise ValueError(f"to_float wants uint8 images, not {images.dtype}: apply to_uint8 first")
    return images.float() / 127.5 - 1


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float images in [-1, 1] (beyond is clamped) -> uint8; inverse of `to_float`.

    NonFiniteError (a ValueError): images that hold NaN or infinity, which would become black.
    """
    images = images.detach().float()
    # A sum is ten times as fast as a look at each number, and finite only if all of them are.
    if not torch.isfinite(images.sum()):
        _refuse_non_finite(images)
    return (images * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8)


def _refuse_non_finite(images: torch.Tensor) -> None:
    bad = ~torch.isfinite(images.reshape(-1, *images.shape[-3:]).flatten(1)).all(1)
    if bad.any():
        raise NonFiniteError(
            f"{int(bad.sum())} of {len(bad)} images hold NaN or infinity: the weights of their "
            "generator are damaged, or its training diverged"
        )


def resize(
    images: torch.Tensor, size: int, filter: Literal["bicubic", "bilinear"] = "bicubic"
) -> torch.Tensor:
    """Antialiased resize of float images (n, c, h, w) to (n, c, size, size), differentiable.

    Images that already have the size come back untouched. Bicubic may overshoot [-1, 1].
    """
    if filter not in ("bicubic", "bilinear"):
        raise ValueError(f"unknown resize filter {filter!r}: use 'bicubic' or 'bilinear'")
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode=filter, align_corners=False, antialias=True)


def load_image(file: bytes | str | Path, resolution: int) -> np.ndarray:
    """Decode an image file to uint8 (3, R, R): upright, on white, centre square, resized.

    Every mode of Pillow with an agreed scale is read: bilevel, grey of 8 and 16 bits, palette,
    alpha, CMYK and so on; of an animation the first frame. EXIF orientation is obeyed; colour
    profiles are not. ValueError, in one line, if the file cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            pixels = _to_float_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ValueError("not an image file of a known format") from None
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise nearly every type
        raise ValueError(one_line(error)) from None
    height, width = pixels.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = pixels[None, :, top : top + side, left : left + side]
    return to_uint8(resize(square, resolution))[0].numpy()


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
