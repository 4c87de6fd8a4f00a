"""Pickled networks read as data: nothing that a file names is imported, executed or altered.

A pickle is a program whose instructions fetch callables by name and call them. Here a name is
looked up in a closed table of harmless constructors, or becomes an inert record if it belongs to
a package whose networks are published this way, or else the file is refused.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from pseudodensity.artifacts import ArtifactError
from pseudodensity.features.weight_files import MAX_BYTES, check_pickle, load_tensors_only

__all__ = [
    "Inert",
    "Network",
    "as_array",
    "plain_reason",
    "plain_tree",
    "read_arrays",
    "read_networks",
    "read_root",
]

MAX_MODULES = 100_000
ROLES = ("G", "D", "G_ema")
# Classes of these packages may occur; each becomes a record that only keeps its state.
INERT_PACKAGES = (
    "dnnlib.",
    "pg_modules.",
    "tfutil.",
    "timm.",
    "torch.ao.nn.",
    "torch.nn.",
    "torch_utils.",
    "training.",
)
NUMBERS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


@dataclass(frozen=True)
class Network:
    """One network of a file.

    kind: name of its class. tensors: its state dict, each tensor contiguous and on the CPU.
    init: the keyword arguments of its constructor that are plain values, those of
    ``synthesis_kwargs`` lifted to the top. attributes: plain attributes of every module under
    dotted names ("mapping.w_avg_beta").
    """

    kind: str
    tensors: dict[str, Tensor]
    init: dict[str, Any]
    attributes: dict[str, Any]


def read_networks(path: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, Network]:
    """The networks "G", "D" and "G_ema" of an NVlabs or ProjectedGAN pickle, those that it holds.

    Raises:
        ArtifactError: the file is larger than ``max_bytes``, damaged, names something that no
            checkpoint needs, or holds no networks.
    """
    root, size = read_root(path, max_bytes), Path(path).stat().st_size
    try:
        if not isinstance(root, dict) or not any(role in root for role in ROLES):
            raise pickle.UnpicklingError(
                f"its root is a {type(root).__name__} without G, D or G_ema (TensorFlow pickles "
                "are of another format)"
            )
        return {role: _network(root[role], size) for role in ROLES if root.get(role) is not None}
    # What a hostile file holds can be anything.
    except Exception as error:  # noqa: BLE001
        raise ArtifactError(f"cannot be read as a pickled network: {plain_reason(error)}") from None


def read_root(path: str | Path, max_bytes: int = MAX_BYTES) -> Any:
    """What a pickle of networks holds, as plain values and records.

    ArtifactError: it is larger than ``max_bytes``, damaged, or names something that no checkpoint needs.
    """
    size = Path(path).stat().st_size
    if size > max_bytes:
        raise ArtifactError(f"has {size} bytes, more than the {max_bytes} that are read at most")
    try:
        with open(path, "rb") as handle:
            _check_instructions(handle, size)
            return _DataUnpickler(handle).load()
    # A hostile or damaged file can make the unpickler fail in almost any way.
    except Exception as error:  # noqa: BLE001
        raise ArtifactError(f"cannot be read as a pickled network: {plain_reason(error)}") from None


def read_arrays(path: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, list[np.ndarray]]:
    """The arrays of plain numbers in a pickled dictionary: name -> list of arrays.

    Raises:
        ArtifactError: the file is larger than ``max_bytes``, damaged, or holds something else.
    """
    size = Path(path).stat().st_size
    if size > max_bytes:
        raise ArtifactError(f"{path} has {size} bytes, more than the {max_bytes} that are read")
    try:
        with open(path, "rb") as handle:
            _check_instructions(handle, size)
            root = _DataUnpickler(handle).load()
        if not isinstance(root, dict) or not all(isinstance(part, list) for part in root.values()):
            raise pickle.UnpicklingError("it is no dictionary of lists of arrays")
        return {str(name): [as_array(entry) for entry in part] for name, part in root.items()}
    # A hostile or damaged file can make the unpickler fail in almost any way.
    except Exception as error:  # noqa: BLE001
        raise ArtifactError(f"{path} cannot be read as arrays: {plain_reason(error)}") from None


def plain_reason(error: Exception) -> str:
    """First line of an error, short enough to be read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def _check_instructions(handle: BinaryIO, size: int) -> None:
    """Refuse a file that announces more than it holds or hashes what may never end."""
    with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if view[:2] == b"PK":
            raise pickle.UnpicklingError("it is a zip archive, such as torch.save writes")
        check_pickle(view, size)


class _Record(dict):
    """A dictionary that a file may fill, item by item, but not give attributes."""

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any):
        if args or kwargs:  # keys that nobody looked at
            raise pickle.UnpicklingError("it fills a dictionary at once")
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """The state of a dictionary subclass is not needed."""


class Inert:
    """What a class of the file becomes: its name and its state as data."""

    __slots__ = ("state",)
    kind = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        self.state = {}
        return self

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Function:
    """A constructor that a file may call but, unlike a bare function, not alter."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it tries to alter a constructor")


# Named tuples accept no state, and keep torch's own objects out of the reach of a pickle.
class _Storage(NamedTuple):
    content: torch.UntypedStorage
    dtype: torch.dtype


class _Boxed(NamedTuple):
    tensor: Tensor


class _NumberType:
    """A NumPy dtype of plain numbers."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *ignored: Any):
        if not isinstance(code, str) or code not in NUMBERS:
            raise pickle.UnpicklingError("it holds a NumPy dtype that is no plain number")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("it holds a NumPy dtype without a byte order")
        self.order = state[1]


def _scalar(dtype: Any, data: Any) -> int | float | bool:
    if not isinstance(dtype, _NumberType) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("it holds a NumPy scalar that is no plain number")
    (value,) = np.frombuffer(data, dtype.order + dtype.code)
    return value.item()


def as_array(entry: Any) -> np.ndarray:
    """An array of what NumPy pickled of it: version, shape, type, order of the axes, bytes.

    It is a view of the bytes. pickle.UnpicklingError or ValueError: it is something else.
    """
    if not isinstance(entry, Inert) or entry.kind != "_reconstruct":
        raise pickle.UnpicklingError("it holds something else than arrays")
    _, shape, dtype, by_columns, data = entry.state
    if not isinstance(dtype, _NumberType) or not isinstance(data, bytes):
        raise pickle.UnpicklingError("it holds an array of something else than plain numbers")
    numbers = np.frombuffer(data, dtype.order + dtype.code)
    return numbers.reshape(shape, order="F" if by_columns else "C")


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it encodes text other than as latin1")
    return text.encode("latin1")


def _storage(data: Any) -> _Storage:
    # Old-style streams only: a zip could unpack to much more than its size.
    if not isinstance(data, bytes) or data[:2] == b"PK":
        raise pickle.UnpicklingError("it holds a storage in another form than torch writes")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        storage = load_tensors_only(io.BytesIO(data))
        if not isinstance(storage, torch.storage.TypedStorage):
            raise pickle.UnpicklingError("it holds something else where a storage belongs")
        content = storage.untyped()
    if content.nbytes() > len(data):
        raise pickle.UnpicklingError("it holds a storage larger than its bytes")
    return _Storage(content, storage.dtype)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *ignored: Any) -> _Boxed:
    """A tensor over a storage, after the bounds that torch itself does not check."""
    if not isinstance(storage, _Storage) or not isinstance(size, tuple):
        raise pickle.UnpicklingError("it holds a tensor without storage or size")
    natural = all(type(v) is int and v >= 0 for v in (offset, *size, *stride))
    if not natural or len(size) != len(stride):
        raise pickle.UnpicklingError("it holds a tensor with an impossible shape")
    available = storage.content.nbytes() // storage.dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= available:
        raise pickle.UnpicklingError("it holds a tensor that reaches beyond its storage")
    empty = torch.empty(0, dtype=storage.dtype)
    return _Boxed(empty.set_(storage.content, offset, size, stride))


def _parameter(data: Any, *ignored: Any) -> Any:
    return data


def _persistent(meta: Any) -> Inert:
    """A module of torch_utils.persistence; the source text that comes with it is left alone."""
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise pickle.UnpicklingError("it holds a persistent object without class name")
    module = _inert_class(meta["class_name"])()
    module.state = meta.get("state")
    return module


def _set(members: Any = ()) -> set[Any]:
    if not all(isinstance(member, (str, int)) for member in members):
        raise pickle.UnpicklingError("it holds a set of something else than names")
    return set(members)


def _dill_type(name: Any) -> Any:
    types = {"dict": _Record, "list": list, "set": _Function(_set), "tuple": tuple}
    if not isinstance(name, str) or name not in types:
        raise pickle.UnpicklingError("it asks dill for a type that no checkpoint needs")
    return types[name]


def _inert_class(kind: str) -> type[Inert]:
    return type("_InertClass", (Inert,), {"__slots__": (), "kind": kind})


_CONSTRUCTORS: dict[tuple[str, str], Any] = {
    ("__builtin__", "set"): _Function(_set),
    ("_codecs", "encode"): _Function(_encode),
    ("builtins", "set"): _Function(_set),
    ("collections", "OrderedDict"): _Record,
    ("dill._dill", "_load_type"): _Function(_dill_type),
    ("dnnlib.util", "EasyDict"): _Record,
    ("numpy", "dtype"): _NumberType,
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch.storage", "_load_from_bytes"): _Function(_storage),
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _Function(_persistent),
}
for _package in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _CONSTRUCTORS[_package, "scalar"] = _Function(_scalar)
# Arrays are only found among plain attributes, none of which is needed: they stay undecoded.
_INERT_NAMES = {
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _DataUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        constructor = _CONSTRUCTORS.get((module, name))
        if constructor is not None:
            return constructor
        known = f"{module}.".startswith(INERT_PACKAGES) or (module, name) in _INERT_NAMES
        if not known or not name.isidentifier():
            raise pickle.UnpicklingError(
                f"it names {module[:80]}.{name[:80]}, which no checkpoint needs: it may be hostile"
            )
        return _inert_class(name)


def _network(root: Any, max_bytes: int) -> Network:
    tensors: dict[str, Tensor] = {}
    attributes: dict[str, Any] = {}
    for prefix, state in _modules(root):
        for name, value in {**state["_parameters"], **_persistent_buffers(state)}.items():
            if value is not None:
                if not isinstance(value, _Boxed):
                    raise pickle.UnpicklingError("it holds a parameter that is no tensor")
                tensors[f"{prefix}{name}"] = value.tensor
        attributes |= {f"{prefix}{k}": v for k, v in state.items() if _is_plain(k, v)}
    # Many tensors over one storage would grow when each gets its own memory.
    if sum(tensor.nbytes for tensor in tensors.values()) > max_bytes:
        raise pickle.UnpicklingError("its tensors are larger than the file")
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    kwargs = root.state.get("_init_kwargs", {})
    init = plain_tree({**kwargs, **kwargs.get("synthesis_kwargs", {})})
    return Network(root.kind, tensors, init, attributes)


def _modules(root: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Prefix and state of every module, in the order of a state dict."""
    waiting, seen = [("", root)], 0
    while waiting:
        prefix, module = waiting.pop()
        seen += 1
        state = module.state if isinstance(module, Inert) else None
        fields = ("_parameters", "_buffers", "_modules")
        if not isinstance(state, dict) or not all(isinstance(state.get(f), dict) for f in fields):
            raise pickle.UnpicklingError("it holds something else where a network belongs")
        # A network within itself would never end.
        if seen > MAX_MODULES or len(prefix) > 1000:
            raise pickle.UnpicklingError("its modules nest without end")
        yield prefix, state
        children = [(f"{prefix}{k}.", m) for k, m in state["_modules"].items() if m is not None]
        waiting.extend(reversed(children))


def _persistent_buffers(state: dict[str, Any]) -> dict[str, Any]:
    skipped = state.get("_non_persistent_buffers_set", ())
    return {name: value for name, value in state["_buffers"].items() if name not in skipped}


def _is_plain(key: Any, value: Any) -> bool:
    return (
        isinstance(key, str)
        and not key.startswith("_")
        and (value is None or isinstance(value, (bool, int, float, str)))
    )


def plain_tree(values: dict[str, Any]) -> dict[str, Any]:
    """The plain entries of a dictionary and of the dictionaries in it."""
    inner = {
        key: {k: v for k, v in value.items() if _is_plain(k, v)}
        for key, value in values.items()
        if isinstance(key, str) and isinstance(value, dict)
    }
    return inner | {key: value for key, value in values.items() if _is_plain(key, value)}
