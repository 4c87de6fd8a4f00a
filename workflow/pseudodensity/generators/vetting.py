"""Model files of strangers: what may stand in a TorchScript or exported program before it is loaded.

Neither loader is safe by itself. ``torch.export.load`` unpickles whatever the archive says is a
pickle, loads compiled libraries, imports modules that a tree specification names, hands symbolic
sizes to a parser that evaluates Python, and calls any function under ``torch`` that the graph
names. ``torch.jit.load`` never runs Python, but TorchScript itself can read and write files, even
while it is loaded. So both files are read as data first, and refused or rebuilt:

- TorchScript: refused if its source names a file operation, a foreign operator or a native class;
- exported program: rebuilt from plain weights and a graph in which every operator is one of
  PyTorch's own tensor operators (or plain arithmetic of sizes), every size plain arithmetic and
  every name a plain name. Pickles, compiled code, samples, guards and comments are left out.

What remains can still take all memory or all time, and the loaders are C++ that reads untrusted
bytes: this is a lock on the front door, not a sandbox.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["vetted_program", "vetted_script"]

# ---------------------------------------------------------------- TorchScript

FILE_OPERATIONS = re.compile(r"\b(save|from_file)\b", re.ASCII)
NAMESPACE = re.compile(r"\bops\s*\.\s*(\w+)")
NAMESPACES = {"aten", "prim", "quantized"}
NATIVE_CLASS = "torch.classes"


def vetted_script(data: bytes) -> io.BytesIO:
    """The TorchScript archive ``data``, ready for ``torch.jit.load``. ValueError: see above."""
    reader = _reader(data)
    names = reader.get_all_records()
    sources = [name for name in names if name.startswith("code/") and name.endswith(".py")]
    if not sources or "data.pkl" not in names:
        raise ValueError("it holds no TorchScript code")
    for name in sources:
        # The lexer joins such lines, so a word may not hide behind a break.
        source = reader.get_record(name).decode("utf-8", "replace").replace("\\\n", "")
        if found := FILE_OPERATIONS.search(source):
            raise ValueError(f"its code may touch files ({found[0]!r} in {name})")
        foreign = set(NAMESPACE.findall(source)) - NAMESPACES
        if foreign or NATIVE_CLASS in re.sub(r"\s", "", source):
            raise ValueError(f"{name} calls native code: {', '.join(sorted(foreign)) or 'classes'}")
    for name in names:
        if name.endswith(".pkl") and NATIVE_CLASS.encode() in reader.get_record(name):
            raise ValueError(f"{name} holds an object of a native class")
    return io.BytesIO(data)


# ---------------------------------------------------------------- exported programs

MODEL = "models/model.json"
WEIGHTS = "data/weights/"
CONSTANTS = "data/constants/"
CONFIGS = {
    f"{WEIGHTS}model_weights_config.json": (WEIGHTS, re.compile(r"weight_\d+")),
    f"{CONSTANTS}model_constants_config.json": (CONSTANTS, re.compile(r"tensor_\d+")),
}
SAMPLES = "data/sample_inputs/model.pt"
COPIED = ("archive_format", "archive_version", "byteorder")
TENSOR_OPERATOR = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
SIZE_OPERATORS = {
    *(f"_operator.{name}" for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "pow")),
    *(f"_operator.{name}" for name in ("neg", "eq", "ne", "lt", "le", "gt", "ge", "getitem")),
    *(f"math.{name}" for name in ("ceil", "floor", "trunc", "sqrt")),
    *(f"torch.sym_{name}" for name in ("int", "float", "max", "min", "not")),
}
CHECKED_APART = ("expr_str", "in_spec", "out_spec")
PLAIN = re.compile(r"[\w .,>+\-]*", re.ASCII)
SYMBOL = re.compile(r"[suz]\d+", re.ASCII)
SIZE_FUNCTIONS = {
    *("Symbol", "Integer", "Add", "Mul", "Pow", "Max", "Min"),
    *("Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv", "PowByNatural", "IntTrueDiv"),
}
ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop),
    *(ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant),
)
CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict"}


def vetted_program(data: bytes) -> io.BytesIO:
    """A clean copy of the ``.pt2`` archive ``data``, for ``torch.export.load``.

    ValueError: see above. A program saved by ``torch.export.save`` from an ordinary network of
    tensor operators passes.
    """
    reader = _reader(data)
    names = reader.get_all_records()
    if MODEL not in names or not set(CONFIGS) <= set(names):
        raise ValueError(f"it holds no exported program of a known layout ({MODEL})")
    records = {name: reader.get_record(name) for name in COPIED if name in names}
    for name, (folder, pattern) in CONFIGS.items():
        config = json.loads(reader.get_record(name))
        _check_strings(config)
        records[name] = json.dumps(config).encode()
        for file in _payloads(config, pattern):
            records[folder + file] = reader.get_record(folder + file)
    records[MODEL] = json.dumps(_vetted_graph(json.loads(reader.get_record(MODEL)))).encode()
    records[SAMPLES] = b""
    return _archive(records)


def _payloads(config: dict[str, Any], pattern: re.Pattern) -> Iterator[str]:
    """Files of raw numbers that a table of weights names."""
    for name, entry in config["config"].items():
        if entry["use_pickle"] or not pattern.fullmatch(entry["path_name"]):
            raise ValueError(f"{name!r} is stored as a pickle, not as plain numbers")
        yield entry["path_name"]


def _vetted_graph(program: dict[str, Any]) -> dict[str, Any]:
    """The program without comments and guards. ValueError for what could run code."""
    program["guards_code"] = []
    module = program["graph_module"]
    for call in module["module_call_graph"]:
        signature = call["signature"]
        for side in ("in_spec", "out_spec") if signature else ():
            _check_containers(json.loads(signature[side])[1])
            signature[side] = json.dumps(json.loads(signature[side]))
    for part in _objects(program):
        if "metadata" in part:
            part["metadata"] = {}
        for key in ("target", "as_operator"):
            if isinstance(part.get(key), str):
                _check_operator(part[key])
        if "expr_str" in part:
            _check_size(part["expr_str"])
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
        raise ValueError(f"its graph calls {target!r}, which is no tensor operator of PyTorch")


def _is_tensor_operator(target: str) -> bool:
    found = TENSOR_OPERATOR.fullmatch(target)
    if not found or FILE_OPERATIONS.search(found[1]):
        return False
    packet = getattr(torch.ops.aten, found[1], None)
    return isinstance(getattr(packet, found[2], None), torch._ops.OpOverload)


def _check_size(expression: str) -> None:
    try:
        nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    except (SyntaxError, ValueError, RecursionError):
        nodes = [None]
    if not all(isinstance(node, ARITHMETIC) and _is_plain(node) for node in nodes):
        raise ValueError(f"a size of its graph is no arithmetic: {expression[:60]!r}")


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Name):
        return node.id in SIZE_FUNCTIONS or bool(SYMBOL.fullmatch(node.id))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(SYMBOL.fullmatch(node.value))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    return not isinstance(node, ast.Call) or isinstance(node.func, ast.Name)


def _check_containers(spec: dict[str, Any]) -> None:
    if spec["type"] not in CONTAINERS or spec["context"] not in (None, "null", "[]"):
        raise ValueError(f"it takes or gives a {spec['type']}: let it map a tensor to a tensor")
    for child in spec["children_spec"]:
        _check_containers(child)


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


# ---------------------------------------------------------------- archives


def _reader(data: bytes) -> Any:
    # The reader of the loaders themselves: another might see other files in the same bytes.
    try:
        return torch._C.PyTorchFileReader(io.BytesIO(data))
    except RuntimeError:
        raise ValueError("it is no archive of PyTorch, or damaged") from None


def _archive(records: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    for name, data in records.items():
        if name != "byteorder":  # written by the writer itself
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    buffer.seek(0)
    return buffer
