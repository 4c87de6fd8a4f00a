"""StyleGAN2 pickles of TensorFlow (configuration F) -> our modules.

Shapes tell the settings. TensorFlow has inputs before outputs in dense weights and both behind the
pixels in convolutions, keeps the kernels of doubling convolutions back to front, and the biases of
styles without the 1 that it adds. The low-pass filters are no variables: those of the paper hold.

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
from pseudodensity.generators.filters import resample_kernel

__all__ = ["convert_stylegan_tensorflow"]

# Public layer of a block -> ours.
SYNTHESIS = {
    "Const": "",
    "Conv": ".conv1",
    "Conv0_up": ".conv0",
    "Conv1": ".conv1",
    "ToRGB": ".torgb",
}
DISCRIMINATOR = {"FromRGB": ".fromrgb", "Conv0": ".conv0", "Conv1_down": ".conv1", "Skip": ".skip"}
DISCRIMINATOR |= {"Conv": ".conv", "Dense0": ".fc"}
KINDS = {"mod_weight": "affine.weight", "mod_bias": "affine.bias"}
# How networks join the images or maps of their blocks; a file with other ways is refused.
ARCHITECTURES = {"G": "skip", "Gs": "skip", "D": "resnet"}


def convert_stylegan_tensorflow(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of a StyleGAN2 pickle, as :func:`~.convert.convert` returns them.

    Raises:
        ArtifactError: the file cannot be read, or holds another architecture or variant.
    """
    networks = read_tensorflow(path)
    for role, network in networks.items():
        _check_variant(network, ARCHITECTURES[role])
    tensors = {role: _generator(networks[role].tensors) for role in ("G", "Gs")}
    tensors["D"] = _discriminator(networks["D"].tensors)
    average = tensors["Gs"]
    check_architecture(average, networks["Gs"].kind, architecture)
    sizes = re.findall(r"synthesis\.b(\d{1,4})\.", " ".join(average))
    resolution = max(4, *map(int, sizes))
    generator = {
        "z_dim": extent(average, "mapping.fc0.weight", 1),
        "w_dim": extent(average, "mapping.w_avg"),
        "mapping_layers": sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", n)) for n in average),
        "w_avg_beta": _number(networks["Gs"], "dlatent_avg_beta", 0.995),
        **channel_settings(average, r"synthesis\.b([0-9]{1,4})\.conv1\.weight"),
    }
    discriminator = {
        **channel_settings(tensors["D"], r"b([0-9]{1,4})\.conv0?\.weight"),
        "group_size": _number(networks["D"], "mbstd_group_size", 4),
    }
    settings = {"resolution": resolution, "generator": generator, "discriminator": discriminator}
    build = partial(build_generator, architecture, resolution, generator)
    build_d = partial(build_discriminator, architecture, resolution, discriminator)
    what = f"{architecture} generator of {resolution} px"
    what_d = f"{architecture} discriminator of {resolution} px"
    return {
        "settings": settings,
        "average": fit(build, average, str, what),
        "generator": fit(build, tensors["G"], str, what),
        "discriminator": fit(build_d, tensors["D"], str, what_d),
    }


def _check_variant(network: Network, blocks: str) -> None:
    """blocks: how the images of a generator, or the maps of a discriminator, are joined."""
    for name, ours in {"label_size": 0, "normalize_latents": True, "architecture": blocks}.items():
        value = network.init.get(name, ours)
        if value != ours:
            raise ArtifactError(
                f"holds a variant with {name} = {value!r:.80}: only {ours!r} is read"
            )


def _number(network: Network, name: str, default: float) -> int | float:
    value = network.init.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArtifactError(f"holds {name} = {value!r:.80}, which is no number")
    return value


def _generator(public: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under our names and in our layout; what is unknown keeps its name, and fits nothing."""
    tensors = {}
    for name, value in public.items():
        folder, _, rest = name.partition("/")
        if name == "dlatent_avg":
            tensors["mapping.w_avg"] = value
        elif match := re.fullmatch(r"mapping/Dense(\d+)/(weight|bias)", name):
            tensors[f"mapping.fc{match[1]}.{match[2]}"] = _our_layout(name, value)
        elif match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
            # Two maps at each size from 8 px on, and one at 4 px, which is the second there.
            size, layer = 2 ** ((int(match[1]) + 5) // 2), (int(match[1]) + 1) % 2
            tensors[f"synthesis.b{size}.conv{layer}.noise_const"] = value.squeeze()
        elif folder == "synthesis":
            tensors[f"synthesis.{_layer(rest, SYNTHESIS)}"] = _our_layout(name, value)
        else:
            tensors[name] = value
    return tensors | _filters(tensors)


def _discriminator(public: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As of the generator."""
    tensors = {}
    for name, value in public.items():
        ours = name.replace("Output/", "b4.out.") if name.startswith("Output/") else None
        tensors[ours or _layer(name, DISCRIMINATOR)] = _our_layout(name, value)
    return tensors | _filters(tensors)


def _layer(public: str, known: Mapping[str, str]) -> str:
    """Our name of a layer's variable in a block, such as "8x8/Conv1/mod_weight"."""
    match = re.fullmatch(r"(\d{1,4})x\1/(\w+)/(\w+)", public)
    if not match or match[2] not in known:
        return public
    return f"b{match[1]}{known[match[2]]}.{KINDS.get(match[3], match[3])}"


def _our_layout(public: str, value: Tensor) -> Tensor:
    layer, _, kind = public.rpartition("/")
    if kind == "const":
        return value.squeeze(0)
    if kind == "mod_bias":
        return value + 1
    if kind == "weight" and value.ndim == 4:
        turned = value.permute(3, 2, 0, 1)
        return (turned.flip(2, 3) if layer.endswith("Conv0_up") else turned).contiguous()
    return value.t().contiguous() if value.ndim == 2 else value


def _filters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The filters that our networks keep beside convolutions, and beside blocks of two of them."""
    layers = {
        n.rpartition(".")[0] for n, v in tensors.items() if n.endswith(".weight") and v.ndim == 4
    }
    layers = {layer for layer in layers if not layer.endswith("torgb")}
    layers |= {layer.removesuffix(".conv1") for layer in layers if layer.endswith(".conv1")}
    return {f"{layer}.resample_filter": resample_kernel() for layer in layers}
