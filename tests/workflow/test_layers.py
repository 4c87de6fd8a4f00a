"""The floors of the package: imports only go down, and nothing dangerous is called anywhere."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pseudodensity.plan.code import ROOT, file_of, imported_modules, modules_used

PACKAGE = ROOT.name
FILES = sorted(ROOT.rglob("*.py"))
SCRIPTS = sorted((ROOT.parent / "scripts").glob("*.py"))

# Modules of a floor may import those of the floors before it, and of their own. Columns stand on control,
# because a pool may hold the images that a method makes itself.
FLOORS = [
    ("artifacts", "tensors", "progress", "rng"),
    ("plan",),
    ("images",),
    ("feature_sets", "neighbors"),
    ("features",),
    ("density",),
    ("generators",),
    ("checkpoints",),
    ("control",),
    ("columns",),
    ("judging",),
    ("report",),
    ("page",),
    ("papers", "library", "rank"),
]
# Judges stand beside the house: they see features, never what made them.
JUDGES = {"metrics": {"metrics", "neighbors", "feature_sets"}}
MAY_JUDGE = ("papers", "library")
# Read by every job of a cluster, so nothing that takes seconds to import.
LIGHT = ("plan.plan", "plan.resources", "papers.pseudo_density.targets", "page.inventory")
LIGHT += ("papers.faces.targets", "papers.metric_checks.targets")
LIGHT += ("papers.latent_reweighting.targets", "plan.experiments")
LIGHT += ("papers.polarity.targets", "papers.low_density.targets")
HEAVY = ("torch", "pandas", "scipy", "timm", "matplotlib", "seaborn", "faiss")


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
        elif other in JUDGES:
            assert top in MAY_JUDGE, f"{module} imports {imported}"
        elif module:
            assert floor_of(other) <= floor_of(module), f"{module} imports {imported}"


@by_file
def test_papers_do_not_know_each_other(file):
    module = module_of(file)
    others = {name for name in imported_modules(file) if name.startswith("papers.")}
    if module.startswith("papers."):
        own = ".".join(module.split(".")[:2])
        assert all(f"{name}.".startswith(f"{own}.") for name in others), others
    else:
        assert not others, f"{module} imports {others}"


def test_control_never_imports_what_judges_it():
    control = [module_of(file) for file in FILES if module_of(file).startswith("control")]
    used = modules_used([], control)
    assert not {name for name in used if name.split(".")[0] in ("metrics", "judging")}


@by_file
def test_names_come_from_the_module_that_defines_them(file):
    """A package hands names on to users of the library, lazily; a digest of code would miss them."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            inside = node.module.removeprefix(f"{PACKAGE}.")
            if file_of(inside).name != "__init__.py":
                continue
            for alias in node.names:
                assert file_of(f"{inside}.{alias.name}"), f"{alias.name} from {inside}"


def test_packages_have_an_init_file():
    folders = {file.parent for file in FILES}
    assert all((folder / "__init__.py").is_file() for folder in folders)


@by_file
def test_the_package_knows_nothing_of_the_workflow(file):
    allowed = {"yaml"} if module_of(file) == "plan.config" else set()
    assert not imports(file) & {"snakemake", "yaml", "dvc"} - allowed
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


@pytest.mark.parametrize("name", LIGHT)
def test_what_the_rules_read_is_light(name):
    """Imported for real: no torch, nor anything that takes seconds."""
    code = f"import sys, {PACKAGE}.{name}; print({set(HEAVY)} & set(sys.modules))"
    assert _printed(code) == "set()"


def test_methods_are_light():
    """The rules ask every method for its points."""
    code = (
        f"import sys; from {PACKAGE}.plan.methods import method, methods; "
        f"[method(name) for name in methods()]; print({set(HEAVY)} & set(sys.modules))"
    )
    assert _printed(code) == "set()"


def test_tables_figures_and_the_page_import_no_torch():
    reports = [f"report.{file.stem}" for file in sorted((ROOT / "report").glob("*.py"))]
    papers = [f"papers.{f.parent.name}.{f.stem}" for f in (ROOT / "papers").glob("*/*.py")]
    page = [f"page.{file.stem}" for file in sorted((ROOT / "page").glob("*.py"))]
    modules = ", ".join(
        f"{PACKAGE}.{n}" for n in reports + page + papers if not n.endswith("__init__")
    )
    assert _printed(f"import sys, {modules}; print('torch' in sys.modules)") == "False"


def _printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


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
    """Imported for real, script after script, and compared with what its code digest covers."""
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
        used = {file_of(name) for name in modules_used([Path(script)])}
        missed = {Path(file) for file in files} - used
        assert not missed, f"{Path(script).name} imports {missed}, which its digest leaves out"
