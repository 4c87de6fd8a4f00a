"""The oracle on densities that are known: shares, stretches and halves."""

import numpy as np
import pytest
import torch

from pseudodensity.control.select.importance import expected_acceptance
from pseudodensity.control.select.oracle import accepted_rows, reweighted_sets
from pseudodensity.control.select.pool import Pool
from pseudodensity.features.extractor import Extractor
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.procedural import render
from pseudodensity.progress import Progress

torch.set_num_threads(1)

SETTINGS = [
    {"tau": None, "w": 1.0},
    {"tau": 80, "w": 33.0},
    {"tau": 20, "w": 0.03},
    {"tau": 50, "w": 2.0},
]


class Corner(Extractor):
    """The first pixel, ``(n, 3)``: a name for each image."""

    def __init__(self, side: int):
        super().__init__(3, side)

    def embed(self, x):
        return x[:, :, 0, 0]


class Ramp:
    """Density = the given feature; its percentiles are those of the given labels."""

    def __init__(self, labels, feature=0):
        self.labels, self.feature = np.sort(labels), feature

    def __call__(self, features):
        return features[:, self.feature]

    def threshold(self, percent):
        return float(self.labels[min(int(percent / 100 * len(self.labels)), len(self.labels) - 1)])


def numbered_images(count: int) -> np.ndarray:
    """Image i says i: red counts the 256s, green the rest. Density is red."""
    images = np.zeros((count, 3, 8, 8), np.uint8)
    images[:, 0] = (np.arange(count) * 256 // count)[:, None, None]
    images[:, 1], images[:, 2] = (x[:, None, None] for x in np.divmod(np.arange(count), 256))
    return images


def names_of(features: np.ndarray) -> np.ndarray:
    levels = np.rint(features * 127.5 + 127.5).astype(int)
    return levels[:, 1] * 256 + levels[:, 2]


def halves(count=4000, settings=SETTINGS, repeats=2):
    images, corner = numbered_images(count), Corner(8)
    data = ImageSet(images, None, list(map(str, range(count))), {"spec": {"kind": "folder"}})
    density = Ramp(images[:, 0, 0, 0] / 127.5 - 1)
    sampling = {"images": 100, "repeats": repeats}
    arguments = ({"judge": corner}, {"judge": None}, density, corner, Progress("x", 1))
    return reweighted_sets(data, settings, sampling, *arguments)


@pytest.mark.parametrize(("tau", "w"), [(80, 33.0), (20, 0.03), (50, 2.0), (50, 0.5), (0, 0.1)])
def test_the_accepted_share_is_that_of_algorithm_2(tau, w):
    values = (np.arange(40000) + 0.5) / 40000
    pool = Pool({}, values, None)
    rows = accepted_rows(pool, Ramp(values), {"tau": tau, "w": w})
    share = expected_acceptance(tau / 100, w)
    error = np.sqrt(share * (1 - share) / 40000)
    assert abs(len(rows) / 40000 - share) <= 5 * error
    high = (values[rows] >= tau / 100).mean()
    p = tau / 100
    assert high == pytest.approx((1 - p) * w / (p + (1 - p) * w), abs=0.01)


def test_settings_share_their_draws():
    values = (np.arange(5000) + 0.5) / 5000
    pool, density = Pool({}, values, None), Ramp(values)

    def rows(w):
        return set(accepted_rows(pool, density, {"tau": 50, "w": w}))

    assert rows(33.0) < rows(4.0) < rows(2.0) < rows(1.0) == set(range(5000))
    assert rows(0.03) < rows(0.5) < rows(1.0)
    assert set(accepted_rows(pool, density, {"tau": None, "w": 1.0})) == rows(1.0)


def test_halves_do_not_overlap_and_are_of_one_size():
    sets, how = halves()
    assert how == "one half of the data set against the other"
    assert [(s["tau"], s["w"]) for s in sets] == [(s["tau"], s["w"]) for s in SETTINGS]
    for repeat in range(2):
        sizes, real_sets = set(), []
        for entry in sets:
            real, fake, facts = entry["repeats"][repeat]
            real, fake = names_of(real["judge"]), names_of(fake["judge"])
            assert len(set(real)) == 2000 and len(set(fake)) == len(fake) == facts["n_fake"]
            assert not set(real) & set(fake)
            sizes.add(len(fake))
            real_sets.append(tuple(real))
        # As many fakes for every setting, and the same real half.
        assert len(sizes) == 1 and len(set(real_sets)) == 1
        # The strictest setting says how many: 80 %, 33 accepts .2242 of 2000.
        assert abs(sizes.pop() - 448) < 100
    first, second = (set(names_of(sets[0]["repeats"][r][0]["judge"])) for r in range(2))
    assert 800 < len(first & second) < 1200


def test_halves_hold_accepted_images_only_and_say_their_density():
    sets, _ = halves()
    for entry in sets:
        share = expected_acceptance((entry["tau"] or 0) / 100, entry["w"])
        assert abs(entry["acceptance"] - share) <= 5 * np.sqrt(share * (1 - share) / 4000)
        for _, fake, facts in entry["repeats"]:
            density = fake["judge"][:, 0].astype(np.float64)
            assert facts["mean_density"] == pytest.approx(density.mean(), abs=1e-6)
            if entry["tau"] is not None:
                high = (density >= entry["tau"] / 100 * 2 - 1).mean()
                p, w = entry["tau"] / 100, entry["w"]
                assert high == pytest.approx((1 - p) * w / (p + (1 - p) * w), abs=0.08)


def fresh(settings, count=40, repeats=3, ramp=None):
    """The oracle on the law of 30 scenes, with the red of the first pixel as density."""
    spec = {"kind": "procedural", "scene": "bedroom", "resolution": 8, "seed": 0}
    images, labels = render("bedroom", range(30), 8, 0)
    data = ImageSet(images, labels, list(map(str, range(30))), {"spec": spec})
    corner, real = Corner(8), {"judge": np.zeros((30, 3), np.float32)}
    sampling = {"images": count, "repeats": repeats}
    density = Ramp(images[:, 0, 0, 0] / 127.5 - 1 if ramp is None else ramp)
    arguments = ({"judge": corner}, real, density, corner, Progress("x", 1))
    return reweighted_sets(data, settings, sampling, *arguments), real, density


def test_fresh_images_come_after_those_of_the_data_set_in_disjoint_stretches():
    (sets, how), real, density = fresh(SETTINGS)
    assert how == "fresh images of the same law"
    images, _ = render("bedroom", range(30, 5030), 8, 0)
    features = images[:, :, 0, 0].astype(np.float32) / 127.5 - 1
    for entry in sets:
        rows = np.arange(5000)
        if entry["tau"] is not None:
            rows = accepted_rows(Pool({}, features[:, 0], None), density, entry)
            low = (features[:, 0] < density.threshold(entry["tau"])).mean()
            share = expected_acceptance(low, entry["w"])
            error = np.sqrt(share * (1 - share) / 5000)
            assert abs(entry["acceptance"] - share) <= 5 * error
        for repeat, (against, fake, facts) in enumerate(entry["repeats"]):
            stretch = rows[repeat * 40 : (repeat + 1) * 40]
            np.testing.assert_allclose(fake["judge"], features[stretch], atol=1e-6)
            assert against is real and facts["n_fake"] == len(fake["judge"]) == 40
            assert facts["mean_density"] == pytest.approx(features[stretch, 0].mean(), abs=1e-6)


def test_an_oracle_that_accepts_next_to_nothing_says_so():
    with pytest.raises(RuntimeError, match="accepts under 1 %") as error:
        fresh([{"tau": 50, "w": 1e9}], count=10, repeats=2, ramp=[2.0])
    assert "\n" not in str(error.value) and "tau" in str(error.value)
