"""Scripts are glue: from files to one call of the package and back, on one screen."""

import ast
import re
from pathlib import Path

import pytest

from pseudodensity.plan.artifact import PATHS
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
ALLOWED = {"pseudodensity", "numpy", "torch", "pathlib", "importlib", "sys"}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda f: f.stem)


def tree(script: Path) -> ast.Module:
    return ast.parse(script.read_text())


def rules() -> dict[str, str]:
    """Name -> text of every rule."""
    parts = (
        part for file in RULES for part in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)
    )
    named = (part.partition(":") for part in parts)
    return {name: text for name, colon, text in named if re.fullmatch(r"\w+", name) and colon}


def section(rule: str, name: str) -> str:
    """What stands under a keyword of a rule."""
    found = re.search(rf"^    {name}:\n((?: {{8}}.*\n)+)", rules()[rule], re.MULTILINE)
    return found[1] if found else ""


def used(script: Path, owner: str) -> set[str]:
    """Attributes of snakemake.<owner> that a script reads, also by another name that it gives it."""
    owners, found = {f"snakemake.{owner}"}, set()
    for node in ast.walk(tree(script)):
        if isinstance(node, ast.Assign):
            targets, values = node.targets[0], node.value
            pairs = (
                zip(targets.elts, values.elts, strict=True)
                if isinstance(targets, ast.Tuple) and isinstance(values, ast.Tuple)
                else [(targets, values)]
            )
            owners |= {ast.unparse(t) for t, v in pairs if ast.unparse(v) in owners}
    for node in ast.walk(tree(script)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in owners:
            found.add(node.attr)
        # source.get("backbone"): where not every artefact of a kind has it.
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {f"{o}.get" for o in owners}:
            found.add(node.args[0].value)
    return found - {"get"}


@pytest.fixture(scope="module")
def inputs_of() -> dict[str, list[set[str]]]:
    """Kind -> names of the inputs of each of its artefacts, of the embedded and the tests' config."""
    found: dict[str, list[set[str]]] = {}
    for overlays in ([], [ROOT / "config/scales/smoke.yaml"]):
        config = load_config(ROOT / "config/config.yaml", overlays, {})
        plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
        for made in plan.artifacts.values():
            found.setdefault(made.kind, []).append(set(made.inputs))
    # Public files are what neither config has.
    found["imported"] = [{"file"}, {"file", "backbone"}]
    found["extractor"] += [{"weights"}, {"weights", "head_weights"}]
    # Neither asks for a density ratio of a projected discriminator.
    found["auxiliary"].append({"checkpoint", "data", "backbone"})
    return found


# ------------------------------------------------------------------------------- glue


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


@every_script
def test_all_work_of_a_script_stands_under_its_log(script):
    """A failure outside would leave no traceback in the log, and two dozen lines on the terminal."""
    body = tree(script).body[1:]
    (job,) = [node for node in body if isinstance(node, ast.With)]
    assert body[-1] is job
    (opened,) = job.items
    assert ast.unparse(opened.context_expr) in ("logged(snakemake.log[0])", "logged(log)")
    for node in body[:-1]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        # Before it stand names for what Snakemake gives, and how far a job is, and nothing that can fail.
        called = {ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
        harmless = {"torch.set_num_threads", "Progress", "map", "range", "dict", "source.get"}
        harmless |= {"settings.pop", "snakemake.input.get"}
        called = {name for name in called if not name.endswith("wildcards.rows.split")}
        assert called <= harmless, f"line {node.lineno}: {called - harmless}"


# ------------------------------------------------------------------------------- rules


def test_every_script_belongs_to_a_rule_of_its_name_and_every_rule_has_one():
    for name, text in rules().items():
        assert re.findall(r'"\.\./scripts/(\w+)\.py"', text) == [name]
    assert set(rules()) == {script.stem for script in SCRIPTS}


def test_every_kind_of_artefact_has_a_rule_of_its_name_and_path():
    assert set(PATHS) <= set(rules())
    for kind, path in PATHS.items():
        assert f'"{path}"' in section(kind, "output"), kind


@every_script
def test_the_code_of_a_script_is_a_parameter_of_its_rule(script):
    """Findings are written from tables that stand, each time anew."""
    kind = script.stem
    params = section(kind, "params")
    digests = {f'code=code("{kind}")', f'code=code_of("{kind}")'}
    digests.add(f'code=code_digest(HERE / "workflow/scripts/{kind}.py")')
    assert kind == "findings" or any(digest in params for digest in digests)


@pytest.mark.parametrize("kind", sorted(PATHS))
def test_the_rule_of_a_kind_takes_inputs_and_stamp_of_that_kind(kind):
    text = rules()[kind]
    asked = set(re.findall(r'\b(?:needs|stamp|facts|code|asks|urgency|stamp_of)\("(\w+)"', text))
    assert asked == {kind}
    assert f'unpack(needs("{kind}"))' in section(kind, "input")
    assert f'stamp=stamp("{kind}")' in section(kind, "params")


@every_script
@pytest.mark.parametrize("owner", ["output", "params", "resources"])
def test_a_script_uses_only_what_its_rule_gives(script, owner):
    given = set(re.findall(r"^        (\w+)=", section(script.stem, owner), re.MULTILINE))
    assert used(script, owner) <= given


@every_script
def test_a_script_asks_for_the_parameters_that_its_rule_gives(script):
    """A parameter that nobody reads would rerun jobs for nothing."""
    given = set(re.findall(r"^        (\w+)=", section(script.stem, "params"), re.MULTILINE))
    # They are read by the report, or are there to rerun the job.
    read_elsewhere = {"code", "stamp", "files", "caption"}
    whole = "snakemake.params," in script.read_text()  # handed on as it is
    assert whole or given - read_elsewhere <= used(script, "params")


@every_script
def test_a_script_reads_only_inputs_that_its_artefacts_have(script, inputs_of):
    kind, asked = script.stem, used(script, "input")
    if kind in ("table", "figure", "experiment"):
        assert asked == {"items"}  # these hand them on as they are
    elif kind in PATHS:
        assert asked <= set().union(*inputs_of[kind])
        # What is read without asking whether it is there, every artefact has.
        optional = set(re.findall(r'\.get\("(\w+)"\)', script.read_text()))
        optional |= set(re.findall(r"map\(source\.get, \(([^)]*)\)", script.read_text()))
        if kind != "extractor":  # trained here or a public file: one of its two branches
            for inputs in inputs_of[kind]:
                assert asked - optional <= inputs
    else:
        given = set(re.findall(r"^        (\w+)=", section(kind, "input"), re.MULTILINE))
        assert asked <= given
