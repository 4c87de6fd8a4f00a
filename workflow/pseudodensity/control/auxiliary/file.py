"""Train an auxiliary network into its file, and read it again."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.train.finishing import complete
from pseudodensity.plan.auxiliaries import auxiliary_module
from pseudodensity.progress import Progress
from pseudodensity.tensors import load_tensors, save_tensors

__all__ = ["load_auxiliary", "train_auxiliary"]

# Between the name of a part and that of its tensor; it cannot occur in either.
_SEPARATOR = "|"


def train_auxiliary(
    name: str,
    workshop: Workshop,
    path: str | Path,
    workdir: str | Path,
    progress: Progress,
    *,
    stamp: Mapping[str, Any],
    code: str = "",
) -> None:
    """Train a network of ``control.auxiliary`` and write it; resumes from ``workdir``.

    Args:
        name: NAME of its module.
        workshop: the checkpoint that it belongs to, with its settings.
        stamp, code: as for `pseudodensity.control.train.pretraining.pretrain`.

    RuntimeError, in one line: the training collapsed, as the module says.
    """
    trainer = _module(name).trainer(workshop)

    def save(weights: Mapping[str, Any]) -> None:
        tensors = {
            f"{part}{_SEPARATOR}{key}": value
            for part, state in weights.items()
            for key, value in state.items()
        }
        told = {"network": name, "settings": dict(workshop.settings), "facts": trainer.facts()}
        save_tensors(path, tensors, stamp, told)

    iterations = workshop.settings["iterations"]
    complete(trainer, iterations, stamp, code, path, workdir, progress, save)


def load_auxiliary(path: str | Path, workshop: Workshop) -> Any:
    """What a column or a method computes with: see ``restore`` of the module that trained it.

    workshop: its settings are those of the file. ArtifactError: missing, damaged, or another file.
    """
    tensors, meta = load_tensors(path)
    states: dict[str, dict[str, Any]] = {}
    for key, value in tensors.items():
        part, name = key.split(_SEPARATOR, 1)
        states.setdefault(part, {})[name] = value
    own = Workshop(
        workshop.checkpoint,
        meta["settings"],
        workshop.seed,
        backbone=workshop.backbone,
        device=workshop.device,
    )
    return _module(meta["network"]).restore(states, meta["facts"], own)


def _module(name: str) -> ModuleType:
    return import_module(f"pseudodensity.{auxiliary_module(name)}")
