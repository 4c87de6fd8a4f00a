"""Data sets on disk: sources, caps, rejects, duplicates, and never half a data set."""

import io
import zipfile
from collections import namedtuple

import lmdb
import numpy as np
import pytest
from PIL import Image

from pseudodensity.artifacts import ArtifactError, load_json, save_json, save_npy
from pseudodensity.images import building, digits, reading
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.procedural import render
from pseudodensity.images.sources import open_source

KINDS = pytest.mark.parametrize("kind", ["folder", "zip", "lmdb"])


def png(seed, size=16):
    array = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue(), array.transpose(2, 0, 1)


def write_source(kind, path, files):
    """Write {name: bytes} as a folder, an archive or an LMDB; its path."""
    if kind == "folder":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        environment = lmdb.open(str(path), map_size=2**24)
        with environment, environment.begin(write=True) as transaction:
            for name, data in files.items():
                transaction.put(name.encode(), data)
    return str(path)


FILES = {f"{folder}/{i}.png": png(10 * i + j)[0] for i in range(6) for j, folder in enumerate("ba")}
IN_ORDER = [f"{folder}/{i}.png" for folder in "ab" for i in range(6)]


def spec_of(kind, path, **more):
    return {"kind": kind, "path": str(path), "resolution": 16, "images": None, **more}


def build(tmp_path, spec, seed=0):
    build_dataset(spec, tmp_path / "out", seed=seed)
    return open_dataset(tmp_path / "out")


@KINDS
def test_images_arrive_in_the_order_of_their_names(kind, tmp_path):
    path = write_source(kind, tmp_path / "in", FILES)
    found = build(tmp_path, spec_of(kind, path))
    assert found.names == IN_ORDER and found.labels is None and len(found) == 12
    assert isinstance(found.images, np.memmap) and found.images.dtype == np.uint8
    expected = [png(10 * i + j)[1] for j in (1, 0) for i in range(6)]
    np.testing.assert_array_equal(found.images, expected)
    assert found.manifest["counts"] == {"images": 12, "rejected": 0, "duplicates": 0}
    assert found.manifest["spec"] == {**spec_of(kind, path), "seed": 0}


@KINDS
def test_a_cap_takes_the_first(kind, tmp_path):
    path = write_source(kind, tmp_path / "in", FILES)
    assert build(tmp_path, spec_of(kind, path, images=4)).names == IN_ORDER[:4]


@KINDS
def test_unreadable_files_are_listed_and_replaced(kind, tmp_path):
    files = {**FILES, "a/1.png": b"not an image", "a/2.png": FILES["a/2.png"][:80]}
    path = write_source(kind, tmp_path / "in", files)
    found = build(tmp_path, spec_of(kind, path, max_unreadable=0.5))
    assert found.names == [name for name in IN_ORDER if name not in ("a/1.png", "a/2.png")]
    assert [r["name"] for r in found.manifest["rejected"]] == ["a/1.png", "a/2.png"]
    assert all(r["reason"] for r in found.manifest["rejected"])
    np.testing.assert_array_equal(found.images[4], png(0)[1])
    # A cap counts the readable ones.
    capped = build(tmp_path, spec_of(kind, path, max_unreadable=0.5, images=3))
    assert capped.names == ["a/0.png", "a/3.png", "a/4.png"]
    assert capped.manifest["counts"] == {"images": 3, "rejected": 2, "duplicates": 0}


@KINDS
def test_too_many_unreadable_files_are_an_error(kind, tmp_path):
    files = {**FILES, "a/1.png": b"not an image"}
    path = write_source(kind, tmp_path / "in", files)
    for limit in ({}, {"max_unreadable": 0.08}):
        with pytest.raises(ValueError) as caught:
            build(tmp_path, spec_of(kind, path, **limit))
        message = str(caught.value)
        for part in ("1 of 12", "8.33%", "a/1.png", "known format", "max_unreadable"):
            assert part in message
        assert "\n" not in message
    assert list((tmp_path / "out").iterdir()) == []


@KINDS
def test_too_few_images_are_an_error(kind, tmp_path):
    path = write_source(kind, tmp_path / "in", FILES)
    with pytest.raises(ValueError, match="images: 13 asked for, but .* holds 12"):
        build(tmp_path, spec_of(kind, path, images=13))
    path = write_source(kind, tmp_path / "in2", {**FILES, "a/0.png": b"no"})
    with pytest.raises(ValueError, match="holds 11 images that can be read"):
        build(tmp_path, spec_of(kind, path, images=12, max_unreadable=0.9))


@KINDS
def test_missing_wrong_and_empty_sources(kind, tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        build(tmp_path, spec_of(kind, tmp_path / "absent"))
    (tmp_path / "file").write_text("hello")
    with pytest.raises(ValueError, match="is not a (folder|readable)"):
        build(tmp_path, spec_of(kind, tmp_path / "file"))
    empty = write_source(kind, tmp_path / "empty", {})
    if kind == "folder":
        (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        build(tmp_path, spec_of(kind, empty))
    with pytest.raises(ValueError, match="needs `path`"):
        build(tmp_path, {"kind": kind, "resolution": 16})


@KINDS
def test_fewer_than_ten_images_are_no_data_set(kind, tmp_path):
    nine = dict(list(FILES.items())[:9])
    path = write_source(kind, tmp_path / "in", nine)
    with pytest.raises(ValueError, match="holds 9 image files, and 10 are needed"):
        build(tmp_path, spec_of(kind, path))
    path = write_source(kind, tmp_path / "in2", {**nine, "x.png": b"no", "y.png": b"no"})
    with pytest.raises(ValueError, match="holds 9 images that can be read, and 10 are needed"):
        build(tmp_path, spec_of(kind, path, max_unreadable=0.5))
    path = write_source(kind, tmp_path / "in3", {**nine, "x.png": png(99)[0]})
    assert len(build(tmp_path, spec_of(kind, path))) == 10


def test_a_folder_without_an_lmdb(tmp_path):
    with pytest.raises(ValueError, match="no data.mdb"):
        open_source("lmdb", tmp_path)


def test_all_files_unreadable(tmp_path):
    path = write_source("folder", tmp_path / "in", dict.fromkeys(FILES, b""))
    with pytest.raises(ValueError, match="holds 0 images that can be read"):
        build(tmp_path, spec_of("folder", path, max_unreadable=1.0))


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_other_and_hidden_files_are_passed_over(kind, tmp_path):
    more = {"readme.txt": b"x", ".b.png": b"x", "__MACOSX/a.png": b"x", "C.PNG": FILES["a/0.png"]}
    path = write_source(kind, tmp_path / "in", {**FILES, **more})
    assert build(tmp_path, spec_of(kind, path)).names == ["C.PNG", *IN_ORDER]


def test_links_are_followed_once(tmp_path):
    path = write_source("folder", tmp_path / "in", FILES)
    elsewhere = write_source("folder", tmp_path / "elsewhere", {"x.png": png(99)[0]})
    (tmp_path / "in" / "loop").symlink_to(path)
    (tmp_path / "in" / "more").symlink_to(elsewhere)
    assert build(tmp_path, spec_of("folder", path)).names == [*IN_ORDER, "more/x.png"]


def test_an_archive_member_with_a_wrong_checksum(tmp_path):
    path = write_source("zip", tmp_path / "in.zip", FILES)
    data = bytearray((tmp_path / "in.zip").read_bytes())
    data[data.index(b"IDAT") + 20] ^= 255
    (tmp_path / "in.zip").write_bytes(data)
    found = build(tmp_path, spec_of("zip", path, max_unreadable=0.5))
    assert len(found) == 11 and "CRC" in found.manifest["rejected"][0]["reason"]


def test_lmdb_keys_need_not_be_text_nor_end_in_a_suffix(tmp_path):
    keys = [b"\xff\x00", b"\x01\xe9", *(b"abc%d" % i for i in range(9))]
    environment = lmdb.open(str(tmp_path / "in"), map_size=2**24)
    with environment, environment.begin(write=True) as transaction:
        for i, key in enumerate(keys):
            transaction.put(key, png(i)[0])
    found = build(tmp_path, spec_of("lmdb", tmp_path / "in"))
    np.testing.assert_array_equal(found.images, [png(i)[1] for i in (1, *range(2, 11), 0)])
    assert found.names == [r"\x01\udce9", *(f"abc{i}" for i in range(9)), r"\udcff\x00"]


def test_exact_duplicates_are_found_by_their_pixels(tmp_path):
    first, array = png(0)
    other = io.BytesIO()
    Image.fromarray(array.transpose(1, 2, 0)).save(other, "BMP")
    near = array.copy()
    near[0, 0, 0] ^= 1
    close = io.BytesIO()
    Image.fromarray(near.transpose(1, 2, 0)).save(close, "PNG")
    names = ["a.png", "b.png", "c.bmp", "d.png", "e.png", "f.png", *(f"g{i}.png" for i in range(4))]
    data = [png(1)[0], first, other.getvalue(), close.getvalue(), first, png(1)[0]]
    data += [png(2 + i)[0] for i in range(4)]
    path = write_source("folder", tmp_path / "in", dict(zip(names, data, strict=True)))
    manifest = build(tmp_path, spec_of("folder", path)).manifest
    assert manifest["duplicate_of"] == [None, None, 1, None, 1, 0, *[None] * 4]
    assert sorted(manifest["duplicate_groups"]) == [[0, 5], [1, 2, 4]]
    assert manifest["counts"]["duplicates"] == 3


def test_procedural_images_with_labels(tmp_path):
    spec = {"kind": "procedural", "scene": "church", "resolution": 16, "images": 600}
    found = build(tmp_path, spec, seed=5)
    images, labels = render("church", range(600), resolution=16, seed=5)
    np.testing.assert_array_equal(found.images, images)
    for part in ("categorical", "continuous", "log_prob"):
        ours = getattr(found.labels, part)
        np.testing.assert_array_equal(ours, getattr(labels, part))
        assert ours.dtype == getattr(labels, part).dtype
    assert found.labels.names == labels.names == found.manifest["labels"]["names"]
    assert found.labels.cardinalities == labels.cardinalities
    assert found.labels.continuous_names == labels.continuous_names
    assert len(set(found.names)) == 600


def test_digits_with_labels(tmp_path):
    spec = {"kind": "digits", "resolution": 16, "images": 100}
    found = build(tmp_path, spec)
    images, labels = digits.load(16)
    np.testing.assert_array_equal(found.images, images[:100])
    np.testing.assert_array_equal(found.labels.log_prob, labels.log_prob[:100])
    assert len(build(tmp_path, {**spec, "images": None})) == 1797
    with pytest.raises(ValueError, match="holds 1797"):
        build(tmp_path, {**spec, "images": 1798})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "tar"}, "unknown data set kind 'tar'"),
        ({"scene": "cats"}, "unknown scene 'cats'"),
        ({"resolution": 7}, "resolution 7"),
        ({"resolution": None}, "resolution None"),
        ({"images": 0}, "images 0"),
        ({"images": "many"}, "images 'many'"),
        ({"images": None}, "has no end"),
    ],
)
def test_impossible_specs_are_refused(change, message, tmp_path):
    spec = {"kind": "procedural", "scene": "faces", "path": "x", "resolution": 16, "images": 5}
    with pytest.raises(ValueError, match=message):
        build(tmp_path, {**spec, **change})


def test_a_full_disk_is_foreseen(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(building.shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 4607, 4607))
    with pytest.raises(ValueError, match="GB free, the images need"):
        build(tmp_path, {"kind": "digits", "resolution": 16, "images": 6})
    assert len(build(tmp_path, {"kind": "digits", "resolution": 16, "images": 5})) == 5


def test_a_failed_build_leaves_no_data_set(tmp_path):
    path = write_source("folder", tmp_path / "in", FILES)
    build(tmp_path, spec_of("folder", path))
    with pytest.raises(ValueError):
        build(tmp_path, spec_of("folder", path, images=100))
    with pytest.raises(ArtifactError, match="does not exist"):
        open_dataset(tmp_path / "out")


def test_a_killed_build_leaves_no_images(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    path = write_source("folder", tmp_path / "in", FILES)
    monkeypatch.setattr(reading, "load_image", killed)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, spec_of("folder", path))
    assert list((tmp_path / "out").iterdir()) == []


def test_damage_is_noticed_on_opening(tmp_path):
    spec = {"kind": "digits", "resolution": 16, "images": 20}
    build(tmp_path, spec)
    file = tmp_path / "out" / "images.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    with pytest.raises(ArtifactError, match="images.npy is damaged"):
        open_dataset(tmp_path / "out")
    save_npy(file, np.zeros((19, 3, 16, 16), np.uint8))
    with pytest.raises(ArtifactError, match="not what its manifest says"):
        open_dataset(tmp_path / "out")
    file.write_bytes(whole)
    manifest = load_json(tmp_path / "out" / "manifest.json")
    manifest["spec"]["seed"] = 1
    save_json(tmp_path / "out" / "manifest.json", manifest)
    with pytest.raises(ArtifactError, match="another spec"):
        open_dataset(tmp_path / "out")


@pytest.mark.parametrize("name", ["images.npy", "labels.safetensors", "manifest.json"])
def test_a_flipped_bit_in_any_file_of_a_data_set_is_told(name, tmp_path):
    build(tmp_path, {"kind": "digits", "resolution": 16, "images": 20})
    file = tmp_path / "out" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} is damaged") as error:
        open_dataset(tmp_path / "out")
    assert "\n" not in str(error.value)


def test_changing_kind_removes_old_labels(tmp_path):
    build(tmp_path, {"kind": "digits", "resolution": 16, "images": 20})
    path = write_source("folder", tmp_path / "in", FILES)
    assert build(tmp_path, spec_of("folder", path)).labels is None
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["images.npy", "manifest.json"]


def test_building_twice_gives_the_same_bytes(tmp_path):
    files = {**FILES, "a/1.png": b"not an image"}
    path = write_source("folder", tmp_path / "in", files)
    contents = []
    for _ in range(2):
        build(tmp_path, spec_of("folder", path, max_unreadable=0.5))
        contents.append([p.read_bytes() for p in sorted((tmp_path / "out").iterdir())])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_folder_of_an_image_is_its_class_where_the_config_says_so(kind, tmp_path):
    path = write_source(kind, tmp_path / "in", FILES)
    labels = build(tmp_path, spec_of(kind, path, class_folders=True)).labels
    assert labels.categorical[:, 0].tolist() == [0] * 6 + [1] * 6  # in the order of their names
    assert (labels.names, labels.cardinalities) == (["class"], [2])
    np.testing.assert_allclose(labels.log_prob, np.log(0.5))
    assert build(tmp_path, spec_of(kind, path)).labels is None


def test_an_image_without_a_class_is_named(tmp_path):
    path = write_source("folder", tmp_path / "in", FILES | {"alone.png": png(99)[0]})
    with pytest.raises(ValueError, match="'alone.png' lies in no folder"):
        build(tmp_path, spec_of("folder", path, class_folders=True))
