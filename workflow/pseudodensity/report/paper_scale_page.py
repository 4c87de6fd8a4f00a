"""docs/paper_scale.md: what the papers' scale needs and costs, as a rehearsal of it measured."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pseudodensity.artifacts import atomic_path
from pseudodensity.plan.plan import Plan
from pseudodensity.report.findings import body, machine_lines
from pseudodensity.report.paper_scale import (
    Cost,
    Group,
    jobs_frame,
    measured_frame,
    measured_jobs,
    paper_frame,
    papers_frame,
)
from pseudodensity.report.table import Column, Table

__all__ = ["downloads_frame", "late_jobs", "named_files", "write_paper_scale"]

DOWNLOADS = "downloads/"
CARD = "NVIDIA A100"
# Operations in a second of single precision by its maker's data sheet, without TF32, which is off here.
CARD_RATE = 19.5e12
# Which share of it a network reaches: an assumption, with which all GPU hours stand and fall.
CARD_SHARE = 0.4
INTRODUCTION = (
    "This page is written by `snakemake docs/paper_scale.md` with the three config files that "
    "`config/scales/rehearsal.yaml` names. Nobody has run the papers' scale with this project yet: the files were not "
    "at hand, nor a GPU. So it was rehearsed: every job below ran in the real workflow, with networks, "
    "images and batches of inference of the true shapes, in files of the public formats that `benchmarks/rehearsal.py` "
    "filled with random weights and pictures, on one core of a CPU, with as few images as a job takes; a training took "
    "one step of a smaller batch. Memory and the seconds of a core are measured; what the papers' counts cost is "
    "computed from them; no other number of that run means anything."
)
FACTOR = (
    "A GPU is taken to be worth {cores:.0f} cores of this machine: a 3 x 3 convolution does {core:.0f} GFLOP/s on one "
    "of them here, and of the {card:.1f} TFLOP/s of single precision that the maker of an {name} names, {share:.0%} "
    "are assumed to be reached. All GPU hours stand and fall with that assumption."
)
TOGETHER = (
    "From nothing, each alone: papers share data, networks and pools. Hours are those of the jobs that are computed "
    "here; the others are listed at the end. Core hours are what the same jobs would take without any GPU."
)
OWNERS = (
    "Each comes from its owner under the owner's terms. GB: of a network the file of the rehearsal, which has its "
    "shapes; of a data set what it takes once it is decoded into one array."
)
LEFT_OUT = (
    "The step that a training took here is its first, in which penalties are due that later steps have only now and "
    "then (R1, path length): hours of a StyleGAN are too many, by less than two times. How many fakes a filter throws "
    "away is that of random weights and pictures. The flow of features (feature_density) was a small one here: the "
    "true one takes some times as long. Seconds of a density are those of its epochs; the distances of all images "
    "before it grow with their square."
)
ONCE = (
    "A pass is one call of a network, as in a step of a sampler or of a search. What an image takes once is counted "
    "with its few passes of the rehearsal, so that hours of many passes are too many rather than too few."
)
MEASURED = [
    Column("about", "what"),
    Column("jobs", "jobs"),
    Column("unit", "unit"),
    Column("seconds", "seconds of one", format=".3g"),
    Column("start", "seconds before it", 0),
    Column("memory_mb", "peak memory (MB)", 0),
    Column("asked_mb", "asked (MB)", 0),
    Column("file_mb", "file (MB)", 1),
]
AT_SCALE = [
    Column("about", "what"),
    Column("jobs", "jobs"),
    Column("core_hours", "core hours", 1),
    Column("gpu_hours", "GPU hours", 1),
    Column("disk_gb", "disk (GB)", 1),
    Column("longest", "minutes of the longest, on a GPU", 0),
    Column("asked_minutes", "asked: minutes", 0),
    Column("asked_mb", "MB", 0),
    Column("asked_disk_gb", "GB of disk", 1),
]
PAPERS = [
    Column("paper", "paper"),
    Column("jobs", "jobs"),
    Column("known", "of them computed here"),
    Column("core_hours", "core hours", 0),
    Column("gpu_hours", "GPU hours", 0),
    Column("disk_gb", "disk (GB)", 0),
]
FILES = [
    Column("file", "file below downloads/"),
    Column("holds", "what it holds"),
    Column("owner", "from whom"),
    Column("gb", "GB", 2),
]


def write_paper_scale(
    rehearsal: Plan,
    paper: Plan,
    files: str | Path,
    path: str | Path,
    *,
    rate: float,
    run: Mapping[str, str],
) -> None:
    """Write the page.

    Args:
        rehearsal: the config whose jobs ran here.
        paper: that of the papers' scale.
        files: CSV of the files to download: file, holds, owner.
        path: of the page.
        rate: operations in a second of one core of this machine.
        run: ``commit`` and ``config`` of the rehearsal.
    """
    costs, faster = measured_jobs(rehearsal), CARD_RATE * CARD_SHARE / rate
    jobs = jobs_frame(paper, costs, faster)
    scale = paper_frame(jobs)
    factor = FACTOR.format(
        cores=faster, core=rate / 1e9, card=CARD_RATE / 1e12, name=CARD, share=CARD_SHARE
    )
    ran = f"{time.strftime('%Y-%m-%d')}, commit {run['commit']}, config: {run['config']}"
    lines = ["# The papers' scale, rehearsed", "", INTRODUCTION, ""]
    lines += [f"- {line}" for line in (ran, *machine_lines())]
    lines += ["", "## What each paper costs", "", factor, ""]
    lines += [*_table(papers_frame(paper, jobs), PAPERS), ""]
    lines += [TOGETHER, ""]
    lines += ["## What to download", ""]
    lines += [*_table(downloads_frame(paper.config, files, rehearsal.config), FILES), ""]
    lines += [OWNERS, ""]
    lines += ["## Measured here", "", *_passed(costs), *_by_rule(measured_frame(costs), MEASURED)]
    lines += ["## At the papers' scale", "", ONCE, "", LEFT_OUT, "", late_jobs(scale), ""]
    lines += _by_rule(scale[scale["core_hours"].notna()], AT_SCALE)
    lines += ["## Not computed", "", *_missing(scale, costs)]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def downloads_frame(
    config: Mapping[str, Any], files: str | Path, rehearsed: Mapping[str, Any]
) -> pd.DataFrame:
    """A line for each file that has to be there, as the CSV has it, with its size in GB.

    config: of the papers' scale. rehearsed: of the rehearsal, whose files have the same names.
    """
    with open(files, encoding="utf-8", newline="") as handle:
        lines = list(csv.DictReader(handle))
    sizes = {
        name: Path(path).stat().st_size / 1e9
        for path in named_files(rehearsed)
        for name in [line["file"] for line in lines]
        if path.endswith(f"/{name}") and Path(path).is_file()
    }
    decoded = {
        settings["path"]: settings["images"] * 3 * settings["resolution"] ** 2 / 1e9
        for settings in config["datasets"].values()
        if settings.get("path") and settings["images"]
    }
    for line in lines:
        own = [gb for path, gb in decoded.items() if path.endswith(f"/{line['file']}")]
        line["gb"] = own[0] if own else sizes.get(line["file"])
    return pd.DataFrame(lines)


def named_files(config: Any) -> list[str]:
    """Every path below downloads/ that a config names."""
    if isinstance(config, str):
        return [config] if config.startswith(DOWNLOADS) else []
    if isinstance(config, Mapping):
        return [path for value in config.values() for path in named_files(value)]
    if isinstance(config, Sequence):
        return [path for value in config for path in named_files(value)]
    return []


def _passed(costs: Mapping[Group, Cost]) -> list[str]:
    """That some jobs did not say how long they kept a core busy."""
    jobs = [job for cost in costs.values() for job in cost.jobs]
    passed = sum(not job.of_a_core for job in jobs)
    if not passed:
        return []
    said = (
        f"Of {len(jobs)} jobs {passed} did not write how much CPU time they took: theirs are the seconds that passed, "
        "with other jobs beside them, and so too many."
    )
    return [said, ""]


def _table(frame: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    return body(Table("", frame, columns))


def _by_rule(frame: pd.DataFrame, columns: Sequence[Column]) -> list[str]:
    """A table for each rule, below a heading of its own."""
    lines = []
    for rule, part in frame.groupby("rule", sort=True):
        lines += [f"### {rule}", "", *_table(part, columns), ""]
    return lines


def late_jobs(scale: pd.DataFrame) -> str:
    """A sentence about the jobs that would take longer than they ask for at first."""
    late = scale[scale["longest"] > scale["asked_minutes"]]
    if late.empty:
        return "No job is expected to take longer than it asks for at first."
    names = "; ".join(
        f"{line.rule} ({line.about}), {math.ceil(line.longest / line.asked_minutes)} times"
        for line in late.itertuples()
    )
    return (
        "Longer than their first request. A training goes on where it stopped when it is submitted again, and a "
        "command submits a job three times at most; other jobs get twice the time at each submission. The request, "
        f"so many times: {names}."
    )


def _missing(scale: pd.DataFrame, costs: Mapping[tuple[str, str], Any]) -> list[str]:
    """Jobs of the papers' scale of which nothing is computed, and why."""
    lines = []
    unknown = scale[scale["core_hours"].isna()]
    measured = [(line.rule, line.about) in costs for line in unknown.itertuples()]
    for why, chosen in (
        ("Ran here, but what they take is proportional to nothing simple", measured),
        ("Not run here", [not one for one in measured]),
    ):
        part = unknown[chosen]
        lines += [f"{why}:", ""]
        for rule, own in part.groupby("rule", sort=True):
            lines.append(f"- {rule} ({own['jobs'].sum():,} jobs): {'; '.join(own['about'])}")
        lines += ["" if len(part) else "- none", ""]
    return lines
