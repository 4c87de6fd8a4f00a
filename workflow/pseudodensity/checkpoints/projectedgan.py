"""ProjectedGAN pickles (FastGAN generator, projected discriminator) -> our modules.

The files store no constructor arguments; shapes tell the settings. Names differ in the spelling
of spectral normalisation and of the feature network, which our modules translate themselves.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.fit import check_architecture, extent, fit
from pseudodensity.checkpoints.reader import Network, read_networks
from pseudodensity.generators import fastgan
from pseudodensity.generators.build import build_discriminator, build_generator

__all__ = ["convert_projectedgan"]

# The feature network of every published model; its weights are part of the checkpoint.
FEATURES = {"kind": "timm", "name": "tf_efficientnet_lite0", "weights": None}


def convert_projectedgan(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of a ProjectedGAN pickle, as :func:`~.convert.convert` returns them.

    Raises:
        ArtifactError: the file cannot be read or holds another generator or discriminator.
    """
    networks = read_networks(path)
    if "G_ema" not in networks:
        raise ArtifactError(f"holds only {', '.join(networks)}: the averaged G_ema is needed")
    average, discriminator = networks["G_ema"], networks.get("D")
    check_architecture(average.tensors, average.kind, architecture)
    resolution, generator_settings = _generator_settings(average)
    settings = {"resolution": resolution, "generator": generator_settings, "discriminator": None}
    build = partial(build_generator, architecture, resolution, generator_settings)
    what = f"FastGAN generator of {resolution} px"
    states = {
        "average": fit(build, average.tensors, fastgan.public_key, what),
        # A file without the raw generator continues from the average.
        "generator": fit(build, networks.get("G", average).tensors, fastgan.public_key, what),
        "discriminator": None,
    }
    if discriminator is not None:
        settings["discriminator"] = _discriminator_settings(discriminator)
        states["discriminator"] = _discriminator(discriminator, architecture, settings)
    return {"settings": settings, **states}


def _generator_settings(network: Network) -> tuple[int, dict[str, int]]:
    blocks = (re.match(r"synthesis\.feat_([0-9]{1,4})\.", name) for name in network.tensors)
    resolution = max((int(match[1]) for match in blocks if match), default=0)
    name = "synthesis.init.init.0.weight_orig"
    z_dim, channels = extent(network.tensors, name), extent(network.tensors, name, 1)
    # The first map has 16 ngf channels, twice that before the gated linear unit.
    return resolution, {"z_dim": z_dim, "ngf": channels // 32}


def _discriminator_settings(network: Network) -> dict[str, Any]:
    name = "feature_network.scratch.layer0_ccm.weight"
    if name not in network.tensors:
        raise ArtifactError(f"holds {network.kind[:80]} as D, which is no projected discriminator")
    return {"width": extent(network.tensors, name), "features": dict(FEATURES)}


def _discriminator(network: Network, architecture: str, settings: dict[str, Any]) -> dict[str, Any]:
    # Imported when there is one to convert, because it loads timm.
    from pseudodensity.generators.projected import public_key

    resolution = settings["resolution"]
    build = partial(build_discriminator, architecture, resolution, settings["discriminator"])
    return fit(build, network.tensors, public_key, f"projected discriminator of {resolution} px")
