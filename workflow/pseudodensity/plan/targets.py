"""What people may ask for: a list of all targets, and the nearest ones to a name that is none."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pseudodensity.plan.artifact import PATHS, Artifact, benchmark_of, core_minutes
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["UNKNOWN", "density_target", "listing", "made_paths", "targets", "unknown"]

# A path that no rule makes: a word, or something in results/ that is none of the paths in `known`, nor in
# a folder whose files are named by digests.
FOLDERS = sorted({pattern.split("/")[1] for pattern in PATHS.values()} - {"density"})
UNKNOWN = (
    "(?!(?:{known})$)(?!results/(?:"
    + "|".join([*FOLDERS, "logs", "work", r"density/[^/]*\.safetensors"])
    + "))(?:results?/.+|[^/]+)"
)


def targets(plan: Plan) -> dict[str, Target]:
    """Path that people ask for -> target: tables and figures of the papers, and the images of each data
    set by pseudo density."""
    found = {}
    for name in plan.config["datasets"]:
        for kind, suffix in (("table", "csv"), ("figure", "png")):
            found[f"results/density/{name}.{suffix}"] = density_target(plan, name, kind)
    for made in (one for known in plan.of_paper.values() for one in known):
        found[made.outputs[-1] if made.kind == "figure" else made.outputs[0]] = made
    return found


def density_target(plan: Plan, name: str, kind: Literal["table", "figure"]) -> Target:
    """The images of a data set by pseudo density, which a rule of their own lists and draws."""
    title = plan.config["datasets"][name]["title"]
    return Target(
        f"density/{name}",
        kind,
        "",
        {"features": plan.data.features(name, plan.data.steering)}
        | {"density": plan.data.density(name)},
        caption=f"The images of {title} by pseudo density: all, or the extremes.",
    )


def made_paths(plan: Plan) -> list[str]:
    """Every path that a rule makes whose name has no digest, and files of users that jobs read."""
    found = [path for target in targets(plan).values() for path in target.outputs]
    found += [
        f"results/density/{name}.{s}" for name in plan.config["datasets"] for s in ("json", "png")
    ]
    found += [path for made in plan.artifacts.values() for path in made.files.values()]
    found += [made.given for made in plan.artifacts.values() if made.given]
    return sorted(set(found))


def unknown(plan: Plan, asked: str) -> ConfigError:
    """What to say to one who asks for something that nothing makes."""
    known: dict[str, list[str]] = {}
    for path in (*targets(plan), *plan.of_paper):
        known.setdefault(_stem(path), []).append(path)
    suffix = Path(asked).suffix or ".csv"
    near = [
        next((path for path in known[stem] if path.endswith(suffix)), known[stem][0])
        for stem in get_close_matches(_stem(asked), known, n=3, cutoff=0.6)
    ]
    hint = f"; the nearest are {', '.join(near)}" if near else ""
    return ConfigError(
        f"{asked} is no target{hint}; `snakemake targets` lists all, with what they are and cost"
    )


def _stem(path: str) -> str:
    """A path without folder of results and suffix, which would make all of them alike."""
    inside = path.removeprefix("results/").removeprefix("result/")
    return inside.rpartition(".")[0] or inside


def listing(plan: Plan) -> str:
    """Every target with what it is, whether this config can make it, and what it costs."""
    lines = []
    for path, target in targets(plan).items():
        lines.append(path)
        if target.caption:
            lines.append(f"    {target.caption}")
        cost = f"not with this config: {target.missing}" if target.missing else None
        lines.append(f"    {cost or _cost(plan.jobs(target))}")
    return "\n".join(lines)


def _cost(jobs: Sequence[Artifact]) -> str:
    """Core minutes of the jobs of a target that were measured on this machine, and how many were not."""
    found = [core_minutes(benchmark_of(job.path)) for job in jobs]
    measured = [minutes for minutes in found if minutes is not None]
    there = sum(Path(job.path).exists() for job in jobs)
    jobs_are = f"{len(found)} jobs, {there} of them done"
    if not measured:
        return f"{jobs_are}; not measured yet"
    rest = f"; {len(found) - len(measured)} not measured yet" if len(measured) < len(found) else ""
    return f"{jobs_are}; {sum(measured):.1f} core minutes in all{rest}"
