"""Files of weights from elsewhere: sizes, depth and kinds are known before anything is built of them.

A pickle is a program for a small machine with a stack. Before it runs here or in ``torch.load``, its
instructions are followed without running any: what they would hash (keys of dictionaries, members of
sets) must be plain, because hashing nested tuples ends the process or never ends, and what they
announce must be in the file. Messages of errors continue a sentence that begins with the file's name.
"""

from __future__ import annotations

import math
import pickle
import pickletools
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

__all__ = ["MAX_BYTES", "check_pickle", "load_state_dict", "load_tensors_only"]

MAX_BYTES = 4 * 2**30  # ten times the largest published file
LEGACY_PICKLES = 5  # mark, protocol, machine, content, keys of storages; then come plain numbers
LEGACY_MARK = 0x1950A86A20F9469CFC6C  # with which torch.save began before it wrote zip archives
WIDEST_ITEM = 16  # bytes of one complex number
ITEM_BYTES = {"Byte": 1, "Char": 1, "Bool": 1, "Half": 2, "BFloat16": 2, "Short": 2, "Int": 4}
ITEM_BYTES |= {"Float": 4, "Long": 8, "Double": 8}

PLAIN_TYPES = {int, bool, float, str, bytes, type(None)}
PUTS, GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
CALLS = ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "INST")
SEQUENCES = ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "LIST")
# Constructors that hash what they are given.
HASHING = ("OrderedDict", "Counter", "defaultdict", "dict", "set", "frozenset")
REBUILT = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
TENSOR_MAKERS = ("torch._utils _rebuild_", "torch.nn.parameter Parameter")
ALLOCATING = ("builtins bytearray", "__builtin__ bytearray")


@dataclass(slots=True)
class _Value:
    """What stands on the stack: something plain, a name, a sequence, a storage with the count of its
    numbers as value, a tensor, or anything else."""

    kind: str
    value: Any = None
    entries: list[_Value] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        return self.kind in ("plain", "name")


_MARK = _Value("mark")


def load_state_dict(path: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """The tensors of a file of torch.save by name, on the CPU.

    They take no more memory than the file, but may be views that grow when they are copied.

    Raises:
        pickle.UnpicklingError: larger than ``max_bytes``, something else than a dictionary of
            tensors; as `load_tensors_only`.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise pickle.UnpicklingError(f"it has {size} bytes, more than {max_bytes}")
    state = load_tensors_only(path)
    if not isinstance(state, dict) or not all(map(_is_named_tensor, state.items())):
        raise pickle.UnpicklingError("it is no state dict of tensors")
    return state


def _is_named_tensor(entry: tuple[Any, Any]) -> bool:
    name, tensor = entry
    named = isinstance(name, str) and isinstance(tensor, Tensor)
    return named and tensor.layout is torch.strided and tensor.device.type == "cpu"


def load_tensors_only(source: Path | BinaryIO) -> Any:
    """What torch.save wrote, tensors and plain values only, on the CPU.

    Raises:
        pickle.UnpicklingError: it holds something else, of which nothing is executed, announces more
            than it holds, or is damaged.
    """
    try:
        if isinstance(source, Path):
            with open(source, "rb") as handle:
                _check_saved(handle)
        else:
            _check_saved(source)
            source.seek(0)
        return torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message advises to load without this protection.
        ours = "it holds something else than tensors" if "weights_only" in str(error) else error
        raise pickle.UnpicklingError(str(ours)) from None
    # A damaged file makes the loader fail in almost any way.
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, EOFError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise pickle.UnpicklingError(f"it is damaged ({reason})") from None


def _check_saved(handle: BinaryIO) -> None:
    """The instructions and sizes of a file of torch.save, in its new or its old form."""
    size = handle.seek(0, 2)
    handle.seek(0)
    if handle.read(2) == b"PK":
        announced = _check_archive(handle, size)
    else:
        handle.seek(0)
        announced = 0
        for number in range(LEGACY_PICKLES):
            value, bytes_of_pickle = check_pickle(handle, size)
            announced += bytes_of_pickle
            if number == 0 and value != LEGACY_MARK:
                raise pickle.UnpicklingError("it was not written by torch.save")
    if announced > size:
        raise pickle.UnpicklingError("it announces more bytes than it has")


def _check_archive(handle: BinaryIO, size: int) -> int:
    try:
        archive = zipfile.ZipFile(handle)
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        if not stored or sum(entry.file_size for entry in entries) > size:
            raise pickle.UnpicklingError("its archive announces more bytes than it has")
        # torch.load finds names whatever their case.
        if len({name.lower() for name in names}) < len(names):
            raise pickle.UnpicklingError("its archive holds a name twice")
        announced = 0
        for name in names:
            if name.lower().endswith(".pkl"):
                with archive.open(name) as content:
                    announced += check_pickle(content, size)[1]
    except (zipfile.BadZipFile, NotImplementedError):
        raise pickle.UnpicklingError("its archive is damaged") from None
    return announced


# ---------------------------------------------------------------- the instructions


def check_pickle(handle: BinaryIO, size: int) -> tuple[Any, int]:
    """Follow the instructions of one pickle in a file of ``size`` bytes, and run none.

    Returns the value that it leaves, if that is plain, and how many bytes of storages it names.

    Raises:
        pickle.UnpicklingError: something but a plain value would be hashed; a number of a place or of
            bytes beyond the file; it is cut off or no pickle.
    """
    machine = _Machine(size)
    try:
        for opcode, argument, _ in pickletools.genops(handle):
            machine.step(opcode, argument)
    except (ValueError, IndexError, KeyError, AttributeError, TypeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise pickle.UnpicklingError(f"it is cut off or no pickle ({reason})") from None
    return machine.result, sum(machine.storages.values())


class _Machine:
    """The stack and the memo of a pickle, with kinds in the place of objects."""

    def __init__(self, size: int):
        self.size, self.stack, self.memo, self.steps = size, [], {}, 0
        self.storages: dict[Any, int] = {}
        self.result: Any = None

    def step(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        """One instruction."""
        name, stack = opcode.name, self.stack
        # Places are numbered as they are filled, so no number exceeds the count.
        limit = self.steps if name in PUTS else self.size if name == "FRAME" else None
        self.steps += 1
        if limit is not None and argument > limit:
            raise pickle.UnpicklingError(f"{name} {argument} exceeds its size")
        if name in PUTS:
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in GETS:
            stack.append(self.memo[int(argument)])
        elif name == "STOP":
            self.result = stack.pop().value
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(_MARK)
        else:
            self.apply(opcode, argument, self.taken(opcode))

    def taken(self, opcode: pickletools.OpcodeInfo) -> list[_Value]:
        """What an instruction takes off the stack, the lowest first; marks are left out."""
        before = [entry.name for entry in opcode.stack_before]
        found: list[_Value] = []
        if "mark" in before:
            while (top := self.stack.pop()) is not _MARK:
                found.append(top)
            before = before[: before.index("mark")]
        found.extend(self.stack.pop() for _ in before)
        return found[::-1]

    def apply(self, opcode: pickletools.OpcodeInfo, argument: Any, taken: list[_Value]) -> None:
        """What an instruction makes of what it took; a container that it fills stays."""
        name = opcode.name
        if name in ("SETITEM", "SETITEMS", "DICT"):
            _check_hashed(taken[int(name != "DICT") :: 2])
        elif name in ("ADDITEMS", "FROZENSET"):
            _check_hashed(taken[int(name == "ADDITEMS") :])
        elif name in ("APPEND", "APPENDS"):
            taken[0].entries.extend(taken[1:])
        elif name in CALLS:
            called = _Value("name", argument) if name == "INST" else taken[0]
            _check_call(called, taken if name == "INST" else taken[1:])
        elif name == "BUILD" and taken[0].kind == "tensor":
            raise pickle.UnpicklingError("it alters a tensor that it made")
        if opcode.stack_after:
            self.stack.append(self.made(opcode, argument, taken))

    def made(self, opcode: pickletools.OpcodeInfo, argument: Any, taken: list[_Value]) -> _Value:
        """What an instruction leaves on the stack."""
        name, kind = opcode.name, opcode.stack_after[-1].obtype
        if name in ("SETITEM", "SETITEMS", "ADDITEMS", "APPEND", "APPENDS"):
            return taken[0]
        if name in SEQUENCES:
            return _Value("sequence", entries=taken)
        if name in ("GLOBAL", "STACK_GLOBAL"):
            return _Value("name", argument or " ".join(entry.value for entry in taken))
        if name == "BINPERSID":
            return _Value("storage", self.name_storage(taken[0]))
        if name in CALLS and str(taken[0].value).startswith(TENSOR_MAKERS):
            return _Value("tensor")
        if set(kind if isinstance(kind, tuple) else [kind]) <= PLAIN_TYPES:
            return _Value("plain", argument)
        return _Value("other")

    def name_storage(self, saved: _Value) -> int:
        """Count the bytes of a storage: ("storage", type, key, place, count, ...). The last."""
        if saved.kind != "sequence" or not all(entry.is_plain for entry in _flat(saved.entries)):
            raise pickle.UnpicklingError("it names a storage in another way than torch does")
        _, kind, key, _, count = (entry.value for entry in saved.entries[:5])
        item = ITEM_BYTES.get(str(kind).rpartition(" ")[2].removesuffix("Storage"), WIDEST_ITEM)
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError("it names a storage of an impossible size")
        self.storages[key] = max(self.storages.get(key, 0), count * item)
        return count


def _check_call(called: _Value, arguments: list[_Value]) -> None:
    """What is known of a constructor by its name; the unpickler that follows knows the others."""
    module, _, name = str(called.value).rpartition(" ")
    given = _flat(arguments)  # the tuple of arguments
    if name in HASHING:
        hashed = _flat(given)
        # Python 2 wrote a dictionary that has an order as pairs, whose second entries are not hashed.
        _check_hashed(list(map(_first_of_pair, hashed)) if name == "OrderedDict" else hashed)
    if name.startswith("_rebuild_") and name not in REBUILT or f"{module} {name}" in ALLOCATING:
        raise pickle.UnpicklingError(f"it makes a tensor by {name[:60]}, which no weights need")
    # torch.save and its reader mean a class of storages when they name one, and never call it.
    if module == "torch" and name not in ("Size", "device"):
        raise pickle.UnpicklingError(f"it calls torch.{name[:60]}, which no weights need")
    if name.startswith("_rebuild_tensor") and given and given[0].kind == "storage":
        _check_extent(given)


def _check_extent(given: list[_Value]) -> None:
    """A tensor stays within its storage: the loader would make the storage larger."""
    storage, offset, size, stride = given[:4]
    sizes, steps = ([entry.value for entry in tuple_.entries] for tuple_ in (size, stride))
    natural = all(type(number) is int and number >= 0 for number in (offset.value, *sizes, *steps))
    if not natural or len(sizes) != len(steps):
        raise pickle.UnpicklingError("it holds a tensor with an impossible shape")
    last = offset.value + sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if math.prod(sizes) and last >= storage.value:
        raise pickle.UnpicklingError("it holds a tensor that reaches beyond its storage")


def _flat(values: list[_Value]) -> list[_Value]:
    """Values with the entries of a sequence in its place, one level deep."""
    flat: list[_Value] = []
    for value in values:
        flat.extend(value.entries if value.kind == "sequence" else [value])
    return flat


def _first_of_pair(value: _Value) -> _Value:
    is_pair = value.kind == "sequence" and len(value.entries) == 2
    return value.entries[0] if is_pair else value


def _check_hashed(values: list[_Value]) -> None:
    if not all(value.is_plain for value in values):
        raise pickle.UnpicklingError("a key in it is neither text nor a number")
