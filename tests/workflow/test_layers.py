"""The floors of the package: imports only go down, and nothing dangerous is called anywhere."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pseudodensity.closure import ROOT, code_files, imported_modules

PACKAGE = ROOT.name
FILES = sorted(ROOT.rglob("*.py"))
SCRIPTS = sorted((ROOT.parent / "scripts").glob("*.py"))

# Modules of a floor may import those of the floors before it, and of their own.
FLOORS = [
    (
        "idle_compiler",
        "artifacts",
        "rng",
        "progress",
        "plan",
        "runs",
        "sweeps",
        "frontier_runs",
        "figure_runs",
        "closure",
    ),
    ("images",),
    ("feature_sets", "neighbors"),
    ("features",),
    ("density",),
    ("generators",),
    ("checkpoints",),
    ("control",),
    ("drawing", "tables", "claims", "figures", "figures_samples"),
    ("overhead", "tables_overhead"),
    ("frontier", "frontier_tables", "frontier_figures", "tables_inference", "quick"),
    ("likelihood_frontier", "figures_likelihood"),
]
# Judges stand beside the house: they see features, never what made them.
JUDGES = {"metrics": {"metrics", "feature_sets", "neighbors"}}
LIGHT = (
    "idle_compiler",
    "runs",
    "sweeps",
    "frontier_runs",
    "figure_runs",
    "closure",
    "plan.declared",
)  # read by every cluster job


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int:
    top = module.split(".")[0]
    return next(i for i, names in enumerate(FLOORS) if top in names)


def imports(file: Path) -> set[str]:
    """Top-level names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def calls(file: Path) -> list[tuple[str, ast.Call]]:
    """Dotted name of every call, with its node."""
    tree = ast.parse(file.read_text())
    return [(ast.unparse(n.func), n) for n in ast.walk(tree) if isinstance(n, ast.Call)]


by_file = pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))


def test_every_module_has_a_floor():
    tops = {module_of(file).split(".")[0] for file in FILES} - {""}
    assert tops == {name for names in FLOORS for name in names} | set(JUDGES)


@by_file
def test_imports_only_go_down(file):
    module = module_of(file)
    top = module.split(".")[0]
    for imported in imported_modules(file):
        other = imported.split(".")[0]
        if top in JUDGES:
            assert other in JUDGES[top], f"{module} imports {imported}"
        elif module:
            assert other not in JUDGES or floor_of(module) >= floor_of("frontier"), imported
            if other not in JUDGES:
                assert floor_of(other) <= floor_of(module), f"{module} imports {imported}"


@by_file
def test_control_never_imports_what_judges_it(file):
    if module_of(file).startswith("control"):
        closure = code_files(file, [module_of(file)])
        assert not any("/metrics/" in path for path in closure)


def test_packages_have_an_init_file():
    folders = {file.parent for file in FILES}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@by_file
def test_the_package_knows_nothing_of_the_workflow(file):
    assert not imports(file) & {"snakemake", "yaml", "dvc"}
    names = {n.id for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Name)}
    assert "snakemake" not in names
    # Prose may name a config file; a string that is opened may not.
    for name, call in calls(file):
        if name.split(".")[-1] in {"open", "Path", "read_text", "load_json", "safe_load"}:
            assert "config" not in ast.unparse(call), f"{name} on line {call.lineno}"


@pytest.mark.parametrize("file", FILES + SCRIPTS, ids=lambda f: f.name)
def test_nothing_is_unpickled(file):
    for name, call in calls(file):
        keywords = {k.arg: ast.unparse(k.value) for k in call.keywords}
        last = name.split(".")[-1]
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", f"line {call.lineno}"
        assert name.split(".")[0] not in {"joblib", "dill", "cloudpickle"}, f"line {call.lineno}"
        assert not (name.startswith("pickle.") and last in {"load", "loads", "Unpickler"})
        assert last not in {"eval", "exec"} or "." in name, f"line {call.lineno}"
        assert keywords.get("allow_pickle", "False") == "False", f"line {call.lineno}"


@by_file
def test_results_do_not_hang_on_the_global_random_state_of_numpy(file):
    for name, call in calls(file):
        if name.startswith(("np.random.", "numpy.random.")):
            assert name.split(".")[2] in {"Generator", "Philox"}, f"line {call.lineno}"


def test_the_run_table_is_light():
    """Imported for real: no torch, nor anything that takes seconds."""
    modules = ", ".join(f"{PACKAGE}.{name}" for name in LIGHT)
    code = (
        f"import sys, {modules}; "
        "print({'torch', 'numpy', 'pandas', 'scipy', 'timm'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


IMPORT_EACH = """
import json, sys
touched = {}
for script, lines in json.load(sys.stdin).items():
    for name in [n for n in sys.modules if n.startswith("pseudodensity")]:
        del sys.modules[name]  # torch and its like stay: they take seconds
    exec(lines, {})
    ours = [m for n, m in sys.modules.items() if n.startswith("pseudodensity.")]
    touched[script] = [m.__file__ for m in ours]
print(json.dumps(touched))
"""


def test_the_code_of_a_rule_is_all_that_its_script_imports():
    """Imported for real, script after script, and compared with what the rules list as input."""
    lines = {
        str(script): "\n".join(
            ast.unparse(node)
            for node in ast.parse(script.read_text()).body
            if isinstance(node, ast.ImportFrom) and node.module.startswith(PACKAGE)
        )
        for script in SCRIPTS
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)},
        input=json.dumps(lines),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for script, files in json.loads(done.stdout).items():
        touched = {str(Path("workflow", Path(file).relative_to(ROOT.parent))) for file in files}
        missed = touched - set(code_files(script))
        assert not missed, f"{Path(script).name} imports {missed}, which its rule does not list"
