"""What a module of the package declares, read without importing it.

A generator, a method or a metric says what it is by literal constants at the top of its one file.
The plan reads them from the parsed source: no torch is loaded and nothing of the module runs.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "annotations",
    "declared",
    "declared_by_name",
    "declares",
    "modules_declaring",
    "neutral",
    "parameters",
    "telling",
]

ROOT = Path(__file__).parents[1]


def declared(module: str, constant: str) -> Any:
    """The value of a literal constant of a module.

    Args:
        module: dotted name inside the package, such as ``generators.stylegan2``.
        constant: a name that the module assigns at its top level.

    ValueError: no such module or constant, or its value is no literal.
    """
    value = _assigned(_file(module)).get(constant)
    if value is None:
        raise ValueError(f"{module} declares no {constant}: assign it at the top of the module")
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError):
        raise ValueError(
            f"{module} declares {constant} by an expression: write it as a literal, because it is "
            "read without running the module"
        ) from None


def declares(module: str, constant: str) -> bool:
    """Whether a module assigns a constant at its top level. ValueError: no such module."""
    return constant in _assigned(_file(module))


def neutral(module: str) -> Mapping[str, Any]:
    """Settings of a module that may be left out, each with the value that does nothing: its ``NEUTRAL``, if it has one."""
    return declared(module, "NEUTRAL") if declares(module, "NEUTRAL") else {}


def telling(settings: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Settings without those that do nothing: to give one makes no artefact anew."""
    nothing = neutral(module)
    return {k: v for k, v in settings.items() if k not in nothing or v != nothing[k]}


def parameters(module: str, function: str) -> dict[str, bool]:
    """The parameters that a function of a module takes by keyword -> whether they are required.

    Args:
        module: dotted name inside the package.
        function: a function or a class (then those of its constructor) that the module defines, or
            another name that it assigns to one.

    ValueError: no such module or function; it takes ``**`` something, which hides its parameters.
    """
    arguments, bound = _signature(module, function)
    if arguments.kwarg is not None:
        raise ValueError(
            f"{module}.{function} takes **{arguments.kwarg.arg}: name its parameters, or misspelt "
            "settings cannot be told"
        )
    # Defaults belong to the last of the positional parameters.
    first_optional = len(arguments.args) - len(arguments.defaults)
    found = {a.arg: i < first_optional for i, a in enumerate(arguments.args) if i >= bound}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[argument.arg] = default is None
    return found


def annotations(module: str, function: str) -> dict[str, str]:
    """The parameters of a function -> their annotations as text, "" for none; as :func:`parameters`."""
    arguments, _ = _signature(module, function)
    given = {a.arg: a.annotation for a in (*arguments.args, *arguments.kwonlyargs)}
    return {name: ast.unparse(kind) if kind else "" for name, kind in given.items()}


def modules_declaring(folder: str, constant: str) -> dict[str, str]:
    """Name -> dotted module, of every module of a folder that assigns a constant.

    Args:
        folder: dotted name of a package inside the package, such as ``generators``; packages in
            it are left out.
        constant: a literal name, or a dictionary with the name under ``name``.

    ValueError: no such folder; two modules of one name; a constant that is neither.
    """
    place = ROOT.joinpath(*folder.split("."))
    if not place.is_dir():
        raise ValueError(f"there is no folder {folder} in the package")
    found: dict[str, str] = {}
    for path in sorted(place.glob("*.py")):
        if constant not in _assigned(path):
            continue
        module = f"{folder}.{path.stem}"
        value = declared(module, constant)
        name = value.get("name") if isinstance(value, dict) else value
        if not isinstance(name, str):
            raise ValueError(f"{module} declares {constant} without a name")  # noqa: TRY004
        if name in found:
            raise ValueError(f"{module} and {found[name]} both declare {constant} {name!r}")
        found[name] = module
    return found


def declared_by_name(folder: str, constant: str, name: str) -> tuple[str, Any]:
    """The dotted module of a folder that declares itself by a name, and what it declares.

    ValueError: none is called so; as :func:`modules_declaring`.
    """
    found = modules_declaring(folder, constant)
    if name not in found:
        raise ValueError(f"unknown name {name!r} in {folder}: choose one of {', '.join(found)}")
    return found[name], declared(found[name], constant)


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        raise ValueError(f"there is no module {module} in the package")
    return path


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def _assigned(path: Path) -> dict[str, ast.expr]:
    """What a file assigns to single names at its top level; the last value counts."""
    found = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if _is_name(target)}
        elif isinstance(node, ast.AnnAssign) and node.value is not None and _is_name(node.target):
            found[node.target.id] = node.value
    return found


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name)


def _signature(module: str, name: str) -> tuple[ast.arguments, int]:
    """The arguments of a function, or of a class's constructor, and how many the call leaves out."""
    path = _file(module)
    alias = _assigned(path).get(name)
    wanted = alias.id if isinstance(alias, ast.Name) else name
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef) and node.name == wanted:
            return node.args, 0
        if isinstance(node, ast.ClassDef) and node.name == wanted:
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    return method.args, 1
    raise ValueError(f"{module} defines no function {name}, nor a class with a constructor")
