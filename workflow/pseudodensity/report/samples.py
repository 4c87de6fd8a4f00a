"""Samples on disk as tables and figures read them: arrays and facts of our safetensors files, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from pseudodensity.artifacts import check_tensors, damaged, one_line

__all__ = ["load_arrays", "load_facts"]


def load_arrays(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Named arrays of a file of `save_tensors`. ArtifactError: missing or damaged."""
    with _opened(path) as handle:
        return {name: handle.get_tensor(name) for name in names}


def load_facts(path: str | Path) -> dict[str, Any]:
    """What `save_tensors` was told of how the tensors came out. ArtifactError: missing or damaged."""
    with _opened(path) as handle:
        return json.loads(handle.metadata()["artifact"])["meta"]


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    check_tensors(path)
    try:
        with safe_open(path, framework="np") as handle:
            yield handle
    except (SafetensorError, OSError) as error:
        raise damaged(path, one_line(error)) from None
