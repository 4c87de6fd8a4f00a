"""Density of one feature: the nearest-neighbour labels of the main paper and the network that learns them."""

from importlib import import_module
from typing import Any

# For users of the library. Handed on lazily: a name must not cost the imports of its neighbours.
_MODULES = {
    "PseudoDensity": "network",
    "knn_density": "knn",
    "measure_knn_density": "knn",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
