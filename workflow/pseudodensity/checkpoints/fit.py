"""Matching the tensors of a public file, name by name and shape by shape, to one of our networks.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.reader import plain_reason

__all__ = ["channel_settings", "check_architecture", "extent", "fit"]

# One public name that tells each architecture's generator from the others'.
MARKS = {
    "stylegan2": "synthesis.b4.const",
    "stylegan3": "synthesis.input.freqs",
    "progan": "4x4/Dense/weight",
    "projectedgan": "synthesis.init.init.0.weight_orig",
    "biggan": "generator.gen_z.weight_orig",
    "class_diffusion": "label_emb.weight",
    "diffusion": "input_blocks.0.0.weight",
}


def check_architecture(tensors: Mapping[str, Tensor], kind: str, architecture: str) -> None:
    """ArtifactError unless public ``tensors`` are a generator of ``architecture``.

    ``kind`` is what the file itself calls them.
    """
    found = next((name for name, mark in MARKS.items() if mark in tensors), None)
    if found != architecture:
        known = f"a {found} generator" if found else f"an unknown network of {len(tensors)} tensors"
        raise ArtifactError(f"holds {known} ({kind[:80]}), not a {architecture} generator")


def extent(tensors: Mapping[str, Tensor], name: str, axis: int = 0) -> int:
    """Length of one axis of a public tensor; ArtifactError if there is no such tensor or axis."""
    shape = tensors[name].shape if name in tensors else ()
    if axis >= len(shape):
        raise ArtifactError(f"holds no {name} of a known shape")
    return shape[axis]


def channel_settings(tensors: Mapping[str, Tensor], pattern: str) -> dict[str, int]:
    """channel_base and channel_max that give the channels of the weights ``pattern`` names.

    Channels are min(channel_base // size, channel_max), size being the first group of the pattern.
    ArtifactError: it names none.
    """
    matches = filter(None, (re.fullmatch(pattern, name) for name in tensors))
    channels = {int(match[1]): extent(tensors, match[0]) for match in matches}
    if not channels:
        raise ArtifactError("holds a network without the convolutions that tell its size")
    base = max(size * count for size, count in channels.items())
    return {"channel_base": base, "channel_max": max(channels.values())}


def fit(
    build: Callable[[], nn.Module],
    tensors: Mapping[str, Tensor],
    public_key: Callable[[str], str],
    what: str,
) -> dict[str, Tensor]:
    """State dict, under our names, of the network that ``build`` makes.

    Args:
        build: makes the network; it is called on the meta device, without memory.
        tensors: public name -> tensor; each is used exactly once.
        public_key: our name -> public name.
        what: the network, for messages.

    Raises:
        ArtifactError: the network cannot be built, or a tensor is missing, left over or of
            another shape.
    """
    try:
        with torch.device("meta"):
            wanted = build().state_dict()
    # The settings come from the file, so they may be anything.
    except Exception as error:  # noqa: BLE001
        reason = plain_reason(error)
        raise ArtifactError(f"holds settings that make no {what}: {reason}") from None
    names = {public_key(name): name for name in wanted}
    missing = sorted(set(names) - set(tensors))
    unknown = sorted(set(tensors) - set(names))
    shapes = {
        public: (tuple(tensors[public].shape), tuple(wanted[name].shape))
        for public, name in names.items()
        if public in tensors and tensors[public].shape != wanted[name].shape
    }
    faults = []
    if missing:
        faults.append(f"{len(missing)} tensors are missing (first {missing[0]})")
    if unknown:
        faults.append(f"{len(unknown)} are unknown (first {unknown[0][:200]})")
    if shapes:
        public, (found, expected) = next(iter(shapes.items()))
        faults.append(
            f"{len(shapes)} have another shape (first {public}: found {found}, expected {expected})"
        )
    if faults:
        raise ArtifactError(f"does not fit a {what}: {', '.join(faults)}")
    return {name: tensors[public] for public, name in names.items()}
