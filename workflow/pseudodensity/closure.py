"""Which files of the package a module depends on.

Snakemake does not see what a script imports. The rules therefore list the import closure of their
script as input: an edit of the package reruns what depends on it, and nothing else.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

__all__ = ["code_files", "imported_modules"]

ROOT = Path(__file__).parent


def _file_of(module: str) -> Path | None:
    """File of a dotted module of the package (without the leading name), or None."""
    base = ROOT.joinpath(*module.split(".")) if module else ROOT
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _parents(module: str) -> list[str]:
    """The packages that a module is in; the outermost is called ""."""
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(len(parts))]


def _package(path: Path, level: int) -> str:
    """The package that a relative import with ``level`` dots in a file starts from."""
    return ".".join((ROOT.name, *path.relative_to(ROOT).parts[:-level])) if level else ""


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Modules of the package that a file imports anywhere, as dotted names inside the package."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, (_package(path, node.level), node.module)))
            # "from package import name": name may be a module or something inside one.
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        inside = (n.removeprefix(f"{ROOT.name}.") for n in names if n.startswith(f"{ROOT.name}."))
        found |= {name for name in inside if _file_of(name)}
    return frozenset(found)


def code_files(
    script: str | Path, modules: Iterable[str] = (), package_parent: str = "workflow"
) -> list[str]:
    """The script and every file of the package that it needs, sorted.

    Args:
        script: a Python file.
        package_parent: folder of the package as it shall appear in the paths.
        modules: dotted names inside the package that are imported by name at run time (the
            architecture of a generator), beside what the script itself imports.
    """
    waiting = [*imported_modules(Path(script)), *modules]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        # Importing a.b runs a/__init__.py too.
        waiting += [p for p in _parents(module) if p not in seen]
        waiting += imported_modules(_file_of(module))
    files = [_file_of(module).relative_to(ROOT.parent) for module in seen]
    return sorted([str(script), *(str(Path(package_parent, file)) for file in files)])
