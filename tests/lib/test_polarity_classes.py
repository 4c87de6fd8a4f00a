"""Precision and recall within classes: against the metric on each class alone, table and figure."""

import json

import numpy as np
import pandas as pd
import pytest
from spectra import column_of_volumes

from pseudodensity.artifacts import save_json, save_npy
from pseudodensity.columns.pool import Column, save_column
from pseudodensity.images.dataset import LABELS, MANIFEST
from pseudodensity.metrics.manifold import manifold_metrics
from pseudodensity.papers.polarity.classes import MEAN, classes
from pseudodensity.papers.polarity.classes_figure import classes_figure
from pseudodensity.papers.polarity.measured.within_classes import within_classes
from pseudodensity.report.table import write_table
from pseudodensity.rng import numpy_generator
from pseudodensity.tensors import save_tensors

COUNT, REPEATS, K, CLASSES = 60, 2, 3, 3
POINTS = [
    {"method": "plain"},
    {
        "method": "polarity",
        "polarity": -1.0,
        "replacement": False,
        "volumes": 100,
        "top": 1,
        "kept": 1,
        "space": "pixel",
        "extractor": None,
        "beside": [],
        "prior": "model",
        "by_class": True,
    },
]
NAMES = {"block": "b", "model": "BigGAN", "dataset": "digits", "stands_for": None}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Features of class c lie about (4 c, 0); no fake is of class 2 but two."""
    folder = tmp_path_factory.mktemp("classes")
    draw = numpy_generator(0, "features")
    real_labels = np.repeat(np.arange(CLASSES), 20)
    labels = np.where(np.arange(200) % 100 < 98, np.arange(200) % 2, 2)
    real, fake = (
        (draw.standard_normal((len(own), 2)) + 4 * np.stack([own, 0 * own], 1)).astype(np.float32)
        for own in (real_labels, labels)
    )
    spec = {"kind": "digits", "resolution": 16}
    tensors = {"categorical": real_labels[:, None], "log_prob": np.zeros(60)}
    save_tensors(folder / LABELS, tensors | {"continuous": np.zeros((60, 0), np.float32)}, spec)
    told = {"names": ["digit"], "cardinalities": [CLASSES], "continuous_names": []}
    save_json(folder / MANIFEST, {"labels": told, "spec": spec, "names": []})
    save_npy(folder / "features.npy", real)
    known = {"density": np.zeros(200, np.float32), "features.judge": fake}
    meta = {"calls": 1, "facts": {}}
    save_tensors(folder / "described.safetensors", known, {"kind": "pool"}, meta)
    save_column(folder / "label.safetensors", Column(labels.astype(np.float64)), {"kind": "column"})
    column = column_of_volumes(draw.standard_normal(200))
    save_column(folder / "singular_values.safetensors", column, {"kind": "column"})
    inputs = {"data": folder / "images.npy", "features": folder / "features.npy"}
    for name in ("described", "label", "singular_values"):
        inputs[name] = [folder / f"{name}.safetensors"]
    settings = {"points": POINTS, "count": COUNT, "repeats": REPEATS, "k": K}
    settings |= {"extractor": "judge", "seed": 0}
    arrays, facts = within_classes(inputs, settings)
    return arrays, facts, (real, real_labels, fake, labels)


def test_each_class_is_judged_by_its_own_reals(made):
    arrays, facts, (real, real_labels, fake, labels) = made
    assert facts["classes"] == CLASSES and facts["reals"] == [20] * CLASSES
    for repeat in range(REPEATS):
        rows = np.arange(repeat * COUNT, (repeat + 1) * COUNT)
        for label in range(2):
            own = rows[labels[rows] == label]
            expected = manifold_metrics(real[real_labels == label], fake[own], K)
            assert arrays["images"][0, repeat, label] == len(own)
            assert arrays["precision"][0, repeat, label] == expected["precision"]
            assert arrays["recall"][0, repeat, label] == expected["recall"]
    assert np.isnan(arrays["precision"][:, :, 2]).all(), "too few images of class 2"
    # Polarity keeps the shares of the classes.
    assert abs(arrays["images"][1, :, 0] - COUNT / 2).max() < 15


def test_table_and_figure(made, tmp_path):
    arrays, facts, _ = made
    path = tmp_path / "measured.safetensors"
    save_tensors(path, arrays, {"kind": "experiment"}, facts)
    settings = {"points": POINTS, "labels": ["plain", "polarity -1"], "names": NAMES, "seed": 0}
    settings |= {"count": COUNT, "k": K, "extractor": "judge", "shown": [0, 2]}
    table = classes({"measured": path}, settings)
    frame = table.frame
    assert list(frame["class"]) == [MEAN, "0", "2"] * 2
    two = np.nanmean(arrays["precision"][0], axis=1)
    assert frame["precision"][0] == pytest.approx(two.mean())
    assert pd.isna(frame["precision"][2]) and frame["images"][2] <= K
    csv = tmp_path / "classes.csv"
    write_table(table, csv, tmp_path / "classes.md", tmp_path / "classes.tex")
    figure = classes_figure({"table": csv}, json.loads(json.dumps(settings)))
    assert sum(axes.get_visible() for axes in figure.axes) == 3
