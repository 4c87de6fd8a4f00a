"""The image files of a data set as they lie: names, sizes and times of change, without opening an image.

The plan asks whether they changed, the reader walks them in the same way. Light: no Pillow, no lmdb.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
import unicodedata
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pseudodensity.artifacts import one_line

__all__ = [
    "FEWEST_IMAGES",
    "FORMATS",
    "KINDS",
    "Listing",
    "absent",
    "folder_files",
    "how_to_get",
    "list_files",
    "open_zip",
    "place_of",
    "shown",
    "zip_members",
]

KINDS = ("folder", "zip", "lmdb", "idx")

# A data set of the pipeline has at least so many: neighbours and percentiles of fewer say nothing.
FEWEST_IMAGES = 10

# What the end of a name says of the content, as Pillow calls it; other formats are never opened.
FORMATS = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".pbm", ".pgm", ".ppm", ".pnm"), "PPM"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jp2": "JPEG2000",
}
SUFFIXES = tuple(FORMATS)
# Hidden files include the "._photo.jpg" that macOS leaves beside every photo.
HIDDEN = (".", "__MACOSX")
# Line ends, other control characters, and the halves by which Python writes bytes that are not UTF-8.
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")

# Folders that a target of the Makefile fills.
MADE = {"downloads/faces/": "make faces"}


@dataclass(frozen=True)
class Listing:
    """count: image files; None for an LMDB, which only its library can count, and IDX. digest: 64
    hexadecimal digits, others as soon as a file is added, taken away, renamed or written anew."""

    count: int | None
    digest: str


def list_files(kind: str, path: str | Path) -> Listing:
    """The image files of a data set of kind folder, zip, lmdb or idx, without opening any.

    ValueError, in one line: as `place_of`; a subfolder that cannot be read; a damaged archive, or
    one with a name twice; no images.
    """
    place = place_of(kind, path)
    if kind == "folder":
        entries: Iterable[tuple[str, os.stat_result | None]] = (files := folder_files(place))
        count = len(files)
    else:
        entries, count = [("", place.stat())], None
    if kind == "zip":
        with open_zip(place) as archive:
            count = len(zip_members(archive, place))
    if count == 0:
        raise ValueError(none_in(kind, path))
    digest = hashlib.sha256()
    for name, status in entries:
        size, time = (status.st_size, status.st_mtime_ns) if status else (-1, -1)
        digest.update(b"%b\0%d\0%d\0" % (os.fsencode(name), size, time))
    return Listing(count, digest.hexdigest())


def absent(place: str, path: str, otherwise: str, *, folder: bool = False) -> str:
    """That a file of a config is not there and what to do about it, in one line; "" if it is there.

    Args:
        place: of the path in the config. otherwise: see `how_to_get`. folder: whether it may be one.
    """
    there = os.path.exists if folder else os.path.isfile
    if there(path):
        return ""
    return f"config: {place} is {path!r}, which does not exist: {how_to_get(path, otherwise)}"


def how_to_get(path: str, otherwise: str) -> str:
    """What to do about a file of a config that is not there: run what makes it, or `otherwise`."""
    command = next((made for folder, made in MADE.items() if path.startswith(folder)), None)
    return f"run `{command}`, which makes it" if command else otherwise


def place_of(kind: str, path: str | Path) -> Path:
    """The folder, archive or LMDB file at a path, where it is what the kind says.

    ValueError, in one line: an unknown kind; nothing there; something else there.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown data set kind {kind!r}: use one of {', '.join(KINDS)}")
    place = Path(path).expanduser()
    try:
        if kind == "lmdb" and place.is_dir():
            return _place_in_lmdb(place)
        mode = place.stat().st_mode
    except FileNotFoundError:
        raise ValueError(
            f"data set path {path} does not exist: put the images there, or correct path"
        ) from None
    except OSError as error:
        raise ValueError(f"{path} cannot be looked at ({_said(error)}): correct `path`") from None
    if kind == "folder" and not stat.S_ISDIR(mode):
        raise ValueError(f"{path} is not a folder: correct `path`, or set `kind` to zip or lmdb")
    if kind != "folder" and not stat.S_ISREG(mode):
        what = {"zip": "zip archive", "lmdb": "LMDB", "idx": "IDX file"}[kind]
        found = "a folder" if stat.S_ISDIR(mode) else "neither file nor folder"
        raise ValueError(
            f"{path} is not a readable {what} (it is {found}): correct `path` or `kind`"
        )
    return place


def _place_in_lmdb(folder: Path) -> Path:
    if not (folder / "data.mdb").is_file():
        raise ValueError(f"{folder} holds no data.mdb: set `path` to the folder of the LMDB")
    return folder / "data.mdb"


def none_in(kind: str, path: str | Path) -> str:
    """What is said of a data set without images."""
    wanted = "entries" if kind == "lmdb" else f"files ending in {' '.join(SUFFIXES)}"
    return f"{kind} {path} holds no images: put in {wanted}, or correct `path`"


def folder_files(folder: Path) -> list[tuple[str, os.stat_result | None]]:
    """Names of all image files of a folder, searched to the bottom, sorted, relative to it, with "/".

    Links are followed, each folder once. Hidden files and folders are left out. The second part is
    None where there is nothing behind a link. ValueError: a subfolder that cannot be read.
    """
    found: list[tuple[str, os.stat_result | None]] = []
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            status = os.stat(folder / inside)
            # Links may lead back up; entering each real folder once ends such loops.
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            with os.scandir(folder / inside) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(HIDDEN)]
            below = []
            for entry in visible:
                if _is_image(entry):
                    found.append((inside + entry.name, _status(entry)))
                elif entry.is_dir():
                    below.append(f"{inside}{entry.name}/")
        except OSError as error:
            raise ValueError(
                f"{shown(str(folder / inside))} cannot be searched for images "
                f"({_said(error)}): make it readable, or take it out"
            ) from None
        waiting += sorted(below, reverse=True)
    return sorted(found, key=lambda entry: entry[0])


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Whether a name ends like an image's, and is no folder's."""
    if not entry.name.lower().endswith(SUFFIXES):
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a link in a circle: it is rejected, with the reason, when it is read
        return True


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None


def open_zip(path: Path) -> zipfile.ZipFile:
    """An archive to read. ValueError: it is none, it is damaged, or Python does not know its version."""
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # noqa: BLE001 - a damaged directory raises nearly every type
        raise ValueError(
            f"{path} is not a readable zip archive ({one_line(error)}): correct `path` or `kind`"
        ) from None


def zip_members(archive: zipfile.ZipFile, path: str | Path) -> dict[str, zipfile.ZipInfo]:
    """The images of an archive by name, sorted; a name is written as a path with "/", without "./".

    ValueError: two members of one name. Only one of them could be found again by it.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = posixpath.normpath(member.filename.replace("\\", "/")).lstrip("/")
        hidden = any(part.startswith(HIDDEN) for part in name.split("/") if part != "..")
        if hidden or member.is_dir() or not name.lower().endswith(SUFFIXES):
            continue
        if name in found:
            raise ValueError(
                f"{path} holds {shown(name)} twice: pack the archive again with each name once"
            )
        found[name] = member
    return dict(sorted(found.items()))


def _said(error: OSError) -> str:
    """What the system says of a file, without its name."""
    return error.strerror or one_line(error)


def shown(name: str) -> str:
    """A file name as tables, figures and messages show it: on one line, in characters of UTF-8.

    Others are written as Python writes them in a string (``\\n``, ``\\udcff``), and a backslash twice,
    so that different names stay different.
    """
    plain = not any(c == "\\" or unicodedata.category(c) in UNPRINTABLE for c in name)
    return name if plain else "".join(map(_escaped, name))


def _escaped(character: str) -> str:
    if character == "\\" or unicodedata.category(character) in UNPRINTABLE:
        return character.encode("unicode_escape").decode()
    return character
