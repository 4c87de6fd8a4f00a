"""Networks that NVlabs pickled from TensorFlow, read as data: no TensorFlow, no code of the file.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.reader import (
    Inert,
    Network,
    as_array,
    plain_reason,
    plain_tree,
    read_root,
)
from pseudodensity.features.weight_files import MAX_BYTES

__all__ = ["read_tensorflow"]

ROLES = ("G", "D", "Gs")
# A network, its mapping and synthesis.
DEEPEST = 3


def read_tensorflow(path: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, Network]:
    """The networks of a pickled tuple (G, D, Gs); Gs is the average of G.

    Tensors have the names and the layout of TensorFlow, those of a component below its name
    ("mapping/Dense0/weight"); init is what the file passed to the function that built the network.

    Raises:
        ArtifactError: the file is larger than ``max_bytes``, damaged, names something that no
            checkpoint needs, or holds something else.
    """
    root, size = read_root(path, max_bytes), Path(path).stat().st_size
    try:
        if not isinstance(root, tuple) or len(root) != len(ROLES):
            raise pickle.UnpicklingError(f"its root is a {type(root).__name__}, not G, D and Gs")
        return {role: _network(part, size) for role, part in zip(ROLES, root, strict=True)}
    # What a hostile file holds can be anything.
    except Exception as error:  # noqa: BLE001
        raise ArtifactError(
            f"cannot be read as pickled TensorFlow networks: {plain_reason(error)}"
        ) from None


def _network(root: Any, max_bytes: int) -> Network:
    arrays = dict(_variables(root, "", DEEPEST))
    # Many arrays over one string of bytes would grow when each gets its own memory.
    if sum(array.nbytes for array in arrays.values()) > max_bytes:
        raise pickle.UnpicklingError("its arrays are larger than the file")
    tensors = {name: torch.from_numpy(_native(array)) for name, array in arrays.items()}
    kwargs = root.state.get("static_kwargs", {})
    return Network(str(root.state.get("build_func_name")), tensors, plain_tree(kwargs), {})


def _native(array: np.ndarray) -> np.ndarray:
    """A copy of its own, in the byte order of this machine."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C")


def _variables(network: Any, prefix: str, levels: int) -> Iterator[tuple[str, np.ndarray]]:
    """Every variable of a network and of its components."""
    state = network.state if isinstance(network, Inert) else None
    if not isinstance(state, dict) or not isinstance(state.get("variables"), list) or not levels:
        raise pickle.UnpicklingError("it holds something else where a network belongs")
    for name, value in state["variables"]:
        if not isinstance(name, str):
            raise pickle.UnpicklingError("it holds a variable without a name")
        yield prefix + name, np.array(value) if _is_number(value) else as_array(value)
    for name, component in state.get("components", {}).items():
        yield from _variables(component, f"{prefix}{name}/", levels - 1)


def _is_number(value: Any) -> bool:
    """A variable without axes is pickled as a number."""
    return isinstance(value, (bool, int, float))
