"""Table 1: what 5,000 images of a range of hardness cost, by rejection and by guidance.

``inputs``: ``measured``, an experiment of `measured.hardness`; ``costs``, times of some points; ``reported``.
``settings``: ``names``, block, model, dataset and stands_for; ``sets``, of each measured set its name, ``loss`` and ``alpha``
(None of the plain sampler, which comes first) and ``timed``, its place among the costs; ``ranges``: ``of``, quantiles |
hardness, and rising ``bounds``; ``images``, of a range; ``reference``, the loss of the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri  # scipy.stats would take a second to import

from pseudodensity.artifacts import load_json
from pseudodensity.papers.low_density.shares import share_interval
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.statistics import CONFIDENCE, Mean
from pseudodensity.report.table import Column, Table
from pseudodensity.report.titles import block_title

__all__ = ["bounds_of_ranges", "cheaper", "table1"]

HELD_OUT = "held-out real images"
HOUR = 3600.0
QUANTITIES = ("calls", "hours")
COST = "days_per_5k"
PAPER = ("baseline", "low-density")  # what it calls rejection and guidance


def bounds_of_ranges(ranges: Mapping[str, Any], reals: np.ndarray) -> np.ndarray:
    """Rising bounds in nats; quantiles are those of the reals (n,), each a value of one of them."""
    bounds = np.asarray(ranges["bounds"], dtype=np.float64)
    if ranges["of"] == "hardness":
        return bounds
    return np.quantile(reals, bounds, method="inverted_cdf")


def cheaper(
    own: np.ndarray, plain: np.ndarray, own_cost: Mean, plain_cost: Mean
) -> tuple[float, float, float, float]:
    """How many times cheaper a hit is than by rejection: ratio, its 95 % interval, and p of "as dear".

    own, plain: (n,) bool, whether the images of the same n latents are hits. own_cost, plain_cost: of an image; an
    error of NaN is of a cost that is known exactly. The ratio is (hits of own / own cost) over the same of plain; its
    logarithm has the binomial errors of both shares less what they have in common (delta method). Without a hit of
    either there is no interval.
    """
    count, (ours, theirs) = len(own), (own.mean(), plain.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.float64(ours) / theirs * plain_cost.value / own_cost.value)
    if not (ours and theirs):
        return ratio, np.nan, np.nan, np.nan
    common = (own & plain).mean() / (ours * theirs) - 1
    variance = ((1 - ours) / ours + (1 - theirs) / theirs - 2 * common) / count
    timed = [mean.error / mean.value for mean in (own_cost, plain_cost)]
    error = float(np.sqrt(max(variance, 0) + np.nansum(np.square(timed))))
    half = float(ndtri(0.5 + CONFIDENCE / 2)) * error
    p = float(2 * ndtr(-abs(np.log(ratio)) / error)) if error else float(ratio == 1)
    return ratio, float(ratio * np.exp(-half)), float(ratio * np.exp(half)), p


def table1(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """A section for each range, a line for each sampler; the last of held-out reals, which cost nothing here."""
    path, sets = inputs["measured"], settings["sets"]
    facts, reals = load_facts(path), load_arrays(path, ["real_hardness"])["real_hardness"]
    hardness = load_arrays(path, [f"hardness_{number}" for number in range(len(sets))])
    seconds = [_seconds(inputs["costs"], own["timed"]) for own in sets]
    bounds = bounds_of_ranges(settings["ranges"], reals)
    printed = _printed(pd.read_csv(inputs["reported"]))
    lines: list[dict[str, Any]] = []
    for number, (low, high) in enumerate(pairwise(bounds)):
        hits = [_within(hardness[f"hardness_{i}"], low, high) for i in range(len(sets))]
        known = dict(settings["names"]) | {"range": number + 1, "from": low, "to": high}
        known["section"] = _range_title(settings["ranges"], number, low, high)
        found = [
            known | _line(own, hits[i], hits[0], (facts["passes"], seconds), i, settings["images"])
            for i, own in enumerate(sets)
        ]
        lines += _with_paper(found, printed, number, settings["reference"])
        real = {"set": HELD_OUT} | _share(_within(reals, low, high))
        lines.append(known | real)
    frame = pd.DataFrame(lines)
    return Table(
        title=f"Table 1 of low-density diffusion: cost of {settings['images']:,} images by hardness",
        frame=frame,
        columns=_columns(settings["images"]),
        section="section",
        introduction=(
            f"{block_title(frame.iloc[0])}, training seed {frame.iloc[0]['seed']}: expected cost of "
            f"{settings['images']:,} images whose hardness in features of {facts['extractor']} falls into a range, "
            f"from {len(hardness['hardness_0']):,} images of each sampler."
        ),
        notes=_notes(settings),
    )


def _within(hardness: np.ndarray, low: float, high: float) -> np.ndarray:
    return (hardness > low) & (hardness <= high)


def _seconds(path: str, place: int) -> Mean:
    """Of one image; a thousand take a thousand times as long."""
    return Mean.of(np.array(load_json(path)["sampling"][place]["seconds"]) / 1000)


def _share(hits: np.ndarray) -> dict[str, Any]:
    low, high = share_interval(int(hits.sum()), len(hits))
    found = {"n": len(hits), "hits": int(hits.sum()), "share": hits.mean()}
    return found | {"share_low": low, "share_high": high}


def _line(
    own: Mapping[str, Any],
    hits: np.ndarray,
    plain: np.ndarray,
    costs: tuple[Sequence[Mapping[str, int]], Sequence[Mean]],
    place: int,
    images: int,
) -> dict[str, Any]:
    """One sampler in one range. costs: passes of each network and seconds of an image, by set."""
    passes, seconds = costs
    calls = [Mean(float(sum(one.values())), np.nan, 1) for one in passes]
    line = {key: own[key] for key in ("loss", "alpha")} | {"set": own["name"]} | _share(hits)
    line |= {"calls_per_image": calls[place].value, "unet_calls": passes[place]["generator"]}
    line |= {"seconds_per_image": seconds[place].value, "seconds_error": seconds[place].error}
    hours = Mean(seconds[place].value / HOUR, seconds[place].error / HOUR, seconds[place].count)
    for name, cost in (("images", 1.0), ("calls", calls[place].value), ("hours", hours.value)):
        for end, share in (("", "share"), ("_low", "share_high"), ("_high", "share_low")):
            line[f"{name}{end}"] = images * cost / line[share] if line[share] else np.inf
    if place:
        for name, cost in zip(QUANTITIES, (calls, seconds), strict=True):
            ends = cheaper(hits, plain, cost[place], cost[0])
            named = (f"cheaper_{name}{end}" for end in ("", "_low", "_high", "_p"))
            line |= dict(zip(named, ends, strict=True))
    return line


def _with_paper(
    lines: list[dict[str, Any]], printed: pd.DataFrame, number: int, reference: str
) -> list[dict[str, Any]]:
    """The lines of a range, with ``best``, the cheapest in calls of the loss of the paper, and what the paper
    prints, in the order of its ranges."""
    own = [line for line in lines if line["loss"] == reference and line["hits"]]
    best = min(own, key=lambda line: line["calls"], default=None)
    for line in lines:
        line |= {"best": line is best, "paper_days": np.nan, "paper_cheaper": np.nan}
    if number < len(printed):
        rejection, guided = printed.iloc[number][list(PAPER)]
        lines[0]["paper_days"] = rejection
        if best is not None:
            best |= {"paper_days": guided, "paper_cheaper": rejection / guided}
    return lines


def _printed(reported: pd.DataFrame) -> pd.DataFrame:
    """Days for 5,000 images, a row for each range, in order."""
    own = reported[reported["metric"].eq(COST)]
    parts = own["setting"].str.split(" hardness ", expand=True).set_axis(["how", "where"], axis=1)
    return own.join(parts).pivot(index="where", columns="how", values="value")


def _range_title(ranges: Mapping[str, Any], number: int, low: float, high: float) -> str:
    found = f"Range {number + 1}: hardness from {low:.1f} to {high:.1f} nats"
    if ranges["of"] == "hardness":
        return found
    first, last = (100 * share for share in ranges["bounds"][number : number + 2])
    return f"{found}, from {first:g} % to {last:g} % of the reals"


def _columns(images: int) -> list[Column]:
    return [
        Column("set", "sampler"),
        Column("share", "share in the range", 3, low="share_low", high="share_high"),
        Column("images", "images drawn", format=",.0f", low="images_low", high="images_high"),
        Column("calls", "network calls", format=".3g", in_latex=False),
        Column("seconds_per_image", "s per image", format=".3g", spread="seconds_error"),
        Column("hours", f"hours for {images:,}", format=".3g", low="hours_low", high="hours_high"),
        Column("paper_days", "paper, days", 2, of_paper=True, optional=True),
        Column(
            "cheaper_calls",
            "times cheaper, calls",
            format=".3g",
            low="cheaper_calls_low",
            high="cheaper_calls_high",
        ),
        Column(
            "cheaper_hours",
            "times cheaper, time",
            format=".3g",
            low="cheaper_hours_low",
            high="cheaper_hours_high",
        ),
        Column("paper_cheaper", "paper", 1, of_paper=True, optional=True),
        Column("best", "cheapest", optional=True, in_latex=False),
    ]


def _notes(settings: Mapping[str, Any]) -> list[str]:
    return [
        (
            f"*images drawn*: {settings['images']:,} over the share, which is the expected number where each image is "
            "kept if it falls into the range; what falls beside it is thrown away by every sampler. Judging an image is "
            "not counted."
        ),
        (
            "*network calls*: passes of all networks, forward and backward, of which a pass of an encoder is cheaper "
            "than one of the U-Net. *s per image*: time of one core, measured side by side, ± its standard error; it "
            "does not depend on alpha."
        ),
        (
            "*times cheaper*: the cost of rejection from the plain sampler over that of the line; below 1 guidance is "
            "dearer. Guided and plain images are of the same latents, and what they have in common is in the interval."
        ),
        (
            "Intervals: 95 %, over images of one trained model (of shares Clopper and Pearson's, else by the delta "
            "method), with the spread of the timings. *cheapest*: the alpha of the paper's loss with the fewest calls, "
            "chosen on these images: its interval does not know that."
        ),
        (
            "Reals count with the Gaussian of the other images of their class, generated images with the Gaussian of "
            "all. *paper*: days of one GPU for images of 256 px in its own three ranges (200 to 240 nats and on), by "
            "rejection and by its guidance; they stand here in the order of the ranges."
        ),
    ]
