"""What modules declare is read from their source; nothing of them runs."""

import os
import subprocess
import sys

import pytest

from pseudodensity.plan import declared as reading
from pseudodensity.plan.declared import declared, declared_by_name, modules_declaring, parameters


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose modules would fail if they ran: name -> source."""

    def write(**modules: str):
        (tmp_path / "zoo").mkdir()
        for name, source in modules.items():
            text = f"raise SystemExit('it ran')\n{source}\n"
            (tmp_path / "zoo" / f"{name}.py").write_text(text)
        monkeypatch.setattr(reading, "ROOT", tmp_path)

    return write


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("NAME = 'lion'", "lion"),
        ("NAME: str = 'lion'", "lion"),
        ("NAME = OTHER = ('a', -1.5)", ("a", -1.5)),
        ("NAME = 1\nNAME = {'b': [None, True]}", {"b": [None, True]}),
        ("def f():\n    NAME = 2\nNAME = 1", 1),
        ("NAME = None", None),
    ],
)
def test_a_literal_is_read_without_running_its_module(package, source, value):
    package(lion=source)
    assert declared("zoo.lion", "NAME") == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("OTHER = 1", "zoo.lion declares no NAME"),
        ("def f():\n    NAME = 2", "zoo.lion declares no NAME"),
        ("NAME: str", "zoo.lion declares no NAME"),
        ("(NAME, OTHER) = (1, 2)", "zoo.lion declares no NAME"),
        ("NAME = dict(a=1)", "zoo.lion declares NAME by an expression: write it as a literal"),
        ("NAME = {'a': OTHER}", "zoo.lion declares NAME by an expression"),
        ("NAME = f'{1}'", "zoo.lion declares NAME by an expression"),
        ("NAME = {'a': 1, **B}", "zoo.lion declares NAME by an expression"),
        ("NAME = {[]: 1}", "zoo.lion declares NAME by an expression"),
    ],
)
def test_what_is_missing_or_no_literal_is_one_clear_line(package, source, message):
    package(lion=source)
    with pytest.raises(ValueError, match=message) as error:
        declared("zoo.lion", "NAME")
    assert "\n" not in str(error.value)


def test_a_module_or_folder_that_does_not_exist_is_refused(package):
    package(lion="NAME = 1")
    with pytest.raises(ValueError, match="no module zoo.tiger"):
        declared("zoo.tiger", "NAME")
    with pytest.raises(ValueError, match="no folder forest"):
        modules_declaring("forest", "NAME")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def roar(): pass", {}),
        ("def roar(a, b=1, *, c, d=None): pass", {"a": True, "b": False, "c": True, "d": False}),
        ("def roar(a, /, b, c=0): pass", {"b": True, "c": False}),
        ("def roar(a, b=1, /, c=0): pass", {"c": False}),
        ("def roar(a, *rest, b): pass", {"a": True, "b": True}),
        ("class roar:\n    def __init__(self, a, b=1): pass", {"a": True, "b": False}),
        ("class Lion:\n    def __init__(self, a=1): pass\nroar = Lion", {"a": False}),
        ("def loud(a): pass\nroar = loud", {"a": True}),
    ],
)
def test_parameters_say_what_is_required(package, source, expected):
    package(lion=source)
    found = parameters("zoo.lion", "roar")
    assert found == expected and list(found) == list(expected)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def roar(a, **settings): pass", r"zoo.lion.roar takes \*\*settings"),
        ("def purr(a): pass", "zoo.lion defines no function roar"),
        ("class roar: pass", "zoo.lion defines no function roar, nor a class"),
        ("from zoo.tiger import roar", "zoo.lion defines no function roar"),
    ],
)
def test_parameters_that_cannot_be_told_are_refused(package, source, message):
    package(lion=source)
    with pytest.raises(ValueError, match=message):
        parameters("zoo.lion", "roar")


def test_modules_are_found_by_what_they_declare(package):
    package(
        lion="DECLARATION = {'name': 'king', 'legs': 4}",
        helper="LEGS = 4",
        bat="DECLARATION = 'batman'",
        __init__="",
    )
    assert modules_declaring("zoo", "DECLARATION") == {"batman": "zoo.bat", "king": "zoo.lion"}
    king = ("zoo.lion", {"name": "king", "legs": 4})
    assert declared_by_name("zoo", "DECLARATION", "king") == king
    with pytest.raises(ValueError, match="unknown name 'ape' in zoo: choose one of batman, king"):
        declared_by_name("zoo", "DECLARATION", "ape")


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"a": "X = 'one'", "b": "X = {'name': 'one'}"}, "zoo.b and zoo.a both declare X 'one'"),
        ({"a": "X = {'legs': 4}"}, "zoo.a declares X without a name"),
        ({"a": "X = 3"}, "zoo.a declares X without a name"),
        ({"a": "X = open('x')"}, "zoo.a declares X by an expression"),
    ],
)
def test_modules_that_declare_themselves_badly_are_refused(package, modules, message):
    package(**modules)
    with pytest.raises(ValueError, match=message):
        modules_declaring("zoo", "X")


def test_reading_is_light():
    code = (
        "import sys; from pseudodensity.plan.declared import modules_declaring;"
        "modules_declaring('generators', 'DECLARATION');"
        "print({'torch', 'numpy', 'diffusers', 'pseudodensity.generators'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": str(reading.ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
