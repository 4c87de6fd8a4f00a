"""Files that the project writes: whole or absent, and sealed against damage.

Everything goes through a temporary file in the same folder and ``os.replace``, so that a
killed job leaves either the old file or the new one. Data files hold the SHA-256 of themselves,
with its own 64 digits taken as zeros: the seal covers every byte, needs no second file, and a
flipped bit is told before anything is parsed. No file is ever unpickled. Light: tensors have a
module of their own (``tensors``), so that a table costs no import of torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = [
    "BLANK",
    "ArtifactError",
    "atomic_path",
    "check_tensors",
    "damaged",
    "file_sha256",
    "load_json",
    "load_npy",
    "one_line",
    "save_json",
    "save_npy",
    "seal_npy",
    "seal_of",
    "seal_tensors",
]


# Characters of a message: PyTorch lists every weight that does not fit. Ours, with two paths in
# them and the way to mend it at the end, stay below.
LONGEST = 400
BLANK = "0" * 64  # where the digits of a seal will stand
CHUNK = 2**20  # bytes that are digested at once
JSON_END = b'"\n}\n'  # what follows the seal of a JSON file
# What stands before the seal in the header of a safetensors file: JSON inside JSON.
TENSORS_START = b'{"__metadata__":{"artifact":"{\\"digest\\": \\"'


class ArtifactError(ValueError):
    """A file is missing, damaged, or was made for another spec."""


def one_line(error: Exception) -> str:
    """What an error says, on one line and cut to a readable length; its type if it says nothing."""
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


def damaged(path: str | Path, reason: str) -> ArtifactError:
    """The error of a file that is not what was written."""
    return ArtifactError(f"{path} is damaged ({reason}): delete it and run again, or pull it again")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; it takes the place of ``path`` on success only.

    The file gets the mode that the umask asks for, whatever the writer gave it: some libraries
    make files that only their owner can read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process id keeps an orphaned writer of a killed run from sharing our temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(temporary, "wb") as handle:
            mode = os.fstat(handle.fileno()).st_mode & 0o777
        yield temporary
        os.chmod(temporary, mode)
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


# ---------------------------------------------------------------- seals


def _sealed_digest(handle: BinaryIO, place: int) -> bytes:
    """Hexadecimal SHA-256 of a file whose 64 digits at byte ``place`` count as zeros."""
    digest, left = hashlib.sha256(), place
    handle.seek(0)
    while left and (chunk := handle.read(min(left, CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    digest.update(BLANK.encode())
    handle.seek(place + len(BLANK))
    while chunk := handle.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest().encode()


def _seal(path: str | Path, place: int) -> None:
    """Write the digest of a whole file into it, over the :data:`BLANK` at byte ``place``."""
    with open(path, "r+b") as handle:
        digest = _sealed_digest(handle, place)
        handle.seek(place)
        handle.write(digest)


def _check_seal(path: str | Path, place: int) -> None:
    """Read a whole file and compare it with its seal at byte ``place``, in bounded memory.

    Raises:
        ArtifactError: a byte is not what was written, or the file has no seal.
    """
    with open(path, "rb") as handle:
        if place >= 0:
            handle.seek(place)
            if handle.read(len(BLANK)) == _sealed_digest(handle, place):
                return
    raise damaged(path, "its digest is not the one written in it")


def seal_of(path: str | Path) -> str:
    """The digest written in a sealed file: what the file holds, without reading it whole.

    ArtifactError: it is missing or has no seal.
    """
    kinds = {".safetensors": _place_in_tensors, ".json": _place_in_json}
    place = kinds.get(Path(path).suffix, _place_in_npy)(path)
    if place >= 0:
        with open(path, "rb") as handle:
            handle.seek(place)
            found = handle.read(len(BLANK))
        if re.fullmatch(rb"[0-9a-f]{64}", found):
            return found.decode()
    raise damaged(path, "it has no digest")


def _size(path: str | Path) -> int:
    """Bytes of a file. ArtifactError: it is missing or cannot be read."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(f"{path} does not exist: run the rule that makes it first") from None


# ---------------------------------------------------------------- tensors


def seal_tensors(path: str | Path) -> None:
    """Seal a finished safetensors file whose metadata has one key, ``artifact``: JSON that begins
    with ``{"digest": BLANK``."""
    place = _place_in_tensors(path)
    if place < 0:
        raise RuntimeError("safetensors changed how it writes metadata")
    _seal(path, place)


def check_tensors(path: str | Path) -> None:
    """Compare a safetensors file with its seal. ArtifactError: missing, damaged or without one."""
    _check_seal(path, _place_in_tensors(path))


def _place_in_tensors(path: str | Path) -> int:
    """Where the seal of a safetensors file begins; -1 if it has none. ArtifactError: no such file."""
    _size(path)
    with open(path, "rb") as handle:
        head = handle.read(8 + len(TENSORS_START))  # the first 8 bytes say how long the header is
    return len(head) if head[8:] == TENSORS_START else -1


# ---------------------------------------------------------------- JSON


def save_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write ``value`` as readable JSON with a seal, refusing NaN (which JSON cannot hold)."""
    text = json.dumps({**value, "digest": BLANK}, indent=1, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text)
        _seal(temporary, _place_in_json(temporary))


def load_json(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save_json` wrote; :class:`ArtifactError` if it is missing or damaged."""
    _check_seal(path, _place_in_json(path))
    value = json.loads(Path(path).read_text())
    del value["digest"]
    return value


def _place_in_json(path: str | Path) -> int:
    """Where the seal of a JSON file would begin; below 0 if it is too short for one."""
    return _size(path) - len(JSON_END) - len(BLANK)


# ---------------------------------------------------------------- arrays


def save_npy(path: str | Path, array: np.ndarray) -> None:
    """Write one array as ``.npy`` with a seal."""
    with atomic_path(path) as temporary:
        with open(temporary, "wb") as handle:
            np.save(handle, array, allow_pickle=False)
        seal_npy(temporary)


def seal_npy(path: str | Path) -> None:
    """Put a seal behind the array of a finished ``.npy``, as a second array of 64 bytes.

    An npy file may hold several arrays one after another, and ``np.load`` reads the first.
    """
    with open(path, "ab") as handle:
        np.save(handle, np.array(BLANK.encode()), allow_pickle=False)
    _seal(path, _place_in_npy(path))


def _place_in_npy(path: str | Path) -> int:
    """Where the seal behind an array would begin; below 0 if the file is too short for one."""
    return _size(path) - len(BLANK)


def load_npy(path: str | Path, *, mapped: bool = False, checked: bool = True) -> np.ndarray:
    """Read what :func:`save_npy` wrote.

    Args:
        mapped: a read-only memory map instead of an array in memory.
        checked: compare the seal, for which the whole file is read once in pieces. A map is
            checked on opening, not as its rows are read later. False where only the shape is
            wanted.

    Raises:
        ArtifactError: missing or damaged.
    """
    place = _place_in_npy(path)
    if checked:
        _check_seal(path, place)
    try:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise damaged(path, one_line(error)) from None


def file_sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
