"""Files that hold nothing but a state dict.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from torch import Tensor

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.reader import plain_reason
from pseudodensity.features.weight_files import load_state_dict

__all__ = ["read_state_dict"]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of torch.save by name, float32, on the CPU.

    ArtifactError: it is too large, damaged, no state dict, or holds whole numbers or views that would
    take more memory than the file.
    """
    try:
        public = load_state_dict(path)
    except pickle.UnpicklingError as error:
        raise ArtifactError(f"cannot be read as a state dict: {plain_reason(error)}") from None
    if not all(tensor.is_floating_point() for tensor in public.values()):
        raise ArtifactError("is no state dict of such a model: it holds whole numbers")
    if sum(tensor.nbytes for tensor in public.values()) > path.stat().st_size:
        raise ArtifactError("holds tensors that are larger than the file")
    return {name: tensor.float() for name, tensor in public.items()}
