"""The page of results in a real browser: it sorts, filters, enlarges, obeys the keyboard, and fits a phone."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_example import TITLE, parity, write_example, write_results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WHY = "needs Chromium (`make browser` installs Debian's) and the playwright of the environment"

playwright = pytest.importorskip("playwright.sync_api", reason=WHY)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=WHY)
# The machine may be busy: how long things take is no part of the tests.
PATIENCE = 120_000


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The page of the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("browser"))
        write_example(write_results())
        yield (Path.cwd() / "results/index.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address) -> Iterator:
    """The page with its charts drawn, on a screen of 1200 x 900; at the end nothing has complained and
    nothing was asked of a network."""
    complaints, asked = [], []
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.set_default_timeout(PATIENCE)
    opened.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    opened.wait_for_selector("html[data-ready]", state="attached")
    yield opened
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:", address))] == []
    opened.close()


def column(page, table: str, index: int) -> list[str]:
    """Texts of a column of a table."""
    return page.locator(f"{table} tbody tr td:nth-child({index})").all_inner_texts()


def test_a_head_sorts_its_table_up_and_down_by_keyboard(page):
    table = "section[aria-labelledby=images] table"
    page.locator("section[aria-labelledby=images] summary").press("Enter")
    head = page.locator(f"{table} thead th", has_text="pseudo density")
    before = column(page, table, 3)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    up = column(page, table, 3)
    assert up == sorted(before, key=float) and up != before
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, table, 3) == up[::-1]


def test_numbers_with_spreads_and_separators_sort_as_numbers_and_gaps_come_last(page):
    values = ["1,234.50", "0.75 ± 0.01", "–", "-2", "∞", "[0.1, 0.2]"]
    rows = "".join(f"<tr><td class=number>{value}</td></tr>" for value in values)
    page.evaluate(
        """rows => {
          const table = document.createElement("table");
          table.id = "made";
          table.innerHTML = `<thead><tr><th class=number>v</th></tr></thead><tbody>${rows}</tbody>`;
          document.querySelector("main").append(table);
          sortBy(table.querySelector("th"));
        }""",
        rows,
    )
    assert column(page, "#made", 1) == ["-2", "0.75 ± 0.01", "1,234.50", "∞", "–", "[0.1, 0.2]"]


def test_a_filter_leaves_one_model_and_one_method(page):
    charts = page.locator(".charts .card:visible")
    marks = page.locator(".charts .card:visible .mark-symbol path")
    assert (charts.count(), marks.count()) == (2, 8)
    page.select_option("#filter-model", "Toy")
    assert charts.count() == 1 and TITLE in charts.first.inner_text()
    assert page.locator(".part[data-model=Other]:visible").count() == 0
    page.select_option("#filter-method", "importance sampling")
    page.wait_for_function(
        "document.querySelectorAll('.charts .card:not([hidden]) .mark-symbol path').length === 2"
    )
    page.locator("article", has_text="Figure 4").locator("summary").first.click()
    shown = page.locator("article", has_text="Figure 4").locator("tbody tr:visible")
    assert [text.split("\t")[0] for text in shown.all_inner_texts()] == [
        "tau 80 %, w 33",
        "tau 20 %, w 0.03",
    ]
    page.select_option("#filter-model", "")
    page.select_option("#filter-method", "")
    assert charts.count() == 2
    page.locator(".legend input").first.uncheck()
    page.wait_for_function("document.querySelectorAll('.charts .mark-symbol path').length === 6")


def test_a_mark_of_a_chart_says_its_setting_acceptance_and_cost(page):
    mark = page.locator(".charts .card").first.locator(".mark-symbol path").nth(1)
    assert mark.get_attribute("aria-label").startswith("importance sampling, tau 80 %, w 33")
    mark.hover()
    told = page.locator("#vg-tooltip-element.visible").inner_text()
    for words in (
        "importance sampling",
        "tau 80 %, w 33",
        "n = 1,000",
        "0.5",
        "1.5 s per 1,000 images",
    ):
        assert words in told


def test_a_picture_is_enlarged_and_the_keyboard_comes_back_to_it(page):
    button = page.locator("article button.zoom:not(.strip)").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog[open]")
    assert dialog.locator("img").count() == 1
    assert dialog.locator("img").get_attribute("src").startswith("data:image/webp")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert button.evaluate("one => one === document.activeElement")


def test_a_row_shows_what_was_before_on_hover_and_on_focus(page):
    after = page.locator("button.strip[data-before]").first
    image, base = after.locator("img"), page.locator(f"#{after.get_attribute('data-before')}")
    own, before = image.get_attribute("src"), base.get_attribute("src")
    assert own != before
    after.focus()
    assert image.get_attribute("src") == before
    page.keyboard.press("Tab")
    assert image.get_attribute("src") == own
    after.hover()
    assert image.get_attribute("src") == before
    after.click()
    shown = page.locator("dialog[open] img")
    assert [one.get_attribute("src") for one in shown.all()] == [before, own]


def test_the_keyboard_reaches_the_content_first_and_its_focus_is_seen(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize("width", [1400, 900, 400, 320])
def test_the_body_never_scrolls_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.wait_for_function("innerWidth === document.documentElement.clientWidth || true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    tables = page.locator(".scroll table").count()
    assert tables and page.locator(".scroll").count() == tables


def test_words_stand_out_from_what_is_behind_them(page):
    """WCAG AA: 4.5 to 1 for words. Every text on the page against the nearest ground that is not clear."""
    low = page.evaluate(
        """() => {
          const colour = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const ground = (one) => {
            for (; one; one = one.parentElement) {
              const found = colour(getComputedStyle(one).backgroundColor);
              if (found.length < 4 || found[3] > 0.9) return found;
            }
            return [255, 255, 255];
          };
          document.querySelectorAll("details").forEach((one) => { one.open = true; });
          const found = [];
          for (const one of document.querySelectorAll("main *, header *, nav *, footer *")) {
            if (one.closest("svg") || ![...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
            const [a, b] = [light(colour(getComputedStyle(one).color)), light(ground(one))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) found.push(`${one.tagName}.${one.className} ${ratio.toFixed(2)}`);
          }
          return [...new Set(found)];
        }"""
    )
    assert low == []


def test_on_paper_everything_is_open(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible() and page.locator("h1").is_visible()


def test_a_page_of_nothing_has_no_complaint_either(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = {"papers": [], "datasets": [], "external": [], "methods": {"plain": "plain"}}
    path = write_example(found | {"seeds": [0], "parity": parity(False)})
    complaints = []
    opened = browser.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(path.absolute().as_uri())
    opened.wait_for_selector("html[data-ready]", state="attached", timeout=PATIENCE)
    assert complaints == [] and re.search("Nothing is made yet", opened.inner_text("main"))
    opened.close()
