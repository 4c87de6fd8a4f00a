"""Claims of the main paper about methods at inference, from the tables of frontiers.

000-8 to 000-11 from figure 4, 000-12 and 000-13 from figure 6, 000-17 from Table 3 and 000-18 from
figure 7. Points of one model are stretches of one pool: they share images, so that an interval of a
difference, which takes them as independent, is rather too wide than too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.claims import (
    Contrast,
    Line,
    block_line,
    contrast_lines,
    mean_of,
    untested,
)
from pseudodensity.report.pareto import net_share
from pseudodensity.report.statistics import (
    Estimate,
    difference,
    log_ratio,
)

__all__ = ["combination_lines", "discriminator_lines", "frontier_lines", "likelihood_lines"]

Block = Callable[[pd.DataFrame], Line | None]
SAMPLING_ONLY = "interval over sampling repeats of one training seed: sampling only"


def _contrast(
    contrast: Contrast,
    point: Mapping[str, Any],
    against: Mapping[str, Any],
    score: str,
    **options: Any,
) -> Line:
    means = mean_of(point, score), mean_of(against, score)
    found = log_ratio(*means) if contrast.scale == "log-ratio" else difference(*means)
    what = options.pop("what", "")
    notes = [what, SAMPLING_ONLY if not np.isnan(found.low) else "one repeat: no interval"]
    return block_line(
        contrast, found, point, seeds=1, note="; ".join(filter(None, notes)), **options
    )


def _blocks(points: pd.DataFrame) -> Iterator[tuple[Mapping[str, Any], pd.DataFrame]]:
    """The plain point and the other measured points of each block."""
    measured = points[points["precision"].notna()]
    for _, block in measured.groupby("block", sort=False):
        plain = block[block["method"].eq("plain")]
        if len(plain):
            yield plain.iloc[0], block[block["method"].ne("plain")]


def _middle_tau(weighted: pd.DataFrame) -> pd.DataFrame:
    """The points at the middle threshold of the grid, in the order of w."""
    taus = sorted(weighted["tau_percent"].unique())
    return weighted[weighted["tau_percent"].eq(taus[len(taus) // 2])].sort_values("w")


# --------------------------------------------------------------------------------- figure 4


def frontier_lines(points: pd.DataFrame, diffusion: Collection[str]) -> list[Line]:
    """Claims 000-8 to 000-11.

    Args:
        points: of `frontier_frame`, for the blocks of figure 4.
        diffusion: names of the blocks whose model is a diffusion model.
    """
    lines = _weight_lines(points)
    for claim, rival in (("000-9", "truncation"), ("000-10", "polarity")):
        lines += _dominance_lines(points, claim, rival)
    return lines + _latent_truncation_lines(points[points["block"].isin(diffusion)])


def _weight_lines(points: pd.DataFrame) -> list[Line]:
    """000-8: the ends of the grid of w at its middle threshold, and whether the scores are
    monotone in w at each threshold."""
    lines = []
    ends = (("largest", -1, "precision", 1), ("largest", -1, "recall", -1))
    ends += (("smallest", 0, "precision", -1), ("smallest", 0, "recall", 1))
    for end, place, score, sign in ends:
        contrast = Contrast("000-8", f"{score} at the {end} w against the plain model", sign)
        blocks = []
        for plain, others in _blocks(points):
            weighted = _middle_tau(others[others["method"].eq("importance")])
            if len(weighted):
                point = weighted.iloc[place]
                what = f"tau {point['tau_percent']:g} %, w {point['w']:g}"
                blocks.append(_contrast(contrast, point, plain, score, what=what))
        lines += contrast_lines(contrast, blocks)
    for score, sign in (("precision", 1), ("recall", -1)):
        words = f"rank correlation of {score} with w, mean over tau"
        contrast = Contrast("000-8", words, sign, "correlation")
        blocks = [_monotone(contrast, plain, others, score) for plain, others in _blocks(points)]
        lines += contrast_lines(contrast, [line for line in blocks if line])
    return lines


def _monotone(
    contrast: Contrast, plain: Mapping[str, Any], others: pd.DataFrame, score: str
) -> Line | None:
    """Spearman's correlation; the plain model is w = 1 at every threshold."""
    correlations, steps = [], []
    for _, line in others[others["method"].eq("importance")].groupby("tau_percent"):
        ws, values = [*line["w"], 1.0], [*line[score], plain[score]]
        ordered = pd.Series(values, index=ws).sort_index()
        correlations.append(np.corrcoef(ordered.rank(), range(len(ordered)))[0, 1])
        steps += list(np.sign(np.diff(ordered)) == contrast.sign)
    if not correlations:
        return None
    note = f"{sum(steps)} of {len(steps)} steps between neighbouring w go as claimed"
    return block_line(contrast, Estimate(float(np.mean(correlations))), plain, seeds=1, note=note)


def _dominance_lines(points: pd.DataFrame, claim: str, rival: str) -> list[Line]:
    """000-9 and 000-10: share of the demands of precision, from the plain model's to the highest
    that either method reaches, at which importance sampling keeps more recall, minus the share at
    which the rival does."""
    words = f"share of the high-precision region won over {rival} minus share lost"
    contrast, blocks = Contrast(claim, words, 1, "share"), []
    for plain, others in _blocks(points):
        theirs = others[others["method"].eq(rival)]
        if len(theirs):
            ours = others[others["method"].eq("importance")]
            blocks.append(_share_line(contrast, plain, ours, theirs, "precision", "recall"))
    if not blocks:
        return [untested(claim, words, f"no model of this config was sampled by {rival}")]
    return contrast_lines(contrast, blocks)


def _share_line(
    contrast: Contrast,
    plain: Mapping[str, Any],
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    demand: str,
    kept: str,
) -> Line:
    """How much of the region beyond the plain model's `demand` the front of `ours` wins."""
    start = (plain[demand], plain[kept])
    sides = [
        [start, *side[[demand, kept]].itertuples(index=False, name=None)] for side in (ours, theirs)
    ]
    share = net_share(*sides, float(plain[demand]))
    note = f"beyond the plain model's {demand}; no interval, as a front has no repeats"
    if np.isnan(share):
        note = f"no point of either method exceeds the plain model's {demand}"
    return block_line(contrast, Estimate(share), plain, seeds=1, note=note)


def _latent_truncation_lines(points: pd.DataFrame) -> list[Line]:
    """000-11: the scaled latent (psi < 1) of highest precision against the plain model. Taking the
    best of them works against the claim."""
    contrasts = (
        Contrast("000-11", "precision of the best scaled latent against the plain model", -1),
        Contrast("000-11", "FID there against the plain model", 1, "log-ratio"),
    )
    lines = []
    for contrast, score in zip(contrasts, ("precision", "fid"), strict=True):
        blocks = []
        for plain, others in _blocks(points):
            scaled = others[others["family"].eq("scale") & others["psi"].lt(1)]
            if len(scaled):
                point = scaled.loc[scaled["precision"].idxmax()]
                what = f"psi {point['psi']:g}"
                blocks.append(_contrast(contrast, point, plain, score, what=what))
        why = "no diffusion model of this config was sampled from scaled latents"
        lines += contrast_lines(contrast, blocks) or [untested("000-11", contrast.measured, why)]
    return lines


# --------------------------------------------------------------------------------- figure 6


def discriminator_lines(points: pd.DataFrame, reported: pd.DataFrame) -> list[Line]:
    """Claims 000-12 and 000-13: every DRS and DOT of figure 6 against the plain model.

    Args:
        points: of `frontier_frame`, for the block of figure 6.
        reported: config/reported/pseudo_density.csv.
    """
    lines = []
    wanted = (("000-12", "precision", 0), ("000-12", "recall", 0), ("000-13", "fid", 1))
    for claim, score, sign in wanted:
        name = "FID" if score == "fid" else score
        for plain, others in _blocks(points):
            rivals = others[others["method"].isin(("drs", "dot"))]
            for _, point in rivals.iterrows():
                contrast = Contrast(
                    claim, f"{name} of {point['setting']} against the plain model", sign
                )
                paper = np.nan if score != "fid" else _paper_rise(reported, point["method"])
                lines.append(_contrast(contrast, point, plain, score, paper_effect=paper))
            if rivals.empty:
                why = "the model of figure 6 was sampled by neither DRS nor DOT"
                lines.append(untested(claim, f"{name} against the plain model", why))
    return lines


def _paper_rise(reported: pd.DataFrame, method: str) -> float:
    """FID that the paper prints for DRS or DOT minus that of its plain StyleGAN2."""
    of_model = reported[reported["model"].eq("StyleGAN2") & reported["metric"].eq("fid")]
    rival = of_model[of_model["target"].eq("a2") & of_model["setting"].eq(method.upper())]
    plain = of_model[of_model["target"].eq("table1") & of_model["setting"].eq("pretrained")]
    return float(rival["value"].iloc[0] - plain["value"].iloc[0])


# ---------------------------------------------------------------------------------- Table 3


def combination_lines(combinations: pd.DataFrame) -> list[Line]:
    """Claim 000-17: a fine-tuned model with a method at inference against either alone, in the
    score that both are for.

    Args:
        combinations: of `table3_frame`.
    """
    lines = []
    for group in ("precision", "recall"):
        of_group = combinations[combinations["group"].eq(group)]
        tuned = of_group[of_group["tuned_w"].notna()]
        alone = tuned[tuned["method"].eq("plain")]
        for _, both in tuned[tuned["method"].ne("plain")].iterrows():
            same = of_group["tuned_w"].isna() & of_group["at_inference"].eq(both["at_inference"])
            singles = {"fine-tuning alone": alone, "the method alone": of_group[same]}
            for name, single in singles.items():
                words = f"{group} of fine-tuning and {both['at_inference']} against {name}"
                paper = both[f"paper_{group}"] - single.iloc[0][f"paper_{group}"]
                contrast = Contrast("000-17", words, 1)
                lines.append(_contrast(contrast, both, single.iloc[0], group, paper_effect=paper))
    return lines


# --------------------------------------------------------------------------------- figure 7


def likelihood_lines(points: pd.DataFrame) -> list[Line]:
    """Claim 000-18: the fronts of sampling by pseudo density and by likelihood, and recall at the
    smallest w by likelihood, at the middle threshold of the grid.

    Args:
        points: of `frontier_frame`, for figure 7, with `by`.
    """
    lines = []
    for plain, others in _blocks(points):
        by = {name: others[others["by"].eq(name)] for name in ("pseudo density", "log-likelihood")}
        density, likelihood = by.values()
        for demand, kept in (("precision", "recall"), ("recall", "precision")):
            words = f"share of the high-{demand} region won over likelihood minus share lost"
            contrast = Contrast("000-18", words, 1, "share")
            lines.append(_share_line(contrast, plain, density, likelihood, demand, kept))
        point = _middle_tau(likelihood).iloc[0]
        words = "recall by likelihood at the smallest w against the plain model (does not rise)"
        what = f"tau {point['tau_percent']:g} %, w {point['w']:g}"
        lines.append(_contrast(Contrast("000-18", words, -1), point, plain, "recall", what=what))
    return lines
