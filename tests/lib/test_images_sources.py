"""Where images come from: hostile files and archives, odd names, and how a change is noticed."""

import os
import random
import string
import struct
import warnings
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pseudodensity.artifacts import load_json, load_npy
from pseudodensity.density.duplicates import Groups
from pseudodensity.images import sources
from pseudodensity.images.building import build_dataset
from pseudodensity.images.reading import readable_images
from pseudodensity.images.sources import open_source
from pseudodensity.plan import files
from pseudodensity.plan.files import list_files, shown
from pseudodensity.report.density_figure import density_extremes
from pseudodensity.report.density_table import density_table
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_csv


def write_png(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG")
    return path


def rejects(kind, path):
    """Names and reasons of what cannot be read, beside what can."""
    rejected = []
    source = open_source(kind, path)
    try:
        names = [n for n, _ in readable_images(source, path, 8, None, 0.99, rejected)]
    finally:
        source.close()
    assert all("\n" not in r["reason"] and str(path) not in r["reason"] for r in rejected)
    return names, {r["name"]: r["reason"] for r in rejected}


# ---------------------------------------------------------------- folders

FOLDER = [
    # what is made of the path, the reason
    (os.mkfifo, "neither a file nor a link to one"),
    (lambda path: path.symlink_to("/dev/zero"), "neither a file nor a link to one"),
    (lambda path: path.symlink_to("nothing"), "No such file or directory"),
    (lambda path: path.symlink_to(path.name), "Too many levels of symbolic links"),
    (lambda path: os.truncate(write_png(path), 5000), "its 0 MiB are more than the 0 MiB"),
    (lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n"), "not an image file"),
]


@pytest.mark.parametrize(("make", "reason"), FOLDER, ids=[reason for _, reason in FOLDER])
def test_a_file_that_is_no_image_is_one_reject(tmp_path, make, reason, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST_FILE", 4000)
    write_png(tmp_path / "b.png")
    make(tmp_path / "a.png")
    assert list_files("folder", tmp_path).count == 2
    names, rejected = rejects("folder", tmp_path)
    assert names == ["b.png"] and list(rejected) == ["a.png"]
    assert reason in rejected["a.png"]


def test_a_file_that_grows_while_it_is_read_is_cut_off(tmp_path, monkeypatch):
    """As those of /proc, whose size says nothing."""
    path = write_png(tmp_path / "a.png")
    source = open_source("folder", tmp_path)
    monkeypatch.setattr(sources, "LARGEST_FILE", 50)
    monkeypatch.setattr(Path, "stat", lambda _: os.stat("/dev/null"))
    monkeypatch.setattr(sources.stat, "S_ISREG", lambda _: True)
    assert len(path.read_bytes()) > 50
    with pytest.raises(ValueError, match="more than the 0 MiB"):
        source.read("a.png")


def test_a_subfolder_that_cannot_be_searched_is_an_error(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png")
    write_png(tmp_path / "locked" / "b.png")
    scandir = os.scandir

    def denied(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(files.os, "scandir", denied)
    for opened in (open_source, list_files):
        with pytest.raises(ValueError, match=r"locked/? cannot be searched .*Permission") as caught:
            opened("folder", tmp_path)
        assert "\n" not in str(caught.value)


def test_hidden_folders_are_not_entered(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png")
    write_png(tmp_path / ".trash" / "b.png")
    write_png(tmp_path / "__MACOSX" / "b.png")
    write_png(tmp_path / "x.png" / "c.png")
    assert list(open_source("folder", tmp_path)) == ["a.png", "x.png/c.png"]


# ---------------------------------------------------------------- archives


def packed(path, members, **options):
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


TWICE = [("a.png", "a.png"), ("a.png", "./a.png"), ("x/a.png", "x\\a.png"), ("x/a.png", "x//a.png")]


@pytest.mark.parametrize("names", [*TWICE, ("x/a.png", "x/y/../a.png"), ("a.png", "/a.png")])
def test_an_archive_with_a_name_twice_is_refused(tmp_path, names):
    data = write_png(tmp_path / "a.png").read_bytes()
    path = packed(tmp_path / "in.zip", [(name, data) for name in (*names, "b.png")])
    for opened in (open_source, list_files):
        with pytest.raises(ValueError, match="holds .*a.png twice") as caught:
            opened("zip", path)
        assert "\n" not in str(caught.value)


def test_names_of_an_archive_are_paths(tmp_path):
    data = write_png(tmp_path / "a.png").read_bytes()
    path = packed(tmp_path / "in.zip", [(n, data) for n in ("./b.png", "y\\c.png", "./.d.png")])
    assert rejects("zip", path) == (["b.png", "y/c.png"], {})


def changed(path, old, new):
    """An archive with other bytes, and no directory that tells."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def damage_of(method):
    def damage(path, data):
        packed(path, [("a.png", data)], compression=method)
        content = bytearray(path.read_bytes())
        start = 30 + len("a.png") + (9 if method == zipfile.ZIP_LZMA else 0)
        content[start : start + 60] = b"\xff" * 60
        path.write_bytes(content)

    return damage


def encrypted(path, data):
    packed(path, [("a.png", data)])
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)


def unknown_method(path, data):
    packed(path, [("a.png", data)])
    content = bytearray(path.read_bytes())
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.index(signature) + method] = 97
    path.write_bytes(content)


def declares(size):
    def written(path, data):
        """A member whose directory says another size than it has."""
        packed(path, [("a.png", data)], compression=zipfile.ZIP_DEFLATED)
        content = bytearray(path.read_bytes())
        start = content.index(b"PK\x01\x02") + 24
        content[start : start + 4] = struct.pack("<I", size)
        path.write_bytes(content)

    return written


def bomb(method):
    return lambda path, data: packed(path, [("a.png", bytes(10**7))], compression=method)


ARCHIVES = [
    # what is written, the reason
    ("deflate", damage_of(zipfile.ZIP_DEFLATED), "Error -3 while decompressing"),
    ("bzip2", damage_of(zipfile.ZIP_BZIP2), "Invalid data stream"),
    ("lzma", damage_of(zipfile.ZIP_LZMA), "(?i)corrupt|CRC"),
    ("encrypted", encrypted, "encrypted, password required"),
    ("method", unknown_method, "compression method is not supported|compression type 97"),
    ("declares too much", declares(10**9), "its 954 MiB are more than the 0 MiB"),
    ("declares too little", declares(9), "CRC"),
    ("declares more", declares(900), "it has [0-9]+ bytes and the archive says 900"),
    ("bomb", bomb(zipfile.ZIP_DEFLATED), "its 10 MiB are more than the 0 MiB"),
    ("lzma bomb", bomb(zipfile.ZIP_LZMA), "its 10 MiB are more than the 0 MiB"),
]


@pytest.mark.parametrize(
    ("write", "reason"), [a[1:] for a in ARCHIVES], ids=[a[0] for a in ARCHIVES]
)
def test_a_member_that_cannot_be_unpacked_is_one_reject(tmp_path, write, reason, monkeypatch):
    monkeypatch.setattr(sources, "LARGEST_FILE", 4000)
    data = write_png(tmp_path / "a.png").read_bytes()
    write(tmp_path / "in.zip", data)
    source = open_source("zip", tmp_path / "in.zip")
    with pytest.raises(ValueError, match=reason) as caught:
        source.read("a.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_every_compression_is_unpacked(tmp_path, method):
    data = write_png(tmp_path / "a.png").read_bytes()
    path = packed(tmp_path / "in.zip", [("a.png", data)], compression=method)
    assert open_source("zip", path).read("a.png") == data


def newer_version(path, data):
    packed(path, [("a.png", data)])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 99
    path.write_bytes(content)


def name_of_other_bytes(path, data):
    packed(path, [("aé.png", data)])
    changed(path, "é".encode(), b"\xff\xfe")


WHOLE_ARCHIVES = [newer_version, name_of_other_bytes, lambda path, data: path.write_bytes(data)]


@pytest.mark.parametrize("write", WHOLE_ARCHIVES)
def test_an_archive_that_cannot_be_opened_is_one_line(tmp_path, write):
    write(tmp_path / "in.zip", write_png(tmp_path / "a.png").read_bytes())
    for opened in (open_source, list_files):
        with pytest.raises(ValueError, match="is not a readable zip archive") as caught:
            opened("zip", tmp_path / "in.zip")
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- LMDB


def write_lmdb(path, values):
    environment = lmdb.open(str(path), map_size=2**24)
    with environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return path


def test_a_cut_lmdb_is_one_line_and_does_not_kill_the_process(tmp_path):
    data = write_png(tmp_path / "a.png").read_bytes()
    path = write_lmdb(tmp_path / "in", {f"{i:04d}".encode(): data * 20 for i in range(30)})
    size = (path / "data.mdb").stat().st_size
    open_source("lmdb", path).close()
    for length in (size - 1, size // 2, 5000, 100):
        os.truncate(path / "data.mdb", length)
        with pytest.raises(ValueError, match="copy it again|not a readable LMDB") as caught:
            open_source("lmdb", path)
        assert "\n" not in str(caught.value)


def test_an_entry_of_an_lmdb_has_a_limit(tmp_path, monkeypatch):
    data = write_png(tmp_path / "a.png").read_bytes()
    path = write_lmdb(tmp_path / "in", {b"a": data, b"b": data * 100})
    monkeypatch.setattr(sources, "LARGEST_FILE", 4000)
    names, rejected = rejects("lmdb", path)
    assert names == ["a"] and "more than the 0 MiB" in rejected["b"]


# ---------------------------------------------------------------- names

ODD = ["price_$5_and_$6.png", "two\nlines.png", "return\r.png", b"\xff\xe9.png", 'a,"b".png']
ODD += ["a\\b.png", "a\tb.png", "写真 2.png", "{name}.png", "$\\frac$.png", "\u2028.png"]


def test_odd_names_reach_every_file(tmp_path):
    """Manifest, CSV and figure: different, on one line each, and as they are where they can be."""
    filled(tmp_path / "in", 0)
    for i, name in enumerate(ODD):
        write_png(tmp_path / "in" / "x.png", i).rename(tmp_path / "in" / os.fsdecode(name))
    out = tmp_path / "out"
    spec = {"kind": "folder", "path": str(tmp_path / "in"), "resolution": 8}
    build_dataset(spec, out)
    names = load_json(out / "manifest.json")["names"]
    assert len(set(names)) == len(ODD)
    assert all(len(name.splitlines()) == 1 for name in names)
    assert {"price_$5_and_$6.png", r"two\nlines.png", r"\udcff\udce9.png", "写真 2.png"} < set(
        names
    )
    n = len(names)
    density, neighbours = np.linspace(1, 2, n), np.zeros((n, 3), int)
    nothing = np.zeros(n, int)
    groups = Groups(np.arange(n), nothing * 0.5, nothing, threshold=0.25, typical=1.0)
    settings = {"extractor": "x", "k": 3, "n": 1}
    distances = np.zeros((n, 3))
    table = density_table(names, density, density, neighbours, distances, groups, settings)
    write_csv(table, out / "t.csv")
    assert pd.read_csv(out / "t.csv")["file"].tolist() == names
    with warnings.catch_warnings(action="ignore"):  # the font has no Chinese letters
        save(density_extremes(table, load_npy(out / "images.npy")), out / "t.svg", out / "t.png")
    assert "price_$5" not in (out / "t.svg").read_text()  # the end of a long name is shown
    assert "5_and_$6.png" in (out / "t.svg").read_text()


def test_different_names_are_shown_differently():
    random.seed(0)
    letters = "\\\n\r\t\udcff\u2028nrx0f" + string.ascii_letters[:3]
    made = {"".join(random.choices(letters, k=random.randint(1, 6))) for _ in range(3000)}
    assert len({shown(name) for name in made}) == len(made)
    for name in made:
        shown(name).encode()
        assert len(shown(name).splitlines()) == 1


# ---------------------------------------------------------------- the listing


def filled(folder, count=10):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        write_png(folder / f"{i}.png", i)
    return folder


def replace_in_place(path):
    status = (path / "3.png").stat()
    write_png(path / "3.png", 99)
    os.utime(path / "3.png", ns=(status.st_atime_ns, status.st_mtime_ns + 1))


CHANGES = [
    replace_in_place,
    lambda path: os.truncate(path / "3.png", 10),
    lambda path: (path / "3.png").unlink(),
    lambda path: (path / "3.png").rename(path / "33.png"),
    lambda path: write_png(path / "sub" / "x.png"),
    lambda path: (path / "link.png").symlink_to("nothing"),
]
NO_CHANGES = [
    lambda path: (path / "notes.txt").write_text("x"),
    lambda path: write_png(path / ".hidden" / "x.png"),
    lambda path: os.utime(path),
    lambda path: (path / "3.png").read_bytes(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_an_image_changes_the_listing(tmp_path, change):
    before = list_files("folder", filled(tmp_path))
    assert before.count == 10
    change(tmp_path)
    assert list_files("folder", tmp_path).digest != before.digest


@pytest.mark.parametrize("change", NO_CHANGES)
def test_other_files_change_no_listing(tmp_path, change):
    before = list_files("folder", filled(tmp_path))
    change(tmp_path)
    assert list_files("folder", tmp_path) == before


def test_the_listing_and_the_reader_see_the_same_files(tmp_path):
    filled(tmp_path / "in")
    write_png(tmp_path / "in" / "sub" / "A.PNG")
    (tmp_path / "in" / "sub" / "loop").symlink_to(tmp_path / "in")
    source = open_source("folder", tmp_path / "in")
    assert list_files("folder", tmp_path / "in").count == len(source) == 11


@pytest.mark.parametrize("kind", ["zip", "lmdb"])
def test_a_new_archive_changes_the_listing(tmp_path, kind):
    data = write_png(tmp_path / "a.png").read_bytes()
    if kind == "zip":
        path = file = packed(tmp_path / "in.zip", [("a.png", data), ("b.png", data)])
    else:
        path = write_lmdb(tmp_path / "in", {b"a": data, b"b": data})
        file = path / "data.mdb"
    before = list_files(kind, path)
    assert before.count == (2 if kind == "zip" else None)
    assert list_files(kind, path) == before
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert list_files(kind, path).digest != before.digest
