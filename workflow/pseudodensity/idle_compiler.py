"""torch's compiler, loaded by what compiles and not by what mentions it.

torchvision, timm, diffusers and torch's optimisers load it (1.7 s, as long as many a job computes)
only to mark functions that it shall pass over. Where torch's own switch ``TORCHDYNAMO_DISABLE`` turns
it off, as in the pipeline's jobs, such marks mean nothing and may be left out.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["keep_compiler_idle"]

PACKAGE = "torch._dynamo"


def _unmarked(function: Any = None, *_: Any, **__: Any) -> Any:
    return _unmarked if function is None else function


# What is asked of the compiler where nothing is compiled, by module.
ANSWERS: dict[str, dict[str, Any]] = {
    PACKAGE: {
        "disable": _unmarked,
        "allow_in_graph": _unmarked,
        "graph_break": lambda message="": None,
    },
    f"{PACKAGE}.utils": {"is_compile_supported": lambda device: False},
}


class _IdleModule(ModuleType):
    """Gives its answers; runs its own file when it is asked for anything else."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") and self.wake():
            return getattr(self, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def wake(self) -> bool:
        """Run the file, after the package's own; False where both were run before."""
        woken = self.__name__ != PACKAGE and sys.modules[PACKAGE].wake()
        loader = self.__spec__.loader
        if isinstance(loader, _IdleLoader):
            self.__spec__.loader = self.__loader__ = loader.file
            loader.file.exec_module(self)
            woken = True
        return woken


class _IdleLoader(Loader):
    def __init__(self, file: Loader) -> None:
        self.file = file

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _IdleModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(ANSWERS[module.__name__])


class _LoadedLoader(Loader):
    """Hands over a module that is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


class _IdleFinder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name in ANSWERS:
            spec = PathFinder.find_spec(name, path)
            spec.loader = _IdleLoader(spec.loader)
            return spec
        # The other parts expect that the package was run, and running it loads most of them. One
        # that Python finds loaded in the middle of its search it would load a second time.
        if name.startswith(f"{PACKAGE}.") and sys.modules[PACKAGE].wake() and name in sys.modules:
            return ModuleSpec(name, _LoadedLoader(sys.modules.pop(name)))
        return None


def keep_compiler_idle() -> None:
    """Let libraries mark functions for the compiler without loading it; other use still loads it.

    Does nothing where the compiler is loaded already.
    """
    if PACKAGE not in sys.modules:
        sys.meta_path.insert(0, _IdleFinder())
