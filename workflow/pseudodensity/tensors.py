"""Named tensors in files of ours: safetensors with a seal and the spec that defines them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pseudodensity.artifacts import (
    BLANK,
    ArtifactError,
    atomic_path,
    check_tensors,
    damaged,
    one_line,
    seal_tensors,
)

__all__ = [
    "NonFiniteError",
    "join_parts",
    "load_tensors",
    "non_finite",
    "refuse_non_finite",
    "save_tensors",
    "split_parts",
]

# Between the name of a part of a file and that of its tensor; it cannot occur in either.
_SEPARATOR = "|"


class NonFiniteError(ValueError):
    """Numbers that must be finite hold NaN or infinity."""


def non_finite(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity, in their order."""
    # A sum is ten times as fast as a look at each number, and finite only if all of them are.
    return [
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point()
        and not torch.isfinite(tensor.sum())
        and not torch.isfinite(tensor).all()
    ]


def refuse_non_finite(tensors: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """NonFiniteError, in one line: tensors of ``where``, a file or a model, hold NaN or infinity."""
    if bad := non_finite(tensors):
        raise NonFiniteError(
            f"{where} holds NaN or infinity in {len(bad)} of {len(tensors)} tensors, first "
            f"{bad[0]}: get or train it again"
        )


def _as_tensor(value: torch.Tensor | np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
    return tensor.detach().cpu().contiguous().clone()


def save_tensors(
    path: str | Path,
    tensors: Mapping[str, torch.Tensor | np.ndarray],
    spec: Mapping[str, Any],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write named tensors with the ``spec`` that defines them and free ``meta`` data, sealed.

    The same arguments give the same bytes, in any process: what was measured with a clock belongs
    elsewhere.

    Args:
        path: target ``.safetensors`` file.
        tensors: name -> tensor or array, any shape and dtype that safetensors knows.
        spec: JSON-able description of what the file is; :func:`load_tensors` compares it.
        meta: JSON-able facts about how it came out (losses, counts).
    """
    # One key: safetensors writes several in random order. The digest comes first in it.
    facts = {"digest": BLANK, "meta": meta or {}, "spec": spec}
    header = {"artifact": json.dumps(facts, sort_keys=True)}
    with atomic_path(path) as temporary:
        save_file({k: _as_tensor(v) for k, v in tensors.items()}, temporary, metadata=header)
        seal_tensors(temporary)


def load_tensors(
    path: str | Path, spec: Mapping[str, Any] | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file of :func:`save_tensors`: ``(tensors, meta)``.

    Raises:
        ArtifactError: the file is missing, a byte of it is not what was written, or ``spec`` is
            given and differs from the one in the file.
    """
    path = Path(path)
    check_tensors(path)
    try:
        with safe_open(path, framework="pt") as handle:
            facts = json.loads(handle.metadata()["artifact"])
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(path, one_line(error)) from None
    if spec is not None:
        _check_spec(path, facts["spec"], spec)
    return tensors, facts["meta"]


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


def join_parts(
    parts: Mapping[str, Mapping[str, torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """State dicts by the name of their part as tensors of one file."""
    return {
        f"{part}{_SEPARATOR}{name}": value
        for part, state in parts.items()
        for name, value in state.items()
    }


def split_parts(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """What `join_parts` joined."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        part, name = key.split(_SEPARATOR, 1)
        parts.setdefault(part, {})[name] = value
    return parts
