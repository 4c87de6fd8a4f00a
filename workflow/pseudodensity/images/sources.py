"""Where image files come from: a folder, a zip archive, or an LMDB as LSUN ships them."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import lmdb

from pseudodensity.artifacts import one_line

__all__ = ["KINDS", "Source", "open_source"]

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff", ".jp2"),
    *(".pbm", ".pgm", ".ppm", ".pnm"),
)


class Source(Protocol):
    """Named image files in a fixed order; `read` raises ValueError or OSError for a damaged one."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def read(self, name: str) -> bytes: ...

    def close(self) -> None: ...


def open_source(kind: str, path: str | Path) -> Source:
    """Open a source of kind 'folder', 'zip' or 'lmdb'.

    Folders (searched to the bottom) and archives are taken in the sorted order of their names,
    an LMDB in the order of its keys, which is the order that "the first 200,000 images of
    LSUN-Bedroom" refers to. ValueError: unknown kind, nothing at the path, something else than
    the kind says, or no image in it.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown data set kind {kind!r}: use one of {', '.join(KINDS)}")
    path = Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"data set path {path} does not exist: correct `path` in the config")
    source = KINDS[kind](path)
    if not len(source):
        source.close()
        wanted = "entries" if kind == "lmdb" else f"files ending in {' '.join(SUFFIXES)}"
        raise ValueError(f"{kind} {path} holds no images: put in {wanted}, or correct `path`")
    return source


def _is_image(name: str) -> bool:
    # Hidden files include the "._photo.jpg" that macOS leaves beside every photo.
    hidden = any(part.startswith((".", "__MACOSX")) for part in name.split("/"))
    return not hidden and name.lower().endswith(SUFFIXES)


class _Folder:
    def __init__(self, path: Path):
        if not path.is_dir():
            raise ValueError(
                f"{path} is not a folder: correct `path`, or set `kind` to zip or lmdb"
            )
        self.path = path
        self.names = sorted(name for name in self._walk() if _is_image(name))

    def _walk(self) -> Iterator[str]:
        visited = set()
        for folder, children, files in os.walk(self.path, followlinks=True):
            # Links may lead back up; following each real folder once ends such loops.
            real = os.path.realpath(folder)
            if real in visited:
                children.clear()
                continue
            visited.add(real)
            children.sort()
            for file in files:
                yield (Path(folder) / file).relative_to(self.path).as_posix()

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def close(self) -> None:
        pass


class _Zip:
    def __init__(self, path: Path):
        try:
            self.archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise ValueError(
                f"{path} is not a readable zip archive ({one_line(error)}): correct `path` or `kind`"
            ) from None
        self.names = sorted(name for name in self.archive.namelist() if _is_image(name))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def read(self, name: str) -> bytes:
        try:
            return self.archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            # RuntimeError: encrypted, or compressed in a way that this Python does not know.
            raise ValueError(one_line(error)) from None

    def close(self) -> None:
        self.archive.close()


class _Lmdb:
    def __init__(self, path: Path):
        if path.is_dir() and not (path / "data.mdb").is_file():
            raise ValueError(f"{path} holds no data.mdb: set `path` to the folder of the LMDB")
        try:
            # Without locks nothing is written, so read-only mounts and shared disks serve too.
            self.environment = lmdb.open(
                str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False
            )
            self.transaction = self.environment.begin()
        except (lmdb.Error, OSError) as error:
            raise ValueError(
                f"{path} is not a readable LMDB ({one_line(error)}): correct `path` or `kind`"
            ) from None

    def __len__(self) -> int:
        return self.environment.stat()["entries"]

    def __iter__(self) -> Iterator[str]:
        with self.transaction.cursor() as cursor:
            for key in cursor.iternext(keys=True, values=False):
                yield key.decode("utf-8", "surrogateescape")

    def read(self, name: str) -> bytes:
        try:
            return self.transaction.get(name.encode("utf-8", "surrogateescape"))
        except lmdb.Error as error:
            raise ValueError(one_line(error)) from None

    def close(self) -> None:
        self.transaction.abort()
        self.environment.close()


KINDS = {"folder": _Folder, "zip": _Zip, "lmdb": _Lmdb}
