"""Named tensors in files of ours: safetensors with the spec that defines them in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pseudodensity.artifacts import ArtifactError, atomic_path

__all__ = ["load_tensors", "save_tensors"]


def _as_tensor(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
    return tensor.detach().cpu().contiguous().clone()


def save_tensors(
    path: str | Path,
    tensors: Mapping[str, torch.Tensor | np.ndarray],
    spec: Mapping[str, Any],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write named tensors with the ``spec`` that defines them and free ``meta`` data.

    Args:
        path: target ``.safetensors`` file.
        tensors: name -> tensor or array, any shape and dtype that safetensors knows.
        spec: JSON-able description of what the file is; :func:`load_tensors` compares it.
        meta: JSON-able facts about how it came out (losses, counts, seconds).
    """
    header = {"spec": json.dumps(spec, sort_keys=True), "meta": json.dumps(meta or {})}
    with atomic_path(path) as temporary:
        save_file({k: _as_tensor(v) for k, v in tensors.items()}, temporary, metadata=header)


def load_tensors(
    path: str | Path, spec: Mapping[str, Any] | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file of :func:`save_tensors`: ``(tensors, meta)``.

    Raises:
        ArtifactError: the file is missing or damaged, or ``spec`` is given and differs from the
            one in the file.
    """
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: run the rule that makes it first")
    try:
        with safe_open(path, framework="pt") as handle:
            header = handle.metadata() or {}
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None
    if spec is not None:
        _check_spec(path, json.loads(header.get("spec", "null")), spec)
    return tensors, json.loads(header.get("meta", "{}"))


def _check_spec(path: Path, found: Any, wanted: Mapping[str, Any]) -> None:
    wanted = json.loads(json.dumps(wanted))
    if found == wanted:
        return
    keys = sorted(set(found or {}) | set(wanted))
    differing = [k for k in keys if (found or {}).get(k) != wanted.get(k)]
    raise ArtifactError(
        f"{path} was made for another spec (it differs in {', '.join(differing)}): "
        "delete it, or restore the one that belongs to this config"
    )
