"""Files that the project writes: whole or absent, and stamped with what defines them.

Everything goes through a temporary file in the same folder and ``os.replace``, so that a
killed job leaves either the old file or the new one. No file is ever unpickled. Light: tensors
have a module of their own (``tensors``), so that a table costs no import of torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "ArtifactError",
    "atomic_path",
    "file_sha256",
    "load_json",
    "one_line",
    "save_json",
    "save_npy",
]


LONGEST = 200  # characters of another library's message: PyTorch lists every weight that does not fit


class ArtifactError(ValueError):
    """A file is missing, damaged, or was made for another spec."""


def one_line(error: Exception) -> str:
    """What an error says, on one line and cut to a readable length; its type if it says nothing."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


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
