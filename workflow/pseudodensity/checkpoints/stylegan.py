"""NVlabs PyTorch pickles of StyleGAN2 and StyleGAN3-T -> our modules, which carry their names.

What shapes can tell (sizes, channels, numbers of layers) is read from the shapes, the rest from
the constructor arguments and plain attributes that the file stores.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.fit import channel_settings, check_architecture, extent, fit
from pseudodensity.checkpoints.reader import Network, read_networks
from pseudodensity.generators.build import build_discriminator, build_generator

__all__ = ["convert_stylegan"]

# Arguments of our StyleGAN3 generator that its published constructor calls the same.
STYLEGAN3_LAYER = ("conv_clamp", "magnitude_ema_beta")
STYLEGAN3_SYNTHESIS = (
    "num_critical",
    "first_cutoff",
    "first_stopband",
    "last_stopband_rel",
    "margin_size",
    "channel_base",
    "channel_max",
    "output_scale",
)
# What our networks are fixed to; a file with another value is refused.
FIXED = {
    "c_dim": 0,  # unconditional
    "activation": "lrelu",
    "conv_kernel": 3,  # 1 in the rotation-equivariant StyleGAN3-R
    "use_radial_filters": False,
    "filter_size": 6,
    "lrelu_upsampling": 2,
    "use_noise": True,
}
# Pixels of a side from which on what a layer of StyleGAN3 makes is too much to keep for a gradient: of one image of
# 1,024 px more than 18 GB, against 9 with recomputation.
RECOMPUTED = 512


def convert_stylegan(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of an NVlabs pickle, as :func:`~.convert.convert` returns them.

    Raises:
        ArtifactError: the file cannot be read, or holds another architecture or variant.
    """
    networks = read_networks(path)
    if "G_ema" not in networks:
        raise ArtifactError(f"holds only {', '.join(networks)}: the averaged G_ema is needed")
    average, discriminator = networks["G_ema"], networks.get("D")
    check_architecture(average.tensors, average.kind, architecture)
    _check_variant(average)
    resolution = _arguments(average, img_resolution="img_resolution").get("img_resolution")
    if resolution is None:
        raise ArtifactError("holds a generator without img_resolution")
    read = _stylegan3_settings if architecture == "stylegan3" else _stylegan2_settings
    settings = {"resolution": resolution, "generator": read(average), "discriminator": None}
    if architecture == "stylegan3" and resolution >= RECOMPUTED:
        settings["generator"]["recompute"] = True
    build = partial(build_generator, architecture, resolution, settings["generator"])
    what = f"{architecture} generator of {resolution} px"
    states = {"average": fit(build, average.tensors, str, what), "discriminator": None}
    # A file without the raw generator continues from the average.
    states["generator"] = fit(build, networks.get("G", average).tensors, str, what)
    if discriminator is not None:
        settings["discriminator"] = _discriminator_settings(discriminator)
        build = partial(build_discriminator, architecture, resolution, settings["discriminator"])
        what = f"{architecture} discriminator of {resolution} px"
        states["discriminator"] = fit(build, discriminator.tensors, str, what)
    return {"settings": settings, **states}


def _arguments(network: Network, **attributes: str) -> dict[str, Any]:
    """Constructor arguments as they were passed, or else as the named attribute keeps them.

    For those that the file stores in neither way the defaults of our network hold.
    """
    found = {}
    for name, attribute in attributes.items():
        for place, key in ((network.init, name), (network.attributes, attribute)):
            if key in place and name not in found:
                found[name] = _number(name, place[key])
    return found


def _number(name: str, value: Any) -> int | float | None:
    if not isinstance(value, (int, float, type(None))):
        raise ArtifactError(f"holds {name} = {value!r:.80}, which is no number")
    return value


def _nested(network: Network, name: str) -> dict[str, Any]:
    values = network.init.get(name)
    return values if isinstance(values, dict) else {}


def _check_variant(network: Network) -> None:
    for name, ours in FIXED.items():
        value = network.init.get(name, network.attributes.get(name, ours))
        if value != ours:
            raise ArtifactError(
                f"holds a variant with {name} = {value!r:.80}: only {ours!r} is read"
            )


def _mapping_settings(network: Network) -> dict[str, Any]:
    tensors = network.tensors
    layers = (re.fullmatch(r"mapping\.fc\d+\.weight", name) for name in tensors)
    passed = _nested(network, "mapping_kwargs")
    beta = passed.get("w_avg_beta", network.attributes.get("mapping.w_avg_beta"))
    return {
        "z_dim": extent(tensors, "mapping.fc0.weight", 1),
        "w_dim": extent(tensors, "mapping.w_avg"),
        "mapping_layers": sum(map(bool, layers)),
        **({} if beta is None else {"w_avg_beta": _number("w_avg_beta", beta)}),
    }


def _stylegan2_settings(network: Network) -> dict[str, Any]:
    return {
        **_mapping_settings(network),
        **channel_settings(network.tensors, r"synthesis\.b([0-9]{1,4})\.conv1\.weight"),
        **_arguments(network, conv_clamp="synthesis.b4.conv1.conv_clamp"),
    }


def _stylegan3_settings(network: Network) -> dict[str, Any]:
    matches = (re.fullmatch(r"(synthesis\.L\d+_\w+)\.weight", name) for name in network.tensors)
    layers = [match[1] for match in matches if match]
    if not layers:
        raise ArtifactError("holds a StyleGAN3 generator without layers")
    attributes = {name: f"synthesis.{name}" for name in STYLEGAN3_SYNTHESIS}
    attributes |= {name: f"{layers[0]}.{name}" for name in STYLEGAN3_LAYER}
    return {
        **_mapping_settings(network),
        "num_layers": len(layers) - 1,
        **_arguments(network, **attributes),
    }


def _discriminator_settings(network: Network) -> dict[str, Any]:
    passed = _nested(network, "epilogue_kwargs")
    group = passed.get("mbstd_group_size", network.attributes.get("b4.mbstd.group_size", 4))
    return {
        **channel_settings(network.tensors, r"b([0-9]{1,4})\.conv0?\.weight"),
        **_arguments(network, conv_clamp="b4.conv.conv_clamp"),
        "group_size": _number("mbstd_group_size", group),
    }
