"""Metrics that need labels: where those of real images, of fakes and of sets without any come from."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pseudodensity.columns.described import write_described
from pseudodensity.columns.pool import Column, open_pool, save_column
from pseudodensity.columns.reals import describe_reals
from pseudodensity.features.build import build_extractor
from pseudodensity.images.building import build_dataset
from pseudodensity.images.dataset import open_dataset, open_labels
from pseudodensity.images.labels import class_numbers
from pseudodensity.images.procedural import render
from pseudodensity.judging.scoring import Judge, measure
from pseudodensity.plan.config import load_config
from pseudodensity.plan.plan import Plan
from pseudodensity.progress import Progress

torch.set_num_threads(1)

pytestmark = pytest.mark.filterwarnings("ignore:the extractor has random weights")

ROOT = Path(__file__).parents[2]
HARDNESS = {"hardness": {"extractor": "judge_cnn"}}
N = 40
LABELS = np.arange(N) % 7


def spy(needs) -> SimpleNamespace:
    """A metric that keeps what it is shown."""
    seen: list = []

    def score(side, fake):
        seen.append((side, fake))
        return {"count": float(len(fake["features"]))}

    return SimpleNamespace(NEEDS=needs, prepare=lambda real: real, score=score, seen=seen)


def judged(folder, metric, method, *, column=None, labels=LABELS):
    """What a metric is shown of 12 images of a pool whose feature is the number of the image."""
    features = np.arange(N, dtype=np.float32)[:, None]
    density = np.linspace(0.1, 1, N).astype(np.float32)
    described, files = folder / "described.safetensors", {}
    columns = {"density": density, "features.judge": features}
    write_described(
        described, columns, np.zeros((1, 3, 8, 8), np.uint8), {}, {"calls": 1, "facts": {}}
    )
    if column is not None:
        files = {"label": [str(folder / "label.safetensors")]}
        save_column(files["label"][0], Column(column), {})
    item = {"pool": "p", "described": [str(described)], "columns": files, "label": "l"}
    item |= {"point": {"method": method}, "count": None}
    judge = Judge(metric, {}, "judge", features, np.zeros((N, 3, 8, 8), np.uint8), labels)
    measure([item], judge, density, 0, 12, 2, Progress("x", 1, every=1e9))
    return metric.seen


def test_labels_of_both_sides_are_those_of_the_rows(tmp_path):
    metric = spy(("features", "labels"))
    for side, fake in judged(tmp_path, metric, "plain", column=LABELS.astype(np.float64)):
        np.testing.assert_array_equal(side["labels"], LABELS)
        np.testing.assert_array_equal(fake["labels"], fake["features"][:, 0] % 7)
        assert fake["labels"].dtype == np.int64
    assert len(metric.seen) == 2


def test_labels_of_one_half_of_the_data_set_are_those_of_its_images(tmp_path):
    metric = spy(("features", "labels"))
    for side, _ in judged(tmp_path, metric, "held_out"):
        assert len(side["labels"]) == N / 2
        np.testing.assert_array_equal(side["labels"], side["features"][:, 0] % 7)
    assert metric.seen


def test_a_side_without_classes_has_no_labels(tmp_path):
    for metric, column, labels in [
        (spy(("features", "labels")), None, None),
        (spy(("features",)), LABELS.astype(np.float64), LABELS),
    ]:
        for side, fake in judged(tmp_path, metric, "plain", column=column, labels=labels):
            assert set(side) == set(fake) == {"features"}
        assert metric.seen


# --------------------------------------------------------------------------------- real images


class Even:
    """A pseudo density that knows no difference."""

    def to(self, device):
        return self

    def __call__(self, features):
        return np.ones(len(features), np.float32)


def described(data, folder, rows, *, fresh):
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [4, 8], "blocks": 1})
    describe_reals(
        data,
        rows,
        fresh,
        {"judge": extractor},
        Even(),
        extractor,
        Progress("x", len(rows), every=1e9),
        folder / "described.safetensors",
        {},
        2,
        batch_size=4,
    )
    return open_pool([folder / "described.safetensors"], {}, np.ones(3), 0)


def test_real_images_have_the_classes_that_the_data_set_says(tmp_path):
    scene = {"kind": "procedural", "scene": "church", "images": 20, "resolution": 16}
    build_dataset(scene, tmp_path / "data")
    data = open_dataset(tmp_path / "data")
    numbers, _ = class_numbers(data.labels)
    own = described(data, tmp_path, range(3, 14), fresh=False)
    np.testing.assert_array_equal(own.labels(np.arange(11)), numbers[3:14])
    # Fresh ones go on where the data set ends.
    fresh = described(data, tmp_path, range(2, 9), fresh=True)
    expected, _ = class_numbers(render("church", np.arange(22, 29), 16, 0)[1])
    np.testing.assert_array_equal(fresh.labels(np.arange(7)), expected)
    np.testing.assert_array_equal(
        open_labels(tmp_path / "data").categorical, data.labels.categorical
    )


def test_real_images_without_classes_have_no_column_of_them(tmp_path):
    scene = {"kind": "procedural", "scene": "church", "images": 20, "resolution": 16}
    build_dataset(scene, tmp_path / "data")
    data = open_dataset(tmp_path / "data")
    data.labels = None
    pool = described(data, tmp_path, range(5), fresh=False)
    assert pool.labels(np.arange(5)) is None and "label" not in pool.columns


# ---------------------------------------------------------------------------------------- the plan


@pytest.fixture(scope="module")
def plan() -> Plan:
    config = load_config(ROOT / "config/config.yaml", [], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


@pytest.mark.parametrize(("model", "has"), [("biggan", True), ("convgan", False)])
def test_classes_of_fakes_are_a_column_where_the_generator_chooses_them(plan, model, has):
    checkpoint = plan.models.pretrained(model, "digits", 0)
    points = ({"method": "plain"}, {"method": "held_out"})
    items = [plan.pools.item(checkpoint, point, 100, 2) for point in points]
    found = plan.pools.scores("x", "digits", items, 100, 2, HARDNESS)["hardness"]
    fakes, reals = found.facts["items"]
    assert list(fakes["columns"]) == (["label"] if has else []) and reals["columns"] == {}
    assert [made.slug for made in found.needs["columns"]] == (["label"] if has else [])
    other = plan.pools.scores("x", "digits", items, 100, 2, {"frechet": HARDNESS["hardness"]})
    assert other["frechet"].needs["columns"] == ()
