"""One digest of the code that makes an artefact.

Snakemake does not see what a script imports. So each rule has, as a parameter, a digest of the parsed
script and of every module of the package that it needs. Comments, docstrings and formatting are no part
of it, nor are modules that only report progress: only an edit that can change what is made makes it again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "code_digest", "imported_modules", "modules_used"]

ROOT = Path(__file__).parents[1]

# Modules that only speak: nothing that is made can depend on them.
SILENT = frozenset({"progress"})


@cache
def file_of(module: str) -> Path | None:
    """File of a dotted module of the package (without the leading name), or None."""
    base = ROOT.joinpath(*module.split(".")) if module else ROOT
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _packages(module: str) -> list[str]:
    """The packages that a module is in; the outermost is called ""."""
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(len(parts))]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Modules of the package that a file imports anywhere, as dotted names inside the package."""
    found: set[str] = set()
    prefix = f"{ROOT.name}."
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            # "from package import name": name may be a module or something inside one.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        inside = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
        found |= {name for name in inside if file_of(name)}
    return frozenset(found)


def modules_used(files: Iterable[Path], modules: Iterable[str] = ()) -> frozenset[str]:
    """Every module of the package that files need, and that given modules need, with themselves."""
    waiting = [*modules, *(name for file in files for name in imported_modules(file))]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        if file_of(module) is None:
            raise ValueError(f"there is no module {module!r} in the package")
        seen.add(module)
        # Importing a.b runs a/__init__.py too.
        waiting += [package for package in _packages(module) if package not in seen]
        waiting += imported_modules(file_of(module))
    return frozenset(seen)


@cache
def meaning(path: Path) -> str:
    """Digest of a file's parsed code without docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        value = getattr(body[0], "value", None) if isinstance(body[0], ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            body[:] = body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def code_digest(script: Path, modules: tuple[str, ...] = ()) -> str:
    """Digest of a script and of all that it needs of the package.

    Args:
        modules: dotted names inside the package that the job imports by name at run time (the
            architecture of a generator), beside what the script itself imports.
    """
    used = sorted(modules_used([script], modules) - SILENT)
    parts = [meaning(script), *(f"{name}={meaning(file_of(name))}" for name in used)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:10]
