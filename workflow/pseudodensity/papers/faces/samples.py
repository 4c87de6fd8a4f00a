"""Which images the first look shows: by pseudo density, chosen by it, and moved along it.

``inputs``
    ``described``: parts of the pool in order. ``density``: of the reference images. ``moved``:
    safetensors files with ``density`` (3, n) in the rows towards, original, away, one for each of
    ``settings["moves"]``.
``settings``
    ``columns``: images of a line; ``generations``: proposals that are ranked; ``importance``: name
    -> ``tau, w``; ``moves``: dicts with ``steps, step_size, bound``; ``seed``: of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.samples import load_arrays
from pseudodensity.report.table import Column, Table

__all__ = ["LINES", "moved_rows", "samples", "samples_frame"]

LINES = 2  # of images, in every row but the plain one and those that are moved
ROWS = ("towards", "original", "away")


def samples(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """One line per image that is shown. ValueError: a pool of fewer proposals than asked for.
    ArtifactError: a file is missing, damaged or of something else."""
    # Imported here: they load torch, and what the plan reads of this module needs none.
    from pseudodensity.columns.pool import open_pool
    from pseudodensity.control.select import importance

    labels = load_arrays(inputs["density"], ["labels"])["labels"]
    pool = open_pool(inputs["described"], {}, labels, settings["seed"])
    pool = pool.first(settings["generations"])
    wanted = LINES * settings["columns"]
    chosen = {}
    for name, point in settings["importance"].items():
        found = importance.choose(pool, {"method": "importance", **point}, wanted, 1).rows
        if not found:
            raise ValueError(
                f"of {len(pool)} proposals fewer than {wanted} are accepted at tau {point['tau']} "
                f"and w {point['w']}: raise papers.faces.generations"
            )
        chosen[name] = found[0]
    moved = [load_arrays(path, ["density"])["density"] for path in inputs["moved"]]
    frame = samples_frame(pool.values("density"), chosen, moved, settings)
    return Table(
        title="The first look: images by pseudo density, and what the methods do",
        frame=frame,
        columns=[
            Column("group", "shown"),
            Column("row", "row"),
            Column("sample", "sample", format="d"),
            Column("density", "pseudo density", 3),
        ],
        section="group",
        shown_rows=10,
        notes=["Pseudo density by the density network; the reference images have a mean of 1."],
    )


def samples_frame(
    density: np.ndarray,
    chosen: Mapping[str, np.ndarray],
    moved: Sequence[np.ndarray],
    settings: Mapping[str, Any],
) -> pd.DataFrame:
    """Columns group (density, importance, moved), row, position, sample, density.

    Args:
        density: of the proposals, (n,).
        chosen: name -> proposals that a method took, (images,).
        moved: of each move, densities (3, columns).
    """
    count = LINES * settings["columns"]
    order = np.argsort(density, kind="stable")
    groups = {
        ("density", "highest"): order[::-1][:count],
        ("density", "plain"): np.arange(settings["columns"]),
        ("density", "lowest"): order[:count],
    }
    groups |= {("importance", name): rows for name, rows in chosen.items()}
    lines: list[dict[str, Any]] = []
    for (group, row), found in groups.items():
        lines += [
            {"group": group, "row": row, "position": i, "sample": sample, "density": value}
            for i, (sample, value) in enumerate(zip(found, density[found], strict=True))
        ]
    for name, move, place in moved_rows(settings["moves"]):
        lines += [
            {"group": "moved", "row": name, "position": i, "sample": i, "density": value}
            for i, value in enumerate(moved[move][place])
        ]
    return pd.DataFrame(lines)


def moved_rows(moves: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int, int]]:
    """Name of a row, number of its move, and its row in the file: from most dense to least."""
    by_bound = sorted(range(len(moves)), key=lambda i: moves[i]["bound"])
    for i in reversed(by_bound):
        yield f"towards, {moves[i]['bound']:g}", i, ROWS.index("towards")
    yield "original", 0, ROWS.index("original")
    for i in by_bound:
        yield f"away, {moves[i]['bound']:g}", i, ROWS.index("away")
