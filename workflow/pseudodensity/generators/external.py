"""A user's own generator, from memory or from a file, as one of ours.

Two kinds of file are read. An exported program (``torch.export.save``, .pt2) is vetted before it is
loaded, see `vetting`. TorchScript (``torch.jit.save``, any other suffix) is code: reading its source
cannot say what it does, so it is run only where its user says that it is trusted, beside its digest.
A pickled module (``torch.save(model)``) is not read: opening one runs whatever is in it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.vetting import vetted_program
from pseudodensity.rng import normal

__all__ = ["ExternalGenerator", "load_external_generator"]

DECLARATION = {
    "name": "external",
    "prior": "normal",
    "classes": False,
    "w_space": False,
    "normalises_z": False,
    "discriminator": None,
    "trainer": None,
    "tangents": None,
    "no_jacobian": None,
    "truncation": ["scale", "resample"],
    "likelihood": False,
    "calls_per_image": "one",
    "formats": ["exported", "torchscript"],
}

TORCHSCRIPT_IS_CODE = (
    "TorchScript is code and can do all that you can: save an exported program (.pt2), or, if you "
    "know who made it, give `trusted: true` beside its `sha256`"
)
MAX_BYTES = 8 * 2**30
TRIAL = 4  # latents of the check
WIDE = 1.2  # a pixel beyond this is out of range; GANs overshoot 1 a little, and here and there
WIDE_SHARE = 0.1
NOISE = 1e-3  # what rounding may change from call to call: fast kernels add in any order
LEAKAGE = 0.02  # what rounding may change in an image when its batch does; a grey level is 0.008


class ExternalGenerator(BaseGenerator):
    """A generator given as a function: latents (n, *latent_shape) -> images (n, 3, R, R).

    `resolution` is R, measured. Frozen and always in eval mode, `train` included: it is given,
    not trained. Differentiable if the function is.
    """

    truncation = DECLARATION["truncation"]

    def __init__(self, function: nn.Module, latent_shape: Sequence[int]):
        """function: module float32 -> float32 with images in about [-1, 1]; it is put into eval
        mode and frozen. latent_shape: of one latent, standard normal.

        Tried once on four latents. ValueError, in one line: no latent shape; it fails on them; it
        gives anything but (n, 3, R, R) float32 in about [-1, 1]; images that depend on others of
        their batch or on noise beside the latent, or not on the latent.
        """
        super().__init__()
        self.latent_shape = _checked_shape(latent_shape)
        self.function = function
        _freeze(function)
        self.train(False)
        self.resolution = _try(self.function, self.latent_shape)

    def train(self, mode: bool = True) -> ExternalGenerator:
        """Stays in eval mode, whatever is asked."""
        self.training = False
        return self

    def forward(self, z: Tensor) -> Tensor:
        """z (n, *latent_shape) float32 -> images (n, 3, R, R) in about [-1, 1]."""
        return self.function(z)


def load_external_generator(
    path: str | Path,
    latent_shape: Sequence[int],
    *,
    sha256: str | None = None,
    trusted: bool = False,
) -> ExternalGenerator:
    """The generator of a ``.pt2`` or TorchScript file, on the CPU.

    Save an exported program with a dynamic first dimension:
    ``torch.export.export(model, (z,), dynamic_shapes=({0: torch.export.Dim("n")},))``. A program
    keeps the device that its constants were made on: export it where it will run.

    Args:
        sha256: what the file must have; None for any program.
        trusted: that code of TorchScript may run with all rights of the one who runs this: read and
            write files, start programs. Say so of files only that you made, or know who made.

    ValueError, in one line: no such file, or too large a one; another digest; TorchScript without
    both `trusted` and `sha256`; a program that is not safe or cannot be read; as
    `ExternalGenerator`.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"generator file {path} does not exist: correct its path")
    is_program = path.suffix == ".pt2"
    if not is_program and not (trusted and sha256):
        raise ValueError(f"generator file {path} refused: {TORCHSCRIPT_IS_CODE}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"generator file {path} is larger than {MAX_BYTES} bytes: name another")
    # What is loaded is what was hashed, even if the file changes meanwhile.
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ValueError(f"{path} has SHA-256 {digest}, not {sha256}: it is another generator")
    try:
        function = _read_program(data) if is_program else _read_script(data)
    except Exception as error:  # noqa: BLE001 - the loaders raise nearly every type
        raise ValueError(
            f"generator file {path} refused: {_one_line(error)}; save it with torch.export.save"
        ) from None
    return ExternalGenerator(function, latent_shape)


def _read_script(data: bytes) -> nn.Module:
    return torch.jit.load(io.BytesIO(data), map_location="cpu")


def _read_program(data: bytes) -> nn.Module:
    # Guards are generated code; the trial below asks what they would.
    return torch.export.load(vetted_program(data)).module(check_guards=False)


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TorchScript prints its own traceback, with the reason at the end.
    reason = lines[-1 if "TorchScript interpreter" in lines[0] else 0] if lines else ""
    return reason[:200] or type(error).__name__


def _checked_shape(latent_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(latent_shape)
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(f"latent_shape is the shape of one latent, as (128,), got {latent_shape}")
    return shape


def _freeze(function: nn.Module) -> None:
    if not isinstance(function, torch.fx.GraphModule):  # an exported program has no modes
        function.eval()
    for parameter in function.parameters():  # a ScriptModule has no requires_grad_
        parameter.requires_grad_(False)


@torch.no_grad()
def _try(function: nn.Module, latent_shape: tuple[int, ...]) -> int:
    """The resolution of the images. ValueError for what is no generator."""
    latents = normal(0, "trial", range(TRIAL), latent_shape)
    latents = latents.to(next(function.parameters(), latents).device)
    images = _call(function, latents)
    _check_images(images)
    if (images - _call(function, latents)).abs().max() > NOISE:
        raise ValueError(
            "the generator draws noise of its own: fix it, so that a latent has one image"
        )
    if (_call(function, latents[:1]) - images[:1]).abs().max() > LEAKAGE:
        raise ValueError(
            "an image of the generator depends on the others of its batch: "
            "save it in eval mode, with running statistics"
        )
    return images.shape[-1]


def _call(function: nn.Module, latents: Tensor) -> Tensor:
    shape = tuple(latents.shape)
    try:
        images = function(latents)
    except Exception as error:  # noqa: BLE001 - a stranger's code raises anything
        raise ValueError(
            f"the generator fails on latents of shape {shape}: {_one_line(error)}; check "
            "latent_shape, and that it takes batches of any size"
        ) from None
    if not isinstance(images, Tensor) or images.dtype != torch.float32:
        kind = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"the generator gives {kind}, not one float32 tensor of images")
    wanted = images.ndim == 4 and images.shape[:2] == (len(latents), 3)
    if not wanted or images.shape[2] != images.shape[3]:
        raise ValueError(
            f"the generator maps latents {shape} to {tuple(images.shape)}, not to images "
            f"({len(latents)}, 3, R, R): repeat grey channels, crop to a square"
        )
    return images


def _check_images(images: Tensor) -> None:
    if not images.isfinite().all():
        raise ValueError("the generator gives NaN or infinite pixels: check its weights")
    if (images - images[:1]).abs().max() <= NOISE:
        raise ValueError(
            "the generator gives one image for different latents: check latent_shape, and that it "
            "uses what it is given"
        )
    low, high = images.min().item(), images.max().item()
    if (images.abs() > WIDE).float().mean() > WIDE_SHARE:
        raise ValueError(
            f"pixels of the generator span {low:.3g} to {high:.3g}: scale them to -1 .. 1"
        )
    if low >= 0:
        raise ValueError(
            f"pixels of the generator span {low:.3g} to {high:.3g}, as if black were 0: "
            "scale them to -1 .. 1"
        )
