"""Scores of sets of files, by metrics that say what they saw, and how tables find them."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from spectra import column_of_volumes

from pseudodensity.artifacts import save_json
from pseudodensity.columns.described import write_described
from pseudodensity.columns.pool import save_column
from pseudodensity.control.select.acceptance import expected_acceptance
from pseudodensity.control.select.polarity import DEFAULTS
from pseudodensity.judging.scoring import Judge, measure
from pseudodensity.metrics import frechet, manifold
from pseudodensity.plan.methods import method
from pseudodensity.progress import Progress
from pseudodensity.report.scores import ScoreBook

N, SEED = 4000, 3
# Real images have the densities (i + 1/2) / N in a mixed order, and tau percent of them lie below
# tau / 100. A feature is the number of the image, then its density.
DENSITY = (np.random.default_rng(0).permutation(N) + 0.5) / N
FEATURES = np.stack([np.arange(N), DENSITY], 1).astype(np.float32)
IMAGES = np.zeros((N, 3, 8, 8), np.uint8)
IMAGES[:, 0, 0] = np.arange(8)
ORACLE = [
    {"method": "held_out"},
    {"method": "oracle", "tau": 80, "w": 33.0},
    {"method": "oracle", "tau": 20, "w": 0.03},
    {"method": "oracle", "tau": 50, "w": 2.0},
]


def write(folder, name: str, sizes=(N,), calls=1, **more) -> dict:
    """A pool whose proposals are the images above, from the first on; an item without a point."""
    paths, start = [], 0
    for i, size in enumerate(sizes):
        place = folder / name / str(i)
        place.mkdir(parents=True)
        rows = slice(start, start + size)
        columns = {"density": DENSITY[rows].astype(np.float32), "features.judge": FEATURES[rows]}
        meta = {"calls": calls, "facts": {"acceptance": 0.25} | more}
        paths.append(str(place / "described.safetensors"))
        write_described(paths[-1], columns, IMAGES[rows], {}, meta)
        start += size
    return {"pool": name, "described": paths, "columns": {}, "count": None}


def item(of: dict, point: dict, count: int | None = None) -> dict:
    label = method(point["method"]).label(point)
    return of | {"point": point, "label": label, "count": count}


def spy(needs=("features",)) -> SimpleNamespace:
    """A metric that keeps what it is shown."""
    seen: list = []

    def score(side, fake):
        seen.append((side, fake))
        return {"count": float(len(next(iter(fake.values()))))}

    return SimpleNamespace(NEEDS=needs, prepare=lambda real: real, score=score, seen=seen)


def judged(items, metric, images=100, repeats=3, **settings) -> list[dict]:
    judge = Judge(metric, settings, "judge", FEATURES, IMAGES)
    progress = Progress("x", 10**9, every=1e9)
    return measure(items, judge, DENSITY, SEED, images, repeats, progress)["rows"]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> dict:
    return write(tmp_path_factory.mktemp("model"), "model", (2500, 1500), calls=10)


@pytest.fixture(scope="module")
def reals(tmp_path_factory) -> dict:
    return write(tmp_path_factory.mktemp("reals"), "reals")


# ------------------------------------------------------------------------------- sets of a pool


@pytest.mark.parametrize(("metric", "settings"), [(manifold, {"k": 3}), (frechet, {})])
def test_plain_is_the_metric_of_the_first_rows(model, metric, settings):
    (row,) = judged([item(model, {"method": "plain"}, 300)], metric, **settings)
    side = metric.prepare({"features": FEATURES}, **settings)
    for repeat, scores in enumerate(row["repeats"]):
        rows = slice(100 * repeat, 100 * repeat + 100)
        expected = metric.score(side, {"features": FEATURES[rows]})
        assert scores.pop("mean_density") == pytest.approx(DENSITY[rows].mean(), abs=1e-6)
        assert scores == pytest.approx(expected)
    assert {key: row[key] for key in ("n", "n_real", "pool")} == {
        "n": 100,
        "n_real": N,
        "pool": "model",
    }
    assert row["point"] == {"method": "plain"} and row["label"] == "plain"


def test_a_metric_of_images_is_shown_those_of_the_rows(model):
    metric = spy(("images",))
    (row,) = judged([item(model, {"method": "plain"}, 300)], metric)
    (side, fake), *_ = metric.seen
    assert len(metric.seen) == len(row["repeats"]) == 3 and set(fake) == {"images"}
    np.testing.assert_array_equal(fake["images"], IMAGES[:100])
    assert side["images"] is not None and len(side["images"]) == N


def test_the_real_side_is_prepared_once(model):
    metric = spy()
    judged([item(model, {"method": "plain"}, 300)] * 2, metric)
    assert len({id(side) for side, _ in metric.seen}) == 1


@pytest.mark.parametrize(("tau", "w"), [(80, 33.0), (20, 0.03), (50, 2.0)])
def test_acceptance_is_near_the_closed_form(model, tau, w):
    (row,) = judged([item(model, {"method": "importance", "tau": tau, "w": w}, N)], spy())
    facts, expected = row["facts"], expected_acceptance(tau / 100, w)
    used = facts["generator_calls"] / 10
    error = math.sqrt(expected * (1 - expected) / used)
    assert facts["acceptance"] == pytest.approx(expected, abs=5 * error)
    assert facts["acceptance_closed_form"] == pytest.approx(expected, abs=5 * error)
    assert facts["unique"] == 300 and facts["note"] == ""
    assert facts["pool_calls"] == 10 * N and facts["training_acceptance"] == 0.25


def test_passes_through_all_networks_are_added_up_where_a_pool_knows_them(model, tmp_path):
    guided = write(tmp_path, "guided", passes={"generator": 50, "noisy_embedder": 98})
    rows = judged([item(of, {"method": "plain"}, 300) for of in (model, guided)], spy())
    assert [row["facts"].get("network_passes") for row in rows] == [None, 148]


def test_a_point_sees_no_more_of_a_pool_than_it_asked_for(model):
    rows = judged([item(model, {"method": "plain"}, count) for count in (300, 200, None)], spy())
    assert [len(row["repeats"]) for row in rows] == [3, 2, 3]
    assert [row["facts"]["pool_calls"] for row in rows] == [3000, 2000, 10 * N]


@pytest.mark.parametrize(("count", "there"), [(250, 2), (99, 0)])
def test_a_point_with_too_small_a_pool_says_so(model, count, there):
    (row,) = judged([item(model, {"method": "plain"}, count)], spy())
    assert len(row["repeats"]) == there
    assert row["facts"]["note"] == f"the pool holds images for {there} of 3 repeats"
    assert json.dumps(row, allow_nan=False)


def test_a_method_reads_its_columns_from_their_files(model, tmp_path):
    point = {
        "method": "polarity",
        "polarity": 0.5,
        "replacement": True,
        "volumes": 200,
    }
    point = DEFAULTS | point
    volumes = [tmp_path / "a", tmp_path / "b"]
    for path, values in zip(volumes, (np.arange(500.0), np.arange(100.0)), strict=True):
        save_column(path, column_of_volumes(values / 1000), {})
    of = model | {"columns": {"singular_values": [str(path) for path in volumes]}}
    (row,) = judged([item(of, point, 600)], spy())
    assert len(row["repeats"]) == 3 and row["facts"]["generator_calls"] == 6000
    assert (
        190 < row["facts"]["ess"] <= 200 and "200 volumes for each repeat" in row["facts"]["note"]
    )
    # No repeat has volumes of its own.
    (row,) = judged([item(of, point | {"volumes": 10_000}, 600)], spy())
    assert row["repeats"] == [] and json.dumps(row, allow_nan=False)


# ------------------------------------------------------------------------------- real images


def test_halves_share_no_image_and_all_points_have_as_many(reals):
    metric, points = spy(), [item(reals, point) for point in ORACLE]
    rows = judged(points, metric, repeats=2)
    assert [row["point"] for row in rows] == ORACLE
    for side, fake in metric.seen:
        real, chosen = side["features"][:, 0].tolist(), fake["features"][:, 0].tolist()
        assert not set(real) & set(chosen)
        assert len(set(real)) == len(real) == N / 2 and len(set(chosen)) == len(chosen)
    # The strictest point says how many: 80 %, 33 accepts .2242 of 2000.
    sizes = {len(fake["features"]) for _, fake in metric.seen}
    assert len(sizes) == 1 and abs(sizes.pop() - 448) < 100
    assert {(row["n"], row["n_real"]) for row in rows} == {(int(rows[0]["n"]), N // 2)}
    assert all(s["count"] == row["n"] for row in rows for s in row["repeats"])
    halves = [set(side["features"][:, 0].tolist()) for side, _ in metric.seen]
    # Of a repeat the real half is the same for all points, of another it is not.
    assert halves[:4] == halves[:1] * 4 and 800 < len(halves[0] & halves[4]) < 1200


def test_halves_are_reweighted_as_algorithm_2_says(reals):
    metric = spy()
    rows = judged([item(reals, point) for point in ORACLE], metric, repeats=2)
    fakes = [[fake["features"] for _, fake in metric.seen[i::4]] for i in range(4)]
    for row, seen in zip(rows, fakes, strict=True):
        tau, w = row["point"].get("tau", 0) / 100, row["point"].get("w", 1.0)
        share = expected_acceptance(tau, w)
        error = 5 * math.sqrt(share * (1 - share) / N)
        assert row["facts"]["acceptance"] == pytest.approx(share, abs=error)
        assert row["facts"]["acceptance_closed_form"] == pytest.approx(share, abs=error)
        for features, scores in zip(seen, row["repeats"], strict=True):
            high = (features[:, 1] >= tau).mean()
            assert high == pytest.approx((1 - tau) * w / (tau + (1 - tau) * w), abs=0.09)
            assert scores["mean_density"] == pytest.approx(features[:, 1].mean(), abs=1e-6)


def test_a_point_that_takes_hardly_any_real_image_costs_the_others_nothing(reals):
    """It would have all of them judged with as few images as it takes."""
    strict = {"method": "oracle", "tau": 100, "w": 1e9}
    (alone,) = judged([item(reals, ORACLE[0])], spy())
    kept, left_out = judged([item(reals, ORACLE[0]), item(reals, strict)], spy())
    assert kept == alone and left_out["repeats"] == []
    assert left_out["facts"]["note"] == "it takes fewer than 10 of 2000 real images"
    with pytest.raises(ValueError, match="no point takes 10 of 2000 real images") as error:
        judged([item(reals, strict)], spy())
    assert "\n" not in str(error.value)


def test_fresh_images_are_judged_against_the_whole_data_set(reals):
    """A count says that more may be drawn: nothing is halved."""
    metric = spy()
    (row,) = judged([item(reals, {"method": "held_out"}, 300)], metric)
    assert (row["n"], row["n_real"], len(row["repeats"])) == (100, N, 3)
    assert all(len(side["features"]) == N for side, _ in metric.seen)


def test_copies_of_training_images_are_judged_against_all_of_them(reals):
    (row,) = judged([item(reals, {"method": "training_copies"})], manifold, k=3)
    assert row["n_real"] == N
    assert all(scores["precision"] == 1 for scores in row["repeats"])


def test_halves_and_other_sets_stand_in_the_order_that_was_asked_for(reals, model):
    items = [item(reals, ORACLE[1]), item(model, {"method": "plain"}, 300), item(reals, ORACLE[0])]
    rows = judged(items, spy())
    assert [row["label"] for row in rows] == [i["label"] for i in items]


# ------------------------------------------------------------------------------- tables find them


def scores_file(folder, metric: str, settings: dict, rows: list[dict]) -> str:
    path = folder / f"{metric}-{len(list(folder.iterdir()))}.json"
    save_json(path, {"metric": metric, "settings": settings, "extractor": "judge", "rows": rows})
    return str(path)


def made_up_row(**scores) -> dict:
    facts = {"acceptance": 0.5}
    row = {"pool": "p", "point": {"method": "importance", "tau": 50, "w": 2.0}, "label": "l"}
    repeats = [{name: value + i for name, value in scores.items()} for i in range(2)]
    return row | {"n": 100, "n_real": 200, "facts": facts, "repeats": repeats}


def test_files_of_two_metrics_are_one_set(tmp_path):
    first = scores_file(tmp_path, "frechet", {}, [made_up_row(fid=3.0, mean_density=1.0)])
    rows = [made_up_row(precision=0.1, mean_density=1.0)]
    second = scores_file(tmp_path, "manifold", {"k": 3}, rows)
    for paths in ([first, second], [second, first], [first, second, second]):
        book = ScoreBook(paths)
        found = book.find("p", {"w": 2.0, "tau": 50, "method": "importance"})
        assert found.repeats == [
            {"fid": 3.0 + i, "precision": 0.1 + i, "mean_density": 1.0 + i} for i in range(2)
        ]
        assert (found.n, found.n_real, found.k, found.label) == (100, 200, 3, "l")
        assert found.facts == {"acceptance": 0.5}
    with pytest.raises(ValueError, match="no scores of .* in q"):
        book.find("q", {"method": "importance", "tau": 50, "w": 2.0})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"n": 99}, "has 99 images of l where another file has 100"),
        ({"n_real": 1}, "has 1 real images of l"),
        ({"repeats": [{"precision": 0.1, "mean_density": 1.0}]}, "has 1 repeats of l"),
        (
            {"repeats": [{"mean_density": 1.0}, {"mean_density": 1.0}]},
            "has 1.0 mean_density of l where another file has 2.0",
        ),
    ],
)
def test_files_that_judged_other_sets_under_one_name_are_refused(tmp_path, other, message):
    first = scores_file(tmp_path, "frechet", {}, [made_up_row(fid=3.0, mean_density=1.0)])
    row = made_up_row(precision=0.1, mean_density=1.0) | other
    second = scores_file(tmp_path, "manifold", {"k": 3}, [row])
    with pytest.raises(ValueError, match=message) as error:
        ScoreBook([first, second])
    assert "\n" not in str(error.value)


def test_what_was_measured_is_what_tables_find(model, tmp_path):
    points = [{"method": "plain"}, {"method": "importance", "tau": 50, "w": 2.0}]
    items = [item(model, point, 2000) for point in points]
    paths = [
        scores_file(tmp_path, metric.NAME, settings, judged(items, metric, **settings))
        for metric, settings in ((manifold, {"k": 3}), (frechet, {}))
    ]
    book = ScoreBook(paths)
    for point in points:
        found = book.find("model", point)
        expected = {*manifold.SCORES, *frechet.SCORES, "mean_density"}
        assert len(found.repeats) == 3 and all(set(scores) == expected for scores in found.repeats)
