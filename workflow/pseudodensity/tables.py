"""Metrics of the checkpoints -> Table 1 of the main paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .artifacts import atomic_path

__all__ = [
    "group_by_setting",
    "metric_values",
    "oracle_values",
    "paper_value",
    "table1",
    "write_csv",
    "write_table1",
]

METRICS = ("precision", "recall", "fid", "density", "coverage", "mean_density")
PAPER_METRICS = ("precision", "recall", "fid")
COUNTS = ("training_images", "n_real", "n_fake", "k", "repeats", "seeds")
COLUMNS = (
    *("block", "dataset", "stands_for", "model", "role", "setting", "tau_percent", "w"),
    "training_images",
    *("precision", "precision_spread", "recall", "recall_spread", "fid", "fid_spread"),
    *("density", "density_spread", "coverage", "coverage_spread"),
    *("mean_pseudo_density", "mean_pseudo_density_spread", "acceptance"),
    *("paper_precision", "paper_recall", "paper_fid"),
    *("n_real", "n_fake", "k", "repeats", "seeds", "spread_of"),
)

# A setting of one block: (row of the run table, its metrics) per training seed.
Members = list[tuple[Mapping[str, Any], Mapping[str, Any]]]


# ------------------------------------------------------------------------ reading the metrics


def group_by_setting(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Members]]:
    """Rows of the run table with their metrics as block -> setting -> one member per seed.

    Args:
        rows: `Plan.table1_rows()`.
        metrics: content of the metrics file of each row, in the same order.

    Raises:
        ValueError: the two differ in length, or a block has not the same seeds in each setting.
    """
    if len(rows) != len(metrics):
        raise ValueError(
            f"there are {len(rows)} rows but {len(metrics)} metrics: pass one per row, in order"
        )
    groups: dict[str, dict[str, Members]] = {}
    for row, metric in zip(rows, metrics, strict=True):
        groups.setdefault(row["block"], {}).setdefault(row["setting"], []).append((row, metric))
    for block, settings in groups.items():
        seeds = {tuple(row["seed"] for row, _ in members) for members in settings.values()}
        if len(seeds) > 1:
            raise ValueError(
                f"block {block} has other training seeds in one row than in another: run all seeds"
            )
    return groups


def metric_values(members: Members, metric: str) -> np.ndarray:
    """One metric of a setting: float64 (seeds, repeats).

    Raises:
        ValueError: a metric is missing, or the seeds have not the same number of repeats.
    """
    return _values([found for _, found in members], metric)


def oracle_values(
    oracle: Mapping[str, Any], tau: float | None, w: float, metric: str
) -> np.ndarray:
    """One metric of the reweighted real images at (tau, w): float64 (1, repeats).

    Raises:
        ValueError: the oracle was not run at (tau, w), or lacks the metric.
    """
    return _values([_oracle_setting(oracle, tau, w)], metric)


def paper_value(
    reported: pd.DataFrame,
    place: Mapping[str, str] | None,
    setting: str,
    tau: float | None,
    w: float | None,
    metric: str,
) -> float:
    """The number that the paper prints in Table 1; NaN if it has none (the paper has no controls).

    Args:
        reported: config/reported/pseudo_density.csv.
        place: dataset and model as the paper names them, None for a block that is not in it.
        setting, tau, w: of the run table.
        metric: precision | recall | fid.

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
    if setting == "pretrained":
        lines = lines[lines["setting"].eq("pretrained")]
    else:
        lines = lines[lines["tau_percent"].eq(tau) & lines["w"].eq(w)]
    found = lines.loc[lines["metric"].eq(metric), "value"]
    return float(found.iloc[0]) if len(found) else np.nan


def _values(sources: Iterable[Mapping[str, Any]], metric: str) -> np.ndarray:
    try:
        table = [[float(repeat[metric]) for repeat in source["repeats"]] for source in sources]
    except KeyError as error:
        raise ValueError(f"metrics lack {error}: delete the metrics and run again") from None
    if len({len(repeats) for repeats in table}) != 1 or not table[0]:
        raise ValueError(
            "metrics need the same number of repeats (at least 1) for each seed: "
            "delete the metrics and run again"
        )
    return np.array(table)


def _oracle_setting(oracle: Mapping[str, Any], tau: float | None, w: float) -> Mapping[str, Any]:
    for setting in oracle["settings"]:
        if setting["tau"] == tau and setting["w"] == w:
            return setting
    raise ValueError(f"the oracle has no tau = {tau}, w = {w}: delete its file and run again")


# ------------------------------------------------------------------------------------ table 1


def table1(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[Mapping[str, Any]],
    oracles: Mapping[str, Mapping[str, Any]],
    reported: pd.DataFrame,
) -> pd.DataFrame:
    """Table 1 of the main paper: one line per (block, setting), then the block's oracle lines.

    A value is the mean over repeats and seeds. Its spread is the standard deviation (n - 1) over
    the sampling repeats if there is one training seed, else over the means of the seeds; NaN if
    that is a single number. `role` is the setting of the run table, or oracle, oracle_precision,
    oracle_recall, oracle_fid: real images as they are, and reweighted (Algorithm 2) with the tau
    and w of that setting.

    Args:
        rows: `Plan.table1_rows()`.
        metrics: content of the metrics file of each row.
        oracles: block -> content of its oracle file.
        reported: config/reported/pseudo_density.csv.

    Raises:
        ValueError: rows, metrics, oracles and reported numbers do not fit each other.
    """
    lines = []
    for block, settings in group_by_setting(rows, metrics).items():
        lines += [_model_line(members, reported) for members in settings.values()]
        lines += _oracle_lines(settings, oracles[block])
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))


def _label(role: str, w: float | None) -> str:
    """What stands in the first column, worded as in the paper."""
    if role == "pretrained":
        return "pre-trained"
    if role.startswith("oracle"):
        return f"oracle (w = {w:g})"
    if role.startswith("control"):
        return f"+ control (w = {w:g}{', FID images' if role == 'control_fid' else ''})"
    return f"+ fine-tune (w = {w:g})"


def _summary(sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means, spreads and counts of the metrics of one line, one source per seed."""
    line: dict[str, Any] = {}
    for metric in METRICS:
        values = _values(sources, metric)
        column = "mean_pseudo_density" if metric == "mean_density" else metric
        independent = values.mean(axis=1) if len(values) > 1 else values[0]
        line[column] = values.mean()
        line[f"{column}_spread"] = independent.std(ddof=1) if len(independent) > 1 else np.nan
    accepted = [s["acceptance"] for s in sources if s["acceptance"] is not None]
    line["acceptance"] = np.mean(accepted) if accepted else np.nan
    line["repeats"] = repeats = values.shape[1]
    repeated = "1 repeat" if repeats == 1 else f"{repeats} repeats"
    if len(values) > 1:
        line["spread_of"] = f"{len(values)} training seeds x {repeated}"
    else:
        line["spread_of"] = repeated.replace("repeat", "sampling repeat")
    return line


def _model_line(members: Members, reported: pd.DataFrame) -> dict[str, Any]:
    row, first = members[0]
    setting, tau, w = row["setting"], row["tau"], row["w"]
    line = {key: row[key] for key in ("block", "dataset", "stands_for", "model", "w")}
    line |= {"role": setting, "setting": _label(setting, w), "tau_percent": tau}
    line |= {"training_images": row["images"], "seeds": len(members)}
    line |= {key: first[key] for key in ("n_real", "n_fake", "k")}
    line |= _summary([found for _, found in members])
    for metric in PAPER_METRICS:
        where = (row["reported"], setting, tau, w, metric)
        line[f"paper_{metric}"] = paper_value(reported, *where)
    return line


def _oracle_lines(
    settings: Mapping[str, Members], oracle: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Lines of the real images: as they are, then with the weights of this block only."""
    row, metric = next(iter(settings.values()))[0]
    wanted = {"oracle": (None, 1.0)}
    for setting in ("precision", "recall", "fid"):
        if setting in settings:
            tuned = settings[setting][0][0]
            wanted[f"oracle_{setting}"] = (tuned["tau"], tuned["w"])
    lines = []
    for role, (tau, w) in wanted.items():
        line = {key: row[key] for key in ("block", "dataset", "stands_for")}
        line |= {"model": f"real images: {oracle['how']}", "role": role, "setting": _label(role, w)}
        line |= {"tau_percent": tau, "w": w, "k": metric["k"]}
        line |= {"n_real": oracle.get("n_real"), "n_fake": oracle["n_fake"]}
        lines.append(line | _summary([_oracle_setting(oracle, tau, w)]))
    return lines


# ------------------------------------------------------------------------------------ writing


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame with 6 significant digits and `\\n` line ends, so that the file is stable."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def write_table1(
    table: pd.DataFrame,
    csv: str | Path,
    md: str | Path,
    tex: str | Path,
    judges: Mapping[str, str] | None = None,
) -> None:
    """Write Table 1 as CSV (4 decimals), as Markdown to read and as LaTeX (booktabs, longtable).

    Args:
        table: of `table1`.
        csv, md, tex: the three files.
        judges: metric -> title of the network whose features judge it, for the note.
    """
    write_csv(table.round(4), csv)
    for path, text in ((md, _markdown(table, judges or {})), (tex, _latex(table))):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _number(value: float, decimals: int) -> str:
    return "–" if pd.isna(value) else f"{value:.{decimals}f}"


def _measured(line: Mapping[str, Any], column: str, decimals: int) -> str:
    spread = line[f"{column}_spread"]
    value = _number(line[column], decimals)
    return value if pd.isna(spread) else f"{value} ± {spread:.{decimals}f}"


def _block_title(first: Mapping[str, Any]) -> str:
    stand_in = first["stands_for"]
    aside = f" (stands for {stand_in})" if isinstance(stand_in, str) else ""
    return f"{first['model']} on {first['dataset']}{aside}"


def _markdown_line(line: Mapping[str, Any]) -> str:
    images = line["training_images"]
    cells = [
        line["setting"],
        _number(line["tau_percent"], 0),
        "–" if pd.isna(images) else f"{images:,}",
    ]
    for metric, decimals in (("precision", 3), ("recall", 3), ("fid", 2)):
        cells += [_measured(line, metric, decimals), _number(line[f"paper_{metric}"], decimals)]
    for metric in ("density", "coverage", "mean_pseudo_density"):
        cells.append(_measured(line, metric, 3))
    return f"| {' | '.join(cells)} |"


def _markdown_block(block: pd.DataFrame) -> list[str]:
    lines = block.to_dict("records")
    first, oracle = lines[0], next(x for x in lines if x["role"] == "oracle")
    against = "" if pd.isna(oracle["n_real"]) else f" against {oracle['n_real']:,}"
    counts = (
        f"{first['n_fake']:,} generated against {first['n_real']:,} real images, "
        f"k = {first['k']}; ± is the standard deviation over {first['spread_of']}. "
        f"Oracle: {oracle['model']}, {oracle['n_fake']:,}{against}; over {oracle['spread_of']}."
    )
    columns = ["tau (%)", "trained on", "precision ↑", "paper", "recall ↑", "paper", "FID ↓"]
    columns += ["paper", "density ↑", "coverage ↑", "pseudo density"]
    return [
        f"## {_block_title(first)}",
        "",
        counts,
        "",
        f"| | {' | '.join(columns)} |",
        f"|-|{'-:|' * len(columns)}",
        *(_markdown_line(line) for line in lines),
        "",
    ]


_INTRODUCTION = """\
# Table 1: fine-tuning with importance sampling

Precision, recall and FID of pre-trained models, of the same models fine-tuned with the importance
weight w on real images whose pseudo density is at or above the percentile tau, and of controls.
"""

_NOTES = """\
## How to read it

- *trained on*: real images shown during fine-tuning. A *control* is fine-tuned with w = 1 on as
  many images as the rows that it is compared with (*FID images*: as many as the row for FID, where
  that has fewer). What a control gains is the gain of training on.
- *oracle*: real images, plain (w = 1) or reweighted by Algorithm 2 with the same tau and w, judged
  like generated ones: what a perfect generator would score on these data. Where it has other
  numbers of images than the models, compare its lines with each other only.
- Precision, recall, density and coverage: k-nearest-neighbour balls, k without the point itself, a
  point on the surface is inside (`<=`). FID: Fréchet distance between Gaussians fitted to the
  features. The features that judge come from other networks than those that steer{judges}. All
  depend on the number of images.
- *pseudo density*: mean of the density network over the samples; real images have a mean of
  about 1.
- Sampling repeats share the real images and the trained weights. With one training seed the noise
  of training is therefore not in the spread, and it may be larger.
- *paper*: what the paper prints for its own data, models, feature networks and numbers of images.
  Where a block *stands for* another data set, its data and models are small ones made for this
  project: absolute values are not comparable with the paper's, only the direction of a change is.
"""


def _markdown(table: pd.DataFrame, judges: Mapping[str, str]) -> str:
    named = "; ".join(f"{metric}: {network}" for metric, network in judges.items())
    notes = _NOTES.format(judges=f" ({named})" if named else "")
    blocks = (_markdown_block(block) for _, block in table.groupby("block", sort=False))
    return "\n".join([_INTRODUCTION, *(line for block in blocks for line in block), notes])


_LATEX_SPECIALS = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"–": "--", "±": r"$\pm$", "<": "$<$", ">": "$>$", "=": "$=$"}
)


def _latex_line(line: Mapping[str, Any]) -> str:
    cells = [line["setting"], _number(line["tau_percent"], 0)]
    for metric, decimals in (("precision", 3), ("recall", 3), ("fid", 2)):
        cells += [_measured(line, metric, decimals), _number(line[f"paper_{metric}"], decimals)]
    return " & ".join(cell.translate(_LATEX_SPECIALS) for cell in cells) + r" \\"


def _latex(table: pd.DataFrame) -> str:
    r"""A `longtable`, since the blocks together may be longer than a page."""
    models = table[~table["role"].str.startswith("oracle")]
    spread = " or ".join(models["spread_of"].unique()).replace(" x ", r" $\times$ ")
    caption = (
        "Fine-tuning with importance sampling. The columns headed ``paper'' hold the published "
        "values; where a data set stands for another one, only the direction of a change is "
        f"comparable. Standard deviations of models are over {spread}, those of oracles over "
        "sampling repeats."
    )
    columns = [r"$\tau$ (\%)", r"P $\uparrow$", "paper", r"R $\uparrow$", "paper"]
    columns += [r"FID $\downarrow$", "paper"]
    head = f" & {' & '.join(columns)} " + r"\\"
    text = [
        r"% needs \usepackage{booktabs,longtable}",
        r"\begin{longtable}{lrrrrrrr}",
        rf"\caption{{{caption}}}\\",
        *(r"\toprule", head, r"\endfirsthead"),
        *(r"\toprule", head, r"\endhead"),
        r"\bottomrule",
        r"\endfoot",
    ]
    for _, block in table.groupby("block", sort=False):
        lines = block.to_dict("records")
        title = _block_title(lines[0]).translate(_LATEX_SPECIALS)
        text += [r"\midrule", rf"\multicolumn{{8}}{{l}}{{\textbf{{{title}}}}} \\*"]
        text += [_latex_line(line) for line in lines]
    return "\n".join([*text, r"\end{longtable}"]) + "\n"
