"""What people read: links lead somewhere, names of files exist, and README stays short."""

import ast
import re
from pathlib import Path

import pytest

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
