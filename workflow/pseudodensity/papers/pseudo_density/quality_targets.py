"""What the table and the figure of effects against the quality of the base model are made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pseudodensity.papers.pseudo_density.blocks import PLAIN
from pseudodensity.papers.pseudo_density.paper import Paper
from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.target import Target

__all__ = ["quality"]

WEIGHTED = ("precision", "recall")  # settings of w = 33 and w = 0.03
TABLE, FIGURE = "quality_table:quality", "quality_figure:quality"

Row = dict[str, Any]


def quality(paper: Paper) -> Iterator[Target]:
    """The effect of w on precision and recall, for base models trained for longer and longer."""
    wanted = [name for name in paper.grid["quality"]["blocks"] if name in paper.blocks.names]
    if not wanted:
        reason = (
            "none of papers.pseudo_density.quality.blocks is under papers.pseudo_density.blocks"
        )
        yield from paper.missing("quality", f"config: {reason}: add one")
        return
    # Apart: both judge plain samples of one pool, in other numbers.
    scores: dict[str, dict[str, Artifact]] = {"scores": {}, "sampled": {}}
    rows: list[Row] = []
    for block in wanted:
        for made, row in _of_block(paper, block):
            name = "sampled" if row["how"] == "at inference" else "scores"
            scores[name] |= {one.path: one for one in made}
            rows.append(row)
    caption = "Does the effect of w depend on how good the base model is? Longer trainings, and real images."
    inputs = {name: list(found.values()) for name, found in scores.items()}
    yield paper.table("quality", TABLE, inputs, {"rows": rows}, caption)
    yield paper.figure("quality", FIGURE, {}, {"extractors": paper.judges()}, caption)


def _of_block(paper: Paper, block: str) -> Iterator[tuple[list[Artifact], Row]]:
    """Rows of a block with the scores that they need; none for a length that was not reached."""
    blocks, grid = paper.blocks, paper.grid["quality"]
    for times in sorted(grid["lengths"]):
        reached = times <= grid["reached"].get(block, times)
        for seed in blocks.seeds:
            base = blocks.pretrained(block, seed, times)
            start = blocks.titles(block) | {"times": times, "seed": seed}
            start["iterations"] = base.spec.get("iterations")
            if reached:
                yield from _fine_tuned(paper, block, seed, times, start)
                yield from _sampled(paper, block, base, start)
            else:
                for setting in WEIGHTED:
                    for how in ("fine-tuning", "at inference"):
                        yield [], start | {"how": how, **blocks.run(block)[setting]}
    yield from _limit(paper, block)


def _fine_tuned(
    paper: Paper, block: str, seed: int, times: int, start: Row
) -> Iterator[tuple[list[Artifact], Row]]:
    """Fine-tuning against its control."""
    blocks, pools, run = paper.blocks, paper.plan.pools, paper.blocks.run(block)
    sampling = paper.plan.config["sampling"]
    how = (sampling["images"], sampling["repeats"])
    made = blocks.checkpoints(block, seed, times)
    items = {
        name: pools.item(made[name], PLAIN, *how) for name in ("pretrained", *WEIGHTED, "control")
    }
    slug = f"{run['model']}-{run['dataset']}-x{times}-seed{seed}"
    scores = list(pools.scores(slug, run["dataset"], list(items.values()), *how).values())
    sets = {name: {"pool": item.pool, "point": dict(PLAIN)} for name, item in items.items()}
    for setting in WEIGHTED:
        named = {"base": sets["pretrained"], "changed": sets[setting], "reference": sets["control"]}
        yield scores, start | {"how": "fine-tuning", **run[setting], **named}


def _sampled(
    paper: Paper, block: str, base: Artifact, start: Row
) -> Iterator[tuple[list[Artifact], Row]]:
    """Importance sampling at inference against plain sampling, on the images of a frontier."""
    run, frontiers = paper.blocks.run(block), paper.frontiers
    points = [{"method": "importance", **run[setting]} for setting in WEIGHTED]
    scores = frontiers.sets.scores(base, [PLAIN, *points])
    plain, *changed = frontiers.sets.rows(base, [PLAIN, *points])
    for setting, row in zip(WEIGHTED, changed, strict=True):
        named = {"base": _set(plain), "changed": _set(row), "reference": _set(plain)}
        yield scores, start | {"how": "at inference", **run[setting], **named}


def _limit(paper: Paper, block: str) -> Iterator[tuple[list[Artifact], Row]]:
    """Real images, plain and reweighted: a perfect generator."""
    blocks, run = paper.blocks, paper.blocks.run(block)
    scores = blocks.oracle_scores(block)
    rows = {row["setting"]: row for row in blocks.rows(block) if row["seed"] is None}
    plain = _set(rows["oracle"])
    start = blocks.titles(block) | {"times": None, "seed": None, "iterations": None}
    for setting in WEIGHTED:
        named = {"base": plain, "changed": _set(rows[f"oracle_{setting}"]), "reference": plain}
        yield scores, start | {"how": "oracle", **run[setting], **named}


def _set(row: Row) -> Row:
    return {"pool": row["pool"], "point": row["point"]}
