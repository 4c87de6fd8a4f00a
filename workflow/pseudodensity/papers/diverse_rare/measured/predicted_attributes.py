"""Experiment: attributes that networks outside of this project predicted, from a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.artifacts import file_sha256, one_line
from pseudodensity.papers.diverse_rare.attribute_sets import AttributeSets, estimated_law
from pseudodensity.papers.diverse_rare.measured.attributes import reference_numbers

__all__ = ["predicted_attributes", "read_predictions"]

KEYS = ["set", "image"]
REAL = "real"
LARGEST = 64 * 2**20  # bytes of a file
MOST_ATTRIBUTES, MOST_VALUES, LONGEST = 100, 200, 80
SHOWN = 5  # bad lines that a message tells; it counts the others


def predicted_attributes(
    inputs: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Attributes of the sets of a CSV file, as `attributes` gives them.

    inputs: nothing. settings: ``file``, with the columns set, image (its number, from 0) and one
    per attribute, whose values are words; ``sha256`` of it, or None; ``sets``, as of `attributes`; of the
    set "real", all that the file has; ``source``, who predicted. No truth is known, so nothing can be
    corrected. ValueError, one line: as `read_predictions`; another digest; a set with other images
    than 0 .. count - 1.
    """
    path = Path(settings["file"])
    names, columns = read_predictions(path)
    if settings["sha256"] is not None and file_sha256(path) != settings["sha256"]:
        raise ValueError(
            f"{path} is not the file of the sha256 that the config states: get it again"
        )
    wanted = {name: own["count"] for name, own in settings["sets"].items()}
    rows = {name: _rows(path, columns, name, count) for name, count in wanted.items()}
    real = _rows(path, columns, REAL, None)
    values, coded = zip(
        *(np.unique(columns[name], return_inverse=True) for name in names), strict=True
    )
    numbers = np.stack([each.astype(np.int64) for each in coded], axis=1)
    return AttributeSets(
        names,
        [each.tolist() for each in values],
        {name: numbers[each] for name, each in rows.items()},
        {n: reference_numbers(own["count"], own["group"]) for n, own in settings["sets"].items()},
        numbers[real],
        numbers[real],
        estimated_law(numbers[real], [len(each) for each in values]),
        None,
        {"truth": False, "known_law": False, "source": settings["source"]},
    ).saved()


def read_predictions(path: str | Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """Names of the attributes, and every column (n,): ``image`` int64, the others text.

    ValueError, one line: no such file, one of more than 64 MB, no UTF-8, no CSV; columns other than set,
    image and 1 to 100 attributes of different names; lines that are too short or too long, have no number of
    an image, an empty value or one of more than 80 characters, or repeat an image, all counted and the first
    told; an attribute of more than 200 values.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist: write a file of predicted attributes there")
    if path.stat().st_size > LARGEST:
        raise ValueError(
            f"{path} is larger than {LARGEST // 2**20} MB: cut it into sets that are shown"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            lines = csv.reader(handle, strict=True)
            names, kept = _checked(path, lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {one_line(error)}") from None
    columns = {
        name: np.array(each) for name, each in zip(names, zip(*kept, strict=True), strict=True)
    }
    for name in names[2:]:
        if len(set(columns[name].tolist())) > MOST_VALUES:
            raise ValueError(
                f"{path}: {name!r} has more than {MOST_VALUES} values: give classes, no numbers"
            )
    return names[2:], columns | {"image": columns["image"].astype(np.int64)}


def _checked(path: Path, lines: Any) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and all lines that a `csv.reader` finds."""
    names = next(lines, [])
    named = names[:2] == KEYS and 2 < len(names) <= 2 + MOST_ATTRIBUTES
    if not named or len(set(names)) < len(names) or not all(names):
        raise ValueError(
            f"{path} begins with {','.join(names)[:LONGEST]!r}: its first line must be set,image and the names "
            f"of 1 to {MOST_ATTRIBUTES} attributes, each once"
        )
    kept: list[list[str]] = []
    bad: list[str] = []
    seen: set[tuple[str, int]] = set()
    # Blank lines are none, as for every reader of CSV files.
    for line in lines:
        if line and (why := _wrong(line, len(names), seen)):
            bad.append(f"{lines.line_num} ({why})")
        elif line:
            kept.append(line)
    if bad:
        more = f" and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise ValueError(f"{path}: mend lines {', '.join(bad[:SHOWN])}{more}")
    if not kept:
        raise ValueError(f"{path} has no line but the first: write one for each image")
    return names, kept


def _wrong(line: Sequence[str], count: int, seen: set[tuple[str, int]]) -> str | None:
    """What is wrong with a line; None if nothing is, and its image is seen."""
    if len(line) != count:
        return f"{len(line)} fields, not {count}"
    if not (line[1].isascii() and line[1].isdecimal() and len(line[1]) < 10):
        return "no number of an image"
    if not all(value and len(value) <= LONGEST for value in line):
        return f"a field is empty or longer than {LONGEST}"
    image = (line[0], int(line[1]))
    if image in seen:
        return "this image again"
    seen.add(image)
    return None


def _rows(
    path: Path, columns: Mapping[str, np.ndarray], name: str, count: int | None
) -> np.ndarray:
    """Rows of a set in the order of its images. ValueError: others than 0 .. count - 1."""
    rows = np.flatnonzero(columns["set"] == name)
    rows = rows[np.argsort(columns["image"][rows], kind="stable")]
    expected = len(rows) if count is None else count
    if not len(rows) or not np.array_equal(columns["image"][rows], np.arange(expected)):
        raise ValueError(
            f"{path}: set {name!r} has {len(rows)} images: it must have those of numbers 0 to "
            f"{max(expected, 1) - 1}, each once"
        )
    return rows
