"""ProGAN pickles of TensorFlow -> our modules.

Shapes tell the settings. TensorFlow has inputs before outputs in dense weights and both behind the
pixels in convolutions; a convolution that doubles the image is stored as a transposed one, hence
outputs before inputs and back to front. Only the last stage of growing is read.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.fit import channel_settings, check_architecture, extent, fit
from pseudodensity.checkpoints.reader import Network
from pseudodensity.checkpoints.tensorflow import read_tensorflow
from pseudodensity.generators.build import build_discriminator, build_generator

__all__ = ["convert_progan"]

# Public layer -> ours, at 4 px; at 8 px and more; and at the image.
SMALLEST = {"Dense": "", "Conv": ".conv", "Dense0": ".dense0", "Dense1": ".dense1"}
LARGER = {"Conv0_up": ".conv0", "Conv0": ".conv0", "Conv1": ".conv1", "Conv1_down": ".conv1"}
COLOURS = {"ToRGB_lod0": "torgb", "FromRGB_lod0": "fromrgb"}
# Of earlier stages of growing, and how far it has come.
UNUSED = re.compile(r"lod|(ToRGB|FromRGB)_lod[1-9][0-9]?/(weight|bias)")
# What our networks are fixed to; a file with another value is refused.
FIXED = {
    "label_size": 0,  # unconditional
    "normalize_latents": True,
    "use_wscale": True,
    "use_pixelnorm": True,
    "use_leakyrelu": True,
}


def convert_progan(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of a ProGAN pickle, as :func:`~.convert.convert` returns them.

    Raises:
        ArtifactError: the file cannot be read, or holds another architecture or variant, or a
            network that is still growing.
    """
    networks = read_tensorflow(path)
    average = networks["Gs"]
    check_architecture(average.tensors, average.kind, architecture)
    tensors = {role: _renamed(network) for role, network in networks.items()}
    resolution = max(
        4, *(int(size) for size in re.findall(r"\bb(\d{1,4})\.", " ".join(tensors["Gs"])))
    )
    generator = {
        "z_dim": extent(tensors["Gs"], "b4.weight", 1),
        **channel_settings(tensors["Gs"], r"b([0-9]{1,4})\.conv1?\.weight"),
    }
    discriminator = {
        **channel_settings(tensors["D"], r"b([0-9]{1,4})\.conv0?\.weight"),
        "group_size": _group_size(networks["D"]),
    }
    settings = {"resolution": resolution, "generator": generator, "discriminator": discriminator}
    build = partial(build_generator, architecture, resolution, generator)
    build_d = partial(build_discriminator, architecture, resolution, discriminator)
    what = f"ProGAN generator of {resolution} px"
    return {
        "settings": settings,
        "average": fit(build, tensors["Gs"], str, what),
        "generator": fit(build, tensors["G"], str, what),
        "discriminator": fit(
            build_d, tensors["D"], str, f"ProGAN discriminator of {resolution} px"
        ),
    }


def _group_size(network: Network) -> int:
    size = network.init.get("mbstd_group_size", 4)
    if type(size) is not int or size < 1:
        raise ArtifactError(f"holds mbstd_group_size = {size!r:.80}, which is no number of images")
    return size


def _renamed(network: Network) -> dict[str, Tensor]:
    """The tensors of the last stage, under our names and in our layout."""
    for name, ours in FIXED.items():
        if network.init.get(name, ours) != ours:
            raise ArtifactError(
                f"holds a variant with {name} = {network.init[name]!r:.80}: only {ours!r} is read"
            )
    tensors: Mapping[str, Tensor] = network.tensors
    if "lod" in tensors and tensors["lod"].any():
        raise ArtifactError(
            "holds a network that is still growing: take the last one of its training"
        )
    used = {name: value for name, value in tensors.items() if not UNUSED.fullmatch(name)}
    return {_our_name(name): _our_layout(name, value) for name, value in used.items()}


def _our_name(public: str) -> str:
    """Ours of a public name; one that is unknown stays as it is, and fits nothing."""
    layer, _, kind = public.rpartition("/")
    if layer in COLOURS:
        return f"{COLOURS[layer]}.{kind}"
    match = re.fullmatch(r"([0-9]{1,4})x\1/(\w+)", layer)
    known = SMALLEST if match and match[1] == "4" else LARGER
    return f"b{match[1]}{known[match[2]]}.{kind}" if match and match[2] in known else public


def _our_layout(public: str, value: Tensor) -> Tensor:
    if public.endswith("/Conv0_up/weight") and value.ndim == 4:
        return value.permute(2, 3, 0, 1).flip(2, 3).contiguous()
    if public.endswith("/weight") and value.ndim == 4:
        return value.permute(3, 2, 0, 1).contiguous()
    return value.t().contiguous() if value.ndim == 2 else value
