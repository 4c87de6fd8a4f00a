"""What the page is made from: Markdown read back, claims gathered, what is there and what the rest costs."""

import ast
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pseudodensity.artifacts import ArtifactError
from pseudodensity.page.charts import SHAPES, chart, fronts, legend, scripts
from pseudodensity.page.claims import claims_at_a_glance
from pseudodensity.page.inventory import inventory, is_behind
from pseudodensity.page.markup import inline, read_glossary, read_page
from pseudodensity.page.pictures import figure, first_images, strip
from pseudodensity.page.tables import PARITY_COLUMNS, beside_paper, verdict_matrix
from pseudodensity.plan.artifact import benchmark_of
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import CONTROL_MARKERS, MARKERS
from pseudodensity.report.markdown import markdown_text
from pseudodensity.report.text import Cell, Page, Section

ROOT = Path(__file__).parents[2]

# ------------------------------------------------------------------------------- Markdown


def test_a_table_is_read_back_as_it_was_written():
    words = ["a | b", "*stars*", "back\\slash\\", "_edge_", "<script>", "`code`", "~ $ &amp; [x]"]
    lines = [[Cell(word), Cell("0.5 ± 0.1", is_number=True)] for word in words]
    lines.append([Cell("– not", of_paper=True), Cell("0.7", is_number=True, of_paper=True)])
    lines.append([Cell("… 3 lines more in the CSV …")])
    section = Section("A *section*", "A note.", ["word | head", "score ↑"], [True, False], lines)
    page = Page("Title", "Introduction.", [section, section], ["*one*: note", "another"])
    found = read_page(markdown_text(page))
    assert (found.title, found.introduction, list(found.notes)) == (
        "Title",
        "Introduction.",
        ["*one*: note", "another"],
    )
    assert len(found.sections) == 2
    for one in found.sections:
        assert (one.title, one.note, one.heads, one.left) == (
            section.title,
            section.note,
            section.heads,
            section.left,
        )
        assert one.lines == lines


def test_a_table_without_sections_and_one_with_a_summary_are_read_too():
    bare = Page("T", "", [Section("", "", ["a"], [False], [[Cell("1", is_number=True)]])])
    assert read_page(markdown_text(bare)).sections == bare.sections
    wide = [Section("", "", ["b", "c"], [True, True], [[Cell("2"), Cell("3")]])]
    whole = Page("T", "", wide, summary=Page("At a glance", "", bare.sections))
    found = read_page(markdown_text(whole)).sections
    assert [section.title for section in found] == ["At a glance", ""]
    assert found[0].lines == bare.sections[0].lines and found[1] == wide[0]


def test_the_columns_of_parity_are_those_that_are_written():
    tree = ast.parse((ROOT / "benchmarks/parity.py").read_text())
    (written,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COLUMNS"
    ]
    assert sorted(written) == sorted(PARITY_COLUMNS)


def test_what_is_no_table_of_ours_is_refused():
    with pytest.raises(ValueError, match="begins with its title"):
        read_page("<html>")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*a* **b** `c < d`", "<em>a</em> <strong>b</strong> <code>c &lt; d</code>"),
        (r"w\<1 and \*no\* mark", "w&lt;1 and *no* mark"),
        ("see [the page](digests.md).", "see the page."),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("[a](javascript:alert(1))", "a)"),
    ],
)
def test_a_sentence_is_escaped_but_for_its_marks(text, html):
    assert inline(text) == html


def test_every_word_of_the_glossary_is_found():
    text = (ROOT / "docs/glossary.md").read_text()
    found = read_glossary(text)
    assert len(found) == text.count("\n**") > 30
    words = dict(found)
    assert words["frontier"] == "precision against recall of many points of one model."
    assert all("**" not in meaning and meaning for meaning in words.values())


# ------------------------------------------------------------------------------- claims


def line(
    key: str, measured: str, verdict: str, answer: str, block: str = "a", effect: float = 0.5
) -> dict:
    ends = {"low": effect - 0.1, "high": effect + 0.1}
    told = {"id": key, "claim": "text", "measured": measured, "verdict": verdict, "answer": answer}
    return told | {"block": block, "effect": effect, **ends}


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        ([line("1-1", "m", "holds", "reproduced")], "holds"),
        ([line("1-1", "m", "does not hold", "not reproduced at this scale")], "fails"),
        # From too few seeds nothing holds or fails.
        ([line("1-1", "m", "up in this pair", "as claimed in this pair")], "agrees"),
        ([line("1-1", "m", "down in this pair", "not reproduced at this scale")], "differs"),
        ([line("1-1", "m", "no interval", "not as claimed, without a test")], "differs"),
        ([line("1-1", "m", "no interval", "no test")], "undecided"),
        ([line("1-1", "m", "undecided", "no difference seen")], "undecided"),
        ([line("1-1", "m", "not tested here: x", "not tested here: x", effect=np.nan)], "not-run"),
        # The line over all blocks speaks for its contrast.
        (
            [
                line("1-1", "m", "undecided", "undecided"),
                line("1-1", "m", "holds", "reproduced", block="all blocks"),
            ],
            "holds",
        ),
        (
            [line("1-1", "m", "holds", "reproduced"), line("1-1", "n", "undecided", "undecided")],
            "mixed",
        ),
        # What was not run does not speak against what was.
        (
            [
                line("1-1", "m", "holds", "reproduced"),
                line(
                    "1-1", "n", "not tested here: people", "not tested here: people", effect=np.nan
                ),
            ],
            "holds",
        ),
    ],
)
def test_the_answer_of_a_claim(lines, answer):
    (claim,) = claims_at_a_glance(pd.DataFrame(lines), None)
    assert claim.answer.key == answer


def test_claims_of_the_same_paper_that_were_not_run_are_listed_and_no_others():
    catalogue = pd.DataFrame({"id": ["1-1", "1-2", "2-1"], "claim": ["a", "b", "c"]})
    frame = pd.DataFrame([line("1-1", "m", "holds", "reproduced")])
    found = claims_at_a_glance(frame, catalogue)
    assert [(claim.id, claim.answer.key) for claim in found] == [
        ("1-1", "holds"),
        ("1-2", "not-run"),
    ]


# ------------------------------------------------------------------------------- numbers


def test_the_papers_numbers_stand_beside_ours_with_the_difference():
    frame = pd.DataFrame(
        {
            "model": ["A", "A"],
            "setting": ["plain", "w = 33"],
            "w": [np.nan, 33.0],
            "recall": [0.5, 0.7],
            "recall_low": [0.4, np.nan],
            "recall_high": [0.6, np.nan],
            "paper_recall": [0.25, np.nan],
            "paper_of_nothing": [1.0, 1.0],
        }
    )
    (found,) = beside_paper("t", frame).to_dict("records")
    assert (found["line"], found["score"]) == ("A, plain", "recall")
    assert (found["ours"], found["paper"], found["difference"]) == (0.5, 0.25, 0.25)
    assert (found["low"], found["high"]) == (0.4, 0.6)
    assert beside_paper("t", frame.drop(columns="paper_recall")).empty


def test_verdicts_on_metrics_are_joined_over_settings():
    told = {"metric": "m", "truth": 0, "measured": 0, "criterion": ""}
    rows = [
        ("p", "x", "1", "pass"),
        ("p", "x", "2", "fail"),
        ("p", "y", "1", "pass"),
        ("r", "x", "1", "fail"),
    ]
    frame = pd.DataFrame(
        [told | dict(zip(("score", "check", "setting", "verdict"), r, strict=True)) for r in rows]
    )
    assert verdict_matrix(frame) == (
        ["x", "y"],
        [("p (m)", ["1 of 2 pass", "pass"]), ("r (m)", ["fail", ""])],
    )
    with pytest.raises(ArtifactError, match="lacks truth"):
        verdict_matrix(frame.drop(columns="truth"))


def test_a_point_in_two_tables_counts_once_and_the_first_table_is_its_source():
    row = {"block": "b", "model": "M", "dataset": "d", "method": "plain", "setting": "plain"}
    one = pd.DataFrame([row | {"precision": 0.5, "recall": 0.25, "front": True}])
    two = pd.concat([one.assign(precision=0.9), one.assign(method="dot", recall=np.nan)])
    (front,) = fronts({"a.csv": one, "b.csv": two}, {"plain": "plain"})
    (point,) = front.points
    assert (front.title, point["precision"], point["source"]) == ("M on d", 0.5, "a.csv")
    assert point["cost_said"] == "not measured" and point["precision_low"] is None


def test_the_chart_is_a_valid_specification_with_the_looks_of_the_figures():
    styles = legend({"plain": "plain", "drs": "DRS", "oracle": "oracle"}, ["oracle"])
    spec = chart(styles)
    assert spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    text = json.dumps(spec)
    assert all(style.colour in text for style in styles) and '"url"' not in text
    assert set(MARKERS) | set(CONTROL_MARKERS) | {"*"} <= set(SHAPES)
    assert "</script" not in scripts() and "vegaEmbed" in scripts()


# ------------------------------------------------------------------------------- pictures


def test_pictures_are_small_and_small_samples_keep_every_pixel(tmp_path):
    Image.new("RGB", (900, 300), "red").save(tmp_path / "a.png")
    found = figure(tmp_path / "a.png", 300)
    assert (found.width, found.height) == (300, 100) and found.uri.startswith(
        "data:image/webp;base64,"
    )
    images = np.arange(2 * 3 * 8 * 8, dtype=np.uint8).reshape(2, 3, 8, 8)
    assert (strip(images).width, strip(images).height) == (16, 8)
    assert strip(np.zeros((3, 3, 200, 200), np.uint8)).width == 3 * 96


def test_a_file_that_is_no_picture_or_no_images_is_told_on_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no\npicture")
    np.save(tmp_path / "b.npy", np.zeros((2, 2)))
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object), allow_pickle=True)
    for read, name in (
        (lambda p: figure(p, 100), "a.png"),
        (first_images, "b.npy"),
        (first_images, "c.npy"),
    ):
        with pytest.raises(ArtifactError, match="delete it and run again") as raised:
            read(tmp_path / name)
        assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------- what is there


@pytest.fixture(scope="module")
def plan() -> Plan:
    overlays = [ROOT / "config/scales/smoke.yaml"]
    config = load_config(ROOT / "config/config.yaml", overlays, {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def entry(found: dict, name: str, kind: str) -> dict:
    targets = [target for paper in found["papers"] for target in paper["targets"]]
    (one,) = [t for t in targets if (t["name"], t["kind"]) == (name, kind)]
    return one


def test_of_an_empty_folder_nothing_is_there_and_everything_is_left(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = inventory(plan, ["mine.yaml"])
    table = entry(found, "table1", "table")
    assert table["outputs"] == {} and table["left"] == table["jobs"] > 20
    assert (table["measured"], table["minutes_left"]) == (0, None)
    assert table["command"] == "snakemake results/table1.csv --cores all --configfile mine.yaml"
    assert not is_behind("results/index.html", found)
    assert json.loads(json.dumps(found)) == found
    assert [one["name"] for one in found["datasets"]] == list(plan.config["datasets"])
    # What can be shown side by side: three trained blocks, and what figure 3 moves.
    blocks = plan.papers["pseudo_density"]["blocks"]
    latents = entry(found, "table1", "figure")["latents"]
    assert {one["block"] for one in latents} == set(blocks)
    assert {"pretrained", "precision", "recall", "control"} <= {one["setting"] for one in latents}
    assert len(entry(found, "fig3", "table")["moved"]) == len(blocks)


def test_what_is_left_costs_the_mean_of_what_was_measured_of_its_kind(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = plan.jobs(plan.tables["table1/projectedgan-digits"])
    kinds = [job.kind for job in jobs]
    for job in jobs:  # one job of each kind was measured, 3 core minutes, and its file is there
        if job.kind in kinds:
            kinds = [kind for kind in kinds if kind != job.kind]
            for path, text in ((job.path, ""), (benchmark_of(job.path), "s\tcpu_time\n1\t180\n")):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text(text)
    measured = len({job.kind for job in jobs})
    table = entry(inventory(plan, []), "table1/projectedgan-digits", "table")
    assert (table["measured"], table["minutes"]) == (measured, 3.0 * measured)
    assert table["left"] == len(jobs) - measured
    assert table["minutes_left"] == pytest.approx(3.0 * table["left"])


def test_a_data_set_that_is_not_there_says_so_and_costs_nothing(tmp_path):
    mine = {"kind": "folder", "path": "nowhere", "title": "Mine", "images": None, "resolution": 16}
    mine |= {"mirror": True, "density_k": 5, "max_unreadable": 0}
    (tmp_path / "mine.yaml").write_text(json.dumps({"datasets": {"mine": mine}}))
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    found = inventory(Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers"), [])
    there = {one["name"]: one["missing"] for one in found["datasets"]}
    assert there.pop("mine").startswith("config: datasets.mine.path is 'nowhere'")
    assert set(there.values()) == {None}


def test_the_page_is_behind_when_a_target_is_newer(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    Path("results/table1.csv").write_text("a")
    found = inventory(plan, [])
    assert list(entry(found, "table1", "table")["outputs"]) == ["results/table1.csv"]
    page = Path("results/index.html")
    assert is_behind(page, found)
    page.write_text("")
    os.utime(page, (1e9, 1e9))
    assert is_behind(page, found)
    os.utime(page, (2e9, 2e9))
    assert not is_behind(page, found)
    # What no rule makes counts too.
    Path("results/parity.csv").write_text("a")
    os.utime("results/parity.csv", (3e9, 3e9))
    found = inventory(plan, [])
    assert list(found["parity"]["outputs"]) == ["results/parity.csv"]
    assert is_behind(page, found)


def test_of_a_data_set_all_that_its_rule_writes_is_shown(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rule = (ROOT / "workflow/rules/density.smk").read_text()
    written = {
        f"results/density/digits.{s}" for s in re.findall(r"results/density/{dataset}\.(\w+)", rule)
    }
    assert "results/density/digits.html" in written
    Path("results/density").mkdir(parents=True)
    for path in written:
        Path(path).write_text("a")
    (digits,) = [one for one in inventory(plan, [])["datasets"] if one["name"] == "digits"]
    assert set(digits["outputs"]) == written
