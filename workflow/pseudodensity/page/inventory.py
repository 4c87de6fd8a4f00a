"""What the page speaks of: every target of a config, whether it is there, and what the rest would cost.

Light, because the rules ask: nothing here imports pandas.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pseudodensity.plan.artifact import Artifact, benchmark_of, core_minutes
from pseudodensity.plan.methods import method
from pseudodensity.plan.models import EXTERNAL
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target
from pseudodensity.plan.targets import density_target

__all__ = ["inventory", "is_behind"]

OWN_KINDS = ("folder", "zip", "lmdb")
# Our numbers beside those of other programs. No rule makes them: not all of these are in the environment.
PARITY, PARITY_COMMAND = "results/parity.csv", "python benchmarks/parity.py"
DENSITY_SUFFIXES = ("csv", "png", "svg", "json", "html")
Entry = dict[str, Any]


def inventory(plan: Plan, overlays: Sequence[str]) -> Entry:
    """All that the page wants to know of a plan, as JSON-able values. Paths count from the working
    directory, which is looked into.

    overlays: config files beside the default one, to repeat in the commands.

    Returns:
        ``papers``: name, title, targets; ``datasets``: name, title, whether somebody brought it,
        outputs; ``external``: names of
        the frontiers of generators that somebody brought; ``methods``: name -> title in the order of
        the config; ``seeds``; ``parity``, as a target. A target has name, kind, caption, missing (why the config cannot make
        it), outputs; the cost, see `Costs.of`; and what can be shown of it side by side, see `_latents`
        and `_moved`.
    """
    costs = Costs(plan.artifacts.values())
    options = f" --configfile {' '.join(overlays)}" if overlays else ""
    papers = []
    for name, targets in plan.of_paper.items():
        title = (import_module(f"pseudodensity.papers.{name}").__doc__ or name).strip()
        entries = [_entry(plan, target, costs, options) for target in targets]
        papers.append(
            {"name": name, "title": title.splitlines()[0].rstrip("."), "targets": entries}
        )
    asked = [name for names in plan.config["frontier"]["methods"].values() for name in names]
    return {
        "papers": papers,
        "datasets": [_dataset(plan, name, costs, options) for name in plan.config["datasets"]],
        "external": [
            f"frontier/{model}-{dataset}"
            for model, dataset in plan.models.pairs()
            if plan.config["models"][model]["architecture"] == EXTERNAL
        ],
        "methods": {name: method(name).TITLE for name in dict.fromkeys(["plain", *asked])},
        "seeds": list(plan.config["seeds"]),
        "parity": _parity(costs),
    }


def is_behind(page: str | Path, found: Mapping[str, Any]) -> bool:
    """Whether any target of an `inventory` is there that was written after the page."""
    targets = [target for paper in found["papers"] for target in paper["targets"]]
    shown = [*targets, *found["datasets"], found["parity"]]
    paths = [path for one in shown for path in one["outputs"]]
    newest = max((Path(path).stat().st_mtime for path in paths), default=None)
    if newest is None:
        return False
    return not Path(page).is_file() or Path(page).stat().st_mtime < newest


def _entry(plan: Plan, target: Target, costs: Costs, options: str) -> Entry:
    jobs = [] if target.missing else plan.jobs(target)
    entry = {"name": target.name, "kind": target.kind, "caption": target.caption}
    entry |= {"missing": target.missing, "outputs": _made(target.outputs)}
    entry |= costs.of(jobs) | {"command": _command(target.outputs[0], options)}
    return entry | {"latents": _latents(target), "moved": _moved(target)}


def _dataset(plan: Plan, name: str, costs: Costs, options: str) -> Entry:
    """The list of a data set's images by density."""
    outputs = [f"results/density/{name}.{suffix}" for suffix in DENSITY_SUFFIXES]
    target = density_target(plan, name, "table")
    jobs = [] if target.missing else plan.jobs(target)
    settings = plan.config["datasets"][name]
    entry = {"name": name, "title": settings["title"], "is_own": settings["kind"] in OWN_KINDS}
    entry["missing"] = target.missing
    entry |= {"outputs": _made(outputs), "command": _command(outputs[0], options)}
    return entry | costs.of(jobs)


def _parity(costs: Costs) -> Entry:
    entry: Entry = {"name": "parity", "kind": "table", "missing": None}
    return entry | {"outputs": _made([PARITY]), "command": PARITY_COMMAND} | costs.of([])


def _made(paths: Iterable[str]) -> dict[str, str]:
    """Path -> when it was written, of those that are there."""
    found = {path: Path(path).stat().st_mtime for path in paths if Path(path).is_file()}
    return {path: time.strftime("%Y-%m-%d %H:%M", time.localtime(at)) for path, at in found.items()}


def _command(path: str, options: str) -> str:
    return f"snakemake {path} --cores all{options}"


# ---------------------------------------------------------------------------------- costs


class Costs:
    """Core minutes of the jobs of a plan, where Snakemake measured them here."""

    def __init__(self, made: Iterable[Artifact]):
        self.minutes: dict[str, float] = {}
        by_kind: dict[str, list[float]] = {}
        for job in made:
            minutes = core_minutes(benchmark_of(job.path))
            if minutes is not None:
                self.minutes[job.path] = minutes
                by_kind.setdefault(job.kind, []).append(minutes)
        self.mean = {kind: sum(found) / len(found) for kind, found in by_kind.items()}

    def of(self, jobs: Sequence[Artifact]) -> Entry:
        """``jobs`` of a target; ``left``: those whose file is not there; ``minutes``: core minutes of
        all jobs that were measured, and ``measured`` how many these are; ``minutes_left``: what those
        that are left would take at the mean of the measured jobs of their kind, None where a kind has
        none."""
        left = [job for job in jobs if not Path(job.path).exists()]
        measured = [self.minutes[job.path] for job in jobs if job.path in self.minutes]
        is_known = all(job.kind in self.mean for job in left)
        return {
            "jobs": len(jobs),
            "left": len(left),
            "measured": len(measured),
            "minutes": sum(measured),
            "minutes_left": sum(self.mean[job.kind] for job in left) if is_known else None,
        }


# ---------------------------------------------------------------------------------- images


def _latents(target: Target) -> list[Entry]:
    """Samples on the same latents: of a figure whose input ``images`` has a file for each of its
    setting ``rows``, which say block, setting and seed. Only rows of the first seed of a block."""
    paths, rows = target.paths.get("images"), target.settings.get("rows")
    if target.kind != "figure" or not isinstance(paths, list) or not rows:
        return []
    if len(paths) != len(rows) or not all({"block", "setting", "seed"} <= set(r) for r in rows):
        return []
    found: dict[tuple[str, str], Entry] = {}
    for row, path in zip(rows, paths, strict=True):
        entry = {"block": row["block"], "setting": row["setting"], "path": path}
        found.setdefault((row["block"], row["setting"]), entry)
    return list(found.values())


def _moved(target: Target) -> list[Entry]:
    """Samples before and after they were moved: of a table made from moved samples, whose setting
    ``panels`` says for each file block, model, dataset and objective."""
    samples, panels = target.inputs.get("samples"), target.settings.get("panels")
    if target.kind != "table" or not panels or isinstance(samples, Artifact | str | None):
        return []
    if not all(isinstance(made, Artifact) and made.kind == "moved" for made in samples):
        return []
    names = ("block", "model", "dataset", "objective")
    return [
        {name: panel[name] for name in names} | {"path": made.path}
        for made, panel in zip(samples, panels, strict=True)
    ]
