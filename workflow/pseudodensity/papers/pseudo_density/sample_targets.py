"""Targets of the main paper that show single samples, time the methods, or need an exact likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.pseudo_density.paper import FRONTIER, HERE, Paper
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import method, points
from pseudodensity.plan.target import Target

__all__ = ["likelihood", "overhead", "samples"]

REPORTED = "config/reported/pseudo_density.csv"


# ---------------------------------------------------------------- single samples


def samples(paper: Paper) -> Iterator[Target]:
    """Figure 2, and the figures of perturbed samples."""
    yield from _extremes(paper)
    for name, described in paper.grid["perturbation"]["figures"].items():
        yield from _perturbed(paper, name, described)


def _look(paper: Paper, dataset: str) -> dict[str, Any]:
    config = paper.plan.config
    found = {"extractor": paper.plan.data.steering, "seed": config["sampling"]["seed"]}
    return found | {"k": config["datasets"][dataset]["density_k"]}


def _extremes(paper: Paper) -> Iterator[Target]:
    described = paper.grid["fig2"]
    panels: dict[str, dict[str, Any]] = {}
    try:
        for wanted in described["blocks"]:
            block = paper.blocks.nearest(wanted)
            panels.setdefault(block, paper.blocks.shown_for(block, wanted))
    except ConfigError as error:
        yield from paper.missing("fig2", str(error))
        return
    made = [
        paper.plan.samples.extremes(
            paper.blocks.pretrained(block), described["generations"], described["images"]
        )
        for block in panels
    ]
    caption = "The least and the most dense samples of each model, beside real images."
    settings = {"title": "Figure 2: extremes of density", "panels": list(panels.values())}
    inputs = {"samples": made}
    yield paper.table("fig2", "sample_tables:extremes", inputs, settings, caption)
    look = _look(paper, paper.blocks.run(next(iter(panels)))["dataset"])
    look["generations"] = described["generations"]
    yield paper.figure("fig2", "sample_figures:extremes", inputs, look, caption)


def _perturbed(paper: Paper, name: str, described: Mapping[str, Any]) -> Iterator[Target]:
    """Panels in order, none twice; a block that a config does not make is stood in for."""
    rules = paper.grid["perturbation"]
    needs = "discriminator" in described["objectives"]
    made: dict[str, Any] = {}
    try:
        for objective in described["objectives"]:
            for wanted in described["blocks"]:
                find = paper.blocks.with_discriminator if needs else paper.blocks.nearest
                block = find(wanted)
                kind = "gan" if paper.blocks.declaration(block)["discriminator"] else "diffusion"
                settings = rules["settings"][kind]
                moved = paper.plan.samples.moved(
                    paper.blocks.pretrained(block), objective, settings, rules["images"]
                )
                panel = paper.blocks.shown_for(block, wanted) | {"objective": objective}
                panel |= {"columns": described["columns"], **settings}
                made.setdefault(moved.path, (moved, panel))
    except ConfigError as error:
        yield from paper.missing(name, str(error))
        return
    inputs = {"samples": [moved for moved, _ in made.values()]}
    panels = [panel for _, panel in made.values()]
    caption = "Samples moved towards more and less of an objective, with their pseudo densities."
    title = f"Figure {name.removeprefix('fig')}: samples moved along an objective"
    settings = {"title": title, "panels": panels}
    yield paper.table(name, "sample_tables:perturbation", inputs, settings, caption)
    look = _look(paper, paper.blocks.run(panels[0]["block"])["dataset"])
    yield paper.figure(name, "sample_figures:perturbation", inputs, look, caption)


# ---------------------------------------------------------------- costs


def overhead(paper: Paper) -> Iterator[Target]:
    """What every method costs."""
    described = dict(paper.grid["overhead"])
    caption = "Seconds per 1,000 images of every method, beside the closed form (appendix A.3)."
    try:
        block = paper.blocks.with_discriminator(described["block"])
    except ConfigError as error:
        yield Target("overhead", "table", f"{HERE}.overhead_table:overhead", missing=str(error))
        return
    checkpoints = paper.blocks.checkpoints(block, paper.blocks.seeds[0])
    counts = ("proposals", "repeats", "few", "training_steps")
    costs = paper.plan.samples.costs(
        checkpoints["pretrained"],
        checkpoints["precision"],
        _timed(paper, block, described),
        {name: described[name] for name in counts},
    )
    shown = paper.blocks.shown_for(block, described["block"])
    settings = {key: shown[key] for key in ("model", "dataset", "paper")}
    settings["resolution"] = checkpoints["pretrained"].spec["resolution"]
    inputs = {"costs": costs, "reported": REPORTED}
    yield paper.table("overhead", "overhead_table:overhead", inputs, settings, caption)


def _timed(paper: Paper, block: str, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points whose cost is measured: the same DRS and DOT as in the frontier."""
    declared, settings = paper.blocks.declaration(block), paper.plan.config["methods"]
    found: list[dict[str, Any]] = [{"method": "plain"}]
    found += [{"method": "importance", **point} for point in described["importance"]]
    for name in ("drs", "dot"):
        found += paper.frontiers.points(paper.blocks.run(block)["model"], name)
    for family in declared["truncation"][:1]:
        found.append({"method": "truncation", "family": family, "psi": described["psi"]})
    grid = {"exponents": [0.1], "replacement": [True]}
    if not method("polarity").why_not(declared):
        found += points("polarity", grid, settings, declared)
    return found


# ---------------------------------------------------------------- likelihood


def likelihood(paper: Paper) -> Iterator[Target]:
    """Figure 7: exact likelihood against pseudo density, on one pool."""
    models = [
        (model, dataset)
        for model, dataset in paper.plan.models.pairs()
        if paper.plan.models.declaration(model)["likelihood"]
    ]
    if not models:
        yield from paper.missing(
            "fig7",
            "config: fig7 needs a model with an exact likelihood (architecture vqgpt) under models, "
            "pre-trained on a data set of this config",
        )
        return
    checkpoint = paper.plan.models.pretrained(*models[0], paper.blocks.seeds[0])
    names = ("plain", "importance", "likelihood")
    scores, rows = paper.frontiers.frontier(checkpoint, names)
    sweep = paper.grid["fid_sweep"]["w"]
    by = {"plain": "", "importance": "pseudo density", "likelihood": "log-likelihood"}
    rows = [
        row | {"by": by[row["point"]["method"]]}
        for row in rows
        if row["point"]["method"] == "plain" or row["point"]["w"] not in sweep
    ]
    caption = "Importance sampling by exact likelihood and by pseudo density (appendix A.5)."
    title = f"Figure 7: sampling by likelihood, {rows[0]['model']} on {rows[0]['dataset']}"
    settings = {"title": title, "rows": rows}
    yield paper.table("fig7", FRONTIER, {"scores": scores}, settings, caption)
    look = {"extractors": paper.judges(), "paper": "VQGAN on FFHQ"}
    yield paper.figure("fig7", "likelihood_figure:likelihood", {}, look, caption)
