"""Files that the project writes: whole or absent, and stamped with what defines them.

Everything goes through a temporary file in the same folder and ``os.replace``, so that a
killed job leaves either the old file or the new one. Tensors are safetensors with the spec in
the header; no file is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

__all__ = [
    "ArtifactError",
    "atomic_path",
    "file_sha256",
    "load_json",
    "load_tensors",
    "save_json",
    "save_npy",
    "save_tensors",
]


class ArtifactError(ValueError):
    """A file is missing, damaged, or was made for another spec."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the place of ``path`` on success only."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps an orphaned writer of a killed run from sharing our temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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


def save_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as readable JSON, refusing NaN (which JSON cannot hold)."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n")


def load_json(path: str | Path) -> Any:
    """Read JSON; :class:`ArtifactError` if the file is missing or damaged."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run the rule that makes it first") from None
    except ValueError as error:  # no JSON, or not even text
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None


def save_npy(path: str | Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``."""
    with atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.save(handle, array, allow_pickle=False)


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
