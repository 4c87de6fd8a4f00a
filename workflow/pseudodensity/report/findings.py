"""The findings of one run as a page: what was run where, what came out, and what each target cost.

Everything on it is read from the tables that the run wrote and from Snakemake's own measurements.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pseudodensity.artifacts import atomic_path
from pseudodensity.plan.artifact import core_minutes
from pseudodensity.report.drawing import BLACK, PALETTE
from pseudodensity.report.markdown import markdown_text
from pseudodensity.report.table import Column, Table, page

__all__ = ["body", "costs_frame", "machine_lines", "shrink", "write_findings"]

WIDTH = 1000  # pixels of a picture on the page
WHITE = "#ffffff"
CLOSE = 16  # distance in units of 0 .. 255
COLOURS = 240  # of its own, beside those of the figures
INTRODUCTION = (
    "This page is written by `snakemake docs/{name}` from the tables of the run that it speaks of. "
    "Another processor rounds otherwise, which leads a training elsewhere, as another seed does."
)
TABLE1 = [
    Column("block", "block"),
    Column("setting", ""),
    Column("precision", "precision", 3, spread="precision_spread"),
    Column("recall", "recall", 3, spread="recall_spread"),
    Column("fid", "FID", 2, spread="fid_spread"),
    Column("mean_pseudo_density", "pseudo density", 3),
]
# Page -> what it shows of its table.
TABLES = {
    "findings": TABLE1,
    "findings_real": TABLE1,
    "findings_latent": [
        Column("block", "block"),
        Column("setting", "method"),
        Column("precision", "precision", 3, spread="precision_ci97"),
        Column("recall", "recall", 3, spread="recall_ci97"),
        Column("emd", "EMD", 2, spread="emd_ci97"),
        Column("fid", "FID", 2, spread="fid_ci97"),
        Column("ms", "ms of an image", 3),
    ],
    "findings_polarity": [
        Column("block", "block"),
        Column("setting", "method"),
        Column("polarity", "ρ", format="g"),
        Column("precision", "precision", 3, low="precision_low", high="precision_high"),
        Column("recall", "recall", 3, low="recall_low", high="recall_high"),
        Column("fid", "FID", 2, low="fid_low", high="fid_high"),
        Column("gain", "gain in FID over ρ = 0", format="+.3f", low="gain_low", high="gain_high"),
    ],
    "findings_low_density": [
        Column("setting", "sampler"),
        Column(
            "median_hardness",
            "median hardness (nats)",
            1,
            low="median_hardness_low",
            high="median_hardness_high",
        ),
        Column("precision", "precision", 3, low="precision_low", high="precision_high"),
        Column("recall", "recall", 3, low="recall_low", high="recall_high"),
        Column(
            "matched",
            "precision against the random direction",
            format="+.3f",
            low="matched_low",
            high="matched_high",
        ),
    ],
    "findings_diverse_rare": [
        Column("setting", "images"),
        Column("rarity", "rarity", 3, low="rarity_low", high="rarity_high"),
        Column("precision", "precision", 3, low="precision_low", high="precision_high"),
        Column("recall", "recall", 3, low="recall_low", high="recall_high"),
        Column(
            "pair_distance",
            "distance of pairs",
            3,
            low="pair_distance_low",
            high="pair_distance_high",
        ),
        Column("gain", "rarity against reference", format="+.3f", low="gain_low", high="gain_high"),
    ],
}
PACKAGES = ("torch", "torchvision", "timm", "faiss-cpu", "numpy", "scikit-learn", "snakemake")


def machine_lines() -> list[str]:
    """What ran it: processor, cores, memory, versions; without names of the machine or its user."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in _lines("/proc/cpuinfo")
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(filter(None, map(_version, PACKAGES)))
    return [
        f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB of memory",
        f"Python {platform.python_version()}, {versions}",
    ]


def _version(name: str) -> str:
    """Name and version of a package; "" where it is not installed, as of faiss-cpu beside a GPU."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.is_file() else []


def costs_frame(targets: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Jobs and core minutes of each target, from nothing.

    targets: name -> benchmark files of all its jobs; a job that was not measured counts as a job, and
    `measured` says how many were. A target without jobs, which has its numbers from its own table, is left
    out.
    """
    minutes = {
        path: core_minutes(path) for paths in targets.values() for path in dict.fromkeys(paths)
    }
    lines = []
    for name, paths in targets.items():
        if not paths:
            continue
        found = [minutes[path] for path in paths if minutes[path] is not None]
        line = {"target": name, "jobs": len(paths), "measured": len(found)}
        lines.append(line | {"core_minutes": sum(found)})
    return pd.DataFrame(lines)


def shrink(source: str | Path, target: str | Path, width: int = WIDTH) -> None:
    """A picture no wider than `width` pixels, as PNG with a palette.

    The colours of the figures are in it, which a palette of photographs alone would leave out.
    """
    with Image.open(source) as image:
        picture = image.convert("RGB")
        if picture.width > width:
            height = round(picture.height * width / picture.width)
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        palette = Image.new("P", (1, 1))
        palette.putpalette(_palette(picture))
        few = picture.quantize(palette=palette, dither=Image.Dither.NONE)
        with atomic_path(target) as temporary:
            few.save(temporary, format="PNG", optimize=True)


def _palette(picture: Image.Image) -> list[int]:
    """Red, green, blue of each colour, those of the figures first.

    Of two that lie close together Pillow may take either, so the picture's own give way.
    """
    own = [list(bytes.fromhex(colour[1:])) for colour in (WHITE, BLACK, *PALETTE)]
    found = np.reshape(picture.quantize(COLOURS).getpalette(), (-1, 3))
    distance = np.linalg.norm(found[:, None] - np.array(own), axis=2).min(1)
    return [*np.ravel(own).tolist(), *found[distance > CLOSE].ravel().tolist()]


def write_findings(inputs: Any, settings: Any, path: str | Path) -> list[str]:
    """Write the page; the names of its pictures, which lie in a folder of its name beside it.

    inputs: ``table``, of which `TABLES` says what the page shows, and ``claims``, CSVs; ``pictures``, PNGs.
    settings: with the attributes ``commit``, ``config``, ``seeds``, ``targets`` (see `costs_frame`), ``titles`` of the
    pictures in order.
    """
    path = Path(path)
    pictures = path.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    lines = ["# Findings of one run", "", *_provenance(path.name, settings), ""]
    columns = TABLES[path.stem]
    title = Path(inputs.table).stem.replace("table", "Table ")
    lines += [f"## {title}", "", *body(Table("", pd.read_csv(inputs.table), columns)), ""]
    lines += ["## Claims of the paper", "", *_claims(inputs.claims), ""]
    lines += ["## What the targets cost", "", *_costs(settings.targets), ""]
    lines += ["## Pictures", ""]
    names = []
    for source, title in zip(inputs.pictures, settings.titles, strict=True):
        name = f"{Path(source).stem}.png"
        shrink(source, pictures / name)
        names.append(name)
        lines += [f"![{title}]({pictures.name}/{name})", "", f"*{title}*", ""]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")
    return names


def _provenance(name: str, settings: Any) -> list[str]:
    seeds = ", ".join(map(str, settings.seeds))
    run = f"{time.strftime('%Y-%m-%d')}, commit {settings.commit}, config: {settings.config}"
    facts = [f"{run}, training seeds: {seeds}", *machine_lines()]
    return [INTRODUCTION.format(name=name), "", *(f"- {fact}" for fact in facts)]


def _claims(csv: str) -> list[str]:
    """The first contrast of each claim, over all blocks where there are several."""
    frame = pd.read_csv(csv)
    leading = frame["measured"].eq(frame.groupby("id")["measured"].transform("first"))
    # The line over all blocks stands behind those of the blocks.
    first = frame[leading].drop_duplicates("id", keep="last")
    columns = [
        Column("id", "id"),
        Column("claim", "claim"),
        Column("measured", "first of what is measured"),
    ]
    columns += [
        Column("effect", "effect", format="+.3f", low="low", high="high"),
        Column("answer", "answer"),
    ]
    return body(Table("", first, columns))


def _costs(targets: Mapping[str, Sequence[str]]) -> list[str]:
    columns = [
        Column("target", "target"),
        Column("jobs", "jobs"),
        Column("measured", "of them measured"),
        Column("core_minutes", "core minutes", 1),
    ]
    note = "From nothing, each alone: targets share most of their jobs."
    return [note, "", *body(Table("", costs_frame(targets), columns))]


def body(table: Table) -> list[str]:
    """The lines of a table without its title."""
    return [line for line in markdown_text(page(table)).splitlines() if line.startswith("|")]
