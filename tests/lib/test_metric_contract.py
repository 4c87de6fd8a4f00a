"""What every metric of the pipeline keeps to. A file of metrics/ that declares NAME is found here."""

import ast
import inspect
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import pseudodensity.metrics
from pseudodensity.report.scores import bounds_of

FOLDER = Path(pseudodensity.metrics.__file__).parent
CONSTANTS = ("NAME", "TITLE", "SOURCE", "NEEDS", "SCORES")
OPTIONAL = ("RANGES",)
COUNT = 60


def declarations(file: Path) -> dict:
    """The constants of a module, read without importing it, as the plan does."""
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id in CONSTANTS + OPTIONAL:
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


METRICS = {f.stem: d for f in sorted(FOLDER.glob("*.py")) if "NAME" in (d := declarations(f))}
every_metric = pytest.mark.parametrize("module", METRICS)


def numbers(shape, seed):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


# What a metric may need -> (a set of samples, one far from all of those).
MAKERS = {
    "features": (lambda n, seed: numbers((n, 6), seed), lambda n, seed: numbers((n, 6), seed) + 50),
    "images": (
        lambda n, seed: (60 * numbers((n, 3, 16, 16), seed)).astype(np.uint8),
        lambda n, seed: (195 + 60 * numbers((n, 3, 16, 16), seed)).astype(np.uint8),
    ),
    "labels": (lambda n, seed: (3 * numbers(n, seed)).astype(np.int64),) * 2,
}


def samples(module: str, seed: int, count: int = COUNT, far: bool = False) -> dict:
    needs = METRICS[module]["NEEDS"]
    if unknown := set(needs) - set(MAKERS):
        pytest.skip(f"{module} needs {', '.join(unknown)}: it must have tests of its own")
    return {need: MAKERS[need][far](count, seed) for need in needs}


def scores(module: str, real: dict, fake: dict) -> dict:
    metric = import_module(f"pseudodensity.metrics.{module}")
    return metric.score(metric.prepare(real), fake)


def test_metrics_are_found():
    assert {"manifold", "frechet"} <= set(METRICS)
    assert len({d["NAME"] for d in METRICS.values()}) == len(METRICS)
    # The tables join the scores of all metrics in one row.
    names = [name for d in METRICS.values() for name in d["SCORES"]]
    assert len(set(names)) == len(names)


@every_metric
def test_a_metric_says_what_it_is(module):
    found = METRICS[module]
    assert set(found) - set(OPTIONAL) == set(CONSTANTS)
    assert found["NAME"].isidentifier() and found["NAME"].islower()
    assert found["TITLE"] and found["SOURCE"]
    assert isinstance(found["NEEDS"], tuple)
    assert found["NEEDS"] and set(found["NEEDS"]) <= {"features", "images", "labels", "generator"}
    assert found["SCORES"] and all(name.isidentifier() for name in found["SCORES"])
    assert set(found["SCORES"].values()) <= {-1, 0, 1}


@every_metric
def test_scores_lie_where_a_metric_says(module):
    found = METRICS[module].get("RANGES", {})
    assert set(found) <= set(METRICS[module]["SCORES"])
    assert all(bounds_of(score) == _numbers(*ends) for score, ends in found.items())
    real, fake, far = samples(module, 0), samples(module, 1), samples(module, 2, far=True)
    for shown in (fake, far, real):
        for score, value in scores(module, real, shown).items():
            low, high = bounds_of(score)
            assert low <= value <= high, score


def _numbers(low, high):
    return -math.inf if low is None else low, math.inf if high is None else high


def test_a_share_is_one_and_an_unknown_score_may_be_anything():
    assert bounds_of("precision") == (0, 1) and bounds_of("fid") == (0, math.inf)
    assert bounds_of("mean_density") == (-math.inf, math.inf)


@every_metric
def test_settings_of_a_metric_have_names_and_defaults(module):
    metric = import_module(f"pseudodensity.metrics.{module}")
    real, *settings = inspect.signature(metric.prepare).parameters.values()
    assert real.name == "real"
    for setting in settings:
        assert setting.kind == inspect.Parameter.KEYWORD_ONLY
        assert setting.default is not inspect.Parameter.empty
    assert list(inspect.signature(metric.score).parameters) == ["side", "fake"]


@every_metric
def test_a_score_is_one_finite_float_of_each_name(module):
    found = scores(module, samples(module, 0), samples(module, 1))
    assert list(found) == list(METRICS[module]["SCORES"])
    assert all(type(value) is float and math.isfinite(value) for value in found.values())


@every_metric
def test_one_real_side_serves_many_fakes_and_stays_as_it_is(module):
    metric = import_module(f"pseudodensity.metrics.{module}")
    real, fakes = samples(module, 0), [samples(module, seed) for seed in (1, 2)]
    before = {need: array.copy() for need, array in real.items()}
    side = metric.prepare(real)
    found = [metric.score(side, fake) for fake in (*fakes, fakes[0])]
    assert found[0] == found[2] == scores(module, real, fakes[0])
    assert found[1] == scores(module, real, fakes[1])
    np.testing.assert_equal(real, before)


@every_metric
def test_the_order_of_samples_changes_nothing(module):
    real, fake = samples(module, 0), samples(module, 1)
    expected = scores(module, real, fake)
    for seed in range(2):
        orders = np.random.default_rng(seed).permuted([np.arange(COUNT)] * 2, axis=1)
        shuffled = [
            {need: array[order] for need, array in side.items()}
            for side, order in zip((real, fake), orders, strict=True)
        ]
        assert scores(module, *shuffled) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_metric
def test_reals_score_better_than_what_is_far_from_them(module):
    real = samples(module, 0)
    itself = scores(module, real, {need: array.copy() for need, array in real.items()})
    far = scores(module, real, samples(module, 1, far=True))
    for name, direction in METRICS[module]["SCORES"].items():
        assert direction == 0 or direction * itself[name] > direction * far[name], name


def spoiled(side: dict, how: str) -> dict:
    def spoil(array):
        if how == "a NaN":
            array = array.astype(np.float32)
            array[3, 0] = np.nan
            return array
        return {"one dimension": array.reshape(-1), "one sample": array[:1], "none": array[:0]}[how]

    # Labels are one number of each sample, and are as many as these.
    cut = {"one sample": 1, "none": 0}.get(how)
    return {
        need: array[:cut] if need == "labels" else spoil(array.copy())
        for need, array in side.items()
    }


@pytest.mark.parametrize("who", ["real", "fake"])
@pytest.mark.parametrize("how", ["a NaN", "one dimension", "one sample", "none"])
@every_metric
def test_bad_input_is_refused_in_one_line(module, how, who):
    sides = {"real": samples(module, 0), "fake": samples(module, 1)}
    sides[who] = spoiled(sides[who], how)
    with pytest.raises(ValueError) as error:
        scores(module, **sides)
    assert str(error.value) and "\n" not in str(error.value)


@every_metric
def test_sets_of_different_shapes_are_refused(module):
    real, fake = samples(module, 0), samples(module, 1)
    narrower = {need: array[:, :2] if array.ndim > 1 else array for need, array in fake.items()}
    with pytest.raises(ValueError) as error:
        scores(module, real, narrower)
    assert "\n" not in str(error.value)
