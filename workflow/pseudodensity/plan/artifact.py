"""An artefact: what it is made from, the digest of all that, and the path that carries the digest."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

__all__ = [
    "LOGS",
    "PATHS",
    "STATE_FILE",
    "Artifact",
    "benchmark_of",
    "canonical",
    "core_minutes",
    "digest_of",
    "measured_seconds",
    "state_of",
]

# Raised when the meaning of stored files changes, so that older ones are made again.
FORMAT = 2

# Where each kind of artefact lies. What is in braces is an attribute of the artefact, and a wildcard
# of the rule that makes it. Nothing parses a path.
PATHS = {
    "data": "results/data/{name}/images.npy",
    "extractor": "results/extractors/{name}.safetensors",
    "features": "results/features/{name}.npy",
    "density": "results/density/{name}.safetensors",
    "feature_density": "results/feature_densities/{name}.safetensors",
    "trained": "results/checkpoints/trained/{name}.safetensors",
    "imported": "results/checkpoints/imported/{name}.safetensors",
    "finetuned": "results/checkpoints/finetuned/{name}.safetensors",
    "auxiliary": "results/checkpoints/auxiliary/{name}.safetensors",
    "pool": "results/pools/{folder}/{rows}/described.safetensors",
    "reals": "results/reals/{folder}/{rows}/described.safetensors",
    "column": "results/pools/{folder}/{rows}/{name}.safetensors",
    "scores": "results/scores/{name}.json",
    "moved": "results/moved/{name}.safetensors",
    "extremes": "results/extremes/{name}.safetensors",
    "costs": "results/costs/{name}.json",
    "experiment": "results/experiments/{name}.safetensors",
}

STATE_FILE = "state.safetensors"  # in the folder of a training that has not ended

# Where the job of each kind writes what it has to say.
LOGS = {
    "data": "results/logs/data/{name}.log",
    "extractor": "results/logs/extractors/{name}.log",
    "features": "results/logs/features/{name}.log",
    "density": "results/logs/density/{name}.log",
    "feature_density": "results/logs/feature_densities/{name}.log",
    "trained": "results/logs/train/{name}.log",
    "imported": "results/logs/train/{name}.log",
    "finetuned": "results/logs/train/{name}.log",
    "auxiliary": "results/logs/train/{name}.log",
    "pool": "results/logs/pools/{folder}-{rows}.log",
    "reals": "results/logs/reals/{folder}-{rows}.log",
    "column": "results/logs/columns/{folder}-{rows}-{name}.log",
    "scores": "results/logs/scores/{name}.log",
    "moved": "results/logs/moved/{name}.log",
    "extremes": "results/logs/extremes/{name}.log",
    "costs": "results/logs/costs/{name}.log",
    "experiment": "results/logs/experiments/{name}.log",
}


def benchmark_of(path: str) -> str:
    """Where Snakemake writes what the job of an artefact cost: seconds, memory."""
    return f"results/logs/benchmarks/{path.removeprefix('results/')}.tsv"


def state_of(path: str) -> str:
    """Where a training that makes an artefact keeps its state until it ends."""
    return f"results/work/{Path(path).name.removesuffix('.safetensors')}/{STATE_FILE}"


def core_minutes(path: str | Path) -> float | None:
    """Core minutes of a job from the file that Snakemake wrote of it; None where there is none that can
    be read."""
    seconds = measured_seconds(path, "cpu_time")
    return None if seconds is None else seconds / 60


def measured_seconds(path: str | Path, what: str) -> float | None:
    """What Snakemake measured of a job, such as ``cpu_time`` or ``s``, the seconds from start to end; None where there
    is no file of it that can be read."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            seconds = [line[what] for line in csv.DictReader(handle, delimiter="\t")]
        # "NA" stands for a job that was too short to be measured.
        return sum(float(one) for one in seconds if one != "NA")
    except (OSError, KeyError, TypeError, ValueError):
        return None


def canonical(value: Any) -> str:
    """One JSON text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """First 10 hexadecimal digits of the SHA-256 of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:10]


@dataclass(frozen=True, eq=False)
class Artifact:
    """Something made by one job.

    Attributes:
        kind: a key of `PATHS`, and the rule that makes it.
        slug: for people; no program reads it.
        spec: JSON-able, what defines the artefact beside what it is made from.
        needs: the artefacts that it is made from, by the name of the rule's input; a tuple where one
            input is a list. Their digests are part of this one's.
        folder, rows: of a pool or one of its columns: the folder of the whole pool, and which rows.
        modules: of the package that its job imports by name, for the digest of the code.
        files: plain files that the job reads, by the name of the rule's input. What defines them (a
            SHA-256, a listing) belongs into the spec.
        facts: what rules and figures want to know of it and what defines nothing (a title).
        given: path of a file that no rule makes (a user's generator).
        absent: one line, what it is made from that is not there, and how to get it; "" if all is there.
    """

    kind: str
    slug: str
    spec: Mapping[str, Any]
    needs: Mapping[str, Artifact | tuple[Artifact, ...]] = field(default_factory=dict)
    folder: str = ""
    rows: str = ""
    modules: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    given: str = ""
    absent: str = ""

    @cached_property
    def stamp(self) -> dict[str, Any]:
        """All that defines it; written into its file and compared when it is read."""
        # Parts of one pool share its digest: how a pool is cut into files changes no number.
        upstream = {
            name: list(dict.fromkeys(one.digest for one in made))
            if isinstance(made, tuple)
            else made.digest
            for name, made in self.needs.items()
        }
        return {"kind": self.kind, "format": FORMAT, "spec": self.spec, "from": upstream}

    @cached_property
    def digest(self) -> str:
        """Digest of the stamp: which rows of a pool a file holds is no part of it."""
        return digest_of(self.stamp)

    @property
    def name(self) -> str:
        """Slug and digest."""
        return f"{self.slug}-{self.digest}"

    @cached_property
    def path(self) -> str:
        """Where it lies, relative to the working directory."""
        if self.given:
            return self.given
        return PATHS[self.kind].format(name=self.name, folder=self.folder, rows=self.rows)

    @property
    def span(self) -> tuple[int, int]:
        """First row of a part of a pool, and the one behind its last."""
        start, stop = map(int, self.rows.split("-"))
        return start, stop

    @property
    def log(self) -> str:
        """Where its job writes what it has to say."""
        return LOGS[self.kind].format(name=self.name, folder=self.folder, rows=self.rows)

    @property
    def inputs(self) -> dict[str, str | list[str]]:
        """Paths of what it is made from, by the name of the rule's input."""
        made = {
            name: [one.path for one in need] if isinstance(need, tuple) else need.path
            for name, need in self.needs.items()
        }
        return {**made, **self.files}

    @cached_property
    def lacks(self) -> str:
        """`absent` of it or of the first that it is made from, and so on; "" if it can be made."""
        return self.absent or next(filter(None, (one.lacks for one in self.upstream())), "")

    def upstream(self) -> Iterator[Artifact]:
        """What it is made from directly, one by one."""
        for need in self.needs.values():
            yield from need if isinstance(need, tuple) else (need,)
