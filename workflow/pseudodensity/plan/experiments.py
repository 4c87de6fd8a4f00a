"""What an experiment is made from: a paper's own computation, on a toy or on single samples of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pseudodensity.plan.artifact import Artifact

__all__ = ["experiment"]


def experiment(
    slug: str,
    function: str,
    settings: Mapping[str, Any],
    needs: Mapping[str, Artifact | tuple[Artifact, ...]] | None = None,
    imports: Sequence[str] = (),
    files: Mapping[str, str] = MappingProxyType({}),
) -> Artifact:
    """One job of a paper, kept like every artefact: a training of a toy, say.

    Args:
        slug: for people.
        function: "module:function" inside the package; (inputs, settings) -> (arrays, facts): paths
            by name and the settings with ``device``, where it runs, to arrays or tensors by name and
            what JSON can hold.
        settings: JSON-able, all that the function needs to know.
        needs: what it is made from, by name.
        imports: modules that the function imports by name, so that their code counts too.
        files: plain files that it reads, by name: a newer one makes it run again.
    """
    spec = {"function": function, "settings": dict(settings)}
    modules = (function.partition(":")[0], *imports)
    return Artifact("experiment", slug, spec, needs or {}, modules=modules, files=files)
