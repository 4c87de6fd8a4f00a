"""Figures 7, 11, 12, 13 and 17 and Table 2 of low-density diffusion: tables of made-up sets, and what is planned."""

from pathlib import Path

import numpy as np
import pytest

from pseudodensity.columns.pool import Column, save_column
from pseudodensity.papers.low_density.correlations import fig11, fig13
from pseudodensity.papers.low_density.correlations_figure import fig11_figure, fig13_figure
from pseudodensity.papers.low_density.fig7 import fig7
from pseudodensity.papers.low_density.fig7_figure import fig7_figure
from pseudodensity.papers.low_density.fig12_figure import fig12_figure
from pseudodensity.papers.low_density.table2 import table2
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

ROOT = Path(__file__).parents[2]
COUNT = 60
TITLES = {"held_out": "held-out reals", "gan": "BigGAN", "plain": "plain"}
TITLES |= {"guided": "guided, α = 0.3", "random": "random direction, α = 0.3"}
NAMES = {"block": "b", "model": "M", "dataset": "D", "stands_for": None}
SETTINGS = {"titles": TITLES, "names": NAMES, "split": True, "extractor": "judge", "loss": "plain"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Hardness of which the guided is plain's and 1,000, AvgkNN that rises with it, LOF that falls."""
    path = tmp_path_factory.mktemp("tables") / "measured.safetensors"
    hardness = numpy_generator(0, "hardness").normal(size=(5, COUNT))
    hardness[3] = hardness[2] + 1000
    arrays = {"hardness": hardness, "avg_knn": np.exp(hardness / 500), "lof": 5 - hardness**3}
    save_tensors(path, arrays, {}, {"sets": list(TITLES), "reference": 99, "classes": True})
    return path


def written(table, folder):
    paths = [folder / f"table.{suffix}" for suffix in ("csv", "md", "tex")]
    write_table(table, *paths)
    return paths[0]


def drawn(figure, folder):
    save(figure, folder / "figure.png", folder / "figure.svg")
    return (folder / "figure.svg").read_text()


@pytest.mark.parametrize(("number", "extractors"), [(7, ["judge"]), (17, ["judge", "other"])])
def test_a_set_that_is_harder_by_far_is_above_every_plain_image(
    measured, tmp_path, number, extractors
):
    own = SETTINGS | {"figure": number, "extractors": extractors, "k": {"avg_knn": 5, "lof": 20}}
    inputs = {"measured": [measured] * len(extractors)}
    table = fig7(inputs, own)
    frame = table.frame
    assert len(frame) == 3 * 5 * len(extractors)
    lines = frame[frame["extractor"].eq("judge")].set_index(["measure", "set"])
    guided, plain = lines.loc["hardness", "guided"], lines.loc["hardness", "plain"]
    assert guided["median"] == pytest.approx(plain["median"] + 1000)
    assert guided["median_low"] == pytest.approx(plain["median_low"] + 1000)
    assert guided["above_plain"] == guided["above_held_out"] == guided["distance"] == 1
    # The order of values is all that counts: the same with AvgkNN, turned round with LOF.
    for name in TITLES:
        own_line = lines.loc["hardness", name]
        for score in ("above_plain", "above_held_out"):
            chance = own_line[score]
            assert lines.loc["avg_knn", name][score] == pytest.approx(chance, nan_ok=True)
            assert lines.loc["lof", name][score] == pytest.approx(1 - chance, nan_ok=True)
    assert np.isnan(plain["above_plain"]) and np.isnan(lines.loc["lof", "held_out"]["distance"])
    assert any("must read HIGH-density" in note for note in table.notes) == (number == 7)
    csv = written(table, tmp_path)
    text = drawn(fig7_figure(inputs | {"table": csv}, own), tmp_path)
    assert all(title in text for title in [*TITLES.values(), *extractors])


def test_hardness_that_density_follows_has_a_rank_correlation_of_one(measured, tmp_path):
    inputs, own = {"measured": measured}, SETTINGS | {"quantiles": [0, 0.5, 1]}
    table = fig13(inputs, own)
    assert table.frame["avg_knn"].tolist() == [pytest.approx(1)] * 5
    assert table.frame["lof"].tolist() == [pytest.approx(-1)] * 5
    pictures = tmp_path / "pictures.safetensors"
    images = numpy_generator(0, "pictures").integers(0, 256, (2, 3, 4, 3, 16, 16), dtype=np.uint8)
    arrays = {"images": images, "hardness": np.arange(24.0).reshape(2, 3, 4)}
    save_tensors(pictures, arrays, {})
    inputs |= {"pictures": pictures, "table": written(table, tmp_path)}
    text = drawn(fig13_figure(inputs, own), tmp_path)
    assert "50%, 6 nats" in text and "100%, 10 nats" in text


FEW = 50  # first images of each set, of which the bound is taken


@pytest.mark.parametrize("all_terms", [True, False])
def test_the_likelihood_of_each_set_is_its_own_column_or_the_experiments(
    measured, tmp_path, all_terms
):
    draw = numpy_generator(0, "bits")
    bits = {name: draw.normal(3, 1, FEW) for name in TITLES}
    again = bits["held_out"] + draw.normal(0, 1, FEW)
    others = np.stack([[bits["held_out"], again], [bits["gan"], bits["gan"]]])
    save_tensors(
        tmp_path / "others.safetensors", {"bits": others}, {}, {"sets": ["held_out", "gan"]}
    )
    inputs = {"measured": measured, "others": tmp_path / "others.safetensors"}
    for name in ("plain", "guided", "random"):
        inputs[name] = [tmp_path / f"{name}-{part}.safetensors" for part in range(2)]
        for path, part in zip(inputs[name], np.split(bits[name], [40]), strict=True):
            save_column(path, Column(part), {"kind": "column"})
    own = SETTINGS | {"terms": 1050, "all_terms": all_terms}
    table = fig11(inputs, own)
    hardness = numpy_generator(0, "hardness").normal(size=(5, COUNT))[:, :FEW]
    for number, name in enumerate(TITLES):
        line = table.frame.set_index("set").loc[name]
        assert line["median"] == pytest.approx(np.median(bits[name]))
        source = hardness[2] if name == "guided" else hardness[number]
        ranks = [np.argsort(np.argsort(values)) for values in (bits[name], source)]
        assert line["avg_knn"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
        assert line["lof"] == pytest.approx(-line["avg_knn"])
        assert line["avg_knn_low"] < line["avg_knn"] < line["avg_knn_high"]
    ranks = [np.argsort(np.argsort(values)) for values in others[0]]
    reliability = np.corrcoef(*ranks)[0, 1]
    assert f"held-out reals is {reliability:.2f}:" in table.notes[0]
    assert table.notes[0].startswith("All 1,050 terms") == all_terms
    seen = table.frame["again"].tolist()
    assert seen[:2] == pytest.approx([reliability, 1]) and np.isnan(seen[2:]).all()
    inputs["table"] = written(table, tmp_path)
    text = drawn(fig11_figure(inputs, own), tmp_path)
    assert "with AvgkNN" in text and ("all 1,050 terms" in text) == all_terms


def test_table_2_compares_every_set_with_held_out_reals(tmp_path):
    rows = ["training", *TITLES, "edges", "posterised", "other"]
    bits = numpy_generator(0, "bits").normal(size=(len(rows), COUNT))
    bits[rows.index("edges")] -= 100
    images = numpy_generator(0, "images").integers(0, 256, (9, 4, 3, 16, 16), dtype=np.uint8)
    report = {"images": 70, "best": 3, "epochs": 9, "seed": 0, "held_out": [1.0, 2.5]}
    path = tmp_path / "measured.safetensors"
    save_tensors(path, {"bits": bits, "images": images}, {}, {"rows": rows, "report": report})
    reported = ROOT / "config/reported/low_density.csv"
    own = SETTINGS | {"side": 8, "grey": True, "levels": 4, "other": "procedural faces"}
    inputs = {"measured": path, "reported": reported}
    table = table2(inputs, own)
    frame = table.frame.set_index("set")
    assert list(frame.index) == rows
    assert frame["bits"].tolist() == pytest.approx(bits.mean(1))
    reals = bits[1]
    assert frame["change"].drop("held_out").tolist() == pytest.approx(
        [
            own.mean() - reals.mean()
            for name, own in zip(rows, bits, strict=True)
            if name != "held_out"
        ]
    )
    assert np.isnan(frame.loc["held_out", "change"])
    assert frame.loc["edges", "likelier"] == 1
    pairs = bits[rows.index("plain")][:, None] < reals
    assert frame.loc["plain", "likelier"] == pytest.approx(pairs.mean())
    assert frame.loc["held_out", "paper_bits"] == 3.4 and frame.loc["edges", "paper_bits"] == 1.2
    assert (
        frame["paper_bits"].isna().sum() == 3
    )  # training images, guided ones, the random direction
    written(table, tmp_path)
    text = drawn(fig12_figure(inputs, own), tmp_path)
    assert "procedural faces" in text and f"{bits[0, 0]:.1f}".replace("-", "") in text


# ---------------------------------------------------------------------------- the plan


def planned(**measures) -> Plan:
    given = {"papers": {"low_density": {"measures": measures}}}
    config = load_config(ROOT / "config/config.yaml", [], given)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def default() -> Plan:
    return planned()


def test_each_image_is_measured_once_and_drawn_by_no_pool_of_its_own(default):
    tables = {name: default.tables[f"low_density/{name}"] for name in ("fig4", "fig7", "fig13")}
    (judged,) = tables["fig7"].inputs["measured"]
    assert tables["fig13"].inputs["measured"].path == judged.path
    assert default.tables["low_density/fig17"].inputs["measured"][0].path == judged.path
    # The sets of guidance are those of Figure 4.
    drawn_there = {job.folder for job in default.jobs(tables["fig4"]) if job.kind == "pool"}
    own = {name: judged.needs[name][0].folder for name in ("plain", "guided", "random")}
    assert set(own.values()) <= drawn_there and len(set(own.values())) == 3


def test_a_data_set_without_a_law_is_split_and_one_with_a_law_is_not(default):
    (judged,) = default.tables["low_density/fig7"].inputs["measured"]
    assert judged.spec["settings"]["split"] and "reals" not in judged.needs


def test_the_bound_of_the_first_images_takes_all_its_terms(default):
    table = default.tables["low_density/fig11"]
    (job,) = [job for job in table.artifacts() if job.slug.startswith("bounds")]
    assert job.spec["settings"]["terms"] == 1000 and job.spec["settings"]["count"] == 100
    assert table.settings["all_terms"]
    parts = [own for own in table.artifacts() if own.kind == "column"]
    assert [own.rows for own in parts] == ["0000000-0000100"] * 3
    fewer = planned(fig11={"terms": 999}).tables["low_density/fig11"]
    assert not fewer.settings["all_terms"]


def test_without_a_gan_all_other_sets_are_shown():
    plan = planned(gan=None)
    made = plan.tables["low_density/fig7"]
    assert not made.missing and "gan" not in made.settings["titles"]
    assert made.inputs["measured"][0].spec["settings"]["sets"] == ["plain", "guided", "random"]


@pytest.mark.parametrize(
    ("measures", "complaint"),
    [
        ({"extractor": "density_vit"}, "extractor names 'density_vit', which steers"),
        ({"fig17": {"extractors": ["nobody"]}}, "fig17.extractors names 'nobody', which is not"),
        (
            {"gan": "projectedgan", "fig17": {"extractors": ["backbone_cnn"]}},
            "'backbone_cnn', which trains projectedgan",
        ),
        ({"count": 2000}, "count is 2000, but the pools of guidance hold 1000 images"),
        ({"fig11": {"count": 401}}, "fig11.count is 401, but each set has 400 images"),
        ({"fig11": {"terms": 1001}}, "fig11.terms is 1001, but adm_class has 1000 steps"),
        ({"flow": {"shown": 401}}, "flow.shown is 401, but each set has 400 images"),
        (
            {"flow": {"other": "cats"}},
            "flow.other is 'cats', which is not described under datasets",
        ),
        ({"gan": "nobody"}, "gan is 'nobody', which is not described under models"),
    ],
)
def test_mistakes_are_said_while_planning(measures, complaint):
    with pytest.raises(ConfigError) as raised:
        planned(**measures)
    message = str(raised.value)
    assert complaint in message and "\n" not in message


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({"gan": "convgan"}, "'convgan', which has no classes"),
        ({"guided": {"loss": "random"}}, "which is its control"),
    ],
)
def test_what_the_config_cannot_make_is_missing_with_its_reason(measures, reason):
    plan = planned(**measures)
    assert reason in plan.tables["low_density/fig7"].missing
    assert reason in plan.figures["low_density/fig12"].missing
