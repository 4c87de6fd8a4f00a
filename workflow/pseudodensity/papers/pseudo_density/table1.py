"""Table 1 of the main paper: fine-tuning with importance sampling.

`table1` and `table1_block` want
    inputs: ``scores``, paths of scores files; ``reported``, config/reported/pseudo_density.csv.
    settings: ``rows``, one dict per checkpoint or control and training seed, in the order of the
    table: block, model, dataset, stands_for (or None), setting (pretrained, precision, recall,
    fid, control, control_fid, oracle, oracle_precision, oracle_recall, oracle_fid), tau, w (or
    None), seed, images (shown in fine-tuning, or None), reported ({dataset, model} as the paper
    names them, or None), pool, point. ``judges``, optional: metric -> title of the network whose
    features judge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pseudodensity.report.markdown import aligned
from pseudodensity.report.table import Column, Table, page
from pseudodensity.report.titles import block_title, setting_title

__all__ = [
    "Members",
    "block_text",
    "group_by_setting",
    "paper_value",
    "score_values",
    "table1",
    "table1_block",
    "table1_frame",
]

# A row of the table with what was found of it, per training seed. Found: of ScoreBook.find.
Members = list[tuple[Mapping[str, Any], Any]]

SCORES = ("precision", "recall", "fid", "density", "coverage", "mean_density")
# What newer metrics add; shown where the scores have it.
FURTHER_SCORES = (
    *("symmetric_precision", "symmetric_recall", "median_nearest"),
    "expected_coverage",
)
PAPER_SCORES = ("precision", "recall", "fid")
COUNTS = ("training_images", "n_real", "n_fake", "k", "repeats", "seeds")

# ------------------------------------------------------------------------ reading the scores


def group_by_setting(rows: Sequence[Mapping[str, Any]], book: Any) -> dict[str, dict[str, Members]]:
    """Rows with their scores as block -> setting -> one member per training seed.

    Args:
        rows: see the module.
        book: a ScoreBook; its `find(pool, point)` gives repeats, facts, label, n, n_real and k.

    Raises:
        ValueError: a block has other training seeds in one row than in another. Real images and
            other rows of which nothing was trained (seed None) stand outside of this.
    """
    groups: dict[str, dict[str, Members]] = {}
    for row in rows:
        member = (row, book.find(row["pool"], row["point"]))
        groups.setdefault(row["block"], {}).setdefault(row["setting"], []).append(member)
    for block, settings in groups.items():
        seeds = {tuple(row["seed"] for row, _ in members) for members in settings.values()}
        if len(seeds - {(None,)}) > 1:
            raise ValueError(
                f"block {block} has other training seeds in one row than in another: run all seeds"
            )
    return groups


def score_values(members: Members, score: str) -> np.ndarray:
    """One score of a setting: float64 (seeds, repeats).

    Raises:
        ValueError: a score is missing, or the seeds have not the same number of repeats.
    """
    try:
        table = [[float(repeat[score]) for repeat in found.repeats] for _, found in members]
    except KeyError as error:
        raise ValueError(f"scores lack {error}: delete the scores and run again") from None
    if len({len(repeats) for repeats in table}) != 1 or not table[0]:
        raise ValueError(
            "scores need the same number of repeats (at least 1) for each seed: "
            "delete the scores and run again"
        )
    return np.array(table)


def paper_value(
    reported: pd.DataFrame,
    place: Mapping[str, str] | None,
    setting: str,
    tau: float | None,
    w: float | None,
    score: str,
) -> float:
    """The number that the paper prints in Table 1; NaN if it has none (the paper has no controls).

    Args:
        reported: config/reported/pseudo_density.csv.
        place: dataset and model as the paper names them, None for a block that is not in it.
        setting, tau, w: of the row.
        score: precision | recall | fid.

    Raises:
        ValueError: the paper has no such dataset and model.
    """
    if place is None:
        return np.nan
    lines = reported[reported["target"].eq("table1")]
    lines = lines[lines["dataset"].eq(place["dataset"]) & lines["model"].eq(place["model"])]
    if lines.empty:
        raise ValueError(
            f"the reported numbers have no {place['model']} on {place['dataset']} in Table 1: "
            "correct `reported` of the block, or set it to null"
        )
    if setting in ("precision", "recall", "fid"):
        lines = lines[lines["tau_percent"].eq(tau) & lines["w"].eq(w)]
    else:
        lines = lines[lines["setting"].eq(setting)]
    found = lines.loc[lines["metric"].eq(score), "value"]
    return float(found.iloc[0]) if len(found) else np.nan


# ---------------------------------------------------------------------------------- the frame


def table1_frame(
    rows: Sequence[Mapping[str, Any]], book: Any, reported: pd.DataFrame
) -> pd.DataFrame:
    """One line per block and setting, in the order of the rows.

    A value is the mean over repeats and seeds. Its spread is the standard deviation (n - 1) over
    the sampling repeats if there is one training seed, else over the means of the seeds; NaN if
    that is a single number. `role` is the setting of the row; `model` of an oracle says how its
    real images came about. Scores beyond those of the paper have columns where a row has them.

    Args:
        rows, book: as for `group_by_setting`.
        reported: config/reported/pseudo_density.csv.

    Raises:
        ValueError: rows, scores and reported numbers do not fit each other.
    """
    groups = group_by_setting(rows, book)
    lines = [_line(m, reported) for settings in groups.values() for m in settings.values()]
    frame = pd.DataFrame(lines)
    further = [score for score in FURTHER_SCORES if score in frame]
    return frame[_order(further)].astype(dict.fromkeys(COUNTS, "Int64"))


def _order(further: Sequence[str]) -> list[str]:
    scores = ["precision", "recall", "fid", "density", "coverage"]
    scores += [score for score in further if score != "expected_coverage"]
    return [
        *("block", "dataset", "stands_for", "model", "role", "setting", "tau_percent", "w"),
        "training_images",
        *(name for score in scores for name in (score, f"{score}_spread")),
        *(["expected_coverage"] if "expected_coverage" in further else []),
        *("mean_pseudo_density", "mean_pseudo_density_spread", "acceptance"),
        *(f"paper_{score}" for score in PAPER_SCORES),
        *("n_real", "n_fake", "k", "repeats", "seeds", "spread_of"),
    ]


def _line(members: Members, reported: pd.DataFrame) -> dict[str, Any]:
    row, found = members[0]
    setting, tau, w = row["setting"], row["tau"], row["w"]
    line = {key: row[key] for key in ("block", "dataset", "stands_for", "model", "w")}
    if setting.startswith("oracle"):
        how = found.facts.get("how")
        line["model"] = f"real images: {how}" if how else "real images"
    line |= {"role": setting, "setting": setting_title(setting, w, found.label), "tau_percent": tau}
    line |= {"training_images": row["images"], "seeds": len(members)}
    line |= {"n_real": found.n_real, "n_fake": found.n, "k": found.k}
    line |= _summary(members)
    for score in PAPER_SCORES:
        place = None if setting.startswith("oracle") else row["reported"]
        line[f"paper_{score}"] = paper_value(reported, place, setting, tau, w, score)
    return line


def _summary(members: Members) -> dict[str, Any]:
    """Means, spreads and counts of the scores of one line; where no set is large enough, why."""
    if not any(found.repeats for _, found in members):
        columns = ("mean_pseudo_density" if s == "mean_density" else s for s in SCORES)
        nothing = {name: np.nan for column in columns for name in (column, f"{column}_spread")}
        why = members[0][1].facts.get("note") or "no set is large enough"
        return nothing | {"acceptance": np.nan, "repeats": 0, "spread_of": why}
    line: dict[str, Any] = {}
    known = members[0][1].repeats[0]
    for score in (*SCORES, *(score for score in FURTHER_SCORES if score in known)):
        values = score_values(members, score)
        column = "mean_pseudo_density" if score == "mean_density" else score
        independent = values.mean(axis=1) if len(values) > 1 else values[0]
        line[column] = values.mean()
        line[f"{column}_spread"] = independent.std(ddof=1) if len(independent) > 1 else np.nan
    # Of fakes in training; of real images in the reweighting of an oracle.
    kind = "acceptance" if members[0][0]["setting"].startswith("oracle") else "training_acceptance"
    accepted = [found.facts.get(kind) for _, found in members]
    accepted = [share for share in accepted if share is not None]
    line["acceptance"] = np.mean(accepted) if accepted else np.nan
    line["repeats"] = repeats = values.shape[1]
    repeated = "1 repeat" if repeats == 1 else f"{repeats} repeats"
    if len(values) > 1:
        line["spread_of"] = f"{len(values)} training seeds x {repeated}"
    else:
        line["spread_of"] = repeated.replace("repeat", "sampling repeat")
    return line


# ---------------------------------------------------------------------------------- the table

INTRODUCTION = (
    "Precision, recall and FID of pre-trained models, of the same models fine-tuned with the "
    "importance weight w on real images whose pseudo density is at or above the percentile tau, "
    "and of controls."
)
NOTES = (
    (
        "*trained on*: real images shown during fine-tuning. A *control* is fine-tuned with w = 1 on "
        "as many images as the rows that it is compared with (*FID images*: as many as the row for "
        "FID, where that has fewer). What a control gains is the gain of training on."
    ),
    (
        "*oracle*: real images, plain (w = 1) or reweighted by Algorithm 2 with the same tau and w, "
        "judged like generated ones: what a perfect generator would score on these data. Where it has "
        "other numbers of images than the models, compare its lines with each other only."
    ),
    (
        "Precision, recall, density and coverage: k-nearest-neighbour balls, k without the point "
        "itself, a point on the surface is inside (`<=`). FID: Fréchet distance between Gaussians "
        "fitted to the features. The features that judge come from other networks than those that "
        "steer{judges}. All depend on the number of images."
    ),
    (
        "*median nearest*: median distance of a sample to its nearest real image. Precision is "
        "relative to the local spacing of the real images, this is not. *expected coverage*: of two "
        "samples of one law, with as many images and this k (closed form)."
    ),
    (
        "*pseudo density*: mean of the density network over the samples; real images have a mean of "
        "about 1."
    ),
    (
        "Sampling repeats share the real images and the trained weights. With one training seed the "
        "noise of training is therefore not in the spread, and it may be larger."
    ),
    (
        "*paper*: what the paper prints for its own data, models, feature networks and numbers of "
        "images. Where a block *stands for* another data set, its data and models are small ones made "
        "for this project: absolute values are not comparable with the paper's, only the direction of "
        "a change is."
    ),
)


def table1(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    """Table 1, see the module for inputs and settings."""
    frame = _read(inputs, settings)
    judges = "; ".join(f"{metric}: {name}" for metric, name in settings.get("judges", {}).items())
    blocks = [(block, lines) for block, lines in frame.groupby("block", sort=False)]
    return Table(
        title="Table 1: fine-tuning with importance sampling",
        frame=frame,
        columns=_columns(frame),
        section="block",
        section_titles={block: block_title(lines.iloc[0]) for block, lines in blocks},
        section_notes={block: _counts(lines) for block, lines in blocks},
        introduction=INTRODUCTION,
        notes=[note.format(judges=f" ({judges})" if judges else "") for note in NOTES],
    )


def _read(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> pd.DataFrame:
    from pseudodensity.report.scores import ScoreBook

    book = ScoreBook(inputs["scores"])
    return table1_frame(settings["rows"], book, pd.read_csv(inputs["reported"]))


def _columns(frame: pd.DataFrame) -> list[Column]:
    columns = [Column("setting", ""), Column("tau_percent", "tau (%)", decimals=0)]
    columns.append(Column("training_images", "trained on", in_latex=False))
    heads = {"precision": "precision ↑", "recall": "recall ↑", "fid": "FID ↓"}
    for score, head in heads.items():
        decimals = 2 if score == "fid" else 3
        columns.append(Column(score, head, decimals, spread=f"{score}_spread"))
        columns.append(Column(f"paper_{score}", "paper", decimals, of_paper=True))
        if score == "precision" and "median_nearest" in frame:
            columns.append(_beside("median_nearest", "median nearest"))
    columns.append(_beside("density", "density ↑"))
    columns.append(Column("coverage", "coverage ↑", 3, spread="coverage_spread"))
    if "expected_coverage" in frame:
        columns.append(Column("expected_coverage", "expected coverage", 3))
    return [*columns, _beside("mean_pseudo_density", "pseudo density")]


def _beside(score: str, head: str) -> Column:
    """A score that the paper's table does not have, which is left out where the page is narrow."""
    return Column(score, head, 3, spread=f"{score}_spread", in_latex=False)


def _counts(lines: pd.DataFrame) -> str:
    first = lines.iloc[0]
    text = (
        f"{first['n_fake']:,} generated against {first['n_real']:,} real images, k = {first['k']}; "
        f"± is the standard deviation over {first['spread_of']}."
    )
    oracles = lines[lines["role"].eq("oracle")]
    if len(oracles):
        oracle = oracles.iloc[0]
        against = "" if pd.isna(oracle["n_real"]) else f" against {oracle['n_real']:,}"
        text += f" Oracle: {oracle['model']}, {oracle['n_fake']:,}{against}; over "
        text += f"{oracle['spread_of']}."
    return text


# ------------------------------------------------------------------------------- one block


def table1_block(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The rows of one block as text for a terminal (and valid Markdown), as `block_text`.

    inputs and settings as for `table1`, with the rows of that block only.
    """
    return block_text(_read(inputs, settings))


def block_text(frame: pd.DataFrame) -> str:
    """Precision, recall and FID of one block, no line longer than 100 characters.

    Args:
        frame: of `table1_frame`, one block.
    """
    columns = [Column("setting", "")]
    for score, head in {"precision": "precision", "recall": "recall", "fid": "FID"}.items():
        decimals = 2 if score == "fid" else 3
        columns.append(Column(score, head, decimals, spread=f"{score}_spread"))
        columns.append(Column(f"paper_{score}", "paper", decimals, of_paper=True))
    block = frame["block"].iloc[0]
    titles = {block: block_title(frame.iloc[0])}
    names = frame["setting"].str.removeprefix("+ ").str.replace(" images)", ")")
    table = Table(
        block, frame.assign(setting=names), columns, section="block", section_titles=titles
    )
    return aligned(page(table).sections[0], 100)
