"""How many images of a set are distinct, against counts by hand and the law of draws with replacement."""

import numpy as np
import pytest

from pseudodensity.metrics import distinct
from pseudodensity.rng import numpy_generator


def share(features, real=None):
    real = np.zeros((2, features.shape[1]), np.float32) if real is None else real
    return distinct.score(distinct.prepare({"features": real}), {"features": features})["distinct"]


def test_equal_rows_count_once():
    rows = np.array([[0, 1], [0, 1], [0, 2], [1, 0], [-0.0, 2]], np.float32)
    assert share(rows) == 3 / 5  # 0 and -0 are one number
    assert share(rows[:1].repeat(4, 0)) == 1 / 4
    assert share(rows[2:4]) == 1
    # One bit is a difference.
    near = np.stack([rows[1], np.nextafter(rows[1], np.float32(9))])
    assert share(near) == 1


def test_real_images_say_nothing():
    rows = numpy_generator(0, "rows").standard_normal((50, 3)).astype(np.float32)
    assert share(rows, real=rows) == share(rows, real=rows + 1) == 1


def test_draws_with_replacement_leave_the_expected_share():
    """n draws from n: 1 - (1 - 1/n)^n of them differ, with at most the deviation of as many coins."""
    draw, count = numpy_generator(0, "draws"), 4000
    rows = draw.standard_normal((count, 2)).astype(np.float32)[draw.integers(0, count, count)]
    expected = 1 - (1 - 1 / count) ** count
    assert share(rows) == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(count))
