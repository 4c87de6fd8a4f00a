"""The page of results, written whole: what was run, claims, fronts, each paper's tables and figures, one's
own images and generators, which metric to trust, what is not made yet, and the words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pseudodensity.artifacts import atomic_path
from pseudodensity.page.charts import chart, fronts, is_frontier, legend, scripts, shape
from pseudodensity.page.claims import ANSWERS, are_claims, claims_at_a_glance
from pseudodensity.page.inventory import PARITY
from pseudodensity.page.markup import inline, read_glossary
from pseudodensity.page.pictures import figure, first_images, moved_images, strip
from pseudodensity.page.tables import (
    BESIDE,
    beside_paper,
    parity_lines,
    read_csv,
    read_table,
    verdict_matrix,
)
from pseudodensity.report.findings import machine_lines
from pseudodensity.report.table import write_csv

__all__ = ["MOST_BYTES", "write_page"]

MOST_BYTES = 5_000_000
WIDTHS = (
    1500,
    1100,
    800,
    500,
)  # of figures in pixels, the first with which the page is small enough
CONTROLS = ("held_out", "oracle", "random_choice", "training_copies")
CHECKS = "results/metric_checks.csv"
Entry = Mapping[str, Any]


def write_page(
    found: Entry,
    run: Entry,
    path: str | Path,
    *,
    glossary: str | Path,
    catalogue: str | Path,
) -> list[str]:
    """Write the page, and beside it the CSVs of the numbers that stand in no other: what the paper
    prints beside ours (``.paper.csv``), and what each target costs (``.targets.csv``).

    Args:
        found: of `page.inventory.inventory`; its paths count from the working directory, and links lead
            to them from the folder of the page.
        run: ``commit`` and ``config``.
        path: results/index.html.
        glossary: docs/glossary.md. catalogue: config/reported/claims.csv. Either may be missing.

    Returns:
        the files that were written.
    """
    path = Path(path)
    content = _content(found, run, path)
    content |= {"glossary": [], "claims": _claims(content["tables"], found, catalogue)}
    if Path(glossary).is_file():
        content["glossary"] = read_glossary(Path(glossary).read_text(encoding="utf-8"))
    numbers = {".paper.csv": content["paper_numbers"], ".targets.csv": _costs(found)}
    written = [path, *(path.with_suffix(suffix) for suffix in numbers)]
    for (_, frame), file in zip(numbers.items(), written[1:], strict=True):
        write_csv(frame, file)
    template = _environment(path.parent).get_template("page.html.j2")
    for width in WIDTHS:
        html = template.render(content | {"width": width})
        if len(html.encode()) <= MOST_BYTES:
            break
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return [str(file) for file in written]


def _environment(folder: Path) -> jinja2.Environment:
    """Everything that a template shows is escaped, unless it says that it is markup."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pseudodensity.page", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"inline": inline, "slug": _slug, "minutes": _minutes}
    environment.globals |= {"figure": figure, "link": lambda target: _link(target, folder)}
    return environment


def _slug(text: str) -> str:
    """A text as the end of an id."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")


def _link(target: str, folder: Path) -> str:
    return str(Path(target).relative_to(folder))


def _minutes(value: float) -> str:
    return "less than a core minute" if value < 1 else f"{value:,.0f} core minutes"


# ---------------------------------------------------------------------------------- content


def _content(found: Entry, run: Entry, path: Path) -> dict[str, Any]:
    """What the template shows, but for claims and words."""
    targets = [target for paper in found["papers"] for target in paper["targets"]]
    tables = {csv: read_csv(csv) for t in targets for csv in t["outputs"] if csv.endswith(".csv")}
    points = fronts(_frontiers(tables), found["methods"])
    shown = {point["method"] for front in points for point in front.points}
    styles = [s for s in legend(found["methods"], CONTROLS) if s.title in shown]
    methods = {p["setting"]: p["method"] for front in points for p in front.points}
    models = list(dict.fromkeys(front.model for front in points))
    checks = read_csv(CHECKS) if Path(CHECKS).is_file() else None
    papers = [_paper(paper, tables, models, methods) for paper in found["papers"]]
    compared = [line for paper in papers for item in paper["items"] for line in item["compared"]]
    return {
        "run": run | {"date": time.strftime("%Y-%m-%d %H:%M"), "seeds": found["seeds"]},
        "machine": machine_lines(),
        "tables": tables,
        "answers": list(ANSWERS.values()),
        "fronts": points,
        "styles": [{"title": s.title, "colour": s.colour, "shape": shape(s)} for s in styles],
        "chart": chart(styles) if points else None,
        "scripts": scripts() if points else "",
        "models": models,
        "papers": papers,
        "paper_numbers": pd.DataFrame(compared, columns=BESIDE),
        "images": [
            _density(one)
            for one in sorted(found["datasets"], key=lambda one: not one["is_own"])
            if one["outputs"]
        ],
        "external": [name for name in found["external"] if f"results/{name}.csv" in tables],
        "asked_external": found["external"],
        "checks": None if checks is None else verdict_matrix(checks),
        "parity": parity_lines(read_csv(PARITY)) if found["parity"]["outputs"] else None,
        "parity_command": found["parity"]["command"],
        "waiting": list(_waiting(found)),
        "is_empty": not tables,
        "files": {"paper": path.stem + ".paper.csv", "targets": path.stem + ".targets.csv"},
    }


def _frontiers(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables of points: a model's own frontier, which has most methods, before the figures."""
    points = {csv: frame for csv, frame in tables.items() if is_frontier(frame)}
    return dict(sorted(points.items(), key=lambda one: "frontier/" not in one[0]))


def _claims(
    tables: Mapping[str, pd.DataFrame], found: Entry, catalogue: str | Path
) -> list[dict[str, Any]]:
    """For each paper that makes claims those claims, from the table that answers most of them."""
    known = read_csv(catalogue, dtype=str) if Path(catalogue).is_file() else None
    papers = []
    for paper in found["papers"]:
        if not any("claims" in target["name"] for target in paper["targets"]):
            continue
        listed = [csv for t in paper["targets"] for csv in t["outputs"] if csv in tables]
        answered = {csv: tables[csv] for csv in listed if are_claims(tables[csv])}
        csv = max(answered, key=lambda name: answered[name]["id"].nunique(), default=None)
        claims = claims_at_a_glance(answered[csv], known) if csv else []
        papers.append(
            {"name": paper["name"], "title": paper["title"], "claims": claims, "csv": csv}
        )
    return papers


def _paper(
    paper: Entry,
    tables: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    methods: Mapping[str, str],
) -> dict[str, Any]:
    """Tables and figures of a paper in its own order: one item for a table and a figure of one name."""
    items: dict[str, dict[str, Any]] = {}
    made = [target for target in paper["targets"] if target["outputs"]]
    names = {target["name"] for target in made}
    for target in sorted(made, key=lambda one: _place(one["name"])):
        # A part of a table that is there as a whole is a download, no more.
        whole = min(
            (n for n in names if target["name"].startswith(f"{n}/")), default=target["name"]
        )
        item = items.setdefault(whole, _empty_item(whole))
        item["downloads"] |= target["outputs"]
        if whole == target["name"]:
            _add(item, target, tables, models, methods)
    for item in items.values():
        item["heading"] = item["table"].title if item["table"] else _heading(item["name"])
    return {"name": paper["name"], "title": paper["title"], "items": list(items.values())}


def _empty_item(name: str) -> dict[str, Any]:
    item: dict[str, Any] = {"name": name, "caption": "", "png": None, "table": None}
    return item | {"downloads": {}, "grids": [], "compared": []}


def _add(
    item: dict[str, Any],
    target: Entry,
    tables: Mapping[str, pd.DataFrame],
    models: Sequence[str],
    methods: Mapping[str, str],
) -> None:
    """What a table or a figure gives to its item."""
    by_suffix = {Path(file).suffix: file for file in target["outputs"]}
    item["caption"] = item["caption"] or target["caption"]
    item["png"] = by_suffix.get(".png", item["png"])
    if ".md" in by_suffix:
        item["table"] = read_table(by_suffix[".md"], models, methods)
    frame = tables.get(f"results/{target['name']}.csv")
    if frame is not None:
        item["grids"] += [*_latents(target["latents"], frame), *_moved(target["moved"], frame)]
    if ".csv" in by_suffix:
        item["compared"] = beside_paper(target["name"], frame).to_dict("records")


def _place(name: str) -> tuple[int, int, int, str]:
    """Tables by number, figures by number, the rest; of these what stands in a folder last."""
    match = re.match(r"(table|fig)(\d+)", name)
    if not match:
        return (2, int("/" in name), 0, name)
    return ({"table": 0, "fig": 1}[match[1]], int(match[2]), len(name), name)


def _heading(name: str) -> str:
    match = re.fullmatch(r"(table|fig)(\d+)", name)
    words = {"table": "Table", "fig": "Figure"}
    return f"{words[match[1]]} {match[2]}" if match else name


# ---------------------------------------------------------------------------------- images


def _latents(entries: Sequence[Entry], frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A grid for each block: samples of every setting on the same latents, with the scores of its line."""
    if not {"block", "role", "model", "dataset"} <= set(frame.columns):
        return
    for block, lines in frame.groupby("block", sort=False):
        by_role = {line["role"]: line for line in lines.to_dict("records")}
        rows = [e for e in entries if e["block"] == block and Path(e["path"]).is_file()]
        if not rows:
            continue
        shown = [_latent_row(entry, by_role.get(entry["setting"])) for entry in rows]
        first = next(iter(by_role.values()))
        title = f"{first['model']} on {first['dataset']}"
        yield {"title": title, "model": first["model"], "base": 0, "rows": shown}


def _latent_row(entry: Entry, line: Entry | None) -> dict[str, Any]:
    images = first_images(entry["path"])
    scores = {"precision": 3, "recall": 3, "fid": 2}
    told = [
        f"{'FID' if score == 'fid' else score} {line[score]:.{decimals}f}"
        for score, decimals in scores.items()
        if line and score in line and not pd.isna(line[score])
    ]
    name = line["setting"] if line else entry["setting"]
    return {"name": name, "told": told, "below": [], "strip": strip(images), "count": len(images)}


def _moved(entries: Sequence[Entry], frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A grid for each panel: samples before they were moved, and after, with their densities."""
    for entry in entries:
        if not Path(entry["path"]).is_file():
            continue
        panel = frame[frame["block"].eq(entry["block"]) & frame["objective"].eq(entry["objective"])]
        rows = []
        for name, images in moved_images(entry["path"]).items():
            values = panel.loc[panel["row"].eq(name)].sort_values("sample")["density"]
            images = images[: max(1, len(values))]
            below = [f"{value:.2f}" for value in values[: len(images)]]
            told = [f"mean density {values.mean():.3f}"] if len(values) else []
            row = {"name": name, "told": told, "below": below, "count": len(images)}
            rows.append(row | {"strip": strip(images)})
        title = f"{entry['model']} on {entry['dataset']}, moved by {entry['objective']}"
        yield {"title": title, "model": entry["model"], "base": 1, "rows": rows}


def _density(dataset: Entry) -> dict[str, Any]:
    """One's own images: how many, the least and the most dense, copies."""
    by_suffix = {Path(file).suffix: file for file in dataset["outputs"]}
    shown = {"title": dataset["title"], "name": dataset["name"], "downloads": dataset["outputs"]}
    shown |= {"png": by_suffix.get(".png"), "gallery": by_suffix.get(".html")}
    shown |= {"ends": [], "count": 0, "copies": 0}
    if ".csv" in by_suffix:
        names = ["file", "pseudo_density", "percentile", "neighbour_1", "copy_distance"]
        # Converted one by one: a file may be called NA.
        words = {"file": str, "neighbour_1": str}
        frame = read_csv(by_suffix[".csv"], usecols=names, converters=words)
        shown |= {"count": len(frame), "copies": int(frame["copy_distance"].notna().sum())}
        few = min(5, len(frame) // 2)
        ends = {"least dense": frame.head(few), "most dense": frame.tail(few).iloc[::-1]}
        shown["ends"] = [
            {"end": end} | line for end, lines in ends.items() for line in lines.to_dict("records")
        ]
    return shown


# ---------------------------------------------------------------------------------- what is not there


def _waiting(found: Entry) -> Iterator[dict[str, Any]]:
    """Targets that are not there: how to make them, or why this config cannot. A figure is named and not
    the table that is made with it."""
    for paper in found["papers"]:
        waiting = {t["name"]: t for t in paper["targets"] if not t["outputs"]}
        for name in sorted(waiting, key=_place):
            yield {**waiting[name], "paper": paper["name"]}
    for dataset in found["datasets"]:
        if not dataset["outputs"]:
            yield {**dataset, "name": f"density/{dataset['name']}", "kind": "table", "paper": ""}
    if not found["parity"]["outputs"]:
        yield {**found["parity"], "paper": ""}


def _costs(found: Entry) -> pd.DataFrame:
    """Every target: whether it is there, its jobs, and core minutes."""
    columns = ("jobs", "left", "measured", "minutes", "minutes_left", "command")
    targets = [(paper["name"], target) for paper in found["papers"] for target in paper["targets"]]
    lines = [
        {"paper": paper, "target": target["name"], "kind": target["kind"]}
        | {"made": bool(target["outputs"]), "why_not": target["missing"]}
        | {name: target[name] for name in columns}
        for paper, target in targets
    ]
    lines += [
        {"paper": "", "target": f"density/{one['name']}", "kind": "table"}
        | {"made": bool(one["outputs"]), "why_not": None}
        | {name: one[name] for name in columns}
        for one in found["datasets"]
    ]
    return pd.DataFrame(lines)
