"""A folder of results in small, with every kind of thing that the page shows, and no model behind it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pseudodensity.artifacts import save_npy
from pseudodensity.page.write import write_page
from pseudodensity.report.table import Column, Table, write_csv, write_table
from pseudodensity.tensors import save_tensors

# A data set that somebody named with care.
TITLE = "<script>alert('faces')</script> & | *stars*"
OTHER = "digits"
RUN = {"commit": "1234567", "config": "config/config.yaml + mine.yaml"}
METHODS = {"plain": "plain", "importance": "importance sampling", "oracle": "oracle"}
GLOSSARY = (
    "# Words\n\n**front**: the points that *no other* beats.\n\n**w**: see `tau`,\n[there](x.md).\n"
)
CLAIMS = {"P-1": "precision <rises>", "P-2": "recall falls", "P-3": "never asked"}


def target(name: str, kind: str, **changes) -> dict:
    """A target as the inventory has it: there, if its files are."""
    suffixes = ("csv", "md", "tex") if kind == "table" else ("svg", "png")
    paths = [f"results/{name}.{suffix}" for suffix in suffixes]
    entry = {"name": name, "kind": kind, "caption": f"Caption of {name}.", "missing": None}
    entry |= {"outputs": {path: "2026-01-01 10:00" for path in paths if Path(path).is_file()}}
    entry |= {"jobs": 4, "left": 3, "measured": 1, "minutes": 2.0, "minutes_left": 6.0}
    entry |= {"command": f"snakemake {paths[0]} --cores all", "latents": [], "moved": []}
    return entry | changes


def write_results() -> dict:
    """Write the files below the working directory; the inventory of them."""
    _table1()
    _fig4()
    _claims()
    _density()
    _checks()
    _parity()
    latents, moved = _latents(), _moved()
    targets = [
        target("table1", "table"),
        target("table1", "figure", latents=latents),
        target("table1/a", "table"),
        target("fig4", "table"),
        target("fig4", "figure"),
        target("fig3", "table", moved=moved),
        target("claims", "table"),
        target("table2", "table"),
        target("fig9", "figure", minutes_left=None),
        target("fig7", "figure", missing="config: fig7 needs a model with a likelihood"),
    ]
    one = {"name": "mine", "title": TITLE, "command": "snakemake results/density/mine.csv"}
    one |= {key: targets[0][key] for key in ("jobs", "left", "measured", "minutes", "minutes_left")}
    one |= {"is_own": True, "missing": None}
    one["outputs"] = {
        f"results/density/mine.{end}": "2026-01-01 10:00" for end in ("csv", "png", "html")
    }
    paper = {"name": "toy", "title": "A toy paper", "targets": targets}
    found = {"papers": [paper], "datasets": [one, one | {"name": "other", "outputs": {}}]}
    found |= {"external": ["frontier/mine-photos"], "methods": METHODS, "seeds": [0]}
    return found | {"parity": parity(True)}


def parity(is_there: bool) -> dict:
    """The numbers of other programs as the inventory has them."""
    entry = target("parity", "table", jobs=0, left=0, measured=0, minutes=0, minutes_left=0)
    outputs = {"results/parity.csv": "2026-01-01 10:00"} if is_there else {}
    return entry | {"outputs": outputs, "command": "python benchmarks/parity.py"}


def write_example(found: dict) -> Path:
    """Write the page of an inventory below the working directory."""
    Path("glossary.md").write_text(GLOSSARY)
    catalogue = pd.DataFrame({"id": CLAIMS.keys(), "claim": CLAIMS.values()})
    write_csv(catalogue, "catalogue.csv")
    path = Path("results/index.html")
    write_page(found, RUN, path, glossary="glossary.md", catalogue="catalogue.csv")
    return path


def _table1() -> None:
    roles = [
        ("pretrained", "pre-trained", 0.6, 0.5),
        ("precision", "+ fine-tune (w = 33)", 0.75, 0.7),
    ]
    lines = [
        {"block": block, "model": model, "dataset": title, "role": role, "setting": setting}
        | {"precision": value + shift, "precision_spread": 0.01, "paper_precision": paper}
        | {"recall": 0.4, "fid": 1234.5}
        for block, model, title, shift in (("a", "Toy", TITLE, 0.0), ("b", "Other", OTHER, 0.1))
        for role, setting, value, paper in roles
    ]
    frame = pd.DataFrame(lines)
    columns = [
        Column("setting", ""),
        Column("precision", "precision ↑", 3, spread="precision_spread"),
    ]
    columns += [Column("paper_precision", "paper", 3, of_paper=True), Column("fid", "FID ↓", 2)]
    table = Table("Table 1", frame, columns, section="block", notes=["*precision*: a share."])
    table.section_titles.update({"a": f"Toy on {TITLE}", "b": f"Other on {OTHER}"})
    _write(table, "table1")
    _write(Table("A part", frame.head(2), columns), "table1/a")
    picture("results/table1.png", 300)


def _fig4() -> None:
    lines = []
    for model, title, shift in (("Toy", TITLE, 0.0), ("Other", OTHER, 0.1)):
        for method, setting, precision, recall in (
            ("plain", "plain", 0.6, 0.4),
            ("importance", "tau 80 %, w 33", 0.7, 0.3),
            ("importance", "tau 20 %, w 0.03", 0.5, 0.5),
            ("oracle", "oracle, w 33", 0.9, 0.8),
        ):
            line = {"block": model, "model": model, "dataset": title, "method": method}
            line |= {"setting": setting, "precision": precision + shift, "recall": recall}
            line |= {"precision_low": precision - 0.7, "precision_high": precision + 0.7}
            line |= {"recall_low": recall - 0.1, "recall_high": recall + 0.1, "fid": 3.0}
            line |= {"front": method != "oracle", "acceptance": 0.5, "n": 1000, "repeats": 4}
            lines.append(line | {"n_real": 5000, "seconds_per_1000": 1.5, "generator_calls": 8000})
    frame = pd.DataFrame(lines)
    columns = [Column("setting", "method"), Column("precision", "precision ↑", 3)]
    table = Table("Figure 4: <b>points</b>", frame, columns, section="block")
    table.section_titles.update({"Toy": f"Toy on {TITLE}", "Other": f"Other on {OTHER}"})
    _write(table, "fig4")
    picture("results/fig4.png", 300)


def _claims() -> None:
    base = {
        "dataset": TITLE,
        "model": "Toy",
        "effect": 0.1,
        "low": 0.05,
        "high": 0.15,
        "block": "a",
    }
    lines = [
        base | {"id": "P-1", "measured": "precision", "verdict": "holds", "answer": "reproduced"},
        base | {"id": "P-2", "measured": "recall", "verdict": "undecided", "answer": "undecided"},
        base
        | {"id": "P-2", "measured": "recall <b>", "verdict": "down in this pair"}
        | {"answer": "as claimed in this pair"},
    ]
    frame = pd.DataFrame([line | {"claim": CLAIMS[line["id"]]} for line in lines])
    _write(Table("Claims", frame, [Column("id", "id"), Column("measured", "measured")]), "claims")


def _latents() -> list[dict]:
    entries = []
    for i, setting in enumerate(("pretrained", "precision")):
        path = f"results/pools/{setting}.npy"
        save_npy(path, np.full((12, 3, 8, 8), 40 + 150 * i, dtype=np.uint8))
        entries.append({"block": "a", "setting": setting, "path": path})
    return entries


def _moved() -> list[dict]:
    images = np.full((3, 2, 3, 8, 8), 90, dtype=np.uint8)
    save_tensors("results/moved/a.safetensors", {"images": images}, {})
    lines = [
        {"block": "a", "objective": "density", "row": row, "sample": i, "density": 1.25 + i}
        for row in ("towards", "original", "away")
        for i in range(2)
    ]
    _write(Table("Figure 3", pd.DataFrame(lines), [Column("row", "row")]), "fig3")
    entry = {"block": "a", "model": "Toy", "dataset": TITLE, "objective": "density"}
    return [entry | {"path": "results/moved/a.safetensors"}]


def _density() -> None:
    count = 12
    names = [f"<i>{i}</i>.png" for i in range(count)]
    frame = pd.DataFrame({"file": names, "pseudo_density": np.linspace(0.1, 3, count)})
    frame = frame.assign(percentile=np.linspace(0, 100, count), neighbour_1=names[::-1])
    write_csv(frame.assign(copy_distance=[None] * 11 + [0.25]), "results/density/mine.csv")
    picture("results/density/mine.png", 300)
    Path("results/density/mine.html").write_text("<title>the gallery</title>")


def _checks() -> None:
    same = {"metric": "manifold", "setting": "n", "truth": 1, "measured": 1, "criterion": "± 0.01"}
    verdicts = [("precision", "shift", "pass"), ("recall", "shift", "fail: it stays")]
    verdicts += [("precision", "outliers", "does not apply: no balls")]
    lines = [same | {"score": s, "check": c, "verdict": v} for s, c, v in verdicts]
    write_csv(pd.DataFrame(lines), "results/metric_checks.csv")


def _parity() -> None:
    """As benchmarks/parity.py writes it: a program that agrees, differs and fails, and one that is not
    there."""
    same = {"program": "theirs", "pair": "plain", "ours": 0.25, "tolerance": 0.001}
    lines = [
        same | {"number": "fid", "theirs": 0.25, "difference": 0, "agrees": "yes"},
        same | {"number": "kid", "theirs": 0.5, "difference": 0.25, "agrees": "no"},
        same
        | {"number": "recall <", "theirs": 0.5, "difference": 0.25, "agrees": "no"}
        | {"why": "<b>borders</b>"},
        {"program": "theirs", "pair": "one set", "agrees": "no answer", "why": "it raised"},
        {"program": "absent", "agrees": "skipped", "why": "not installed: pip install absent"},
    ]
    write_csv(pd.DataFrame(lines), "results/parity.csv")


def _write(table: Table, name: str) -> None:
    write_table(table, *(f"results/{name}.{suffix}" for suffix in ("csv", "md", "tex")))


def picture(path: str, side: int) -> None:
    """A figure of noise, which no format makes small."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.Generator(np.random.Philox(7)).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(path)
    Path(path).with_suffix(".svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")


def points(html: str) -> list:
    """The points of the charts of a page."""
    start = html.index('id="points">') + len('id="points">')
    return json.loads(html[start : html.index("</script>", start)])
