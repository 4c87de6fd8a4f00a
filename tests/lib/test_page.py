"""The page of results: one file that loads nothing, escapes every name, and has no number of its own."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from page_example import (
    OTHER,
    TITLE,
    parity,
    picture,
    points,
    target,
    write_example,
    write_results,
)

from pseudodensity.artifacts import ArtifactError
from pseudodensity.page.write import MOST_BYTES

VOID = {"meta", "link", "img", "input", "path", "br", "hr"}
LOADS = {"img": "src", "script": "src", "link": "href", "iframe": "src", "object": "data"}
LOADS |= {"video": "src", "audio": "src", "source": "src", "embed": "src"}


class Page(HTMLParser):
    """All tags with their attributes, the headings, and the text outside of scripts."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.headings: list[int] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page of the example, which is the working directory of all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        write_example(write_results())
        yield Path.cwd()


@pytest.fixture(scope="module")
def html(folder) -> str:
    return (folder / "results/index.html").read_text()


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_nothing_remote_is_loaded(page, html):
    for tag, attributes in page.tags:
        address = attributes.get(LOADS.get(tag, ""), "")
        assert address is None or address == "" or address.startswith("data:"), (tag, address)
        assert not {"srcset", "background", "poster", "ping"} & set(attributes)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    assert "@import" not in style and "url(" not in style


def test_the_check_of_remote_addresses_can_fail():
    with pytest.raises(AssertionError):
        test_nothing_remote_is_loaded(
            Page('<img src="https://example.org/a.png">'), "<style></style>"
        )


def test_every_tag_is_closed_and_every_id_is_given_once(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_links_lead_to_files_beside_the_page_or_to_parts_of_it(page, folder):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [attributes["href"] for attributes in page.all("a")]
    assert {"table1.csv", "table1.tex", "table1.svg", "table1/a.csv", "claims.csv"} <= set(links)
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids, link
        else:
            assert (folder / "results" / link).is_file(), link
    for attributes in page.all("section") + page.all("article"):
        assert attributes["aria-labelledby"] in ids


def test_every_picture_has_words_and_every_control_a_label(page, html):
    assert page.all("img") and all(attributes.get("alt") for attributes in page.all("img"))
    assert all(len(attributes["alt"]) > 5 for attributes in page.all("img"))
    assert html.count("<label>") == len(page.all("select")) + len(page.all("input"))
    scrolled = [a for _, a in page.tags if "scroll" in a.get("class", "").split()]
    assert scrolled and all(a["aria-label"] and a["tabindex"] == "0" for a in scrolled)


def test_headings_stand_in_order(page):
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


def test_names_are_shown_and_never_run(page, html):
    assert TITLE in page.text and "precision <rises>" in page.text and "<i>0</i>.png" in page.text
    assert "Figure 4: <b>points</b>" in page.text
    assert "alert('faces')</script>" not in html and "<script>alert" not in html
    assert not page.all("b") or "<b>points</b>" not in html
    # Scripts of ours: the bundle, the specification, the points, what the page does.
    assert len(page.all("script")) == 4
    assert any(TITLE in str(front) for front in [page.text])


def test_claims_have_a_word_a_sign_and_a_colour(html, page):
    body = html[html.index('<table class="claims') : html.index("claims.csv")]
    rows = re.findall(
        r'<td class="id">(.*?)</td>.*?<span class="chip ([\w-]+)"><b[^>]*>(.)</b> ([\w ]+)<',
        body,
        re.DOTALL,
    )
    assert rows == [
        ("P-1", "holds", "✓", "holds"),
        ("P-2", "mixed", "±", "mixed"),
        ("P-3", "not-run", "–", "not run"),
    ]
    assert "1 as claimed here, 1 undecided" in page.text
    assert "+0.100 [+0.050, +0.150]" in page.text


def test_numbers_beside_the_papers_stand_in_a_csv(page, folder):
    frame = pd.read_csv(folder / "results/index.paper.csv")
    # Two settings of two blocks; the part of a table says nothing new.
    assert list(frame["target"]) == ["table1"] * 4
    assert list(frame["difference"].round(6)) == [0.1, 0.05, 0.2, 0.15]
    assert list(frame["ours"].round(6)) == [0.6, 0.75, 0.7, 0.85]
    assert "+0.05" in page.text and "± 0.01" in page.text


def test_the_chart_has_every_point_with_method_setting_n_acceptance_and_cost(html):
    toy, other = points(html)
    assert len(toy) == len(other) == 4
    point = toy[1]
    assert (point["precision"], point["recall"]) == (0.7, 0.3)
    assert point["method"] == "importance sampling" and point["setting"] == "tau 80 %, w 33"
    assert point["n_said"] == "n = 1,000, 4 times, against 5,000 real"
    assert point["acceptance_said"] == "0.5"
    assert point["cost_said"] == "1.5 s per 1,000 images; 8,000 calls of the generator"
    # Shares: the bar ends at the edge, the words say the interval as it is.
    assert (point["precision_low"], point["precision_high"]) == (0.0, 1.0)
    assert point["precision_said"] == "0.700 [0.000, 1.400]"
    assert point["source"] == "results/fig4.csv"


def test_samples_on_the_same_latents_stand_beside_their_numbers(page):
    strips = [a["alt"] for a in page.all("img") if "samples" in a["alt"]]
    # Two settings of the block whose images are there, and three rows of moved ones.
    assert len(strips) == 5 and strips[0].startswith("10 samples, pre-trained")
    befores = [a["data-before"] for a in page.all("button") if "data-before" in a]
    assert len(befores) == 3  # all rows but the plain one of each grid
    assert "precision 0.750" in page.text and "mean density 1.750" in page.text


def test_what_is_not_made_says_what_makes_it_and_what_it_costs(page, folder):
    waiting = page.text[page.text.index("Not made yet", 2000) :]
    assert re.search(
        r"table2\s+3 of 4\s+about 6 core minutes\s+snakemake results/table2.csv", waiting
    )
    assert re.search(r"fig9\s+3 of 4\s+not measured", waiting)
    assert "not in this config: config: fig7 needs a model with a likelihood" in waiting
    costs = pd.read_csv(folder / "results/index.targets.csv").set_index(["target", "kind"])
    assert (
        costs.loc[("table2", "table"), "minutes_left"] == 6
        and not costs.loc[("table2", "table"), "made"]
    )
    assert costs.loc[("table1", "table"), "made"]


def test_the_gallery_of_a_data_set_is_linked_where_its_images_are_shown(html):
    section = html[html.index('<h3 id="images-mine">') : html.index('<h2 id="generators">')]
    assert '<a href="density/mine.html">The gallery</a>' in section


def test_other_programs_stand_beside_our_numbers(page, html, folder):
    said = "theirs: 1 of 4 agree; 1 differ, and why is known; 1 differ, and nothing says why"
    assert f"{said}; 1 without an answer" in page.text
    assert "absent: not installed: pip install absent" in page.text
    body = html[html.index('id="programs"') : html.index('href="parity.csv"')]
    rows = re.findall(r"<tr><td.*?</tr>", body)
    cells = [re.sub("<[^>]*>", "|", row).replace("||", "|").split("|")[1:-1] for row in rows]
    found = pd.read_csv(folder / "results/parity.csv").query("agrees != 'skipped'")
    assert len(cells) == len(found) == 4
    for row, line in zip(cells, found.to_dict("records"), strict=True):
        assert [row[3], row[4]] == [
            "–" if pd.isna(line[name]) else f"{line[name]:g}" for name in ("ours", "theirs")
        ]
        assert row[6] == line["agrees"]
    assert "<b>borders" not in html and "<b>borders</b>" in page.text
    # It is there, so nothing asks for it.
    assert "parity" not in page.text[page.text.index("Not made yet", 2000) :]


def test_parity_that_was_not_measured_says_what_measures_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = Page(write_example(write_results() | {"parity": parity(False)}).read_text())
    assert "Our numbers beside other programs" not in page.text
    waiting = page.text[page.text.index("Not made yet", 2000) :]
    assert re.search(r"parity\s+0 of 0\s+only to be written\s+python benchmarks/parity.py", waiting)


def test_parity_of_another_shape_is_refused_on_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = write_results()
    Path("results/parity.csv").write_text("program,agrees\nprdc,yes\n")
    with pytest.raises(ArtifactError, match="parity.csv lacks pair, number, .*delete it"):
        write_example(found)


def test_own_images_and_metrics_and_words_are_shown(page):
    assert "12 images by pseudo density, 1 of them exact copies" in page.text
    assert "✓ pass" in page.text and "✗ fail: it stays" in page.text
    assert "does not apply: no balls" in page.text
    assert "their frontiers are not made yet" in page.text
    assert "the points that no other beats." in page.text


def test_one_figure_and_one_table_of_a_name_are_one_item_in_the_papers_order(html):
    headings = re.findall(r'<h3 id="toy-([\w-]+)">', html)
    assert headings == ["table1", "fig3", "fig4", "claims"]


def test_the_page_of_an_empty_folder_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paper = {"name": "toy", "title": "A toy paper", "targets": [target("table1", "table")]}
    found = {"papers": [paper], "datasets": [], "external": [], "methods": {"plain": "plain"}}
    found |= {"seeds": [0], "parity": parity(False)}
    page = Page(write_example(found).read_text())
    assert "Nothing is made yet" in page.text and "snakemake --cores all" in page.text
    assert "snakemake results/table1.csv --cores all" in page.text
    assert page.open == [] and len(page.all("script")) == 1
    test_nothing_remote_is_loaded(page, Path("results/index.html").read_text())


def test_figures_give_way_until_the_page_is_small_enough(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = write_results()
    picture("results/table1.png", 1600)
    picture("results/fig4.png", 1500)
    html = write_example(found).read_text()
    widths = {int(a["width"]) for a in Page(html).all("img") if "figure" in a["alt"]}
    assert len(html.encode()) <= MOST_BYTES and max(widths) < 1500


def test_a_damaged_table_is_one_line_that_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = write_results()
    Path("results/fig4.md").write_text("no table of ours")
    with pytest.raises(ArtifactError, match="results/fig4.md: .*delete it and run again") as raised:
        write_example(found)
    assert "\n" not in str(raised.value)
    assert OTHER and not Path("results/index.html").exists()
