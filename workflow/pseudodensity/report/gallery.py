"""One HTML page of a ranked data set: both ends, near-duplicates, rejected files, the table.

The page needs no network and no other file: pictures stand in it, and a policy in its head lets
the browser load nothing else. Its size is bounded, whatever the size of the data set.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from pseudodensity.artifacts import atomic_path
from pseudodensity.report.density_table import GLOSSARY

__all__ = ["gallery", "write_gallery"]

HERE = Path(__file__).parent
ENDS = 40  # images of each end
GROUPS, MEMBERS = 60, 6  # groups, and images of one group
ROWS = 1000  # lines of the table from each end
REJECTED = 500
SIDE, QUALITY = 128, 75  # of a thumbnail: pixels at most, of WebP
SMALL = 64  # below, enlarged pixels are shown as they are

NAMES = ("file", "neighbour_1", "kept")
NUMBERS = (
    "pseudo_density",
    "percentile",
    "network_density",
    "distance_1",
    "group",
    "copy_distance",
)
SHOWN = ("file", *NUMBERS[:3], "neighbour_1", "distance_1", "group", "kept", "copy_distance")


def write_gallery(
    path: str | Path, title: str, table: pd.DataFrame, images: np.ndarray, facts: Mapping[str, Any]
) -> None:
    """Write `gallery` to a file, whole or not at all."""
    with atomic_path(path) as temporary:
        text = gallery(title, table, images, facts)
        # A name may hold what is no character, such as half of a surrogate pair.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def gallery(title: str, table: pd.DataFrame, images: np.ndarray, facts: Mapping[str, Any]) -> str:
    """The page as text. Names of files are escaped, wherever they stand.

    Args:
        title: of the data set.
        table: of `density_table`.
        images: (N, 3, R, R) uint8; only the few that are shown are read.
        facts: `settings` (extractor, k, n, threshold, share, typical_distance, mirrored_copies),
            `counts`, `notes` and `rejected` (name and reason of each), as `rank_images` writes them.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"digits": _digits, "grouped": "{:,}".format, "zipped": zip}
    script = (HERE / "gallery.js").read_text(encoding="utf-8")
    alone = table[table["copy_distance"].isna()]
    count = min(ENDS, (len(alone) + 1) // 2)
    ends = [
        ("least", "Least dense", _pictures(alone.iloc[:count], images)),
        (
            "most",
            "Most dense",
            _pictures(alone.iloc[::-1].iloc[: min(count, len(alone) // 2)], images),
        ),
    ]
    heads = [(n, "name" if n in NAMES else "number") for n in SHOWN if n in table]
    return environment.get_template("gallery.html").render(
        title=title,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        script=script,
        small=images.shape[-1] < SMALL,
        ends=ends,
        groups=_groups(table, images),
        rejected=facts["rejected"][:REJECTED],
        heads=heads,
        rows=_both_ends(table)[[name for name, _ in heads]].to_numpy(dtype=object),
        glossary=GLOSSARY,
        settings=facts["settings"],
        counts=facts["counts"],
        notes=facts["notes"],
    )


def _both_ends(table: pd.DataFrame) -> pd.DataFrame:
    if len(table) <= 2 * ROWS:
        return table
    return pd.concat([table.iloc[:ROWS], table.iloc[-ROWS:]])


def _groups(table: pd.DataFrame, images: np.ndarray) -> list[dict[str, Any]]:
    """The largest groups, each from the kept image outwards."""
    grouped = table.dropna(subset="group").sort_values("copy_distance", na_position="first")
    sizes = grouped["group"].value_counts()
    order = sorted(sizes.index, key=lambda number: (-sizes[number], number))
    chosen = grouped[grouped["group"].isin(order[:GROUPS])]
    lines = {number: part for number, part in chosen.groupby("group")}
    return [
        {
            "number": number,
            "size": len(lines[number]),
            "pictures": _pictures(lines[number].iloc[:MEMBERS], images),
        }
        for number in order[:GROUPS]
    ]


def _pictures(lines: pd.DataFrame, images: np.ndarray) -> list[dict[str, Any]]:
    columns = ["file", "image", "pseudo_density", "copy_distance"]
    return [
        {
            "file": file,
            "source": _thumbnail(images[image]),
            "density": density,
            "kept": bool(np.isnan(distance)),
            "distance": distance,
        }
        for file, image, density, distance in lines[columns].itertuples(index=False)
    ]


def _thumbnail(image: np.ndarray) -> str:
    """A data URI of an image uint8 (3, R, R)."""
    picture, file = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))), io.BytesIO()
    picture.thumbnail((SIDE, SIDE))
    picture.save(file, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _digits(value: float) -> str:
    """Four significant digits; nothing for what is not there."""
    return "" if pd.isna(value) else f"{value:.4g}"
