"""The table of a data set's images: every column, and the order, speak of one density."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pseudodensity
from pseudodensity.density.percentile import threshold
from pseudodensity.report.density_table import density_table
from pseudodensity.report.table import write_csv
from pseudodensity.rng import numpy_generator

NAMES = ["a", "b", "c", "d", "e"]
KNN = np.array([5.0, 1.0, 3.0, 3.0, 4.0])
INDICES = np.array([[1, 2, 3, 4]] + [[0, 2, 3, 4]] * 4)
DISTANCES = np.linspace(0.5, 2, 20).reshape(5, 4)
COPIES = [None, None, None, 2, None]


def test_images_stand_in_the_order_of_their_density():
    # The network would order them the other way round.
    table = density_table(NAMES, KNN, 9 - KNN, INDICES, DISTANCES, COPIES)
    assert table["file"].tolist() == ["b", "c", "d", "e", "a"]
    assert table["image"].tolist() == [1, 2, 3, 4, 0]
    assert table["pseudo_density"].tolist() == [1, 3, 3, 4, 5]
    assert table["network_density"].tolist() == [8, 6, 6, 5, 4]
    assert table["percentile"].tolist() == [19.99, 59.99, 59.99, 79.99, 100]
    last = table.iloc[-1]
    assert [last[f"neighbour_{i}"] for i in (1, 2, 3)] == ["b", "c", "d"]
    assert "neighbour_4" not in table
    assert table["distance_1"].tolist() == DISTANCES[[1, 2, 3, 4, 0], 0].tolist()
    assert table["duplicate_of"].iloc[2] == "c" and table["duplicate_of"].isna().sum() == 4


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
        [None] * 333,
    )
    high = table["percentile"] >= percent
    assert set(table["image"][high]) == set(np.flatnonzero(knn >= threshold(knn, percent)))
    # The columns agree line by line: what is denser has a percentile as high or higher.
    assert table["pseudo_density"].is_monotonic_increasing
    assert table["percentile"].is_monotonic_increasing
    np.testing.assert_array_equal(knn[table["image"]], table["pseudo_density"])


def test_few_neighbours_and_the_file(tmp_path):
    table = density_table(["a", "b"], [2, 1], [1, 2], [[1], [0]], [[0.25], [0.25]], [None, 0])
    write_csv(table, tmp_path / "density" / "set.csv")
    assert (tmp_path / "density" / "set.csv").read_text().splitlines() == [
        "file,image,pseudo_density,percentile,network_density,neighbour_1,distance_1,duplicate_of",
        "b,1,1,49.99,2,a,0.25,a",
        "a,0,2,100,1,b,0.25,",
    ]


def test_columns_of_different_data_sets_are_refused():
    with pytest.raises(ValueError, match="one data set"):
        density_table(["a", "b"], [1], [1, 2], [[1], [0]], [[0.25], [0.25]], [None, None])


def test_the_table_needs_no_torch():
    code = "import sys, pseudodensity.report.density_table; print('torch' in sys.modules)"
    root = Path(pseudodensity.__file__).parents[1]
    command, environment = [sys.executable, "-c", code], {"PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
