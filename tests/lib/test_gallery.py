"""The page of a ranking: offline, of a bounded size, and no name of a file gets out of its place."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pseudodensity.density.duplicates import Groups
from pseudodensity.report import gallery as module
from pseudodensity.report.density_table import GLOSSARY, density_table
from pseudodensity.report.gallery import gallery, write_gallery
from pseudodensity.rng import numpy_generator

HOSTILE = [
    "<script>alert(1)</script>.png",
    "\"><img src='http://example.org/x' onerror=alert(2)>.png",
    "' onmouseover='alert(3).png",
    "{{ 7 * 7 }}{% include 'x' %}.png",
    "</style></title><!-- \u202egnp.exe",
]
EMPTY = {"img", "meta", "br"}


class Page(HTMLParser):
    """Every element with its attributes, all text, and whether the elements close in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("p", "li") and self.open[-1] != tag:
            raise AssertionError(f"{tag} closes {self.open[-1]}")
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attrs for found, attrs in self.elements if found == tag]


def ranked(names, images, copies=0, title="photos", rejected=(), notes=()):
    """The page of images of which the last so many are copies of the first."""
    count = len(names)
    kept = np.arange(count)
    kept[count - copies :] = 0
    distances = np.where(kept == np.arange(count), 0, 0.125)
    numbers = np.where((kept == 0) & (copies > 0), 1, 0)
    groups = Groups(kept, distances, numbers, threshold=0.25, typical=1.5)
    settings = {"extractor": "pixels <b>", "k": 3, "n": 1}
    indices, near = np.zeros((count, 1), int), np.ones((count, 1))
    density = np.linspace(2, 1, count)
    table = density_table(names, density, None, indices, near, groups, settings)
    counts = {"files": count + len(rejected), "rejected": len(rejected), "images": count}
    counts |= {"kept": count - copies, "copies": copies, "groups": int(copies > 0)}
    facts = {
        "settings": settings
        | {"threshold": 0.25, "share": 0.15, "typical_distance": 1.5, "mirrored_copies": True},
        "counts": counts,
        "notes": list(notes),
        "rejected": list(rejected),
    }
    return title, table, images, facts


def noise(count: int, side: int = 16) -> np.ndarray:
    draw = numpy_generator(0, "gallery")
    return draw.integers(0, 256, size=(count, 3, side, side)).astype(np.uint8)


@pytest.fixture
def page() -> Page:
    names = [*HOSTILE, *(f"{i}.png" for i in range(15))]
    rejected = [{"name": name, "reason": f"no image: {name}"} for name in HOSTILE]
    return Page(gallery(*ranked(names, noise(20), 2, HOSTILE[0], rejected, [HOSTILE[1]])))


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attrs in page.elements:
        for name, value in attrs.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "srcset", "action", "data", "poster", "background"):
                assert value.startswith("data:image/webp;base64,")
            if name == "href":
                assert value.startswith("#")
    assert not page.all("link") and not page.all("iframe") and not page.all("style")[0]
    (policy,) = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "url(" not in "".join(page.texts) and "@import" not in "".join(page.texts)


def test_names_stay_text(page):
    assert len(page.all("script")) == 1
    text = "".join(page.texts)
    for name in HOSTILE:
        assert name in text
    files = [image["alt"] for image in page.all("img")]
    assert set(HOSTILE) <= set(files) and all(
        set(a) <= {"src", "alt", "title", "class"} for a in page.all("img")
    )
    # The browser runs the script of this digest and no other.
    (script,) = [t for t in page.texts if "addEventListener" in t]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_anchors_labels_and_words(page):
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {a["href"][1:] for a in page.all("a")} == ids
    assert page.all("html")[0]["lang"] == "en"
    text = " ".join("".join(page.texts).split())
    assert "25 files = 18 kept + 2 copies in 1 groups + 5 rejected" in text
    assert "pixels <b>, k = 3 neighbours, exponent n = 1" in text and "threshold 0.25" in text
    assert all(meaning in text for meaning in GLOSSARY.values())
    assert text.count("distance 0.125") == 2 and text.count("Group 1: 3 images") == 1


def test_copies_stand_in_their_group_and_not_among_the_densest(page):
    files = [image["alt"] for image in page.all("img")]
    # 9 at each end, least dense first; then the group, from the kept image outwards.
    assert files[:2] == ["12.png", "11.png"] and files[9] == HOSTILE[0]
    assert (
        sorted(files[-3:]) == sorted([HOSTILE[0], "13.png", "14.png"]) and files[-3] == HOSTILE[0]
    )
    assert len(files) == 21


def test_the_size_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ROWS", 50)
    monkeypatch.setattr(module, "REJECTED", 7)
    rejected = [{"name": f"{i}", "reason": "none"} for i in range(99)]
    data = ranked([f"{i}.png" for i in range(3000)], noise(3000, 8), 100, rejected=rejected)
    write_gallery(tmp_path / "page.html", *data)
    page = Page((tmp_path / "page.html").read_text())
    text = " ".join("".join(page.texts).split())
    assert "The 100 lines at both ends of 3,000; the CSV has all." in text
    assert "99 files could not be read; the first 7 of them, the JSON has all." in text
    assert "Group 1: 101 images, 6 of them shown" in text
    assert len(page.all("img")) == 2 * module.ENDS + module.MEMBERS
    assert len(page.all("tr")) == 100 + 7 + 2


def test_a_thumbnail_is_small_whatever_it_shows():
    """Noise is what compresses least; the page has no more pictures than these."""
    data = ranked([f"{i}.png" for i in range(4)], noise(4, 224))
    most = 2 * module.ENDS + module.GROUPS * module.MEMBERS
    longest = max(len(image["src"]) for image in Page(gallery(*data)).all("img"))
    assert most * longest < 12e6


def ratio(one: str, other: str) -> float:
    """Contrast of two colours by WCAG 2."""
    light = []
    for colour in (one, other):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_contrast_suffices():
    style = (module.HERE / "gallery.html").read_text()
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style))
    for text in ("ink", "quiet", "mark"):
        for ground in ("paper", "shade"):
            assert ratio(colours[text], colours[ground]) >= 4.5, (text, ground)
    # Every colour is one of these.
    assert len(re.findall(r"#[0-9a-f]{3,6}\b", style)) == len(colours)
