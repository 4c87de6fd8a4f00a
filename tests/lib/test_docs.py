"""What people read: links lead somewhere, names of files exist, and README stays short."""

import ast
import re
from pathlib import Path

import pytest

from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += [ROOT / "results/README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Made by a target, from a run.
MADE = ROOT / "docs/findings"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """What a link to a heading says after the hash."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@every_page
def test_relative_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, part = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not str(target).startswith(str(MADE)):
            assert target.exists(), link
        if part and target.exists():
            headings = re.findall(r"^#+ (.+)$", prose(target), re.MULTILINE)
            assert part in map(anchor, headings), link


@every_page
def test_files_of_the_project_that_a_page_names_exist(page):
    examples = {"densest", "perceptron", "mean_gap", "toy"}  # of the pages how to add one
    folders = r"(?:workflow|config|tests|docs|envs|benchmarks|profiles)/[\w./-]*"
    named = re.findall(rf"`({folders})`", prose(page))
    for name in named:
        if not examples & set(re.split(r"[/.]", name)) and not name.startswith("docs/findings"):
            assert (ROOT / name).exists() or page.stem == "CHANGELOG", name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("add_*.md")), ids=lambda p: p.stem)
def test_examples_in_python_are_python_that_imports_what_exists(page):
    package = ROOT / "workflow"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.ImportFrom) or not node.module.startswith("pseudodensity"):
                continue
            module = package.joinpath(*node.module.split(".")).with_suffix(".py")
            assert module.is_file(), node.module
            text = module.read_text()
            for alias in node.names:
                assert re.search(rf"\b{alias.name}\b", text), f"{node.module}.{alias.name}"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The plan of the default config."""
    config = load_config(ROOT / "config/config.yaml", [], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def targets_of_readme() -> set[str]:
    """First column of README's table of targets: `a.csv`, `.png` is a.csv and a.png; `fig8.png` ... `fig14.png`
    is all from the one to the other."""
    table = re.search(
        r"^\| target in .*\n\|[-|]+\n((?:\|.*\n)+)", prose(ROOT / "README.md"), re.MULTILINE
    )
    found: set[str] = set()
    for row in table[1].splitlines():
        cell = row.split("|")[1]
        stem = ""
        for name in re.findall(r"`([^`]+)`", cell):
            if name.startswith("."):
                name = stem + name
            stem = name.rpartition(".")[0]
            found.add(name)
        for first, last, suffix in re.findall(r"`fig(\d+)\.\w+` \.\.\. `fig(\d+)(\.\w+)`", cell):
            found |= {f"fig{number}{suffix}" for number in range(int(first), int(last) + 1)}
    return found


def spelt_out(name: str, plan: Plan) -> set[str]:
    """A name with every value of its <placeholders> in the default config."""
    pairs = list(plan.models.pairs())
    values = {
        "<block>": plan.papers["pseudo_density"]["blocks"],
        "<model>-<dataset>": [f"{model}-{dataset}" for model, dataset in pairs],
        "<dataset>": list(plan.config["datasets"]),
    }
    found = {name}
    for place, spelt in values.items():  # the pair before its halves
        found = {one.replace(place, value) for one in found for value in spelt}
    return found


def test_every_target_of_readmes_table_exists(plan):
    names = targets_of_readme()
    assert len(names) > 20
    known = {path for t in plan.tables.values() for path in t.outputs}
    known |= {path for t in plan.figures.values() for path in t.outputs}
    rules = (ROOT / "workflow/rules/density.smk").read_text()
    density = re.findall(r"results/density/\{dataset\}\.\w+", rules)
    known |= {
        path.replace("{dataset}", name) for path in density for name in plan.config["datasets"]
    }
    # The page of all of them.
    assert 'PAGE = "results/index.html"' in (ROOT / "workflow/rules/common.smk").read_text()
    known.add("results/index.html")
    for name in names:
        for spelt in spelt_out(name, plan):
            assert "<" not in spelt and f"results/{spelt}" in known, spelt


def test_every_target_of_the_main_paper_stands_in_readmes_table(plan):
    stems = {
        spelt.rpartition(".")[0] for name in targets_of_readme() for spelt in spelt_out(name, plan)
    }
    for target in plan.of_paper["pseudo_density"]:
        assert target.name in stems, target.name
