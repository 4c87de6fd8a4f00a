"""The table of a data set's images: every column, and the order, speak of one density."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pseudodensity
from pseudodensity.density.duplicates import Groups
from pseudodensity.density.percentile import threshold
from pseudodensity.report.density_table import GLOSSARY, density_table
from pseudodensity.report.table import write_csv
from pseudodensity.rng import numpy_generator

NAMES = ["a", "b", "c", "d", "e"]
KNN = np.array([5.0, 1.0, 3.0, 3.0, 4.0])
INDICES = np.array([[1, 2, 3, 4]] + [[0, 2, 3, 4]] * 4)
DISTANCES = np.linspace(0.5, 2, 20).reshape(5, 4)
# The fourth image is a copy of the third.
GROUPS = Groups(
    kept=np.array([0, 1, 2, 2, 4]),
    distances=np.array([0, 0, 0, 0.125, 0]),
    numbers=np.array([0, 0, 1, 1, 0]),
    threshold=0.25,
    typical=1.0,
)
SETTINGS = {"extractor": "pixels", "k": 3, "n": 1}


def alone(count: int) -> Groups:
    """Images without near-duplicates."""
    nothing = np.zeros(count, int)
    return Groups(np.arange(count), nothing * 0.5, nothing, threshold=0.25, typical=1.0)


def test_images_stand_in_the_order_of_their_density():
    # The network would order them the other way round.
    table = density_table(NAMES, KNN, 9 - KNN, INDICES, DISTANCES, GROUPS, SETTINGS)
    assert table["file"].tolist() == ["b", "c", "d", "e", "a"]
    assert table["image"].tolist() == [1, 2, 3, 4, 0]
    assert table["pseudo_density"].tolist() == [1, 3, 3, 4, 5]
    assert table["network_density"].tolist() == [8, 6, 6, 5, 4]
    # Among the four that are kept.
    assert table["percentile"].tolist() == [24.99, 49.99, 49.99, 74.99, 100]
    last = table.iloc[-1]
    assert [last[f"neighbour_{i}"] for i in (1, 2, 3)] == ["b", "c", "d"]
    assert "neighbour_4" not in table
    assert table["distance_1"].tolist() == DISTANCES[[1, 2, 3, 4, 0], 0].tolist()
    assert table["kept"].tolist() == ["b", "c", "c", "e", "a"]
    assert table["group"].fillna(0).tolist() == [0, 1, 1, 0, 0]
    assert table["copy_distance"].fillna(-1).tolist() == [-1, -1, 0.125, -1, -1]
    assert (table[["extractor", "k", "n", "threshold"]] == ["pixels", 3, 1, 0.25]).all(axis=None)


def test_every_column_is_explained():
    table = density_table(NAMES, KNN, KNN, INDICES, DISTANCES, GROUPS, SETTINGS)
    explained = {"neighbour_1..3": ["neighbour_1", "neighbour_2", "neighbour_3"]}
    assert [c for word in GLOSSARY for c in explained.get(word, [word])] == list(table)
    without = density_table(NAMES, KNN, None, INDICES, DISTANCES, GROUPS, SETTINGS)
    assert [c for c in table if c not in without] == ["network_density"]


@pytest.mark.parametrize("percent", [0, 12.34, 20, 50, 80, 99.99, 100])
def test_percentiles_and_thresholds_fall_between_the_same_images(percent):
    draw = numpy_generator(0, "table")
    knn = draw.integers(40, size=333) / 7
    table = density_table(
        [str(i) for i in range(333)],
        knn,
        draw.normal(size=333),
        np.zeros((333, 1), int),
        np.zeros((333, 1)),
        alone(333),
        SETTINGS,
    )
    high = table["percentile"] >= percent
    assert set(table["image"][high]) == set(np.flatnonzero(knn >= threshold(knn, percent)))
    # The columns agree line by line: what is denser has a percentile as high or higher.
    assert table["pseudo_density"].is_monotonic_increasing
    assert table["percentile"].is_monotonic_increasing
    np.testing.assert_array_equal(knn[table["image"]], table["pseudo_density"])


def test_few_neighbours_and_the_file(tmp_path):
    groups = Groups(np.array([0, 0]), np.array([0, 0.125]), np.array([1, 1]), 0.25, 1.0)
    table = density_table(["a", "b"], [2, 2], [1, 2], [[1], [1]], [[0.5], [0.5]], groups, SETTINGS)
    write_csv(table, tmp_path / "density" / "set.csv")
    head = "file,image,pseudo_density,percentile,network_density,neighbour_1,distance_1,group,kept,"
    head += "copy_distance,extractor,k,n,threshold"
    assert (tmp_path / "density" / "set.csv").read_text().splitlines() == [
        head,
        "a,0,2,100,1,b,0.5,1,a,,pixels,3,1,0.25",
        "b,1,2,100,2,b,0.5,1,a,0.125,pixels,3,1,0.25",
    ]


def test_columns_of_different_data_sets_are_refused():
    with pytest.raises(ValueError, match="one data set"):
        density_table(["a", "b"], [1], [1, 2], [[1], [0]], [[0.5], [0.5]], alone(2), SETTINGS)


def test_the_table_needs_no_torch():
    code = "import sys, pseudodensity.report.density_table; print('torch' in sys.modules)"
    root = Path(pseudodensity.__file__).parents[1]
    command, environment = [sys.executable, "-c", code], {"PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
