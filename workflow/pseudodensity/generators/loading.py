"""Open a generator of any architecture: a checkpoint of ours, or the file of a user."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from pseudodensity.generators.checkpoint import load_generator

__all__ = ["open_generator"]


def open_generator(path: str | Path, stamp: Mapping[str, Any], device: str = "cpu") -> nn.Module:
    """A frozen generator in eval mode.

    Args:
        stamp: of the checkpoint. ``architecture: external`` in its ``spec`` is a user's own file with
            ``latent_shape``, ``resolution`` of the images that it is compared with, and ``source``:
            ``format``, ``sha256``, which may be None for a program, ``trusted`` for TorchScript.

    ValueError, in one line: a file of another digest; images of another resolution; as
    `load_external_generator` and `load_generator`.
    """
    spec = stamp["spec"]
    if spec["architecture"] != "external":
        return load_generator(path, device, stamp)
    source = spec["source"]
    # By name, so that nothing else depends on the code that reads strangers' files.
    module = import_module("pseudodensity.generators.external")
    generator = module.load_external_generator(
        path,
        spec["latent_shape"],
        sha256=source["sha256"],
        trusted=source["format"] == "torchscript" and source["trusted"],
    )
    if generator.resolution != spec["resolution"]:
        raise ValueError(
            f"{path} makes images of {generator.resolution} pixels, but those of its data set have "
            f"{spec['resolution']}: set the resolution of the data set to {generator.resolution}"
        )
    return generator.to(device)
