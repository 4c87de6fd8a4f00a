"""The tables and figures of the main paper (papers/000)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.pseudo_density.memorisation_targets import memorisation
from pseudodensity.papers.pseudo_density.paper import FRONTIER, HERE, Paper
from pseudodensity.papers.pseudo_density.quality_targets import quality
from pseudodensity.papers.pseudo_density.sample_targets import likelihood, overhead, samples
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.methods import method
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

REPORTED = "config/reported/pseudo_density.csv"
CATALOGUE = "config/reported/claims.csv"
FIG4 = ("plain", "importance", "truncation", "polarity", "budgeted_density")
# Tables that claims are answered from, beside the scores of Table 1.
CLAIMED = ("fig3", "fig4", "fig6", "fig7", "fig8", "table3", "overhead")
CONTROLS = ("held_out", "oracle", "random_choice", "training_copies")


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """All targets of the paper. One that a config cannot make says why."""
    paper = Paper(plan, grid)
    yield from table1(paper)
    yield from frontiers_of_models(paper)
    yield from figure4_and_tables(paper)
    yield from samples(paper)
    yield from overhead(paper)
    yield from likelihood(paper)
    yield from quality(paper)
    yield from memorisation(paper)
    yield claims(paper)


# ---------------------------------------------------------------- Table 1


def table1(paper: Paper) -> Iterator[Target]:
    """Table 1, its blocks one by one, its claims and its picture."""
    blocks = paper.blocks
    rows = {block: blocks.rows(block) for block in blocks.names}
    scores = {block: blocks.scores(block) for block in blocks.names}
    # Blocks of one data set share their oracle.
    unique = {made.path: made for made in _joined(scores)}
    inputs = {"scores": list(unique.values()), "reported": REPORTED}
    settings = {"rows": _joined(rows), "judges": paper.judges()}
    # Each block is printed as soon as it is there, long before the whole table.
    first = [f"results/table1/{block}.csv" for block in blocks.names]
    yield paper.table(
        "table1",
        "table1:table1",
        inputs | {"blocks": first},
        settings,
        "Fine-tuning with importance sampling, with controls and an oracle; the paper's own numbers "
        "stand beside ours.",
    )
    for block in blocks.names:
        yield paper.table(
            f"table1/{block}",
            "table1:table1",
            {"scores": scores[block], "reported": REPORTED},
            {"rows": rows[block], "judges": paper.judges()},
            f"The block {block} of Table 1.",
            printed=f"{HERE}.table1:table1_block",
        )
    yield paper.table(
        "table1.claims",
        "claims:table1_claims",
        inputs | {"catalogue": CATALOGUE},
        settings,
        "What the paper claims about Table 1: effect, interval, verdict.",
    )
    shown = [row for row in settings["rows"] if row["seed"] is not None]
    sets = {block: paper.plan.data.dataset(blocks.run(block)["dataset"]) for block in rows}
    yield paper.figure(
        "table1",
        "table1_figure:samples_and_trade_off",
        {
            "images": [path for block in blocks.names for path in blocks.images(block)],
            "real": list(sets.values()),
        },
        {"rows": shown, "real": list(sets), "extractors": paper.judges()},
        "Samples on the same latents, and the trade-off of every block.",
    )


# ---------------------------------------------------------------- frontiers


def frontiers_of_models(paper: Paper) -> Iterator[Target]:
    """The frontier of each model with every method that is asked of it."""
    for model, dataset in paper.plan.models.pairs():
        name = f"frontier/{model}-{dataset}"
        try:
            checkpoint = paper.plan.models.pretrained(model, dataset, paper.blocks.seeds[0])
            scores, rows = paper.frontiers.frontier(checkpoint, paper.frontiers.asked(model))
        except ConfigError as error:
            yield from paper.missing(name, str(error))
            continue
        title = f"Frontier of {paper.plan.models.title(model)} on {rows[0]['dataset']}"
        yield from _frontier(paper, name, title, scores, rows)
        yield paper.table(
            f"{name}.wanted",
            "wanted:wanted",
            {"scores": scores},
            {"title": f"{title}: goals", "rows": rows, "wanted": _wanted(paper)},
            "The point that reaches a goal at the least cost, or that none does.",
        )


def _wanted(paper: Paper) -> list[dict[str, Any]]:
    return [dict(goal) for goal in paper.plan.config["frontier"]["wanted"]]


def figure4_and_tables(paper: Paper) -> Iterator[Target]:
    """Figure 4, figure 6, and tables 2 and 3."""
    blocks, frontiers = paper.blocks, paper.frontiers
    scores, rows = [], []
    for block in blocks.names:
        model = blocks.run(block)["model"]
        names = [n for n in frontiers.asked(model) if n in (*FIG4, *CONTROLS)]
        found = frontiers.frontier(blocks.pretrained(block), names)
        scores += found[0]
        rows += found[1]
    yield from _frontier(
        paper, "fig4", "Figure 4: precision and recall of every model", scores, rows
    )
    yield from _figure6(paper)
    importance = [r for r in rows if r.get("point", {}).get("method") in ("plain", "importance")]
    choices = {
        block: {goal: blocks.run(block)[goal] for goal in ("precision", "recall", "fid")}
        | {"of_paper": blocks.run(block)["reported"] is not None}
        for block in blocks.names
    }
    settings = {"rows": importance, "choices": choices}
    settings["keep"] = paper.plan.config["frontier"]["keep"]
    yield paper.table(
        "table2",
        "table2:table2",
        {"scores": scores},
        settings,
        "The best settings of importance sampling for each model and goal: chosen on half of the "
        "repeats, reported on the other half.",
    )
    try:
        scores, rows = frontiers.table3()
    except ConfigError as error:
        yield Target("table3", "table", f"{HERE}.table3:table3", missing=str(error))
        return
    yield paper.table(
        "table3",
        "table3:table3",
        {"scores": scores, "reported": REPORTED},
        {"rows": rows},
        "Fine-tuned models combined with truncation and importance sampling (appendix A.4).",
    )


def _figure6(paper: Paper) -> Iterator[Target]:
    try:
        block = paper.blocks.nearest(paper.grid["fig6"]["block"])
    except ConfigError as error:
        yield from paper.missing("fig6", str(error))
        return
    asked = paper.frontiers.asked(paper.blocks.run(block)["model"])
    scores, rows = paper.frontiers.frontier(paper.blocks.pretrained(block), asked)
    title = f"Figure 6: every method on {rows[0]['model']}"
    yield from _frontier(paper, "fig6", title, scores, rows, "methods_of_one_model")


def _frontier(
    paper: Paper,
    name: str,
    title: str,
    scores: list[Any],
    rows: list[dict[str, Any]],
    figure: str = "precision_recall",
) -> Iterator[Target]:
    caption = (
        "Precision against recall of every method, from one pool of proposals per model. A point "
        "says its acceptance, cost and effective sample size."
    )
    settings = {"title": title, "rows": rows}
    yield paper.table(name, FRONTIER, {"scores": scores}, settings, caption)
    # The same colours in all figures: by the order in which the config asks for the methods.
    asked = [name for names in paper.frontiers.settings["methods"].values() for name in names]
    look: dict[str, Any] = {"methods": {n: method(n).TITLE for n in dict.fromkeys(asked)}}
    look |= {"controls": ["plain", *CONTROLS], "extractors": paper.judges()}
    yield paper.figure(name, f"report.frontier_figures:{figure}", {}, look, caption)


# ---------------------------------------------------------------- claims


def claims(paper: Paper) -> Target:
    """All claims of the paper, answered by what the other targets measured."""
    blocks, config = paper.blocks, paper.plan.config
    rows = [row for block in blocks.names for row in blocks.rows(block)]
    scores = {made.path: made for block in blocks.names for made in blocks.scores(block)}
    data = list(dict.fromkeys(blocks.run(block)["dataset"] for block in blocks.names))
    inputs = {"scores": list(scores.values()), "reported": REPORTED, "catalogue": CATALOGUE}
    inputs["density"] = [f"results/density/{name}.json" for name in data]
    inputs |= {name: f"results/{name}.csv" for name in CLAIMED if name in paper.made}
    # Truncation by scale acts on x_T there, which claim 11 is about.
    declared = {block: blocks.declaration(block) for block in blocks.names}
    diffusion = [block for block, d in declared.items() if not d["discriminator"]]
    settings = {"rows": rows, "diffusion": diffusion}
    settings["density_datasets"] = [config["datasets"][name]["title"] for name in data]
    if "overhead" in paper.made:
        timed = blocks.with_discriminator(paper.grid["overhead"]["block"])
        titles = blocks.titles(timed)
        settings["overhead"] = {key: titles[key] for key in ("block", "dataset", "model")}
    return paper.table(
        "claims",
        "claims:claims",
        inputs,
        settings,
        "Every claim of the paper, put to the test: what was measured, interval, verdict.",
    )


def _joined(parts: Mapping[str, list[Any]]) -> list[Any]:
    return [one for part in parts.values() for one in part]
