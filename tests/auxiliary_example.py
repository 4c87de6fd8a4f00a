"""Auxiliary networks of a tiny checkpoint, trained for a few steps."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pseudodensity.control.auxiliary.file import train_auxiliary
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.images.dataset import ImageSet
from pseudodensity.plan.auxiliaries import auxiliaries, auxiliary_module
from pseudodensity.plan.declared import declared, declared_by_name
from pseudodensity.progress import Progress

FEW = {"iterations": 3, "batch_size": 8, "warmup_iterations": 2, "anchors": 2}


def workshop_of(name: str, checkpoint: CheckpointFile, data: ImageSet, **more) -> Workshop:
    """Where a network is trained for a few steps."""
    settings = declared(auxiliary_module(name), "DEFAULTS")
    settings |= {key: FEW[key] for key in settings.keys() & FEW} | more
    return Workshop(checkpoint, settings, seed=0, data=data)


def networks_for(checkpoint: CheckpointFile) -> list[str]:
    """Names of the networks that a checkpoint can have, if it has the discriminator that it may have."""
    _, says = declared_by_name("generators", "DECLARATION", checkpoint.architecture)
    modules = auxiliaries().items()
    return [n for n, m in modules if not import_module(f"pseudodensity.{m}").why_not(says)]


def trained_auxiliaries(
    checkpoint: CheckpointFile, data: ImageSet, folder: Path
) -> dict[str, Path]:
    """Name of each network that the checkpoint can have -> its file."""
    made = {}
    for name in networks_for(checkpoint):
        path = folder / f"{name}.safetensors"
        train_auxiliary(
            name,
            workshop_of(name, checkpoint, data),
            path,
            folder / f"work-{name}",
            Progress(name, 10, every=1e9),
            stamp={"kind": "auxiliary", "spec": {"network": name}},
        )
        made[name] = path
    return made
