"""Exported programs of strangers: what may stand in a ``.pt2`` file before anything of it is loaded.

``torch.export.load`` is not safe by itself: it unpickles whatever the archive says is a pickle, loads
compiled libraries, imports modules that a tree specification names, hands symbolic sizes to a parser
that evaluates Python, and calls any function under ``torch`` that the graph names. So the file is
read as data first, and rebuilt from

- plain weights, each within its own bytes;
- a graph in which every operator stands in `operators`, every size is plain arithmetic and every name
  a plain name.

Pickles, compiled code, samples, guards and comments are left out. What remains can still take all
memory or all time when it runs, and the loader is C++ that reads untrusted bytes: this is a lock on
the front door, not a sandbox.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import torch

from pseudodensity.generators.operators import SIZE_OPERATORS, TENSOR_OPERATORS

__all__ = ["vetted_program"]

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
# Table of tensors -> the folder of their bytes, and how a file of plain numbers is called.
TABLES = {
    "data/weights/model_weights_config.json": ("data/weights/", re.compile(r"weight_\d{1,9}")),
    "data/constants/model_constants_config.json": (
        "data/constants/",
        re.compile(r"tensor_\d{1,9}"),
    ),
}
# What the loader wants beside those, which the file need not say. 6: the version of the container.
CONTAINER = {
    "archive_format": b"pt2",
    "archive_version": b"0",
    ".data/version": b"6\n",
    "byteorder": b"little",
}
# Far above any generator, and small enough to be held as Python objects.
MAX_RECORDS, MAX_JSON, MAX_VALUES, MAX_DEPTH = 50_000, 64 * 2**20, 2_000_000, 60
MAX_SIZE = 500  # characters of the arithmetic of one size
TIED = 4  # names that share one weight, on average

TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)", re.ASCII)
CHECKED_APART = ("expr_str", "in_spec", "out_spec")
PLAIN = re.compile(r"[\w .,>+\-]*", re.ASCII)
NAME = re.compile(r"(?!\d)\w*", re.ASCII)
SYMBOL = re.compile(r"[suz]\d+", re.ASCII)
SIZE_FUNCTIONS = {
    *("Symbol", "Integer", "Add", "Mul", "Max", "Min"),
    *("Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "IntTrueDiv"),
}
ARITHMETIC = (
    *(ast.Expression, ast.UnaryOp, ast.USub),
    *(ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant),
)
CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
# torch.export's number of a type of numbers -> its bytes
ITEM_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2}
STRIDED = 7  # its number of the ordinary layout
DEVICES = ("cpu", "cuda")


def vetted_program(data: bytes) -> io.BytesIO:
    """A clean copy of the ``.pt2`` archive ``data``, for ``torch.export.load``.

    ValueError: see above. A program saved by ``torch.export.save`` from an ordinary network of
    tensor operators passes.
    """
    found = _records(data)
    if MODEL not in found or not set(TABLES) <= set(found):
        raise ValueError(f"it holds no exported program of a known layout ({MODEL})")
    if found.get("byteorder", b"little") != b"little":
        raise ValueError("its numbers are stored big end first: save it on an ordinary machine")
    records = dict(CONTAINER)
    for table, (folder, pattern) in TABLES.items():
        entries = {}
        for name, entry in _parsed(found[table])["config"].items():
            record = folder + _plain_file(name, entry, pattern)
            entries[name] = _checked_entry(name, entry, len(found.get(record, b"")))
            records[record] = found.get(record, b"")
        _check_total(entries, len(data))
        records[table] = json.dumps({"config": entries}).encode()
    records[MODEL] = json.dumps(_vetted_graph(_parsed(found[MODEL]))).encode()
    records[SAMPLES] = b""
    return _archive(records)


# ---------------------------------------------------------------- the archive


def _records(data: bytes) -> dict[str, bytes]:
    """Name below the root folder -> bytes. ValueError: anything that torch.export.save never writes."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        raise ValueError("it is no archive of PyTorch, or damaged") from None
    names = [entry.filename for entry in entries]
    if len(set(names)) < len(names) or len(names) > MAX_RECORDS:
        raise ValueError("its archive holds a name twice, or far too many names")
    roots = {name.partition("/")[0] for name in names}
    if len(roots) != 1 or any(part in (".", "..") or "\\" in part for part in _parts(names)):
        raise ValueError("its archive holds names that leave its one folder")
    # Before anything is read: compressed or overlapping entries could announce far more than there is.
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > len(data):
        raise ValueError("its archive is compressed, or announces more bytes than it has")
    try:
        return {entry.filename.partition("/")[2]: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, NotImplementedError):
        raise ValueError("its archive is damaged or locked") from None


def _parts(names: list[str]) -> Iterator[str]:
    for name in names:
        yield from name.split("/")


def _archive(records: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            archive.writestr(f"archive/{name}", data)
    buffer.seek(0)
    return buffer


def _parsed(text: bytes) -> dict[str, Any]:
    """A JSON object of bounded size and depth."""
    if len(text) > MAX_JSON:
        raise ValueError(f"a description in it has {len(text)} bytes, more than {MAX_JSON}")
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("a description in it nests too deeply") from None
    except ValueError:
        raise ValueError("a description in it is no JSON") from None
    waiting, count = [(value, 0)], 0
    while waiting:
        inner, depth = waiting.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_VALUES:
            raise ValueError("a description in it nests too deeply, or never ends")
        if isinstance(inner, dict | list):
            entries = inner.values() if isinstance(inner, dict) else inner
            waiting.extend((entry, depth + 1) for entry in entries)
    if not isinstance(value, dict):
        raise ValueError("a description in it is no object")  # noqa: TRY004
    return value


# ---------------------------------------------------------------- weights


def _plain_file(name: str, entry: dict[str, Any], pattern: re.Pattern) -> str:
    if entry["use_pickle"] is not False or not pattern.fullmatch(entry["path_name"]):
        raise ValueError(f"{name[:60]!r} is stored as a pickle, not as plain numbers")
    return entry["path_name"]


def _checked_entry(name: str, entry: dict[str, Any], available: int) -> dict[str, Any]:
    """The entry of a tensor that lies within its ``available`` bytes."""
    meta = entry["tensor_meta"]
    if not PLAIN.fullmatch(name) or meta["layout"] != STRIDED or meta["dtype"] not in ITEM_BYTES:
        raise ValueError(f"{name[:60]!r} is no ordinary tensor")
    if meta["device"]["type"] not in DEVICES:
        raise ValueError(f"{name[:60]!r} lies on {meta['device']['type']!r}: use cpu or cuda")
    sizes, strides = _numbers(meta["sizes"]), _numbers(meta["strides"])
    (offset,) = _numbers([meta["storage_offset"]])
    count = math.prod(sizes)
    last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if count and max(count, last + 1) * ITEM_BYTES[meta["dtype"]] > available:
        raise ValueError(f"{name[:60]!r} is larger than its bytes in the file")
    # The loader makes a tensor of the first entry of a file without bytes.
    if not count and (available or max(sizes) > 2**31):
        raise ValueError(f"{name[:60]!r} is empty, and its bytes are not")
    index = meta["device"]["index"]
    device = {"type": meta["device"]["type"], "index": None if index is None else int(index)}
    plain = {key: meta[key] for key in ("dtype", "sizes", "strides", "storage_offset", "layout")}
    plain |= {"device": device, "requires_grad": meta["requires_grad"] is True}
    kept = {"path_name": entry["path_name"], "is_param": entry["is_param"] is True}
    return kept | {"use_pickle": False, "tensor_meta": plain}


def _numbers(values: list[dict[str, Any]]) -> list[int]:
    numbers = [value["as_int"] for value in values]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("a weight in it has an impossible shape")
    return numbers


def _check_total(entries: dict[str, dict[str, Any]], available: int) -> None:
    """Views over the same bytes would grow when each gets memory of its own."""
    metas = [entry["tensor_meta"] for entry in entries.values()]
    total = sum(ITEM_BYTES[m["dtype"]] * math.prod(_numbers(m["sizes"])) for m in metas)
    if total > TIED * available:
        raise ValueError("its weights are larger than the file")


# ---------------------------------------------------------------- the graph


def _vetted_graph(program: dict[str, Any]) -> dict[str, Any]:
    """The program without comments and guards. ValueError for what could run code."""
    program["guards_code"] = []
    program["graph_module"]["treespec_namedtuple_fields"] = {}
    for part in _objects(program):
        if "metadata" in part:
            part["metadata"] = {}
        for side in ("in_spec", "out_spec"):
            if side in part:
                part[side] = _vetted_containers(part[side])
        for key in ("target", "as_operator"):
            if isinstance(part.get(key), str):
                _check_operator(part[key])
        if "expr_str" in part:
            _check_size(part["expr_str"])
        if not NAME.fullmatch(str(part.get("name") or "")):
            raise ValueError(f"a name in it is no name: {str(part['name'])[:60]!r}")
    _check_strings(program)
    return program


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _objects(entry)


def _check_operator(target: str) -> None:
    if not (target in SIZE_OPERATORS or _is_tensor_operator(target)):
        raise ValueError(
            f"its graph calls {target[:60]!r}, which is no tensor operator on the list of "
            "generators/operators.py"
        )


def _is_tensor_operator(target: str) -> bool:
    found = TENSOR_OPERATOR.fullmatch(target)
    # The underscore of an operator that works in place.
    if not found or not {found[1], found[1].removesuffix("_")} & TENSOR_OPERATORS:
        return False
    packet = getattr(torch.ops.aten, found[1], None)
    return packet is not None and found[2] in packet.overloads()


def _check_size(expression: Any) -> None:
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval"))) if _is_short(expression) else []
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        nodes = []
    if not nodes or not all(isinstance(node, ARITHMETIC) and _is_plain(node) for node in nodes):
        raise ValueError(f"a size of its graph is no arithmetic: {str(expression)[:60]!r}")


def _is_short(expression: Any) -> bool:
    return isinstance(expression, str) and len(expression) <= MAX_SIZE


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in SIZE_FUNCTIONS or bool(SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(SYMBOL.fullmatch(node.value))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    return not isinstance(node, ast.Call) or isinstance(node.func, ast.Name)


def _vetted_containers(text: str) -> str:
    """The specification of what a program takes or gives, without anything to import."""
    version, spec = json.loads(text)
    waiting = [spec]
    while waiting:
        part = waiting.pop()
        if part["type"] not in CONTAINERS or part["context"] not in (None, "null", "[]"):
            raise ValueError(
                f"it takes or gives a {str(part['type'])[:60]}: let it map a tensor to a tensor"
            )
        waiting.extend(part["children_spec"])
    return json.dumps([version, spec])


def _check_strings(value: Any, key: str = "") -> None:
    """Names end up in generated Python, so they may hold nothing but words."""
    if isinstance(value, dict):
        for name, entry in value.items():
            _check_strings(name)
            _check_strings(entry, name)
    elif isinstance(value, list):
        for entry in value:
            _check_strings(entry, key)
    elif isinstance(value, str) and key not in CHECKED_APART and not PLAIN.fullmatch(value):
        raise ValueError(f"a name in it is no name: {value[:60]!r}")
