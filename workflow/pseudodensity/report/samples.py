"""Samples on disk as tables and figures read them: arrays of safetensors files, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from pseudodensity.artifacts import ArtifactError

__all__ = ["load_arrays"]


def load_arrays(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Named arrays of a safetensors file. ArtifactError: missing or damaged."""
    try:
        with safe_open(path, framework="np") as handle:
            return {name: handle.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: run the rule that makes it first") from None
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} is damaged ({error}): delete it and run again") from None
