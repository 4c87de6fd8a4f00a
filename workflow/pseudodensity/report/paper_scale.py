"""What the papers' scale costs, from a rehearsal of it: its jobs at their true shapes with few images.

A job's time is that of its start and what it counts; the second grows with what there is to do
(:mod:`pseudodensity.plan.work`). It is that of a CPU core: what the job waited for others does not count. What a GPU
would take follows from one factor, which is an assumption and said to be one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import pandas as pd

from pseudodensity.plan.artifact import Artifact, benchmark_of, measured_seconds
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.resources import resources, stored_images_of
from pseudodensity.plan.work import amount, dataset_of, subject
from pseudodensity.progress import read_log

__all__ = [
    "Cost",
    "Group",
    "jobs_frame",
    "measured_frame",
    "measured_jobs",
    "paper_frame",
    "papers_frame",
]

# Kinds whose file grows with the images that it describes; those of all others are as large here as there.
GROWS = ("data", "features", "reals", "pool", "column")

Group = tuple[str, str]  # the rule, and what its job is about


@dataclass(frozen=True)
class Measured:
    """One job of the rehearsal: seconds before it counts and core seconds of that, what it had to do, MB and bytes."""

    start: float
    counted: float
    whole: int | None
    count: int | None
    unit: str
    memory_mb: float
    asked_mb: int
    file_bytes: int
    of_a_core: bool  # or of the time that passed, where the log does not tell them apart


@dataclass(frozen=True)
class Cost:
    """What a group costs: seconds of a start and of one unit, bytes of one image or of one file."""

    jobs: Sequence[Measured]

    @property
    def start(self) -> float:
        """Seconds before a job begins to count; all of it where it counts nothing that grows."""
        return median(job.start for job in self.jobs)

    @property
    def per_unit(self) -> float | None:
        """Seconds of one unit; None where the time is proportional to nothing that is known."""
        done = sum(job.whole or 0 for job in self.jobs)
        return sum(job.counted for job in self.jobs) / done if done else None

    @property
    def per_image_bytes(self) -> float | None:
        """Bytes of the file for one image; None where the group counts no images."""
        done = sum(job.count or 0 for job in self.jobs)
        return sum(job.file_bytes for job in self.jobs) / done if done else None

    @property
    def per_file_bytes(self) -> float:
        """Mean size of a file."""
        return mean(job.file_bytes for job in self.jobs)


def measured_jobs(plan: Plan) -> dict[Group, Cost]:
    """Every job of a config that has run and been measured."""
    found: dict[Group, list[Measured]] = defaultdict(list)
    for artifact in plan.artifacts.values():
        if (job := _measured(artifact, plan.config)) is not None:
            found[artifact.kind, subject(artifact)].append(job)
    return {group: Cost(jobs) for group, jobs in found.items()}


def _measured(artifact: Artifact, config: Mapping[str, Any]) -> Measured | None:
    wall = measured_seconds(benchmark_of(artifact.path), "s")
    if wall is None or not Path(artifact.path).is_file():
        return None
    work, done = read_log(artifact.log), amount(artifact, config)
    counted = work.items / work.rate if work.items and work.rate and done else 0.0
    return Measured(
        start=max(0.0, wall - counted),
        counted=counted * (1.0 if work.cores is None else work.cores),
        whole=done.whole if done else None,
        count=done.count if done else None,
        unit=done.unit if done else "",
        memory_mb=work.memory_mb or float("nan"),
        asked_mb=resources(artifact, config)["mem_mb"],
        file_bytes=Path(artifact.path).stat().st_size,
        of_a_core=work.cores is not None,
    )


def measured_frame(costs: Mapping[Group, Cost]) -> pd.DataFrame:
    """A line for each group that was measured."""
    return pd.DataFrame(
        {
            "rule": rule,
            "about": about,
            "jobs": len(cost.jobs),
            "unit": cost.jobs[0].unit,
            "seconds": cost.per_unit or None,
            "start": cost.start,
            "memory_mb": max(job.memory_mb for job in cost.jobs),
            "asked_mb": max(job.asked_mb for job in cost.jobs),
            "file_mb": cost.per_file_bytes / 1e6,
        }
        for (rule, about), cost in sorted(costs.items())
    )


def jobs_frame(plan: Plan, costs: Mapping[Group, Cost], faster: float) -> pd.DataFrame:
    """A line for each job of the papers' scale, by its path: what it would cost there, NaN where nothing tells, and what
    it asks for.

    plan: of that scale. costs: of the rehearsal. faster: how many cores of this machine a GPU is worth.
    """
    lines = {}
    for artifact in plan.artifacts.values():
        if artifact.given:
            continue
        rule, about = artifact.kind, subject(artifact)
        asked = resources(artifact, plan.config)
        cost = _at_scale(artifact, plan.config, costs.get((rule, about)), faster, asked["gpu"])
        lines[artifact.path] = {"rule": rule, "about": about, **asked, **cost}
    return pd.DataFrame.from_dict(lines, orient="index")


def paper_frame(jobs: pd.DataFrame) -> pd.DataFrame:
    """A line for each group of jobs: what it would cost at the papers' scale, NaN where it was not measured."""
    lines = [
        {
            "rule": rule,
            "about": about,
            "jobs": len(group),
            "core_hours": group["core_seconds"].sum(skipna=False) / 3600,
            "gpu_hours": group["gpu_seconds"].sum(skipna=False) / 3600,
            "disk_gb": group["file_bytes"].sum(skipna=False) / 1e9,
            "longest": group["job_seconds"].max(skipna=False) / 60,
            "asked_minutes": group["runtime"].max(),
            "asked_mb": group["mem_mb"].max(),
            "asked_disk_gb": group["disk_mb"].sum() / 1e3,
        }
        for (rule, about), group in jobs.groupby(["rule", "about"], sort=True)
    ]
    return pd.DataFrame(lines)


def papers_frame(plan: Plan, jobs: pd.DataFrame) -> pd.DataFrame:
    """A line for each paper: all jobs of its tables and figures, and what those of them cost that were measured."""
    lines = []
    for paper, targets in plan.of_paper.items():
        paths = {job.path for one in targets if not one.missing for job in plan.jobs(one)}
        if not paths:
            continue
        own = jobs.loc[sorted(paths)]
        lines.append(
            {
                "paper": paper.replace("_", " "),
                "jobs": len(own),
                "known": int(own["core_seconds"].notna().sum()),
                "core_hours": own["core_seconds"].sum() / 3600,
                "gpu_hours": own["gpu_seconds"].sum() / 3600,
                "disk_gb": own["file_bytes"].sum() / 1e9,
            }
        )
    return pd.DataFrame(lines)


def _at_scale(
    artifact: Artifact, config: Mapping[str, Any], cost: Cost | None, faster: float, on_gpu: int
) -> dict[str, float]:
    """Seconds of a core without a GPU, of a GPU, and of the job with one; bytes on disk. NaN: not known."""
    unknown = float("nan")
    names = ("core_seconds", "gpu_seconds", "job_seconds", "file_bytes")
    done = amount(artifact, config)
    if cost is None or done is None or cost.per_unit is None:
        return dict.fromkeys(names, unknown)
    counted = done.whole * cost.per_unit
    shorter = counted / faster if on_gpu else counted
    grows = artifact.kind in GROWS and cost.per_image_bytes is not None
    size = done.count * cost.per_image_bytes if grows else cost.per_file_bytes
    return {
        "core_seconds": cost.start + counted,
        "gpu_seconds": shorter if on_gpu else 0.0,
        "job_seconds": cost.start + shorter,
        "file_bytes": size + _pixels(artifact, config),
    }


def _pixels(artifact: Artifact, config: Mapping[str, Any]) -> int:
    """Bytes of the images that are stored beside a part of a pool."""
    if artifact.kind not in ("pool", "reals"):
        return 0
    side = config["datasets"][dataset_of(artifact)]["resolution"]
    return stored_images_of(artifact, config) * 3 * side * side
