"""Choose among proposals: each method is one log-weight and one scheme over a pool of samples."""

from importlib import import_module
from typing import Any

# For users of the library. Handed on lazily: a name must not cost the imports of its neighbours.
_MODULES = {
    "expected_acceptance": "acceptance",
    "importance_acceptance": "acceptance",
    "sampling_weights": "acceptance",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
