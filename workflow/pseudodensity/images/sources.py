"""Where image files come from: a folder, a zip archive, or an LMDB as LSUN ships them."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import lmdb

from pseudodensity.artifacts import one_line
from pseudodensity.plan.files import folder_files, none_in, open_zip, place_of, zip_members

__all__ = ["LARGEST_FILE", "Source", "open_source"]

LARGEST_FILE = 256 * 2**20  # bytes of one image file; the largest photographs have a fifth of it
# Of a member of an archive at a time: what a step unpacks is limited only for some compressions.
STEP = 4096


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
    the kind says, a subfolder that cannot be read, a name twice in an archive, or no image in it.
    """
    place = place_of(kind, path)
    source = SOURCES[kind](place)
    if not len(source):
        source.close()
        raise ValueError(none_in(kind, path))
    return source


def _check_size(size: int) -> None:
    if size > LARGEST_FILE:
        raise ValueError(
            f"its {size / 2**20:,.0f} MiB are more than the {LARGEST_FILE / 2**20:.0f} MiB that an "
            "image file may have"
        )


class _Folder:
    def __init__(self, path: Path):
        self.path = path
        self.names = [name for name, _ in folder_files(path)]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def read(self, name: str) -> bytes:
        # Before it is opened: a pipe would wait for ever, and a device may do anything.
        status = (self.path / name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("neither a file nor a link to one")
        _check_size(status.st_size)
        with open(self.path / name, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
        _check_size(len(data))
        return data

    def close(self) -> None:
        pass


class _Zip:
    def __init__(self, path: Path):
        self.archive = open_zip(path)
        try:
            self.members = zip_members(self.archive, path)
        except ValueError:
            self.archive.close()
            raise

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def read(self, name: str) -> bytes:
        _check_size(self.members[name].file_size)
        try:
            return self._unpacked(self.members[name])
        except Exception as error:  # noqa: BLE001 - its decompressors raise nearly every type
            # Encrypted, damaged, or compressed in a way that this Python does not know.
            raise ValueError(one_line(error)) from None

    def _unpacked(self, member: zipfile.ZipInfo) -> bytes:
        data = bytearray()
        with self.archive.open(member) as file:
            while step := file.read(STEP):
                data += step
                _check_size(len(data))
        if len(data) != member.file_size:
            raise ValueError(f"it has {len(data)} bytes and the archive says {member.file_size}")
        return bytes(data)

    def close(self) -> None:
        self.archive.close()


class _Lmdb:
    def __init__(self, path: Path):
        try:
            # Without locks nothing is written, so read-only mounts and shared disks serve too.
            self.environment = lmdb.open(
                str(path), subdir=False, readonly=True, lock=False, readahead=False
            )
        except (lmdb.Error, OSError) as error:
            raise ValueError(
                f"{path} is not a readable LMDB ({one_line(error)}): correct `path` or `kind`"
            ) from None
        # The file is mapped into memory: a page beyond its end would kill the process.
        pages = self.environment.info()["last_pgno"] + 1
        needed, size = pages * self.environment.stat()["psize"], path.stat().st_size
        if size < needed:
            self.environment.close()
            raise ValueError(
                f"{path} has {size:,} of the {needed:,} bytes that it speaks of: copy it again"
            )
        self.transaction = self.environment.begin(buffers=True)

    def __len__(self) -> int:
        return self.environment.stat()["entries"]

    def __iter__(self) -> Iterator[str]:
        with self.transaction.cursor() as cursor:
            for key in cursor.iternext(keys=True, values=False):
                yield bytes(key).decode("utf-8", "surrogateescape")

    def read(self, name: str) -> bytes:
        try:
            value = self.transaction.get(name.encode("utf-8", "surrogateescape"))
        except lmdb.Error as error:
            raise ValueError(one_line(error)) from None
        _check_size(len(value))
        return bytes(value)

    def close(self) -> None:
        self.transaction.abort()
        self.environment.close()


SOURCES = {"folder": _Folder, "zip": _Zip, "lmdb": _Lmdb}
