"""Polarity on images: the choice of the best exponent, what settles along k and N, fronts, and the tables."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from spectra import column_of_volumes

from pseudodensity.artifacts import save_json
from pseudodensity.columns.pool import Pool
from pseudodensity.control.select import polarity, truncated_polarity
from pseudodensity.metrics import frechet
from pseudodensity.papers.polarity.best_polarity import best_polarity, halves
from pseudodensity.papers.polarity.fig2_figure import fig2_figure
from pseudodensity.papers.polarity.fig3 import fig3
from pseudodensity.papers.polarity.fig3_figure import fig3_figure
from pseudodensity.papers.polarity.singular_values import along
from pseudodensity.papers.polarity.table2 import table2
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.rng import numpy_generator

ROOT = Path(__file__).parents[2]
torch.set_num_threads(1)


# ------------------------------------------------------------------------ the best polarity

TRIALS, EXPONENTS = 200, (-0.2, -0.05, 0, 0.05, 0.2)
IMAGES, VOLUMES, REPEATS = 60, 120, 6


def trial(number: int) -> dict[float, list[dict[str, float]]]:
    """FID of every polarity where volumes say nothing of the images: all of them have one law."""
    draw = numpy_generator(number, "null")
    reals, fakes = draw.standard_normal((300, 2)), draw.standard_normal((VOLUMES * REPEATS, 2))
    pool = Pool(
        {"singular_values": column_of_volumes(draw.standard_normal(VOLUMES * REPEATS))}, number
    )
    side = frechet.prepare({"features": reals.astype(np.float32)})
    found = {}
    for exponent in EXPONENTS:
        point = polarity.DEFAULTS | {"polarity": exponent, "replacement": True, "volumes": VOLUMES}
        rows = polarity.choose(pool, point, IMAGES, REPEATS).rows
        fids = [frechet.score(side, {"features": fakes[r].astype(np.float32)}) for r in rows]
        found[exponent] = [{"fid": one["fid"]} for one in fids]
    return found


@pytest.fixture(scope="module")
def null():
    """Gains where there are none: of the half that reports, and of the half that chose."""
    reporting, choosing, improved = [], [], 0
    for number in range(TRIALS):
        found = trial(number)
        best = best_polarity(found)
        improved += bool(best.improves)
        reporting.append(best.gain.effect)
        chosen = best.polarity or 0
        means = [np.mean([one["fid"] for one in halves(found[rho])[0]]) for rho in (0, chosen)]
        choosing.append(means[0] - means[1])
    return np.array(reporting), np.array(choosing), improved


def test_no_polarity_improves_where_all_have_one_law(null):
    reporting, _, improved = null
    assert improved <= 0.05 * TRIALS
    assert abs(reporting.mean()) < 3 * reporting.std() / math.sqrt(TRIALS)


def test_on_the_half_that_chose_the_best_looks_better_than_it_is(null):
    _, choosing, _ = null
    assert choosing.mean() > 5 * choosing.std() / math.sqrt(TRIALS)


def scores(*fids: float) -> list[dict[str, float]]:
    return [{"fid": fid} for fid in fids]


def test_the_choice_is_made_on_one_half_and_reported_on_the_other():
    """-0.1 is best on the first half, 0.1 on the second."""
    found = {0: scores(5, 5, 5, 5.2), -0.1: scores(3, 3, 4, 4), 0.1: scores(4, 4, 1, 1)}
    best = best_polarity(found)
    assert best.polarity == -0.1 and best.gain.effect == pytest.approx(1.1)
    # Gains of 1 and 1.2: the quantile of Student's law with one degree of freedom times .1.
    assert best.gain.low == pytest.approx(1.1 - 0.1 * math.tan(math.pi * 0.475))
    assert best.improves is False
    equal = best_polarity({0: scores(5, 5, 5, 5), 0.1: scores(4, 4, 4, 4)})
    assert equal.improves is True


def test_where_nothing_beats_polarity_zero_nothing_is_chosen():
    best = best_polarity({0.1: scores(5, 1), 0: scores(5, 5)})
    assert (best.polarity, best.gain.effect, best.improves) == (None, 0, None)
    with pytest.raises(ValueError, match="cannot both choose and report"):
        best_polarity({0: scores(1)})
    with pytest.raises(ValueError, match="sample that too"):
        best_polarity({0.1: scores(1, 2)})
    choosing, reporting = halves(scores(1, 2, 3))
    assert (len(choosing), len(reporting)) == (1, 2)


# ------------------------------------------------------------------------ polarity under truncation


def test_under_truncation_the_same_latents_are_chosen():
    volumes = numpy_generator(0, "volumes").standard_normal(400)
    pool = Pool({"singular_values": column_of_volumes(volumes)}, 3)
    own = polarity.DEFAULTS | {"polarity": 0.4, "replacement": True, "volumes": 200}
    (point,) = truncated_polarity.points(
        {"style": [0.7], "exponents": [0.4]}, own, {"truncation": ["style"]}
    )
    assert point["psi"] == 0.7 and truncated_polarity.shown(point)["family"] == "style"
    pairs = zip(
        truncated_polarity.choose(pool, point, 50, 2).rows,
        polarity.choose(pool, own, 50, 2).rows,
        strict=True,
    )
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    assert "truncation (style), psi 0.7" in truncated_polarity.label(point)


@pytest.fixture(scope="module")
def plan():
    overlay = [ROOT / "config/scales/smoke.yaml"]
    config = load_config(ROOT / "config/config.yaml", overlay, {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_volumes_are_those_of_the_pool_and_images_those_of_the_truncation(plan):
    checkpoint = plan.models.pretrained("stylegan2", "faces", 0)
    settings = {"volumes": 32, "top": 8, "kept": 8, "route": "auto", "space": "pixel"}
    settings |= {"extractor": None, "beside": []}
    alone = {
        "method": "polarity",
        "polarity": -0.2,
        "replacement": True,
        "prior": "model",
    } | settings
    together = {"method": "truncated_polarity", "family": "style", "psi": 0.7} | alone
    together["method"] = "truncated_polarity"
    plain, both = (plan.pools.item(checkpoint, point, 24, 2) for point in (alone, together))
    assert both.columns["singular_values"] == plain.columns["singular_values"]
    assert both.pool != plain.pool and both.count == plain.count == 64
    truncation = truncated_polarity.shown(together)
    assert both.pool == plan.pools.item(checkpoint, truncation, 24, 2).pool


def test_who_asks_for_more_volumes_shares_the_first_ones():
    """However many are asked for, files of the same rows are the same; only the last may be shorter."""
    plan = Plan(
        load_config(ROOT / "config/config.yaml", [], {}),
        ROOT / "workflow/schemas",
        ROOT / "config/papers",
    )
    parts = plan.pools.proposals(plan.models.pretrained("progan", "faces", 0), 20000)
    settings = {"kept": 8, "route": "auto", "spaces": ["pixel"], "extractors": []}
    few, more = (
        plan.pools.column("singular_values", settings, parts, count) for count in (5000, 16000)
    )
    assert [column.rows for column in few] == ["0000000-0004000", "0004000-0005000"]
    assert few[0] == more[0] and few[1] != more[1]
    ends = [tuple(map(int, column.rows.split("-"))) for column in more]
    assert [row for start, stop in ends for row in range(start, stop)] == list(range(16000))
    # Columns of whole parts know no count.
    assert [c.rows for c in plan.pools.column("logits", {"auxiliary": None}, parts, 16000)] == [
        p.rows for p in parts
    ]


def test_volumes_of_features_are_made_of_their_extractor(plan):
    checkpoint = plan.models.pretrained("progan", "faces", 0)
    settings = {"volumes": 32, "top": 8, "kept": 8, "route": "auto", "replacement": True}
    settings |= {"prior": "model", "beside": []}
    point = {"method": "polarity", "polarity": -0.2, "space": "feature"} | settings
    found = [
        plan.pools.item(checkpoint, point | {"extractor": name}, 24, 2).columns["singular_values"][
            0
        ]
        for name in ("backbone_cnn", "judge_cnn")
    ]
    slugs = [[one.slug for one in column.needs["extractors"]] for column in found]
    assert slugs == [["backbone_cnn"], ["judge_cnn"]]
    assert found[0].path != found[1].path
    assert "features of judge_cnn" in polarity.label(point | {"extractor": "judge_cnn"})
    for wrong in ({"extractor": None}, {"space": "pixel", "extractor": "judge_cnn"}):
        with pytest.raises(ConfigError, match="needs an extractor, and no other has one"):
            plan.pools.item(checkpoint, point | wrong, 24, 2)


def test_a_figure_that_a_config_cannot_make_says_why():
    """Paths in style space of a model that has none, and more samples than there are volumes."""
    own = {"fig7": {"block": {"model": "progan", "dataset": "faces"}}, "fig6": {"images": 65}}
    overlay = [ROOT / "config/scales/smoke.yaml"]
    config = load_config(ROOT / "config/config.yaml", overlay, {"papers": {"polarity": own}})
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    missing = {target.name: target.missing for target in plan.of_paper["polarity"]}
    assert "name a StyleGAN" in missing["polarity/fig7"]
    assert "65 samples at once, but there are 64 volumes" in missing["polarity/fig6"]
    assert missing["polarity/fig4"] is None


def test_all_k_share_a_column_and_all_models_with_volumes_are_there(plan):
    made = {target.name: target for target in plan.of_paper["polarity"] if target.kind == "table"}
    columns = {j.path: j for j in plan.jobs(made["polarity/table3"]) if j.kind == "column"}
    tops = {row["point"].get("top") for row in made["polarity/table3"].settings["rows"]} - {None}
    assert tops == set(plan.papers["polarity"]["fig2"]["top"])
    rows = [job.rows for job in columns.values()]
    assert len(rows) == len(set(rows)), "one sweep for every k"
    blocks = {row["block"] for row in made["polarity/table2"].settings["rows"]}
    assert {"stylegan2-faces", "progan-faces"} <= blocks
    assert not any(block.startswith(("iddpm", "adm", "vqgpt")) for block in blocks)
    asked = [row["point"] for row in made["polarity/fig3"].settings["rows"]]
    sizes = {p["volumes"] for p in asked if p["method"] in ("polarity", "truncated_polarity")}
    assert sizes == {plan.config["methods"]["polarity"]["volumes"]}, "they share no volumes"


# ------------------------------------------------------------------------ tables

NAMES = {"block": "b", "model": "StyleGAN2", "dataset": "churches", "stands_for": "LSUN-Church"}


def book_of(folder: Path, points: list[dict], repeats: list[list[dict]]) -> tuple[list, Path]:
    """Rows and a scores file of some points."""
    rows, found = [], []
    for point, own in zip(points, repeats, strict=True):
        facts = {"acceptance": None, "ess": 10.0, "note": "", "unique": 5, "generator_calls": 9}
        names = {"pool": "p", "point": point, "label": str(point)}
        found.append(names | {"n": 100, "n_real": 500, "facts": facts, "repeats": own})
        rows.append(NAMES | {"seed": 0, "pool": "p", "point": point})
    save_json(folder / "scores.json", {"settings": {"k": 3}, "rows": found})
    return rows, folder / "scores.json"


def repeats_of(*fids: float) -> list[dict[str, float]]:
    return [{"fid": fid, "precision": 0.5 + fid / 100, "recall": 0.4} for fid in fids]


@pytest.fixture
def by_k(tmp_path):
    """k = 10 is off at rho = .1; k = 20 is as good as k = 30."""
    points = [{"method": "plain"}]
    points += [{"method": "polarity", "polarity": 0.1, "top": k} for k in (10, 20, 30)]
    fids = [(5, 5, 5), (9, 9.1, 9), (5.1, 5.9, 4.9), (5, 6, 5)]
    rows, path = book_of(tmp_path, points, [repeats_of(*own) for own in fids])
    return along({"scores": [path]}, {"rows": rows, "dial": "top", "target": "table3"})


def test_what_settles_is_seen_in_pairs_of_repeats(by_k):
    plain, first, second, last = by_k.frame.to_dict("records")
    assert pd.isna(plain["top"]) and plain["settled"] == ""
    # Changes of 4, 3.1 and 4; and of .1, -.1 and -.1.
    assert first["fid_change"] == pytest.approx(3.7) and first["fid_change_low"] > 0
    assert second["fid_change"] == pytest.approx(-1 / 30, abs=1e-9)
    assert second["fid_change_low"] < 0 < second["fid_change_high"]
    assert second["fid_change_high"] - second["fid_change_low"] < 1, "not of pairs"
    assert [first["settled"], second["settled"], last["settled"]] == ["no", "yes", "yes"]
    assert pd.isna(last["fid_change"])


def test_figure_2_has_a_row_for_each_score(by_k, tmp_path):
    by_k.frame.to_csv(tmp_path / "k.csv", index=False)
    by_k.frame.rename(columns={"top": "volumes"}).to_csv(tmp_path / "n.csv", index=False)
    look = {"extractors": {"manifold": "judge", "frechet": "judge"}}
    figure = fig2_figure({"tables": [tmp_path / "k.csv", tmp_path / "n.csv"]}, look)
    assert len(figure.axes) == 6
    by_k.frame.assign(fid=np.nan).to_csv(tmp_path / "k.csv", index=False)
    with pytest.raises(ValueError, match="no line with scores"):
        fig2_figure({"tables": [tmp_path / "k.csv", tmp_path / "n.csv"]}, look)


def test_table_2_reports_what_did_not_choose_beside_the_paper(tmp_path):
    """In pixel space -0.1 is best on the first half; in the judge's own nothing is."""
    points = [{"method": "plain"}]
    own = {"method": "polarity"}
    points += [
        own | {"polarity": rho, "space": "pixel", "extractor": None} for rho in (0, -0.1, 0.1)
    ]
    judged = {"space": "feature", "extractor": "judge"}
    points += [own | {"polarity": rho} | judged for rho in (0, 0.1)]
    fids = [(9, 9, 4, 4), (9, 9, 6, 6), (7, 7, 5, 5.5), (8, 8, 1, 1), (9, 9, 6, 6), (9, 10, 1, 1)]
    rows, path = book_of(tmp_path, points, [repeats_of(*own) for own in fids])
    reported = ROOT / "config/reported/polarity.csv"
    asked = {"rows": rows, "judges": ["judge"]}
    frame = table2({"scores": [path], "reported": reported}, asked).frame
    plain, best, circular = frame.to_dict("records")
    assert plain["fid"] == 4 and pd.isna(plain["polarity"])
    assert best["polarity"] == -0.1 and best["fid"] == 5.25 and best["fid_at_zero"] == 6
    assert best["gain"] == pytest.approx(0.75) and not best["improves"]
    assert plain["paper_fid"] == 3.97 and best["paper_fid"] == 3.92
    assert best["paper_polarity"] == -0.001 and best["paper_precision"] == 0.61
    assert circular["space"] == "features of judge" and circular["gain"] == 0
    assert pd.isna(circular["polarity"]) and circular["circular"] and not best["circular"]


def test_figure_3_knows_the_front_of_all(tmp_path):
    names = ("family", "psi")
    points = [{"method": "plain"}, {"method": "polarity", "polarity": -0.1}]
    points += [{"method": "truncation"} | dict(zip(names, ("style", 0.7), strict=True))]
    points += [points[2] | {"method": "truncated_polarity", "polarity": -0.1}]
    values = [(0.5, 0.5), (0.6, 0.4), (0.55, 0.3), (0.7, 0.3)]
    repeats = [[{"precision": p, "recall": r, "fid": 1.0}] * 2 for p, r in values]
    rows, path = book_of(tmp_path, points, repeats)
    table = fig3({"scores": [path]}, {"rows": rows})
    assert table.frame["front_of_all"].tolist() == [True, True, False, True]
    table.frame.to_csv(tmp_path / "fig3.csv", index=False)
    look = {"extractors": {"manifold": "judge"}}
    figure = fig3_figure({"table": tmp_path / "fig3.csv"}, look)
    assert figure.axes[0].get_xlabel() == "recall"
    table.frame.assign(recall=np.nan).to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(ValueError, match="no point with precision and recall"):
        fig3_figure({"table": tmp_path / "none.csv"}, look)
