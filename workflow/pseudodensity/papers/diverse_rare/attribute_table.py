"""Shares of attributes among reals, references and sets made from these, and how rare their attributes are.

``inputs`` of both tables: ``measured``, of the experiments `attributes` or `predicted_attributes`. ``settings`` of
both: ``title``; ``names``, block, model, dataset and stands_for; ``sets``, names of those that are shown, in order;
``titles`` of these and of nothing else; ``reference``, the set that the others are compared with; ``seed`` and
``resamples`` of the bootstrap. Of `attribute_table` also ``attributes``, names in any order, or None for
all; ``order``, "rising" or "falling" share among reals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.papers.diverse_rare.attribute_sets import AttributeSets, open_attribute_sets
from pseudodensity.papers.diverse_rare.shares import (
    Resampled,
    Resampling,
    expected,
    group_counts,
    mean_interval,
    paired_means,
    shares_of,
)
from pseudodensity.report.statistics import Estimate
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["attribute_table", "rarity_of_attributes"]

REAL = "real"
INTERVALS = (
    "Intervals: 95 %, a bootstrap of references, whose images depend on each other; of reals one of images. They "
    "know nothing of the chance of training."
)
CORRECTED = (
    "*corrected*: the true shares that the classifier would see as it does, if it errs on these images as it does "
    "on {held_out:,} held-out reals (`papers/diverse_rare/shares.py`); its rows of errors are resampled too. Among "
    "reals it is right for {accuracies}."
)
AS_PREDICTED = "Shares are as predicted: no truth is known by which they could be corrected."
RISE = "*change*: to the references, {of} shares, in points; paired by reference where both sets have the same."


def attribute_table(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for each value of each attribute (Tables 2, 3, 5, 6, 12, 13 and 14).

    ValueError: an attribute or a set that was not measured.
    """
    measured = _opened(inputs, settings)
    wanted = measured.names if settings["attributes"] is None else settings["attributes"]
    if unknown := [name for name in wanted if name not in measured.names]:
        raise ValueError(
            f"there is no attribute {', '.join(map(repr, unknown))}; there are {', '.join(measured.names)}"
        )
    lines = [line for name in wanted for line in _lines(name, measured, settings)]
    falling = settings["order"] == "falling"
    frame = pd.DataFrame(lines).sort_values("real", ascending=not falling, kind="stable")
    return Table(
        title=settings["title"],
        frame=frame.assign(**settings["names"]),
        columns=list(_columns(measured, settings)),
        introduction=(
            f"{block_title(settings['names'])}: shares in % of the values of {len(wanted)} attributes, "
            f"{'common' if falling else 'rare'} ones first, by {measured.facts['source']}. Reals: "
            f"{len(measured.real):,} images, {'as they are' if measured.facts['truth'] else 'as predicted'}; "
            f"{_counts(measured, settings)}."
        ),
        notes=[INTERVALS, *_notes(measured, wanted)],
    )


def rarity_of_attributes(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A line for reals and for each set: mean log-probability of an image's attributes. ValueError: as above."""
    measured = _opened(inputs, settings)
    lines = list(_rarity_lines(measured, settings))
    known = measured.facts["known_law"]
    law = (
        "the law that the data are drawn from" if known else "shares among reals, as if independent"
    )
    return Table(
        title=settings["title"],
        frame=pd.DataFrame(lines).assign(**settings["names"]),
        columns=[
            Column("title", "images"),
            Column("n", "n"),
            Column(
                "log_probability",
                "log-probability",
                3,
                low="log_probability_low",
                high="log_probability_high",
            ),
            Column(
                "change", "minus references", format="+.3f", low="change_low", high="change_high"
            ),
            Column("references", "references", optional=True),
            *_of_corrected_shares(),
        ],
        introduction=(
            f"{block_title(settings['names'])}: mean log-probability in nats of all attributes of an image, by "
            f"{law}; lower is rarer. Attributes by {measured.facts['source']}."
        ),
        notes=[
            INTERVALS,
            "*minus references*: over references that both sets have, each with the mean of its images.",
            (
                "*corrected*: of corrected shares, see the tables of shares; of all references of a set. Errors of "
                "the classifier make attributes of images rarer or commoner: compare with the line of "
                "reals as predicted."
            ),
        ],
    )


def _of_corrected_shares() -> Iterator[Column]:
    for name, head, form in (
        ("corrected", "corrected", ".3f"),
        ("corrected_change", "corrected, minus references", "+.3f"),
    ):
        yield Column(name, head, format=form, low=f"{name}_low", high=f"{name}_high", optional=True)


# ------------------------------------------------------------------------------ lines


def _opened(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> AttributeSets:
    measured = open_attribute_sets(inputs["measured"])
    for name in (*settings["sets"], settings["reference"]):
        if name not in measured.sets:
            raise ValueError(
                f"attributes of the set {name!r} were not measured; there are {', '.join(measured.sets)}"
            )
    return measured


def _resampling(name: str, measured: AttributeSets, settings: Mapping[str, Any]) -> Resampling:
    """The same for every set of the same references."""
    reference = settings["reference"]
    if name != REAL:
        same = np.array_equal(
            np.unique(measured.groups[name]), np.unique(measured.groups[reference])
        )
        name = reference if same else name
    return Resampling(settings["seed"], settings["resamples"], name)


def _lines(
    attribute: str, measured: AttributeSets, settings: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """One per value of an attribute."""
    place = measured.names.index(attribute)
    values, law = measured.values[place], measured.law[place]
    confusion = None if measured.confusion is None else measured.confusion[place]
    reals, size = measured.real[:, place], len(values)
    counts = group_counts(reals, np.arange(len(reals)), size)
    real = shares_of(counts, None, _resampling(REAL, measured, settings))
    sets = {}
    for name in dict.fromkeys([settings["reference"], *settings["sets"]]):
        counts = group_counts(measured.sets[name][:, place], measured.groups[name], size)
        resampling = _resampling(name, measured, settings)
        kinds = (None,) if confusion is None else (None, confusion)
        sets[name] = [shares_of(counts, kind, resampling) for kind in kinds]
    best_reference = sets[settings["reference"]][-1]
    for value, (number, title) in enumerate(zip(values, values, strict=True)):
        line = {"attribute": attribute, "value": number, "title": f"{attribute}: {title}"}
        line |= _told(REAL, real.estimate(value))
        line["law"] = 100 * np.exp(law[value]) if measured.facts["known_law"] else np.nan
        for name in settings["sets"]:
            line |= _told(name, sets[name][0].estimate(value))
            if confusion is not None:
                line |= _told(f"{name}_corrected", sets[name][1].estimate(value))
            if name != settings["reference"]:
                line |= _told(f"{name}_change", sets[name][-1].minus(best_reference, value))
        yield line


def _told(name: str, found: Estimate) -> dict[str, float]:
    """A share and its interval in %."""
    return {key: 100 * value for key, value in _named(name, found).items()}


def _columns(measured: AttributeSets, settings: Mapping[str, Any]) -> Iterator[Column]:
    yield Column("title", "attribute")
    yield Column(REAL, "reals", 2, low=f"{REAL}_low", high=f"{REAL}_high")
    yield Column("law", "law", 2, optional=True)
    for name in settings["sets"]:
        title = settings["titles"][name]
        yield Column(
            name,
            title,
            2,
            low=f"{name}_low",
            high=f"{name}_high",
            in_latex=measured.confusion is None,
        )
        if measured.confusion is not None:
            own = f"{name}_corrected"
            yield Column(own, f"{title}, corrected", 2, low=f"{own}_low", high=f"{own}_high")
        if name != settings["reference"]:
            own = f"{name}_change"
            yield Column(
                own, f"{title}, change", format="+.2f", low=f"{own}_low", high=f"{own}_high"
            )


def _counts(measured: AttributeSets, settings: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{settings['titles'][name]}: {len(measured.sets[name]):,} images of "
        f"{len(np.unique(measured.groups[name])):,} references"
        for name in settings["sets"]
    )


def _notes(measured: AttributeSets, wanted: list[str]) -> list[str]:
    if measured.confusion is None:
        return [AS_PREDICTED, RISE.format(of="predicted")]
    tables = dict(zip(measured.names, measured.confusion, strict=True))
    accuracies = ", ".join(
        f"{name} {100 * np.trace(tables[name]) / tables[name].sum():.1f} %" for name in wanted
    )
    held_out = int(measured.confusion[0].sum())
    return [CORRECTED.format(held_out=held_out, accuracies=accuracies), RISE.format(of="corrected")]


def _rarity_lines(measured: AttributeSets, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    reals = {"real": measured.real} if measured.facts["truth"] else {}
    reals["real_predicted"] = measured.real_predicted
    titles = {"real": "reals", "real_predicted": "reals, as predicted"}
    for name, values in reals.items():
        resampling = _resampling(REAL, measured, settings)
        found = mean_interval(measured.log_probability(values), np.arange(len(values)), resampling)
        yield _rarity_line(name, titles[name], len(values), found)
    reference, groups = settings["reference"], measured.groups
    before = measured.log_probability(measured.sets[reference])
    corrected_before = _corrected_rarity(reference, measured, settings)
    for name in settings["sets"]:
        after = measured.log_probability(measured.sets[name])
        resampling = _resampling(name, measured, settings)
        found = mean_interval(after, groups[name], resampling)
        line = _rarity_line(name, settings["titles"][name], len(after), found)
        paired = paired_means(after, groups[name], before, groups[reference])
        if name != reference and len(paired):
            line |= _named("change", mean_interval(paired, np.arange(len(paired)), resampling))
            line["references"] = len(paired)
        corrected = _corrected_rarity(name, measured, settings)
        if corrected is not None:
            line |= _named("corrected", corrected.estimate(0))
            if name != reference:
                line |= _named("corrected_change", corrected.minus(corrected_before, 0))
        yield line


def _corrected_rarity(
    name: str, measured: AttributeSets, settings: Mapping[str, Any]
) -> Resampled | None:
    """Mean log-probability of attributes of corrected shares; None where nothing can be corrected."""
    if measured.confusion is None:
        return None
    groups, resampling = measured.groups[name], _resampling(name, measured, settings)
    shares = [
        shares_of(group_counts(values, groups, len(counts)), counts, resampling)
        for values, counts in zip(measured.sets[name].T, measured.confusion, strict=True)
    ]
    return expected(shares, measured.law)


def _rarity_line(name: str, title: str, count: int, found: Estimate) -> dict[str, Any]:
    line = {"set": name, "title": title, "n": count, "references": np.nan}
    line |= _named("log_probability", found)
    for empty in ("change", "corrected", "corrected_change"):
        line |= _named(empty, Estimate(np.nan))
    return line


def _named(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.effect, f"{name}_low": found.low, f"{name}_high": found.high}
