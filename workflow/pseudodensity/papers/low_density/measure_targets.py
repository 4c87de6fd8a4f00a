"""Figures 7, 11, 12, 13 and 17 and Table 2: images measured one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pseudodensity.papers.low_density.guided import CATEGORY, HERE, Guided
from pseudodensity.papers.low_density.measured_sets import MeasuredSets
from pseudodensity.plan.target import Kind, Parts, Target, targets_of

__all__ = ["measure_targets"]


REPORTED = "config/reported/low_density.csv"


def measure_targets(guided: Guided) -> Iterator[Target]:
    """Of each figure its numbers too."""
    sets = MeasuredSets(guided)
    grid = sets.grid
    caption = "Hardness, AvgkNN and LOF of reals, a GAN, plain and guided images."
    yield from _sparsity(sets, 7, [grid["extractor"]], caption)
    yield from _bounds(sets)
    yield from _likelihoods(sets)
    yield from _hardness(sets)
    caption = "The shift of guidance in features of several extractors."
    yield from _sparsity(sets, 17, grid["fig17"]["extractors"], caption)


def _bounds(sets: MeasuredSets) -> Iterator[Target]:
    name = "low_density/fig11"

    def parts() -> Parts:
        inputs = {"measured": sets.sparsity(sets.grid["extractor"])} | sets.bounds()
        settings = _named(sets) | {"terms": sets.grid["fig11"]["terms"]}
        settings["all_terms"] = sets.all_terms()
        return _table_and_figure(name, inputs, settings)

    caption = "The likelihood of the diffusion model against AvgkNN and LOF."
    yield from targets_of(name, _functions("fig11"), caption, CATEGORY, parts)


def _likelihoods(sets: MeasuredSets) -> Iterator[Target]:
    caption = "Exact likelihood of every set, and of shifted images, under a flow on pixels."

    def made() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        grid = sets.grid["flow"]
        settings = _named(sets) | {key: grid[key] for key in ("side", "grey", "levels")}
        settings["other"] = sets.plan.config["datasets"][grid["other"]]["title"]
        return {"measured": sets.likelihoods(), "reported": REPORTED}, settings

    table = {"table": f"{HERE}.table2:table2"}
    yield from targets_of("low_density/table2", table, caption, CATEGORY, lambda: {"table": made()})
    figure = {"figure": f"{HERE}.fig12_figure:fig12_figure"}
    yield from targets_of(
        "low_density/fig12", figure, caption, CATEGORY, lambda: {"figure": made()}
    )


def _hardness(sets: MeasuredSets) -> Iterator[Target]:
    name = "low_density/fig13"

    def parts() -> Parts:
        extractor = sets.grid["extractor"]
        settings = _named(sets) | {"quantiles": sets.grid["fig13"]["quantiles"]}
        return _table_and_figure(
            name,
            {"measured": sets.sparsity(extractor)},
            settings,
            {"pictures": sets.pictures()},
        )

    caption = "Images along hardness, and hardness against AvgkNN and LOF."
    yield from targets_of(name, _functions("fig13"), caption, CATEGORY, parts)


def _functions(figure: str) -> dict[Kind, str]:
    return {
        "table": f"{HERE}.correlations:{figure}",
        "figure": f"{HERE}.correlations_figure:{figure}_figure",
    }


def _table_and_figure(
    name: str,
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any],
    drawn: Mapping[str, Any] = MappingProxyType({}),
) -> Parts:
    """drawn: what the figure needs beside what the table is made from."""
    table = {"table": f"results/{name}.csv"}
    return {"table": (inputs, settings), "figure": ({**inputs, **table, **drawn}, settings)}


def _named(sets: MeasuredSets) -> dict[str, Any]:
    names = sets.guided.sets.titles(sets.guided.checkpoint)
    named = {"titles": sets.titles(), "names": names, "split": sets.split}
    return named | {"extractor": sets.grid["extractor"], "loss": sets.grid["guided"]["loss"]}


def _sparsity(
    sets: MeasuredSets, number: int, extractors: Sequence[str], caption: str
) -> Iterator[Target]:
    name = f"low_density/fig{number}"
    functions = {"table": f"{HERE}.fig7:fig7", "figure": f"{HERE}.fig7_figure:fig7_figure"}

    def parts() -> Parts:
        inputs = {"measured": [sets.sparsity(extractor) for extractor in extractors]}
        settings = _named(sets) | {"figure": number, "extractors": list(extractors)}
        settings["k"] = dict(sets.grid["neighbours"])
        return _table_and_figure(name, inputs, settings)

    yield from targets_of(name, functions, caption, CATEGORY, parts)
