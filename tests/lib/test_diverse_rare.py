"""The search for rare images in the pipeline: what is planned, what is measured of each sample, what a table says."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pseudodensity.artifacts import save_json, save_npy
from pseudodensity.papers.diverse_rare.feasible import feasible, feasible_figure
from pseudodensity.papers.diverse_rare.measured.around import around
from pseudodensity.papers.diverse_rare.rare import PLAIN, Rare
from pseudodensity.papers.diverse_rare.searched_table import gains_of, searched_table
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.report.drawing import save
from pseudodensity.report.table import write_table
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
FACES = {"model": "stylegan2", "dataset": "faces"}


def planned(**given) -> Plan:
    config = load_config(ROOT / "config/config.yaml", [], given)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def asked(plan: Plan) -> Rare:
    return Rare(plan, plan.papers["diverse_rare"])


@pytest.fixture(scope="module")
def default() -> Plan:
    return planned()


# ------------------------------------------------------------------------------------ the plan


def test_a_pool_of_a_search_is_cut_where_references_end(default):
    rare = asked(default)
    checkpoint, point = rare.checkpoint(FACES), rare.search(FACES, 5, samples=7)
    parts = default.pools.proposals(checkpoint, 5100, point)
    assert [part.rows for part in parts] == [
        "0000000-0002506",
        "0002506-0005012",
        "0005012-0005100",
    ]
    # How a pool is cut changes no digest.
    assert len({part.digest for part in parts}) == 1


def test_a_column_of_a_searched_pool_has_its_own_extractor(default):
    """The one that it is asked for, and not the one in whose features the images were searched."""
    rare = asked(default)
    parts = default.pools.proposals(rare.checkpoint(FACES), 20, rare.search(FACES, 5))
    (column,) = default.pools.column("features", {"extractor": "density_vit"}, parts, 20)
    assert column.needs["extractor"] is default.data.extractor("density_vit")
    assert column.needs["search_extractor"] is default.data.extractor("backbone_cnn")


def test_a_gaussian_does_not_hang_on_how_a_flow_is_fitted(default):
    other = planned(feature_density={"epochs": 7})
    of = lambda plan, kind: plan.data.feature_density("faces", "backbone_cnn", kind).digest
    assert of(default, "gaussian") == of(other, "gaussian")
    assert of(default, "flow") != of(other, "flow")


def test_the_pick_keeps_the_limits_of_the_search():
    rare = asked(planned(methods={"rare_search": {"neighbours": 7, "manifold_k": 5}}))
    search, pick = rare.search(FACES, 3), rare.pick(FACES, 50)
    shared = set(pick) & set(search) - {"method"}
    assert {"neighbours", "fakes", "manifold_k", "extractor", "samples"} <= shared
    assert all(pick[key] == search[key] for key in shared) and pick["neighbours"] == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"methods": {"rare_search": {"extractor": "judge_cnn"}}},
            "is graded by what it optimised",
        ),
        ({"papers": {"diverse_rare": {"second": "inception"}}}, "not described under extractors"),
        (
            {
                "papers": {
                    "diverse_rare": {
                        "few": {"metrics": ["manifold", "rarity", "pair_distance", "lpips"]}
                    }
                }
            },
            "few.metrics names 'lpips'",
        ),
    ],
)
def test_a_mistake_is_one_line_while_planning(given, message):
    with pytest.raises(ConfigError, match=message) as raised:
        planned(**given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": {"rare_search": {"extractor": None}}}, "name one that is described"),
        ({"methods": {"rare_search": {"fakes": 30}}}, "neighbour 40 of 30 fakes"),
        ({"methods": {"rare_search": {"samples": 7}}}, "give a multiple of it"),
        ({"papers": {"diverse_rare": {"block": {"model": "adm"}}}}, "take many passes"),
    ],
)
def test_what_a_config_cannot_make_is_said_when_it_is_asked_for(given, message):
    plan = planned(**given)
    with pytest.raises(ConfigError, match=message) as raised:
        plan.target("table", "diverse_rare/table1")
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------ sample by sample

SAMPLES, COUNT = 3, 12
NAMES = ("judge", "second")


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict:
    """Features of made-up pools of 2 dimensions, and what the experiment finds in them."""
    folder, draw = tmp_path_factory.mktemp("around"), numpy_generator(0, "around")
    inputs, features = {}, {}
    for name in NAMES:
        features[f"{name}_real"] = draw.normal(size=(60, 2)).astype(np.float32)
        inputs[f"{name}_real"] = folder / f"{name}.npy"
        save_npy(inputs[f"{name}_real"], features[f"{name}_real"])
    for which, count in (("made", COUNT), ("references", 20)):
        own = {f"features.{name}": draw.normal(size=(count, 2)) * 2 for name in NAMES}
        features |= {f"{name}_{which}": own[f"features.{name}"] for name in NAMES}
        tensors = {key: each.astype(np.float32) for key, each in own.items()}
        if which == "made":
            for name in ("found", "step", "distance", "limit", "log_density"):
                tensors[f"search.{name}"] = draw.random(count).astype(np.float32)
            tensors["search.reference_log_density"] = np.zeros(count, np.float32)
            tensors["search.reference_inside"] = np.repeat([1, 0, 1, 1], SAMPLES).astype(np.float32)
            tensors["search.feasible"] = np.repeat(draw.random((4, 6)), SAMPLES, 0)
        tensors["density"] = np.ones(count, np.float32)
        path = folder / which / "described.safetensors"
        path.parent.mkdir()
        save_tensors(path, tensors, {"kind": "pool"}, {"calls": 1, "facts": {}})
        inputs[which] = [path]
    settings = {"judge": "judge", "second": "second", "samples": SAMPLES, "count": COUNT, "k": 2}
    arrays, facts = around(inputs, settings | {"seed": 0})
    return {"arrays": arrays, "facts": facts, "features": features}


def rarity(point: np.ndarray, real: np.ndarray, k: int = 2) -> float:
    """By its definition."""
    radii = np.sort(np.linalg.norm(real[:, None] - real[None], axis=2), axis=1)[:, k]
    held = radii[np.linalg.norm(real - point, axis=1) <= radii]
    return held.min() if len(held) else math.nan


@pytest.mark.parametrize("name", NAMES)
def test_samples_and_references_by_brute_force(measured, name):
    arrays, own = measured["arrays"], measured["features"]
    real, made = own[f"{name}_real"], own[f"{name}_made"].astype(np.float32)
    references = own[f"{name}_references"].astype(np.float32)[: COUNT // SAMPLES]
    expected = [rarity(point, real) for point in made]
    assert 0 < np.isfinite(expected).sum() < COUNT
    np.testing.assert_allclose(arrays[f"{name}_rarity"], expected, rtol=1e-5)
    expected = [rarity(point, real) for point in references]
    np.testing.assert_allclose(arrays[f"{name}_reference_rarity"], expected, rtol=1e-5)
    away = [np.linalg.norm(made[i] - references[i // SAMPLES]) for i in range(COUNT)]
    np.testing.assert_allclose(arrays[f"{name}_away"], away, rtol=1e-5)
    a, b, c = made[3:6]
    spread = np.mean([np.linalg.norm(x - y) for x, y in ((a, b), (b, c), (a, c))])
    assert arrays[f"{name}_spread"][1] == pytest.approx(spread, rel=1e-5)


def test_of_each_reference_one_line_is_kept(measured):
    assert measured["arrays"]["feasible"].shape == (4, 6) and measured["facts"] == {"steps": 5}
    assert measured["arrays"]["reference_inside"].tolist() == [1, 0, 1, 1]


def test_gains_are_of_references_that_have_a_rarity_and_a_sample_with_one():
    nan = math.nan
    rarities = np.array([2, 4, nan, nan, 5, 7.0])
    assert gains_of(rarities, np.array([1, 1, 1.0])).tolist() == [2, 5]
    assert gains_of(rarities, np.array([1, 1, nan])).tolist() == [2]
    assert gains_of(np.array([2, nan, nan, nan, 5, 6.0]), np.array([1, 1, 2.0])).tolist() == [
        1,
        3.5,
    ]


# ------------------------------------------------------------------------------------ the table


def test_the_table_says_what_scores_and_experiments_say(tmp_path, default):
    rare, draw = asked(default), numpy_generator(0, "table")
    points = [PLAIN, rare.search(FACES, 2), rare.pick(FACES, 40)]
    titles = {"block": "b", "model": "M", "dataset": "D", "stands_for": None, "seed": 0}
    rows, lines = [], []
    for number, point in enumerate(points):
        around_ = None if point is PLAIN else number - 1
        rows.append(titles | {"pool": "p", "point": dict(point), "around": around_})
        repeats = [
            {
                "rarity": 5.0 + number + i,
                "outside": 0.1,
                "precision": 0.9,
                "recall": 0.5,
                "pair_distance": 2.0 + number,
                "pair_deviation": 1.0,
                "density": 1.0,
            }
            for i in range(2)
        ]
        line = {"pool": "p", "point": dict(point), "label": f"point {number}", "repeats": repeats}
        lines.append(line | {"facts": {"generator_calls": 80 * (number + 1)}, "n": 4, "n_real": 9})
    save_json(tmp_path / "s.json", {"rows": lines, "settings": {"k": 3}})
    paths = []
    for number in range(2):
        arrays = {"reference_inside": np.array([1.0, 0.0])}
        arrays |= {"feasible": np.array([[1, 0.5, 0], [1, 1, 0.5]]), "judge_spread": draw.random(2)}
        arrays |= {"found": np.ones(8), "step": np.arange(8.0), "distance": np.ones(8)}
        arrays |= {"limit": np.full(8, 2.0), "judge_away": draw.random(8)}
        for role in NAMES:
            arrays |= {
                f"{role}_rarity": np.full(8, 3.0),
                f"{role}_reference_rarity": np.full(2, 2.5),
            }
        paths.append(tmp_path / f"{number}.safetensors")
        save_tensors(paths[-1], arrays, {"kind": "experiment"}, {})
    settings = {"rows": rows, "number": 1, "second": "vit", "extractor": "cnn", "pairs": 5}
    table = searched_table({"scores": [tmp_path / "s.json"], "around": paths}, settings)
    frame = table.frame
    assert frame["rarity"].tolist() == [5.5, 6.5, 7.5] and frame["calls"].tolist() == [10, 20, 30]
    assert frame["gain"].tolist()[1:] == [0.5, 0.5] and math.isnan(frame["gain"][0])
    assert frame["feasible_start"][1] == 1 and frame["feasible_end"][1] == 0.25
    assert frame["nearness"][2] == 0.5 and frame["pairs"].tolist() == [10, 10, 10]
    write_table(table, *(tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")))
    assert "rarity against reference" in (tmp_path / "t.md").read_text()
    assert frame.columns.is_unique and frame["references_inside"].tolist()[1:] == [0.5, 0.5]
    # Welch: 1 / sqrt(2 / 10).
    assert frame["pairs_t"][1] == pytest.approx(np.sqrt(5)) and np.isnan(frame["pairs_t"][0])


def test_what_is_feasible_is_told_step_by_step(tmp_path):
    arrays = {
        "feasible": np.array([[1, 0.5], [0, 0.5], [0.5, 0.5]]),
        "step": np.array([0, 1, 0, 0.0]),
    }
    save_tensors(tmp_path / "a", arrays, {"kind": "experiment"}, {})
    names = {"block": "b", "model": "M", "dataset": "D", "stands_for": None}
    look = {"names": names, "extractor": "net"}
    table = feasible({"around": [tmp_path / "a"]}, look | {"labels": ["search"]})
    assert table.frame["feasible"].tolist() == [0.5, 0.5] and table.frame["kept"].tolist() == [
        0.75,
        0.25,
    ]
    # Of three references between 0 and 1 the interval ends where shares do.
    assert table.frame["feasible_low"].tolist() == [0, 0.5]
    write_table(table, *(tmp_path / f"t.{suffix}" for suffix in ("csv", "md", "tex")))
    save(feasible_figure({"table": tmp_path / "t.csv"}, look), tmp_path / "f.png")
