"""Scripts are glue: from files to one call of the package and back, on one screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
ALLOWED = {"pseudodensity", "numpy", "pandas", "torch", "pathlib"}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)


def tree(script: Path) -> ast.Module:
    return ast.parse(script.read_text())


@every_script
def test_a_script_says_what_it_does_and_fits_a_screen(script):
    assert ast.get_docstring(tree(script)), "no docstring"
    body = tree(script).body[1:]
    after_imports = [n for n in body if not isinstance(n, ast.Import | ast.ImportFrom)]
    lines = script.read_text().splitlines()[after_imports[0].lineno - 1 :]
    code = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    assert len(code) <= 30
    assert max(map(len, script.read_text().splitlines())) <= 100


@every_script
def test_a_script_defines_nothing(script):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.While, ast.Try)
    for node in ast.walk(tree(script)):
        assert not isinstance(node, kinds), f"line {node.lineno}: {type(node).__name__}"


@every_script
def test_a_script_imports_the_package_and_what_its_files_need(script):
    for node in ast.walk(tree(script)):
        if isinstance(node, ast.Import):
            assert all(alias.name.split(".")[0] in ALLOWED for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module.split(".")[0] in ALLOWED


@every_script
def test_a_script_takes_its_paths_from_snakemake_only(script):
    for node in ast.walk(tree(script)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(("results/", "config", "workflow/", "/"))


def test_every_script_belongs_to_a_rule_and_every_rule_has_one():
    rules = "".join(f.read_text() for f in (ROOT / "workflow/rules").glob("*.smk"))
    used = {Path(line.split('"')[1]).name for line in rules.splitlines() if '"../scripts/' in line}
    assert used == {script.name for script in SCRIPTS}
    for name in used:
        assert f'code("{name}"' in rules or f'"{name}",' in rules, f"{name} is no input of its rule"


@every_script
def test_a_script_uses_only_what_its_rule_gives(script):
    """Names of inputs, outputs and parameters exist in the rule."""
    (rule,) = [
        part
        for file in (ROOT / "workflow/rules").glob("*.smk")
        for part in file.read_text().split("\nrule ")
        if f'"../scripts/{script.name}"' in part
    ]
    for node in ast.walk(tree(script)):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)):
            continue
        owner = ast.unparse(node.value)
        if owner in {f"snakemake.{kind}" for kind in ("input", "output", "params", "resources")}:
            assert node.attr == "get" or f"        {node.attr}=" in rule, ast.unparse(node)
