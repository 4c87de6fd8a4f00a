"""A target: a table or a figure of a paper, the artefacts it is made from and the function that makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pseudodensity.plan.artifact import Artifact

__all__ = ["Target"]

Made = Artifact | str


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
        missing: why this config cannot make it; then it has no inputs.
    """

    name: str
    kind: Literal["table", "figure"]
    function: str
    inputs: Mapping[str, Made | Sequence[Made]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    caption: str = ""
    category: str = ""
    printed: str = ""
    imports: tuple[str, ...] = ()
    missing: str | None = None

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
