"""Errors for users are one line, also where another library's message stands in them."""

import ast
import hashlib
import re
import zipfile

import numpy as np
import pytest

from pseudodensity.artifacts import LONGEST, ArtifactError, one_line, seal_npy
from pseudodensity.features.build import build_extractor
from pseudodensity.features.pretrained import read_weights
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset
from pseudodensity.images.sources import open_source
from pseudodensity.plan.code import ROOT

FILES = sorted(f for name in ("features", "density", "images") for f in (ROOT / name).glob("*.py"))


def test_a_message_becomes_one_line_of_a_readable_length():
    assert one_line(ValueError("two\n\tlines  and more\n")) == "two lines and more"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(RuntimeError("word " * 1000))) == LONGEST


def raised_on_more_than_one_line(source: str) -> list[int]:
    """Lines of a source on which an error of ours is raised whose message may have several lines:
    a line break in it, or the message of a caught error as it came."""
    tree = ast.parse(source)
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)}
    found = []
    for node in ast.walk(tree):
        call = node.exc if isinstance(node, ast.Raise) else None
        if not (isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Error")):
            continue
        inside = [n for argument in call.args for n in ast.walk(argument)]
        tamed = {
            id(n)
            for c in inside
            if isinstance(c, ast.Call) and ast.unparse(c.func) == "one_line"
            for n in ast.walk(c)
        }
        breaks = any(
            isinstance(n, ast.Constant) and isinstance(n.value, str) and "\n" in n.value
            for n in inside
        )
        raw = any(isinstance(n, ast.Name) and n.id in caught and id(n) not in tamed for n in inside)
        if breaks or raw:
            found.append(node.lineno)
    return sorted(found)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_error_is_raised_on_more_than_one_line(file):
    assert raised_on_more_than_one_line(file.read_text()) == []


def test_the_check_sees_both_kinds():
    source = """
try:
    work()
except OSError as error:
    raise ValueError(f"bad: {error}") from None
except TypeError as other:
    raise ValueError(f"bad: {one_line(other)}") from None
raise ValueError("one" + f"{x}\\n two")
raise ValueError(f"fine {x}")
"""
    assert raised_on_more_than_one_line(source) == [5, 8]


def message_of(error: type[Exception], call) -> str:
    with pytest.raises(error) as raised:
        call()
    return str(raised.value)


def test_a_setting_with_a_line_break_in_its_name():
    message = message_of(ValueError, lambda: build_extractor({"kind": "small_vit", "a\nb": 1}))
    assert message.startswith("settings of extractor small_vit") and "\n" not in message


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_a_weights_file_that_is_none(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x00no weights\nat all" * 9)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = message_of(ValueError, lambda: read_weights(str(path), digest, "the file"))
    assert "no plain state dict" in message and "\n" not in message


def test_an_image_file_whose_header_numpy_explains_on_two_lines(tmp_path):
    build_dataset({"kind": "digits", "resolution": 8, "images": 10}, tmp_path)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': (10, 3, 8, 8), }}{' ' * 20_000}\n"
    size = len(header).to_bytes(2, "little")
    (tmp_path / "images.npy").write_bytes(b"\x93NUMPY\x01\x00" + size + header.encode())
    with pytest.raises(ValueError, match="\n"):
        np.load(tmp_path / "images.npy", mmap_mode="r")
    seal_npy(tmp_path / "images.npy")
    message = message_of(ArtifactError, lambda: open_dataset(tmp_path))
    assert "run again" in message and "\n" not in message


@pytest.mark.parametrize("kind", ["zip", "lmdb"])
def test_a_source_that_is_none(tmp_path, kind):
    path = tmp_path / "neither"
    path.write_bytes(b"one\nor the other")
    message = message_of(ValueError, lambda: open_source(kind, path))
    assert message.endswith("correct `path` or `kind`") and "\n" not in message


def test_a_damaged_member_of_an_archive_is_told_on_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.png", b"x" * 100)
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"x" * 100, b"y" * 100))
    source = open_source("zip", tmp_path / "a.zip")
    message = message_of(ValueError, lambda: source.read("a.png"))
    assert "CRC" in message and "\n" not in message


# ------------------------------------------------------------------------------- while it runs

SCRIPTS = sorted((ROOT.parent / "scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)
def test_every_job_names_what_it_makes_and_says_so_in_its_log(script):
    """Jobs run side by side on one terminal: a line that names no subject belongs to nobody."""
    calls = [
        node
        for node in ast.walk(ast.parse(script.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Progress"
    ]
    assert calls
    for call in calls:
        label = ast.unparse(call.args[0])
        assert re.search(r"wildcards|output|\b(name|folder|label)\b", label), label
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        log = given.get("log") or ast.unparse(call.args[3])
        assert log in ("snakemake.log[0]", "log")
