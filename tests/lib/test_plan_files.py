"""Data sets from files, as they are planned: what is wrong is one line before anything runs."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pseudodensity.plan.config import load_config
from pseudodensity.plan.data import Data
from pseudodensity.plan.errors import ConfigError

ROOT = Path(__file__).parents[2]


def data_of(kind, path, **more):
    """The data of the default config, with one set of files more."""
    photos = {"kind": kind, "path": str(path), "images": None, "density_k": 3, "title": "photos"}
    photos |= {"resolution": 8, "mirror": False, "max_unreadable": 0.0, **more}
    config = load_config(ROOT / "config/config.yaml", [], {})
    return Data({**config, "datasets": {**config["datasets"], "photos": photos}})


def files(folder, count):
    folder.mkdir()
    for i in range(count):
        (folder / f"{i}.png").write_bytes(b"not decoded by the plan")
    return folder


def archive(path, count):
    with zipfile.ZipFile(path, "w") as packed:
        for i in range(count):
            packed.writestr(f"{i}.png", b"")
    return path


WRONG = [
    # what is there, the kind that the config says, more of its settings, what the line says
    (lambda at: files(at / "in", 0), "folder", {}, "holds no images"),
    (lambda at: files(at / "in", 9), "folder", {}, "holds 9 images and a data set needs 10"),
    (lambda at: archive(at / "a.zip", 12), "folder", {}, "is not a folder: .* set `kind` to zip"),
    (lambda at: files(at / "in", 12), "zip", {}, "is not a readable zip archive .it is a folder"),
    (lambda at: files(at / "in", 12) / "1.png", "zip", {}, "is not a readable zip archive"),
    (lambda at: archive(at / "a.zip", 3), "zip", {}, "holds 3 images"),
    (lambda at: archive(at / "a.zip", 0), "zip", {}, "holds no images"),
    (lambda at: files(at / "in", 12), "lmdb", {}, "holds no data.mdb"),
    (lambda at: "/dev/null", "lmdb", {}, "is not a readable LMDB .it is neither file nor folder"),
    (lambda at: files(at / "in", 12), "folder", {"images": 13}, "images is 13 but .* holds 12"),
    (lambda at: files(at / "in", 12), "folder", {"density_k": 12}, "density_k is 12 but .* 12"),
]


@pytest.mark.parametrize(("make", "kind", "more", "message"), WRONG)
def test_files_that_make_no_data_set_are_one_line(tmp_path, make, kind, more, message):
    with pytest.raises(ConfigError, match=message) as caught:
        data_of(kind, make(tmp_path), **more).listing("photos")
    assert str(caught.value).startswith("config: datasets.photos")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("inside", ["nothing", "1.png/x"])
def test_files_that_are_not_there_stop_what_is_made_from_them(tmp_path, inside):
    data = data_of("folder", files(tmp_path / "in", 12) / inside)
    why = data.density("photos").lacks
    assert why.startswith("config: datasets.photos.path") and "does not exist" in why
    with pytest.raises(ConfigError, match="datasets.photos: "):
        data.listing("photos")


def test_enough_files_of_every_kind_pass(tmp_path):
    data_of("folder", files(tmp_path / "in", 10), images=10).listing("photos")
    data_of("zip", archive(tmp_path / "a.zip", 10)).listing("photos")


def test_a_replaced_file_changes_the_listing_and_no_path(tmp_path):
    before = data_of("folder", files(tmp_path / "in", 12))
    (tmp_path / "in" / "3.png").write_bytes(b"another")
    after = data_of("folder", tmp_path / "in")
    assert before.dataset("photos").path == after.dataset("photos").path
    assert before.density("photos").path == after.density("photos").path
    first = before.listing("photos")
    assert re.fullmatch("[0-9a-f]{64}", first) and after.listing("photos") == first
    (tmp_path / "in" / "3.png").write_bytes(b"another one")
    # Taken once by a plan, so that a file that changes while jobs run does not confuse it.
    assert after.listing("photos") == first
    assert data_of("folder", tmp_path / "in").listing("photos") != first
    assert before.listing("faces") == ""


@pytest.mark.parametrize("changed", ["images.gz", "labels.gz"])
def test_of_a_pair_of_files_both_are_listed(tmp_path, changed):
    for name in ("images.gz", "labels.gz"):
        (tmp_path / name).write_bytes(b"12")

    def listing():
        labels = str(tmp_path / "labels.gz")
        return data_of("idx", tmp_path / "images.gz", labels=labels).listing("photos")

    before = listing()
    assert listing() == before
    (tmp_path / changed).write_bytes(b"123")
    assert listing() != before


def test_a_plan_lists_nothing_until_it_is_asked_and_loads_no_reader(tmp_path):
    code = (
        "import sys; import pseudodensity.plan.data; import pseudodensity.plan.files; "
        "print({'PIL', 'lmdb', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    folder = files(tmp_path / "in", 12)
    data = data_of("folder", folder)
    data.density("photos")
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(ConfigError, match="holds no images"):
        data.listing("photos")
