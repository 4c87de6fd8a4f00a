"""Checkpoints of ours: weights with everything that is needed to build the model again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pseudodensity.artifacts import ArtifactError
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.tensors import join_parts, load_tensors, save_tensors, split_parts

__all__ = ["CheckpointFile", "load_checkpoint", "load_generator", "save_checkpoint"]


@dataclass(frozen=True)
class CheckpointFile:
    """What a checkpoint holds.

    ``states`` maps ``average`` (the weights to sample from), ``generator`` and, for a GAN,
    ``discriminator`` to state dicts. ``settings`` maps ``generator`` and ``discriminator`` to the
    arguments of their constructors. ``facts`` says how training went.
    """

    architecture: str
    resolution: int
    settings: Mapping[str, Any]
    states: Mapping[str, Mapping[str, torch.Tensor]]
    facts: Mapping[str, Any]

    def build(self, part: str, backbone: nn.Module | None = None) -> nn.Module:
        """The module ``average`` | ``generator`` | ``discriminator`` with its weights; ``backbone``
        is the frozen feature network of a projected discriminator."""
        if part not in self.states:
            raise ArtifactError(f"this {self.architecture} checkpoint has no {part}")
        if part == "discriminator":
            settings = self.settings["discriminator"]
            module = build_discriminator(self.architecture, self.resolution, settings, backbone)
        else:
            module = build_generator(self.architecture, self.resolution, self.settings["generator"])
        module.load_state_dict(self.states[part])
        return module

    def frozen_generator(self, device: str = "cpu") -> nn.Module:
        """The averaged generator, frozen, in ``eval`` mode: deterministic in z."""
        return self.build("average").to(device).eval().requires_grad_(False)


def save_checkpoint(path: str | Path, checkpoint: CheckpointFile, spec: Mapping[str, Any]) -> None:
    """Write a checkpoint, stamped with the ``spec`` that defines it."""
    meta = {
        "architecture": checkpoint.architecture,
        "resolution": checkpoint.resolution,
        "settings": checkpoint.settings,
        "facts": checkpoint.facts,
    }
    save_tensors(path, join_parts(checkpoint.states), spec, meta)


def load_checkpoint(path: str | Path, spec: Mapping[str, Any] | None = None) -> CheckpointFile:
    """Read a checkpoint.

    Raises:
        ArtifactError: missing, damaged, no checkpoint, or made for another ``spec``.
    """
    tensors, meta = load_tensors(path, spec)
    if "architecture" not in meta:
        raise ArtifactError(f"{path} is no checkpoint of this project")
    states = split_parts(tensors)
    return CheckpointFile(
        meta["architecture"], meta["resolution"], meta["settings"], states, meta["facts"]
    )


def load_generator(
    path: str | Path, device: str = "cpu", spec: Mapping[str, Any] | None = None
) -> nn.Module:
    """:meth:`CheckpointFile.frozen_generator` of a file."""
    return load_checkpoint(path, spec).frozen_generator(device)
