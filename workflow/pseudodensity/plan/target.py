"""A target: a table or a figure of a paper, the artefacts it is made from and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.errors import ConfigError

__all__ = ["Kind", "Parts", "Target", "claims_target", "targets_of"]

Kind = Literal["table", "figure"]
CATALOGUE = "config/reported/claims.csv"

Made = Artifact | str
Inputs = Mapping[str, Made | Sequence[Made]]
# Kind of a target -> its inputs and its settings.
Parts = Mapping[Kind, tuple[Inputs, Mapping[str, Any]]]


@dataclass(frozen=True)
class Target:
    """One entry of a paper's ``targets.py``.

    Attributes:
        name: below results/, without suffix: "table1", "frontier/stylegan2-faces".
        kind: "table" writes name.csv, .md and .tex; "figure" draws name.svg and .png, mostly from the
            table of the same name.
        function: "module:function" inside the package; (inputs, settings) -> Table or Figure.
        inputs: artefacts, or paths of other targets and versioned files, by name; a list where one
            input is a list.
        settings: JSON-able, handed to the function.
        caption: one or two sentences for the report.
        category: of the report.
        printed: "module:function" of the text that is printed on the terminal as soon as the table is
            there; "" for none.
        imports: modules that its function imports by name, so that their code counts too.
        missing: why this config cannot make it, or what it is made from that is not there.
    """

    name: str
    kind: Kind
    function: str
    inputs: Inputs = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    caption: str = ""
    category: str = ""
    printed: str = ""
    imports: tuple[str, ...] = ()
    missing: str | None = None

    def __post_init__(self) -> None:
        lacking = filter(None, (artifact.lacks for artifact in self.artifacts()))
        object.__setattr__(self, "missing", self.missing or next(lacking, None))

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules of its functions, and those that they import by name."""
        functions = filter(None, (self.function, self.printed))
        named = [name.partition(":")[0] for name in functions]
        return tuple(dict.fromkeys([*named, *self.imports]))

    @property
    def outputs(self) -> list[str]:
        """What it writes, the first the one that people ask for."""
        suffixes = ("csv", "md", "tex") if self.kind == "table" else ("svg", "png")
        return [f"results/{self.name}.{suffix}" for suffix in suffixes]

    @property
    def paths(self) -> dict[str, str | list[str]]:
        """Paths of its inputs by name."""
        return {
            name: _path(made) if isinstance(made, Artifact | str) else [_path(m) for m in made]
            for name, made in self.inputs.items()
        }

    def artifacts(self) -> list[Artifact]:
        """The artefacts among its inputs."""
        return [made for made in self._listed() if isinstance(made, Artifact)]

    def files(self) -> list[str]:
        """The paths among its inputs: other targets, and versioned files."""
        return [made for made in self._listed() if isinstance(made, str)]

    def _listed(self) -> list[Made]:
        groups = (
            [made] if isinstance(made, Artifact | str) else made for made in self.inputs.values()
        )
        return [made for group in groups for made in group]


def _path(made: Made) -> str:
    return made.path if isinstance(made, Artifact) else made


def targets_of(
    name: str, functions: Mapping[Kind, str], caption: str, category: str, make: Callable[[], Parts]
) -> Iterator[Target]:
    """A table, a figure or both of one name.

    Args:
        functions: kind -> "module:function" that makes it.
        make: inputs and settings of each kind. A ConfigError of it is why the config can make none of them.
    """
    try:
        parts = make()
    except ConfigError as error:
        for kind, function in functions.items():
            yield Target(name, kind, function, category=category, missing=str(error))
        return
    for kind, function in functions.items():
        inputs, settings = parts[kind]
        yield Target(name, kind, function, inputs, settings, caption, category)


def claims_target(
    paper: str, made: Iterable[Target], answering: Iterable[str], caption: str, category: str
) -> Target:
    """The table of a paper's claims, by ``claims`` of its module of that name.

    Args:
        made: the paper's other targets. answering: names of the tables that claims are answered from; one that
            the config cannot make is left out.
    """
    tables = {target.name for target in made if target.kind == "table" and not target.missing}
    answers = {
        name: f"results/{paper}/{name}.csv" for name in answering if f"{paper}/{name}" in tables
    }
    return Target(
        f"{paper}/claims",
        "table",
        f"papers.{paper}.claims:claims",
        inputs={"catalogue": CATALOGUE, **answers},
        caption=caption,
        category=category,
    )
