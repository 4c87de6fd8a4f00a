"""A second device without a card: tensors on `meta` that hold numbers, and refuse what a GPU refuses.

Within `SecondDevice`, what is made on or moved to the device `meta` keeps its numbers, on the CPU but out of
reach. An operation on it and on a tensor of the CPU raises, as on a GPU: there too only a scalar may be of the
CPU, an index of what lies elsewhere, and what is copied. So do a generator of the CPU and `.numpy()`. All the
rest gives what the CPU gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "meta"
# For a test with the fixture `compared` that takes forward-mode derivatives: they reach below what the stand-in
# holds.
on_a_card_only = pytest.mark.parametrize(
    "compared", [pytest.param("card", marks=pytest.mark.gpu)], indirect=True
)
aten = torch.ops.aten
COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default}
INDEXED |= {aten._index_put_impl_.default}


class Elsewhere(Tensor):
    """A tensor that says it is on `meta`; its numbers are in `held`."""

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        return Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=NAME,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    def tolist(self) -> list:
        """A tensor of a GPU gives its numbers so, and torch has it for none that stands for another."""
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


class SecondDevice(TorchDispatchMode):
    """The device `meta` holds numbers within this context."""

    def __enter__(self) -> Self:
        # These write numbers to the device below all that a mode sees: here they are made on the CPU and moved.
        self._replaced = {name: getattr(torch, name) for name in ("tensor", "as_tensor", "asarray")}
        for name, function in self._replaced.items():
            setattr(torch, name, _made_and_moved(function))
        return super().__enter__()

    def __exit__(self, *raised) -> None:
        super().__exit__(*raised)
        for name, function in self._replaced.items():
            setattr(torch, name, function)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return run(function, args, kwargs or {})


def _made_and_moved(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def made(*args, device=None, **settings) -> Tensor:
        found = function(*args, **settings)
        return found if device is None else found.to(device)

    return made


def run(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """An operation on what is held; RuntimeError where a GPU would raise one."""
    given: list[Tensor] = []
    _each(lambda tensor: given.append(tensor) or tensor, (args, kwargs))
    asked = kwargs.get("device")
    there = any(isinstance(tensor, Elsewhere) for tensor in given)
    if there and function not in COPIES:
        _refuse_mixed(function, args, given)
    if asked is not None:
        there = torch.device(asked).type == NAME
        kwargs = kwargs | {"device": "cpu"}
    if function is aten.copy_.default:
        there = isinstance(args[0], Elsewhere)
    if there and kwargs.get("generator") is not None:
        raise RuntimeError(f"{function}: a generator of the CPU draws on the second device")
    owners = {id(tensor.held): tensor for tensor in given if isinstance(tensor, Elsewhere)}
    args, kwargs = _each(lambda t: t.held if isinstance(t, Elsewhere) else t, (args, kwargs))
    found = function(*args, **kwargs)

    def placed(tensor: Tensor) -> Tensor:
        # What works in place returns what it was given.
        return owners[id(tensor)] if id(tensor) in owners else Elsewhere(tensor)

    return _each(placed, found) if there else found


def _refuse_mixed(function: Any, args: tuple, given: list[Tensor]) -> None:
    """RuntimeError: a tensor of the CPU, with numbers in a row, where the others are elsewhere."""
    if function in INDEXED:
        # Places may be of the CPU, if what they are places of is not.
        given = [args[0], *args[2:3]] if isinstance(args[0], Elsewhere) else given
    mixed = [t for t in given if isinstance(t, Tensor) and not isinstance(t, Elsewhere) and t.ndim]
    if mixed:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in mixed)
        raise RuntimeError(f"{function}: tensors of the CPU, {shapes}, among those elsewhere")


def _each(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The same nest of tuples, lists and dicts with its tensors changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(change, one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_each(change, one) for one in value)
    return value


def compare(compute: Callable[[str], dict[str, Any]], device: str, tolerance: float) -> float:
    """The largest difference of what `compute` finds on a device and on the CPU, relative to the largest
    number of each result. compute: device -> arrays or tensors by name. AssertionError: it is above the
    tolerance, or results are of another shape or not finite."""
    found, expected = compute(device), compute("cpu")
    assert found.keys() == expected.keys() and found
    return max(_difference(name, found[name], expected[name], tolerance) for name in found)


def _difference(name: str, found: Any, expected: Any, tolerance: float) -> float:
    ours, theirs = (torch.as_tensor(x).detach().cpu().double() for x in (found, expected))
    assert ours.shape == theirs.shape and torch.isfinite(theirs).all(), name
    if theirs.numel() == 0:
        return 0.0
    scale = max(theirs.abs().max().item(), 1e-12)
    difference = (ours - theirs).abs().max().item() / scale
    assert difference <= tolerance, f"{name} is off by {difference:.1e} of its largest number"
    return difference
