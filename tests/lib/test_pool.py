"""Pools in memory and on disk: cut, joined, and read back as they were written."""

import numpy as np
import pytest

from pseudodensity.artifacts import ArtifactError
from pseudodensity.columns.described import write_described
from pseudodensity.columns.pool import (
    Column,
    Pool,
    join_columns,
    load_column,
    open_pool,
    save_column,
)

LABELS = np.linspace(0, 1, 30)


def numbered(count: int, start: int = 0) -> np.ndarray:
    """Image i says i."""
    images = np.zeros((count, 3, 8, 8), np.uint8)
    images[:, 0] = np.arange(start, start + count)[:, None, None]
    return images


def pool(count: int = 10) -> Pool:
    columns = {
        "density": Column(np.arange(count, dtype=np.float32), LABELS),
        "features.judge": Column(np.arange(2 * count).reshape(count, 2)),
        # Dear, and asked for of the first rows only.
        "volume": Column(np.arange(6.0), facts={"how": "exact"}),
    }
    return Pool(columns, 7, calls=3, facts={"acceptance": 0.5})


def test_the_first_proposals_are_all_that_a_part_may_see():
    whole = pool()
    part = whole.first(4)
    assert len(whole) == 10 and len(part) == 4 and part.seed == 7 and part.calls == 3
    assert part.values("density").tolist() == [0, 1, 2, 3]
    assert part.values("volume").tolist() == [0, 1, 2, 3]
    # The real side is no proposal, and is whole.
    assert part.column("density").real is LABELS and part.column("volume").facts["how"] == "exact"
    assert whole.first(10) is whole and whole.first(11) is whole
    assert len(whole.first(8).values("volume")) == 6


def test_features_of_rows():
    rows = np.array([3, 0, 3])
    np.testing.assert_array_equal(pool().features("judge", rows), [[6, 7], [0, 1], [6, 7]])


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match="no column 'logits', it has density, features.judge"):
        pool().column("logits")
    with pytest.raises(ValueError, match=r"features\.other"):
        pool().features("other", np.array([0]))


def test_stretches_of_a_column_join_in_order():
    parts = [
        Column(np.arange(3), LABELS, {"how": "a"}),
        Column(np.arange(3, 5), None, {}),
    ]
    joined = join_columns(parts)
    assert joined.values.tolist() == [0, 1, 2, 3, 4]
    assert joined.real is LABELS and joined.facts == {"how": "a"} and len(joined) == 5


@pytest.mark.parametrize("real", [None, np.arange(4.0)])
def test_a_column_is_read_as_it_was_written(real, tmp_path):
    column = Column(np.random.default_rng(0).random((5, 2), np.float32), real, {"how": "x"}, 1.5)
    save_column(tmp_path / "c", column, {"column": "c"})
    read = load_column(tmp_path / "c")
    np.testing.assert_array_equal(read.values, column.values)
    assert read.values.dtype == np.float32 and read.facts == {"how": "x"} and read.seconds == 0
    assert read.real is None if real is None else read.real.tolist() == real.tolist()
    with pytest.raises(ArtifactError, match="does not exist"):
        load_column(tmp_path / "other")


def write_parts(folder, sizes=(6, 4), kept=(6, 4)) -> list:
    """A pool in parts, of which the first images are stored."""
    paths, start = [], 0
    for i, (size, stored) in enumerate(zip(sizes, kept, strict=True)):
        (folder / str(i)).mkdir()
        paths.append(folder / str(i) / "described.safetensors")
        rows = np.arange(start, start + size, dtype=np.float32)
        columns = {"density": rows, "features.judge": np.stack([rows, -rows], 1)}
        meta = {"calls": 11, "facts": {"note": "n"}}
        write_described(paths[-1], columns, numbered(stored, start), {"part": i}, meta)
        start += size
    return paths


def test_a_pool_of_files_is_that_of_its_parts(tmp_path):
    paths = write_parts(tmp_path)
    for i, values in enumerate((np.arange(6.0), np.arange(6.0, 8.0))):
        save_column(tmp_path / f"volume{i}", Column(values), {})
    volumes = [tmp_path / "volume0", tmp_path / "volume1"]
    opened = open_pool(paths, {"volume": volumes}, LABELS, 5)
    assert len(opened) == 10 and opened.seed == 5 and opened.calls == 11
    assert opened.facts == {"note": "n"}
    np.testing.assert_array_equal(opened.values("density"), np.arange(10, dtype=np.float32))
    np.testing.assert_array_equal(opened.values("volume"), np.arange(8.0))
    assert opened.column("density").real is LABELS
    np.testing.assert_array_equal(opened.features("judge", np.array([9, 0])), [[9, -9], [0, 0]])


@pytest.mark.parametrize("sizes", [(10,), (6, 4), (1, 2, 7)])
def test_how_a_pool_is_cut_into_files_changes_nothing(sizes, tmp_path):
    opened = open_pool(write_parts(tmp_path, sizes, sizes), {}, LABELS, 5)
    rows = np.array([9, 0, 5, 6, 6])
    np.testing.assert_array_equal(opened.values("density"), np.arange(10, dtype=np.float32))
    np.testing.assert_array_equal(opened.images(rows)[:, 0, 0, 0], rows)


def test_an_image_that_is_not_stored_is_no_other_image(tmp_path):
    """Of each part the first two are stored: row 6 is the first of the second part."""
    opened = open_pool(write_parts(tmp_path, kept=(2, 2)), {}, LABELS, 5)
    np.testing.assert_array_equal(opened.images(np.array([1, 6, 7]))[:, 0, 0, 0], [1, 6, 7])
    for row in (2, 5, 8, 10):
        with pytest.raises(ValueError, match=f"row {row} .* raise runtime.stored_mb") as error:
            opened.images(np.array([0, row]))
        assert "\n" not in str(error.value)
