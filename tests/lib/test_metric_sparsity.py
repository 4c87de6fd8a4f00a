"""How sparse the reals are around fakes: hardness, AvgkNN, LOF against closed forms and other code."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

from pseudodensity.metrics import average_knn, hardness, local_outlier
from pseudodensity.metrics.hardness import FEWEST, ClassGaussians

torch.set_num_threads(1)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def correlated(n, d, seed=0):
    """A normal law whose covariance is no multiple of the identity."""
    mixing = np.random.default_rng(99).standard_normal((d, d)) / 3
    return normal(n, d, seed) @ mixing + np.arange(d)


def two_classes(n, seed=0):
    """Features (2 n, 3) and labels of two laws that are far apart, in turn."""
    labels = np.arange(2 * n) % 2
    return correlated(2 * n, 3, seed) + 40 * labels[:, None], labels


def scores(metric, real, fake, **settings):
    return metric.score(metric.prepare({"features": real}, **settings), {"features": fake})


# ------------------------------------------------------------------------------------- hardness


def shrunk(features):
    """Mean and covariance by scikit-learn."""
    found = LedoitWolf().fit(features)
    return found.location_, found.covariance_


def test_hardness_at_the_mean_is_half_the_log_determinant_and_a_constant():
    reals = correlated(60, 5)
    mean, covariance = shrunk(reals)
    found = ClassGaussians(reals, None).hardness(np.stack([mean, mean]), None)
    expected = (math.log(np.linalg.det(covariance)) + 5 * math.log(2 * math.pi)) / 2
    assert found == pytest.approx([expected] * 2, rel=1e-12)


def test_mean_hardness_over_the_law_is_its_entropy():
    """H is quadratic, so that its mean over a law is that over points of the same mean and covariance."""
    reals = correlated(60, 5)
    mean, covariance = shrunk(reals)
    steps = math.sqrt(5) * np.linalg.cholesky(covariance).T
    found = ClassGaussians(reals, None).hardness(np.concatenate([mean + steps, mean - steps]), None)
    entropy = multivariate_normal(mean, covariance).entropy()
    assert found.mean() == pytest.approx(entropy, rel=1e-12)
    assert found == pytest.approx([entropy] * 10, rel=1e-12)


def test_hardness_is_minus_the_log_likelihood_of_the_own_class():
    (reals, labels), (fakes, chosen) = two_classes(40), two_classes(15, seed=1)
    side = hardness.prepare({"features": reals, "labels": labels})
    own = np.empty(len(fakes))
    for label in range(2):
        law = multivariate_normal(*shrunk(reals[labels == label]))
        own[chosen == label] = -law.logpdf(fakes[chosen == label])
    assert side.hardness(fakes, chosen) == pytest.approx(own, rel=1e-10)
    found = hardness.score(side, {"features": fakes, "labels": chosen})
    assert found["hardness"] == pytest.approx(own.mean())
    assert found["median_hardness"] == pytest.approx(np.median(own))
    # A wrong label is hard; without labels the nearest class counts, and that is the own one.
    assert (side.hardness(fakes, 1 - chosen) > own + 20).all()
    assert side.hardness(fakes, None) == pytest.approx(own, rel=1e-10)
    assert hardness.score(side, {"features": fakes}) == pytest.approx(found)


def test_a_class_of_few_reals_has_no_gaussian_and_counts_by_the_nearest():
    reals, labels = two_classes(40)
    few = correlated(FEWEST - 1, 3, seed=5) + 80
    side = ClassGaussians(
        np.concatenate([reals, few]), np.concatenate([labels, np.full(len(few), 4)])
    )
    assert list(side.of) == [0, 1]
    alone = ClassGaussians(reals, labels)
    fakes = correlated(20, 3, seed=6) + 80
    assert side.hardness(fakes, np.full(20, 4)) == pytest.approx(alone.hardness(fakes, None))
    # An unknown class too; and if no class has enough, all are one.
    assert side.hardness(fakes, np.full(20, 7)) == pytest.approx(alone.hardness(fakes, None))
    together = ClassGaussians(few, np.arange(len(few)))
    assert together.hardness(fakes, np.arange(20)) == pytest.approx(
        ClassGaussians(few, None).hardness(fakes, None)
    )


def test_a_real_is_judged_by_the_others():
    reals = correlated(25, 6)
    (gaussian,) = ClassGaussians(reals, None).of.values()
    found = gaussian.hardness_left_out(reals)
    for i in range(len(reals)):
        others = np.delete(reals, i, axis=0)
        covariance = np.cov(others.T, bias=True)
        target = np.trace(covariance) / 6 * np.eye(6)
        law = multivariate_normal(
            others.mean(0),
            (1 - gaussian.shrinkage) * covariance + gaussian.shrinkage * target,
        )
        assert found[i] == pytest.approx(-law.logpdf(reals[i]), rel=1e-10)


@pytest.mark.parametrize("labelled", [True, False])
def test_a_fifth_of_the_held_out_reals_is_hard(labelled):
    """In as many dimensions as half of the reals of a class, where the reals fit much better."""
    shares, naive = [], []
    for seed in range(8):
        features, labels = correlated(400, 50, seed), np.arange(400) % 2
        features[labels == 1] *= 2
        real, fake = ({"features": f} for f in np.split(features, 2))
        told = dict(zip((0, 1), np.split(labels, 2), strict=True))
        real["labels"] = told[0]
        if labelled:
            fake["labels"] = told[1]
        side = hardness.prepare(real)
        shares.append(hardness.score(side, fake)["hard"])
        limit = np.quantile(side.hardness(real["features"], fake.get("labels")), 0.8)
        naive.append((side.hardness(fake["features"], fake.get("labels")) > limit).mean())
    assert np.mean(shares) == pytest.approx(0.2, abs=0.035)
    assert np.mean(naive) > 0.35


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(29, np.int64), "labels must be 30 whole numbers from 0"),
        (np.zeros(30), "got float64"),
        (np.full(30, -1), "labels must be 30 whole numbers from 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        hardness.prepare({"features": normal(30, 2), "labels": labels})
    side = hardness.prepare({"features": normal(30, 2)})
    with pytest.raises(ValueError, match=message):
        hardness.score(side, {"features": normal(30, 2), "labels": labels})


def test_reals_that_are_all_alike_have_no_gaussian():
    with pytest.raises(ValueError, match="differ in fewer than 3 directions"):
        hardness.prepare({"features": np.ones((20, 3))})


# ----------------------------------------------------------------------------------------- AvgkNN


@pytest.mark.parametrize("k", [1, 5, 30])
def test_average_distances_are_those_of_brute_force(k):
    real, fake = normal(30, 4), 2 * normal(13, 4, seed=1)
    apart = np.linalg.norm(fake[:, None] - real[None], axis=2)
    expected = np.sort(apart, axis=1)[:, :k].mean(1)
    side = average_knn.prepare({"features": real}, k=k)
    assert average_knn.average_distances(side, fake) == pytest.approx(expected, rel=1e-12)
    assert scores(average_knn, real, fake, k=k)["avg_knn"] == pytest.approx(expected.mean())
    theirs, _ = NearestNeighbors(n_neighbors=k).fit(real).kneighbors(fake)
    assert expected == pytest.approx(theirs.mean(1))


def test_average_distance_by_hand():
    real, fake = (np.array(x, np.float32)[:, None] for x in ([0, 1, 3, 7], [0, 8]))
    assert scores(average_knn, real, fake, k=2) == {"avg_knn": (0.5 + 3) / 2}
    with pytest.raises(ValueError, match=r"k must lie in 1\.\.4 for 4 reals, got 5"):
        average_knn.prepare({"features": real})


# -------------------------------------------------------------------------------------------- LOF


def brute_force(real, fake, k):
    """Breunig et al. 2000, definitions 5 to 7, of fakes that are none of the reals."""
    among = np.linalg.norm(real[:, None] - real[None], axis=2)
    order = np.argsort(among + np.where(np.eye(len(real)), np.inf, 0), axis=1)[:, :k]
    reach = np.take_along_axis(among, order, 1)[:, -1]  # k-distance of each real

    def density(distances, neighbours):
        return 1 / np.maximum(distances, reach[neighbours]).mean(1)

    densities = density(np.take_along_axis(among, order, 1), order)
    apart = np.linalg.norm(fake[:, None] - real[None], axis=2)
    near = np.argsort(apart, axis=1)[:, :k]
    own = density(np.take_along_axis(apart, near, 1), near)
    return densities[near].mean(1) / own


@pytest.mark.parametrize("k", [1, 20])
def test_local_outlier_factors_are_those_of_the_definition_and_of_scikit_learn(k):
    real, fake = normal(60, 4), 2 * normal(30, 4, seed=1)
    side = local_outlier.prepare({"features": real}, k=k)
    found = local_outlier.factors(side, fake)
    assert found == pytest.approx(brute_force(real, fake, k), rel=1e-6)
    theirs = LocalOutlierFactor(n_neighbors=k, novelty=True).fit(real)
    assert found == pytest.approx(-theirs.score_samples(fake), rel=1e-9)
    assert scores(local_outlier, real, fake, k=k)["lof"] == pytest.approx(found.mean())


def test_the_local_outlier_factor_knows_no_scale_and_is_one_in_an_even_grid():
    grid = np.stack(np.meshgrid(np.arange(21.0), np.arange(21.0)), -1).reshape(-1, 2)
    middle = np.array([[10.0, 10.0], [9.0, 11.0]]) + 0.3
    found = scores(local_outlier, grid, middle)["lof"]
    assert found == pytest.approx(1, abs=0.06)
    assert scores(local_outlier, 100 * grid, 100 * middle)["lof"] == pytest.approx(found)
    assert scores(local_outlier, grid, middle + 40)["lof"] > 8


def test_the_factor_beside_many_copies_is_bounded():
    real = np.concatenate([np.zeros((30, 2)), normal(5, 2)])
    assert scores(local_outlier, real, normal(4, 2, seed=1))["lof"] == local_outlier.MOST


def test_neighbours_of_the_factor_must_be_fewer_than_the_reals():
    with pytest.raises(ValueError, match="below the 20 reals, got 20"):
        local_outlier.prepare({"features": normal(20, 2)})
