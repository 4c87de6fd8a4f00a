"""The suite of known answers: its laws, its criteria, and the recorded verdict of every cell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pseudodensity.metrics import manifold
from pseudodensity.papers.metric_checks import laws
from pseudodensity.papers.metric_checks.check import PURPOSES
from pseudodensity.papers.metric_checks.criteria import (
    Criterion,
    best_at,
    flat,
    linear,
    near,
    share_bell,
    small,
    worsens,
)
from pseudodensity.papers.metric_checks.measure import DOES_NOT_APPLY, cells
from pseudodensity.papers.metric_checks.table import all_checks, as_recorded, metric_checks
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "config/reported/metric_checks.csv"
CHECKS = {f"{check.name}: {check.setting}": check for check in all_checks(1000)}
# One of each kind, in seconds; the whole suite takes minutes.
QUICK = ("identical: normal, d = 8", "hypercubes: d = 64", "copies: normal, d = 8")
QUICK += ("shells: d = 16, fakes at radius 0.5, reals at 1", "std shift: d = 8")


def plan(changes=None):
    given = {"papers": {"metric_checks": changes}} if changes else {}
    config = load_config(ROOT / "config/config.yaml", [], given)
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.fixture(scope="module")
def target():
    return plan().tables["metric_checks"]


@pytest.fixture(scope="module")
def recorded():
    return pd.read_csv(RECORDED, keep_default_na=False, dtype=str)


def stream(seed=0):
    return np.random.Generator(np.random.Philox(seed=[seed]))


# ------------------------------------------------------------------------- what is recorded


def test_every_score_of_every_metric_has_a_recorded_verdict_in_every_check(target, recorded):
    scores = [name for metric in target.settings["metrics"].values() for name in metric["scores"]]
    wanted = {(name, check.name, check.setting) for name in scores for check in CHECKS.values()}
    found = list(zip(recorded["score"], recorded["check"], recorded["setting"], strict=True))
    assert len(found) == len(set(found)) and set(found) == wanted
    assert set(recorded["verdict"]) == {"pass", "fail", DOES_NOT_APPLY}


def changed(name, settings, recorded):
    frame = pd.DataFrame(cells(CHECKS[name], settings))
    assert (frame["verdict"] != "").all()
    frame["as_recorded"] = as_recorded(frame, recorded)
    return frame[frame["as_recorded"] != "yes"][["score", "measured", "verdict", "as_recorded"]]


@pytest.mark.parametrize("name", QUICK)
def test_verdicts_are_those_recorded(name, target, recorded):
    found = changed(name, target.settings, recorded)
    assert found.empty, found.to_string()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHECKS if name not in QUICK])
def test_all_verdicts_are_those_recorded(name, target, recorded):
    found = changed(name, target.settings, recorded)
    assert found.empty, found.to_string()


def test_a_change_of_a_verdict_or_of_a_number_is_seen():
    known = {"score": "a", "check": "b", "setting": "c", "measured": "0.5 0.2", "verdict": "fail"}
    recorded = pd.DataFrame([known])
    for change, expected in [
        ({}, "yes"),
        ({"measured": "0.503 0.2"}, "yes"),
        ({"measured": "0.53 0.2"}, "no: fail at 0.5 0.2"),
        ({"measured": "0.5"}, "no: fail at 0.5 0.2"),
        ({"verdict": "pass"}, "no: fail at 0.5 0.2"),
        ({"score": "d"}, "not recorded"),
    ]:
        assert as_recorded(pd.DataFrame([known | change]), recorded) == [expected]
    reason = known | {"verdict": f"{DOES_NOT_APPLY}: why", "measured": ""}
    without = pd.DataFrame([known | {"verdict": DOES_NOT_APPLY, "measured": ""}])
    assert as_recorded(pd.DataFrame([reason]), without) == ["yes"]


# ------------------------------------------------------------------------------- the checks


def test_each_check_says_what_it_asks_of_every_purpose():
    assert len(CHECKS) == len(all_checks(1000))
    for name, check in CHECKS.items():
        assert set(check.criteria) == set(PURPOSES), name
        assert all(isinstance(one, Criterion) or one for one in check.criteria.values())
        assert check.truth and check.steps and all(check.steps), name


@pytest.mark.parametrize("name", CHECKS)
def test_draws_are_fixed_finite_and_of_the_number_that_is_asked(name):
    small_ones = {f"{c.name}: {c.setting}": c for c in all_checks(100)}
    check = small_ones[name.replace("1000 reals", "100 reals")]
    for step in range(len(check.steps)):
        real, fake = check.sets(step, 1)
        again = check.sets(step, 1)
        np.testing.assert_array_equal(real, again[0])
        np.testing.assert_array_equal(fake, again[1])
        assert real.dtype == fake.dtype == np.float32 and real.shape[1] == fake.shape[1]
        assert np.isfinite(real).all() and np.isfinite(fake).all()
        if "number" not in check.name:
            assert len(real) == len(fake) == 100
    assert not np.array_equal(check.sets(0, 1)[0], check.sets(0, 2)[0])


def test_laws_are_what_they_are_called():
    torus = laws.torus(stream(), 500, 1.0, 0.1)
    from_circle = np.hypot(np.hypot(torus[:, 0], torus[:, 1]) - 1, torus[:, 2])
    np.testing.assert_allclose(from_circle, 0.1)
    np.testing.assert_allclose(np.linalg.norm(laws.shell(stream(), 50, 9, 0.5), axis=1), 0.5)
    tail = laws.pareto(stream(), 100_000, 1, 1.01)
    assert tail.min() >= 1 and (tail > 10).mean() == pytest.approx(10**-1.01, abs=0.003)
    points = laws.two_modes(stream(), 20_000, 0.5, 0.2)
    dense = points[:, 0] > 10
    assert dense.mean() == pytest.approx(0.5, abs=0.02)
    assert points[dense, 1:].std() == pytest.approx(np.hypot(0.3, 0.2), rel=0.01)
    assert points[~dense, 1:].std() == pytest.approx(np.hypot(1, 0.2), rel=0.01)
    ring = laws.modes(stream(), 5000, 2, np.array([0.5, 0.5, 0, 0]))
    np.testing.assert_allclose(ring.std(0), [np.sqrt(101), np.sqrt(101)], rtol=0.03)


@pytest.mark.parametrize("d", [1, 8])
def test_the_cubes_share_a_fifth_of_their_volume(d):
    real, fake = CHECKS[f"hypercubes: d = {d}"].draw(0, stream(), stream(1))
    for points, low in ((real, 1 - 0.2 ** (1 / d)), (fake, 1 - 0.2 ** (1 / d))):
        inside = ((points >= low) & (points <= 1)).all(1)
        assert inside.mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize(
    ("criterion", "passing", "failing"),
    [
        (near(1, 0), [0.96, 0.04, 9], [0.94, 0.0]),
        (near(0, None, 1), [0.0, 0.5, 1.0], [0.0, 0.5, 0.9]),
        (linear(1, 0.5, 0), [0.8, 0.41, 0.04], [0.8, 0.5, 0.0]),
        (share_bell(5), [0, 0.6, 1, 0.5, 0], [0, 0.6, 0.9, 0.5, 0]),
        (share_bell(5), [0, 0.6, 1, 0.5, 0.05], [0.3, 0.1, 1, 0.5, 0]),
        (flat(2, of_share=True), [0.5, 0.54, 9], [0.5, 0.56, 9]),
        (flat(2, of_share=False), [5, 5.4, 9], [5, 5.6, 9]),
        (worsens(), [3, 3.1, 1], [1, 1, 1]),
        (worsens(), [-1, -2, -3], [-1, -3, -2]),
        (worsens(1, 0), [1, 0.3, 0.01], [0.9, 0.3, 0.01]),
        (best_at(1), [-2, -1, -3], [-1, -2, -3]),
        (best_at(2), [-9, -4, -1, -3, -8], [-4, -9, -1, -3, -8]),
        (small(0, 1), [-0.04, -1], [-0.06, -1]),
    ],
)
def test_a_criterion_tells_one_shape_from_another(criterion, passing, failing):
    assert criterion.text
    assert criterion.holds(np.array(passing, dtype=float))
    assert not criterion.holds(np.array(failing, dtype=float))


# -------------------------------------------------------------------- the table and its settings


def test_the_table_names_every_cell_and_sums_them_up(target, recorded, monkeypatch):
    few = [CHECKS["copies: normal, d = 8"], CHECKS["hypercubes: d = 1"]]
    monkeypatch.setattr("pseudodensity.papers.metric_checks.table.all_checks", lambda n: few)
    kept = {"rarity": target.settings["metrics"]["rarity"]}
    kept |= {"pixels": {"needs": ["images"], "scores": {"sharpness": 1}, "settings": {}}}
    settings = dict(target.settings) | {"seeds": 1, "metrics": kept}
    found = metric_checks({"recorded": RECORDED}, settings)
    assert len(found.frame) == 2 * 3 and (found.frame["verdict"] != "").all()
    pixels = found.frame[found.frame["score"].eq("sharpness")]
    assert pixels["verdict"].str.contains("looks at images").all()
    assert pixels["as_recorded"].eq("not recorded").all()
    # Outside of all balls are .8 of the fakes: the share of good ones is .2, as it must be.
    matrix = found.summary.frame.set_index("check")
    assert matrix["outside"].to_dict()["hypercubes"] == "1/1"
    assert "sharpness" not in matrix


def test_a_score_without_a_purpose_says_so(target):
    settings = dict(target.settings) | {"seeds": 1, "purposes": {}, "describes": {}}
    settings["metrics"] = {"vendi": target.settings["metrics"]["vendi"]}
    (cell,) = cells(CHECKS["hypercubes: d = 1"], settings)
    assert cell["verdict"].startswith(f"{DOES_NOT_APPLY}: its purpose is not said under papers.")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"purposes": {"sharpness": "fidelity"}}, "purposes.sharpness is no score of a metric"),
        ({"settings": {"manifold": {"n": 3}}}, "metrics.manifold.n is no setting of it"),
        ({"settings": {"manyfold": {"k": 3}}}, "metrics.manyfold is no metric"),
        ({"purposes": {"fid": "beauty"}}, "papers.metric_checks, purposes.fid: 'beauty'"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(changes, complaint):
    with pytest.raises(ConfigError) as error:
        plan(changes)
    assert complaint in str(error.value) and "\n" not in str(error.value)


def test_the_code_of_every_metric_counts(target):
    assert {"metrics.vendi", "metrics.manifold", "metrics.kernel"} <= set(target.modules)


# ----------------------------------------------- values that another implementation measured


def numbers(generator, n, dense_share, error):
    dense = generator.random(n) < dense_share
    x = generator.standard_normal((n, 16)) * np.where(dense, 0.3, 1.0)[:, None]
    x[dense, 0] += 20
    return (x + error * generator.standard_normal(x.shape)).astype(np.float32)


@pytest.mark.parametrize(
    ("error", "precision", "density", "symmetric"),
    [
        (0.0, (0.782, 0.776, 0.775), (0.995, 0.986, 0.974), (0.863, 0.861, 0.859)),
        (0.1, (0.774, 0.744, 0.718), (0.955, 0.876, 0.795), (0.855, 0.835, 0.813)),
        (0.2, (0.738, 0.633, 0.523), (0.868, 0.664, 0.461), (0.824, 0.730, 0.640)),
        (0.3, (0.681, 0.492, 0.294), (0.765, 0.495, 0.222), (0.771, 0.579, 0.376)),
    ],
)
def test_fidelity_of_a_chosen_generator(error, precision, density, symmetric):
    """Precision at k = 3, density and symmetric precision at k = 5, for 10, 50 and 90 % dense."""
    for place, dense_share in enumerate((0.1, 0.5, 0.9)):
        draws = []
        for seed in range(3):
            generator = np.random.default_rng(seed)
            real = {"features": numbers(generator, 1000, 0.5, 0.0)}
            fake = {"features": numbers(generator, 1000, dense_share, error)}
            three, five = (manifold.score(manifold.prepare(real, k=k), fake) for k in (3, 5))
            draws.append([three["precision"], five["density"], five["symmetric_precision"]])
        expected = [values[place] for values in (precision, density, symmetric)]
        np.testing.assert_allclose(np.mean(draws, 0), expected, atol=0.04)


@pytest.mark.parametrize(
    ("d", "precision", "coverage"), [(1, 0.186, 0.198), (8, 0.666, 0.691), (64, 0.764, 0.955)]
)
def test_precision_and_coverage_of_cubes_that_share_a_fifth(d, precision, coverage):
    """Precision at k = 3, coverage at k = 5."""
    draws = []
    for seed in range(3):
        real, fake = np.random.default_rng(seed).random((2, 1000, d))
        real, fake = (x.astype(np.float32) for x in (real, fake + 1 - 0.2 ** (1 / d)))
        three, five = (
            manifold.score(manifold.prepare({"features": real}, k=k), {"features": fake})
            for k in (3, 5)
        )
        draws.append([three["precision"], five["coverage"]])
    np.testing.assert_allclose(np.mean(draws, 0), [precision, coverage], atol=0.04)
