"""The tables and figures of the main paper (papers/000)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pseudodensity.papers.pseudo_density.blocks import Blocks
from pseudodensity.papers.pseudo_density.frontiers import Frontiers
from pseudodensity.plan.config import ConfigError
from pseudodensity.plan.methods import method, methods, points
from pseudodensity.plan.plan import Plan
from pseudodensity.plan.target import Target

__all__ = ["targets"]

HERE = "papers.pseudo_density"
REPORTED = "config/reported/pseudo_density.csv"
CATALOGUE = "config/reported/claims.csv"
FIG4 = ("plain", "importance", "truncation", "polarity", "budgeted_density")
# Tables that claims are answered from, beside the scores of Table 1.
CLAIMED = ("fig3", "fig4", "fig6", "fig7", "fig8", "table3", "overhead")
CONTROLS = ("held_out", "oracle", "random_choice", "training_copies")


def targets(plan: Plan, grid: Mapping[str, Any]) -> Iterator[Target]:
    """All targets of the paper. One that a config cannot make says why."""
    paper = _Paper(plan, grid)
    yield from paper.table1()
    yield from paper.frontiers_of_models()
    yield from paper.figure4_and_tables()
    yield from paper.samples()
    yield from paper.overhead()
    yield from paper.likelihood()
    yield paper.claims()


class _Paper:
    """What the targets share. made: names of the tables so far, since claims read some of them."""

    def __init__(self, plan: Plan, grid: Mapping[str, Any]):
        self.plan, self.grid = plan, grid
        self.blocks = Blocks(plan, grid)
        self.frontiers = Frontiers(plan, grid, self.blocks)
        self.made: set[str] = set()

    # ---------------------------------------------------------------- Table 1

    def table1(self) -> Iterator[Target]:
        """Table 1, its blocks one by one, its claims and its picture."""
        blocks = self.blocks
        rows = {block: blocks.rows(block) for block in blocks.names}
        scores = {block: blocks.scores(block) for block in blocks.names}
        # Blocks of one data set share their oracle.
        unique = {made.path: made for made in _joined(scores)}
        inputs = {"scores": list(unique.values()), "reported": REPORTED}
        settings = {"rows": _joined(rows), "judges": self._judges()}
        # Each block is printed as soon as it is there, long before the whole table.
        first = [f"results/table1/{block}.csv" for block in blocks.names]
        yield self._table(
            "table1",
            "table1:table1",
            inputs | {"blocks": first},
            settings,
            "Fine-tuning with importance sampling, with controls and an oracle; the paper's own numbers "
            "stand beside ours.",
        )
        for block in blocks.names:
            yield self._table(
                f"table1/{block}",
                "table1:table1",
                {"scores": scores[block], "reported": REPORTED},
                {"rows": rows[block], "judges": self._judges()},
                f"The block {block} of Table 1.",
                printed=f"{HERE}.table1:table1_block",
            )
        yield self._table(
            "table1.claims",
            "claims:table1_claims",
            inputs | {"catalogue": CATALOGUE},
            settings,
            "What the paper claims about Table 1: effect, interval, verdict.",
        )
        shown = [row for row in settings["rows"] if row["seed"] is not None]
        sets = {block: self.plan.data.dataset(blocks.run(block)["dataset"]) for block in rows}
        yield self._figure(
            "table1",
            "table1_figure:samples_and_trade_off",
            {
                "images": [path for block in blocks.names for path in blocks.images(block)],
                "real": list(sets.values()),
            },
            {"rows": shown, "real": list(sets), "extractors": self._judges()},
            "Samples on the same latents, and the trade-off of every block.",
        )

    # ---------------------------------------------------------------- frontiers

    def frontiers_of_models(self) -> Iterator[Target]:
        """The frontier of each model with every method that is asked of it."""
        for model, dataset in self.plan.models.pairs():
            name = f"frontier/{model}-{dataset}"
            try:
                checkpoint = self.plan.models.pretrained(model, dataset, self.blocks.seeds[0])
                scores, rows = self.frontiers.frontier(checkpoint, self.frontiers.asked(model))
            except ConfigError as error:
                yield from self._missing(name, str(error))
                continue
            title = f"Frontier of {self.plan.models.title(model)} on {rows[0]['dataset']}"
            yield from self._frontier(name, title, scores, rows)
            yield self._table(
                f"{name}.wanted",
                "wanted:wanted",
                {"scores": scores},
                {"title": f"{title}: goals", "rows": rows, "wanted": self._wanted()},
                "The point that reaches a goal at the least cost, or that none does.",
            )

    def _wanted(self) -> list[dict[str, Any]]:
        return [dict(goal) for goal in self.plan.config["frontier"]["wanted"]]

    def figure4_and_tables(self) -> Iterator[Target]:
        """Figure 4, figure 6, and tables 2 and 3."""
        blocks, frontiers = self.blocks, self.frontiers
        scores, rows = [], []
        for block in blocks.names:
            model = blocks.run(block)["model"]
            names = [n for n in frontiers.asked(model) if n in (*FIG4, *CONTROLS)]
            found = frontiers.frontier(blocks.pretrained(block), names)
            scores += found[0]
            rows += found[1]
        yield from self._frontier(
            "fig4", "Figure 4: precision and recall of every model", scores, rows
        )
        yield from self._figure6()
        importance = [
            r for r in rows if r.get("point", {}).get("method") in ("plain", "importance")
        ]
        choices = {
            block: {goal: blocks.run(block)[goal] for goal in ("precision", "recall", "fid")}
            | {"of_paper": blocks.run(block)["reported"] is not None}
            for block in blocks.names
        }
        settings = {"rows": importance, "choices": choices}
        settings["keep"] = self.plan.config["frontier"]["keep"]
        yield self._table(
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
        yield self._table(
            "table3",
            "table3:table3",
            {"scores": scores, "reported": REPORTED},
            {"rows": rows},
            "Fine-tuned models combined with truncation and importance sampling (appendix A.4).",
        )

    def _figure6(self) -> Iterator[Target]:
        try:
            block = self.blocks.nearest(self.grid["fig6"]["block"])
        except ConfigError as error:
            yield from self._missing("fig6", str(error))
            return
        asked = self.frontiers.asked(self.blocks.run(block)["model"])
        scores, rows = self.frontiers.frontier(self.blocks.pretrained(block), asked)
        title = f"Figure 6: every method on {rows[0]['model']}"
        yield from self._frontier("fig6", title, scores, rows, "methods_of_one_model")

    def _frontier(
        self,
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
        yield self._table(name, "frontier:frontier", {"scores": scores}, settings, caption)
        look = {"methods": {n: method(n).TITLE for n in methods()}}
        look |= {"controls": ["plain", *CONTROLS], "extractors": self._judges()}
        yield self._figure(name, f"frontier_figures:{figure}", {}, look, caption)

    # ---------------------------------------------------------------- single samples

    def samples(self) -> Iterator[Target]:
        """Figure 2, and the figures of perturbed samples."""
        yield from self._extremes()
        for name, described in self.grid["perturbation"]["figures"].items():
            yield from self._perturbed(name, described)

    def _look(self, dataset: str) -> dict[str, Any]:
        config = self.plan.config
        found = {"extractor": self.plan.data.steering, "seed": config["sampling"]["seed"]}
        return found | {"k": config["datasets"][dataset]["density_k"]}

    def _extremes(self) -> Iterator[Target]:
        described = self.grid["fig2"]
        panels: dict[str, dict[str, Any]] = {}
        try:
            for wanted in described["blocks"]:
                block = self.blocks.nearest(wanted)
                panels.setdefault(block, self.blocks.shown_for(block, wanted))
        except ConfigError as error:
            yield from self._missing("fig2", str(error))
            return
        made = [
            self.plan.samples.extremes(
                self.blocks.pretrained(block), described["generations"], described["images"]
            )
            for block in panels
        ]
        caption = "The least and the most dense samples of each model, beside real images."
        settings = {"title": "Figure 2: extremes of density", "panels": list(panels.values())}
        inputs = {"samples": made}
        yield self._table("fig2", "sample_tables:extremes", inputs, settings, caption)
        look = self._look(self.blocks.run(next(iter(panels)))["dataset"])
        look["generations"] = described["generations"]
        yield self._figure("fig2", "sample_figures:extremes", inputs, look, caption)

    def _perturbed(self, name: str, described: Mapping[str, Any]) -> Iterator[Target]:
        """Panels in order, none twice; a block that a config does not make is stood in for."""
        rules = self.grid["perturbation"]
        needs = "discriminator" in described["objectives"]
        made: dict[str, Any] = {}
        try:
            for objective in described["objectives"]:
                for wanted in described["blocks"]:
                    find = self.blocks.with_discriminator if needs else self.blocks.nearest
                    block = find(wanted)
                    kind = "gan" if self.blocks.declaration(block)["discriminator"] else "diffusion"
                    settings = rules["settings"][kind]
                    moved = self.plan.samples.moved(
                        self.blocks.pretrained(block), objective, settings, rules["images"]
                    )
                    panel = self.blocks.shown_for(block, wanted) | {"objective": objective}
                    panel |= {"columns": described["columns"], **settings}
                    made.setdefault(moved.path, (moved, panel))
        except ConfigError as error:
            yield from self._missing(name, str(error))
            return
        inputs = {"samples": [moved for moved, _ in made.values()]}
        panels = [panel for _, panel in made.values()]
        caption = (
            "Samples moved towards more and less of an objective, with their pseudo densities."
        )
        title = f"Figure {name.removeprefix('fig')}: samples moved along an objective"
        settings = {"title": title, "panels": panels}
        yield self._table(name, "sample_tables:perturbation", inputs, settings, caption)
        look = self._look(self.blocks.run(panels[0]["block"])["dataset"])
        yield self._figure(name, "sample_figures:perturbation", inputs, look, caption)

    # ---------------------------------------------------------------- costs

    def overhead(self) -> Iterator[Target]:
        """What every method costs."""
        described = dict(self.grid["overhead"])
        caption = "Seconds per 1,000 images of every method, beside the closed form (appendix A.3)."
        try:
            block = self.blocks.with_discriminator(described["block"])
        except ConfigError as error:
            yield Target("overhead", "table", f"{HERE}.overhead_table:overhead", missing=str(error))
            return
        checkpoints = self.blocks.checkpoints(block, self.blocks.seeds[0])
        counts = ("proposals", "repeats", "few", "training_steps")
        costs = self.plan.samples.costs(
            checkpoints["pretrained"],
            checkpoints["precision"],
            self._timed(block, described),
            {name: described[name] for name in counts},
        )
        shown = self.blocks.shown_for(block, described["block"])
        settings = {key: shown[key] for key in ("model", "dataset", "paper")}
        settings["device"] = self.plan.config["runtime"]["device"]
        settings["resolution"] = checkpoints["pretrained"].spec["resolution"]
        inputs = {"costs": costs, "reported": REPORTED}
        yield self._table("overhead", "overhead_table:overhead", inputs, settings, caption)

    def _timed(self, block: str, described: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The points whose cost is measured: the same DRS and DOT as in the frontier."""
        declared, settings = self.blocks.declaration(block), self.plan.config["methods"]
        found: list[dict[str, Any]] = [{"method": "plain"}]
        found += [{"method": "importance", **point} for point in described["importance"]]
        for name in ("drs", "dot"):
            found += self.frontiers.points(self.blocks.run(block)["model"], name)
        for family in declared["truncation"][:1]:
            found.append({"method": "truncation", "family": family, "psi": described["psi"]})
        grid = {"exponents": [0.1], "replacement": [True]}
        if not method("polarity").why_not(declared):
            found += points("polarity", grid, settings, declared)
        return found

    # ---------------------------------------------------------------- likelihood

    def likelihood(self) -> Iterator[Target]:
        """Figure 7: exact likelihood against pseudo density, on one pool."""
        models = [
            (model, dataset)
            for model, dataset in self.plan.models.pairs()
            if self.plan.models.declaration(model)["likelihood"]
        ]
        if not models:
            yield from self._missing(
                "fig7",
                "config: fig7 needs a model with an exact likelihood (architecture vqgpt) under models, "
                "pre-trained on a data set of this config",
            )
            return
        checkpoint = self.plan.models.pretrained(*models[0], self.blocks.seeds[0])
        names = ("plain", "importance", "likelihood")
        scores, rows = self.frontiers.frontier(checkpoint, names)
        sweep = self.grid["fid_sweep"]["w"]
        by = {"plain": "", "importance": "pseudo density", "likelihood": "log-likelihood"}
        rows = [
            row | {"by": by[row["point"]["method"]]}
            for row in rows
            if row["point"]["method"] == "plain" or row["point"]["w"] not in sweep
        ]
        caption = "Importance sampling by exact likelihood and by pseudo density (appendix A.5)."
        title = f"Figure 7: sampling by likelihood, {rows[0]['model']} on {rows[0]['dataset']}"
        settings = {"title": title, "rows": rows}
        yield self._table("fig7", "frontier:frontier", {"scores": scores}, settings, caption)
        look = {"extractors": self._judges(), "paper": "VQGAN on FFHQ"}
        yield self._figure("fig7", "likelihood_figure:likelihood", {}, look, caption)

    # ---------------------------------------------------------------- claims

    def claims(self) -> Target:
        """All claims of the paper, answered by what the other targets measured."""
        blocks, config = self.blocks, self.plan.config
        rows = [row for block in blocks.names for row in blocks.rows(block)]
        scores = {made.path: made for block in blocks.names for made in blocks.scores(block)}
        data = list(dict.fromkeys(blocks.run(block)["dataset"] for block in blocks.names))
        inputs = {"scores": list(scores.values()), "reported": REPORTED, "catalogue": CATALOGUE}
        inputs["density"] = [f"results/density/{name}.json" for name in data]
        inputs |= {name: f"results/{name}.csv" for name in CLAIMED if name in self.made}
        # Truncation by scale acts on x_T there, which claim 11 is about.
        declared = {block: blocks.declaration(block) for block in blocks.names}
        diffusion = [block for block, d in declared.items() if not d["discriminator"]]
        settings = {"rows": rows, "diffusion": diffusion}
        settings["density_datasets"] = [config["datasets"][name]["title"] for name in data]
        if "overhead" in self.made:
            timed = blocks.with_discriminator(self.grid["overhead"]["block"])
            titles = blocks.titles(timed)
            settings["overhead"] = {key: titles[key] for key in ("block", "dataset", "model")}
        return self._table(
            "claims",
            "claims:claims",
            inputs,
            settings,
            "Every claim of the paper, put to the test: what was measured, interval, verdict.",
        )

    # ---------------------------------------------------------------- helpers

    def _judges(self) -> dict[str, str]:
        metrics = self.plan.config["metrics"]
        return {name: m["extractor"] for name, m in metrics.items() if "extractor" in m}

    def _table(
        self,
        name: str,
        function: str,
        inputs: Mapping[str, Any],
        settings: Mapping[str, Any],
        caption: str,
        printed: str = "",
    ) -> Target:
        self.made.add(name)
        return Target(
            name,
            "table",
            f"{HERE}.{function}",
            inputs,
            settings,
            caption,
            category="Pseudo density",
            printed=printed,
        )

    def _figure(
        self,
        name: str,
        function: str,
        inputs: Mapping[str, Any],
        settings: Mapping[str, Any],
        caption: str,
    ) -> Target:
        """A figure is drawn from the table of its name."""
        inputs = {"table": f"results/{name}.csv", **inputs}
        return Target(
            name,
            "figure",
            f"{HERE}.{function}",
            inputs,
            settings,
            caption,
            category="Pseudo density",
        )

    @staticmethod
    def _missing(name: str, reason: str) -> Iterator[Target]:
        for kind in ("table", "figure"):
            yield Target(name, kind, f"{HERE}.frontier:frontier", missing=reason)


def _joined(parts: Mapping[str, list[Any]]) -> list[Any]:
    return [one for part in parts.values() for one in part]
