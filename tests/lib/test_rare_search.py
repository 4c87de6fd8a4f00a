"""The search for rare images against closed forms, brute force and a replay of what it passed through."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pseudodensity.control.move.feature_distance import DISTANCES, apart, pairwise
from pseudodensity.control.move.rare_best import Best, Iterate
from pseudodensity.control.move.rare_objective import excess, objective, separation
from pseudodensity.control.move.rare_references import neighbour_distances, pool_pick
from pseudodensity.control.move.rare_search import Settings, Space, search, starts
from pseudodensity.control.move.real_manifold import RealManifold
from pseudodensity.metrics.manifold import manifold_metrics
from pseudodensity.rng import normal, numpy_generator

torch.set_num_threads(1)

MU = torch.tensor([0.5, -1.0, 0.25], dtype=torch.float64)
REFERENCE = torch.tensor([[1.5, 0.0, 1.0]], dtype=torch.float64)


def points(name, count, width):
    return normal(0, name, range(count), (width,)).double()


class Anywhere:
    """A manifold that holds everything."""

    def inside(self, features):
        return torch.ones(len(features), dtype=torch.bool)

    def gap(self, features):
        return features.new_full((len(features),), -1.0)


class Nowhere(Anywhere):
    def inside(self, features):
        return torch.zeros(len(features), dtype=torch.bool)


def gaussian(mu):
    return lambda x: -(x - mu).square().sum(1) / 2


def identity(log_density, manifold, seen=None):
    """Latents are features; `seen` gets the latents of every call."""

    def generate(z):
        if seen is not None:
            seen.append(z.detach().clone())
        return z

    return Space(generate, lambda images: images, log_density, manifold)


def run(space, references, limit, numbers=None, seed=0, **settings):
    numbers = range(len(references)) if numbers is None else numbers
    limits = torch.full((len(references),), float(limit), dtype=references.dtype)
    return search(space, references, limits, Settings(**settings), seed=seed, numbers=numbers)


# ---------------------------------------------------------------- closed forms of the objective


@pytest.mark.parametrize("similarity", [10.0, 30.0, 1000.0])
def test_a_gaussian_is_left_along_the_ray_from_its_mean(similarity):
    """The walk ends on that ray, at x* + d* (x* - mu) / |x* - mu| as lambda1 grows, and the best feasible
    iterate is nearly as rare as the rarest point of the ball."""
    limit, seen = 0.6, []
    found = run(
        identity(gaussian(MU), Anywhere(), seen),
        REFERENCE,
        limit,
        steps=600,
        similarity=similarity,
        diversity=0.0,
        count=4,
    )
    away = REFERENCE - MU
    distance = (away.norm() + 2 * similarity * limit) / (2 * similarity - 1)
    expected = REFERENCE + distance * away / away.norm()
    torch.testing.assert_close(seen[-1], expected.expand(4, 3), rtol=0, atol=0.02)
    if similarity == 1000:
        assert distance == pytest.approx(limit, abs=2e-3)
    assert found.found.all() and (found.distances <= limit).all()
    rarest = gaussian(MU)(REFERENCE + limit * away / away.norm())
    assert (found.log_density / rarest > 0.95).all()  # .53 at the reference
    assert torch.equal(found.log_density[0], gaussian(MU)(found.features[0]))


@pytest.mark.parametrize("similarity", [2.0, 30.0])
def test_the_penalty_balances_the_density_where_the_slopes_are_equal(similarity):
    """In one dimension |x - mu| = 2 lambda1 (d - d*): beyond d*, so that it is the last iterate and
    not the best feasible one."""
    mu, reference, limit = torch.zeros(1, dtype=torch.float64), torch.ones(1, 1).double(), 0.5
    seen = []
    run(
        identity(gaussian(mu), Anywhere(), seen),
        reference,
        limit,
        steps=600,
        similarity=similarity,
        diversity=0.0,
        count=3,
    )
    distance = (1 + 2 * similarity * limit) / (2 * similarity - 1)
    expected = torch.full((3, 1), 1 + distance, dtype=torch.float64)
    torch.testing.assert_close(seen[-1], expected, rtol=0, atol=2e-3)


def test_the_terms_are_those_of_equation_2():
    x = points("x", 12, 5).view(3, 4, 5)
    log_density, anchors = points("p", 3, 4), points("a", 3, 5)
    away = (x - anchors[:, None]).norm(dim=2)
    found = objective(log_density, x, excess(away, torch.tensor(2.0)), 30.0, 0.02, coupled=False)
    for r in range(3):
        for i in range(4):
            apart = sum(float((x[r, i] - x[r, j]).square().sum()) for j in range(4) if j != i)
            beyond = max(float(away[r, i]), 2.0) - 2.0
            expected = float(log_density[r, i]) + 30 * beyond**2 - 0.02 * apart
            assert found[r, i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("coupled", [False, True])
def test_the_gradient_of_the_diversity(coupled):
    """-4 lambda2 sum_j (x_i - x_j) of the summed objective, and n / 2 times that in the authors'."""
    x = points("x", 14, 3).view(2, 7, 3).requires_grad_()
    nothing = torch.zeros(2, 7, dtype=torch.float64)
    objective(nothing, x, nothing, 0.0, 0.3, coupled).sum().backward()
    differences = (x[:, :, None] - x[:, None]).sum(2).detach()
    expected = -4 * 0.3 * differences * (7 / 2 if coupled else 1)
    torch.testing.assert_close(x.grad, expected)


def test_the_separation_keeps_its_digits_far_from_the_origin():
    """Pairs a hundredth apart at 1,000: squares of the features themselves would cancel in float32."""
    x = 1000 + torch.arange(5).view(1, 5, 1) * 0.0625
    expected = [sum((0.0625 * (i - j)) ** 2 for j in range(5)) for i in range(5)]
    torch.testing.assert_close(separation(x), torch.tensor([expected]))


# ---------------------------------------------------------------- starts and steps


@pytest.mark.parametrize("impl", ["paper", "authors"])
def test_adam_on_a_slope_walks_the_learning_rates(impl):
    """The gradient is constant, so every step of Adam is the learning rate in its direction."""
    slope = torch.tensor([3.0, -0.2], dtype=torch.float64)
    seen = []
    run(
        identity(lambda x: x @ slope, Anywhere(), seen),
        torch.zeros(1, 2).double(),
        100.0,
        steps=120,
        diversity=0.0,
        count=2,
        impl=impl,
    )
    rates = [0.02 * (0.9 ** (t // 50) if impl == "paper" else 1) for t in range(120)]
    walked = seen[-1] - seen[1]  # the first call is for the reference itself
    torch.testing.assert_close(walked, -sum(rates) * slope.sign().expand(2, 2), rtol=1e-6, atol=0)


def test_starts_hang_on_the_reference_and_the_seed_alone():
    references = points("z", 3, 4)
    settings = Settings(count=5, sigma=0.3)
    drawn = starts(references, settings, seed=1, numbers=[7, 2, 9])
    assert drawn.shape == (3, 5, 4)
    alone = starts(references[1:2], settings, seed=1, numbers=[2])
    assert torch.equal(alone[0], drawn[1])
    assert not torch.equal(starts(references, settings, seed=2, numbers=[7, 2, 9]), drawn)
    fewer = starts(references, Settings(count=2, sigma=0.3), seed=1, numbers=[7, 2, 9])
    assert torch.equal(fewer, drawn[:, :2])
    many = starts(torch.zeros(1, 4000), settings, seed=1, numbers=[0])
    assert many.std().item() == pytest.approx(0.3, rel=0.02)


def test_without_noise_and_diversity_all_samples_coincide():
    settings = {"sigma": 0.0, "steps": 30, "count": 4}
    space = identity(gaussian(MU), Anywhere())
    found = run(space, REFERENCE, 0.5, diversity=0.0, **settings)
    torch.testing.assert_close(found.latents, found.latents[:, :1].expand_as(found.latents))
    assert found.steps.min() > 0
    noisy = run(space, REFERENCE, 0.5, diversity=0.0, **settings | {"sigma": 0.1})
    assert separation(noisy.features).min() > 1e-4


def test_diversity_spreads_the_samples():
    spreads = [
        separation(
            run(identity(gaussian(MU), Anywhere()), REFERENCE, 1.0, diversity=d).features
        ).mean()
        for d in (0.0, 0.5)
    ]
    assert spreads[1] > 2 * spreads[0]


# ---------------------------------------------------------------- what is kept


def inside_by_hand(x, reals, k):
    apart = np.linalg.norm(reals[:, None] - reals[None], axis=2)
    radii = np.sort(apart, axis=1)[:, k]
    return (np.linalg.norm(x[:, None] - reals[None], axis=2) <= radii).any(1)


def best_by_hand(losses, feasible, select):
    """Steps (n,) and found (n,) from losses and feasible (steps, n) of one reference."""
    if select == "joint":
        ranks = [(-f.sum(), loss[f].sum()) for loss, f in zip(losses, feasible, strict=True)]
        step = min(range(len(ranks)), key=lambda s: ranks[s])
        return np.where(feasible[step], step, 0), feasible[step]
    masked = np.where(feasible, losses, np.inf)
    return np.where(feasible.any(0), masked.argmin(0), 0), feasible.any(0)


@pytest.mark.parametrize("select", ["per_sample", "joint"])
@pytest.mark.parametrize("impl", ["paper", "authors"])
def test_a_replay_of_all_iterates_finds_the_same_best(impl, select):
    reals = points("reals", 60, 2)
    references, limits, seen = points("references", 6, 2), torch.linspace(0.3, 1.3, 6), []
    lambda1, lambda2, n = 3.0, 0.05, 4
    settings = Settings(
        count=n,
        steps=45,
        similarity=lambda1,
        diversity=lambda2,
        sigma=0.2,
        impl=impl,
        select=select,
    )
    space = identity(gaussian(torch.zeros(2)), RealManifold(reals, 2), seen)
    found = search(space, references, limits, settings, seed=0, numbers=range(6))
    path = np.stack([z.view(6, n, 2).numpy() for z in seen[1:]])
    anchors = references.numpy()[:, None] if impl == "paper" else path[0]
    for r, limit in enumerate(limits.double().numpy()):
        x = path[:, r]
        away = np.linalg.norm(x - anchors[r], axis=2)
        inside = np.stack([inside_by_hand(step, reals.numpy(), 2) for step in x])
        pairs = ((x[:, :, None] - x[:, None]) ** 2).sum((2, 3))
        if impl == "authors":
            pairs = np.repeat(pairs.sum(1, keepdims=True) / 2, n, 1)
        losses = -(x**2).sum(2) / 2 + lambda1 * np.maximum(away - limit, 0) ** 2 - lambda2 * pairs
        feasible = inside & (away <= limit)
        np.testing.assert_allclose(found.feasible[r], feasible.mean(1), rtol=1e-6)
        looked_at = np.arange(46)[:, None] % 10 > 0 if impl == "authors" else True
        steps, is_found = best_by_hand(losses, feasible & looked_at, select)
        assert found.steps[r].tolist() == steps.tolist()
        assert found.found[r].tolist() == is_found.tolist()
        np.testing.assert_allclose(found.features[r], x[steps, range(n)])
        np.testing.assert_allclose(
            found.distances[r], np.linalg.norm(x[steps, range(n)] - references[r].numpy(), axis=1)
        )
    # Else the test would not see what it is for.
    assert 0 < found.feasible.mean() < 1 and len(found.steps.unique()) > 2


@pytest.mark.parametrize("select", ["per_sample", "joint"])
def test_the_best_of_made_up_iterates(select):
    """Samples come and go at random, which a search seldom does."""
    steps, references, n = 12, 40, 3
    losses = points("losses", steps, references * n).view(steps, references, n)
    feasible = points("feasible", steps, references * n).view(losses.shape) > 1
    iterates = [
        Iterate(loss[..., None], loss[..., None], loss, torch.full(loss.shape, step))
        for step, loss in enumerate(losses)
    ]
    best = Best(iterates[0], select)
    for iterate, good in zip(iterates, feasible, strict=True):
        best.offer(iterate, iterate.log_density, good)
    for r in range(references):
        expected, found = best_by_hand(losses[:, r].numpy(), feasible[:, r].numpy(), select)
        assert best.kept.steps[r].tolist() == expected.tolist()
        assert best.found[r].tolist() == found.tolist()


@pytest.mark.parametrize("select", ["per_sample", "joint"])
def test_a_start_that_is_never_feasible_comes_back_flagged(select):
    settings = {"steps": 12, "count": 3, "select": select}
    found = run(identity(gaussian(MU), Nowhere()), REFERENCE, 5.0, **settings)
    assert not found.found.any() and not found.steps.any() and not found.feasible.any()
    expected = starts(REFERENCE, Settings(**settings), seed=0, numbers=[0])
    assert torch.equal(found.latents, expected)
    assert found.reference_inside.tolist() == [False]


@pytest.mark.parametrize("impl", ["paper", "authors"])
def test_only_the_paper_looks_at_the_start(impl):
    """One long step leaves the neighbourhood for good: the start alone is feasible."""
    found = run(
        identity(gaussian(MU), Anywhere()),
        REFERENCE,
        0.5,
        steps=15,
        learning_rate=50.0,
        similarity=0.0,
        impl=impl,
    )
    assert found.found.all() == (impl == "paper")
    assert not found.steps.any()
    assert found.feasible[0].tolist() == [1.0] + [0.0] * 15


def test_no_step_gives_the_starts():
    found = run(identity(gaussian(MU), Anywhere()), REFERENCE, 5.0, steps=0)
    assert torch.equal(found.latents, starts(REFERENCE, Settings(), seed=0, numbers=[0]))
    assert found.found.all() and found.feasible.shape == (1, 1)


# ---------------------------------------------------------------- many references


@pytest.mark.parametrize("impl", ["paper", "authors"])
def test_references_together_are_references_one_by_one(impl):
    """Through maps that bend, with two axes of latents, and z of a shape of its own."""
    matrix, back = points("A", 6, 8), points("B", 3, 6)
    space = Space(
        lambda z: torch.tanh(z.flatten(1) @ matrix.T),
        lambda images: images @ back.T,
        gaussian(torch.zeros(3)),
        RealManifold(torch.tanh(points("z", 80, 8) @ matrix.T) @ back.T, 3),
    )
    references = points("references", 5, 8).view(5, 2, 4)
    limits = torch.linspace(0.5, 2, 5)
    settings = Settings(steps=25, count=3, impl=impl, hinge=10.0, sigma=0.3)
    together = search(space, references, limits, settings, seed=3, numbers=[4, 8, 15, 16, 23])
    for i, number in enumerate([4, 8, 15, 16, 23]):
        part = slice(i, i + 1)
        alone = search(space, references[part], limits[part], settings, seed=3, numbers=[number])
        for name, value in vars(alone).items():
            torch.testing.assert_close(getattr(together, name)[part], value, rtol=1e-9, atol=1e-9)
    assert together.latents.shape == (5, 3, 2, 4) and together.found.any()


def test_the_weights_of_the_networks_get_no_gradient():
    network = torch.nn.Linear(3, 3).double()
    space = Space(network, lambda x: x, gaussian(MU), Anywhere())
    run(space, REFERENCE, 1.0, steps=2)
    assert network.weight.grad is None


# ---------------------------------------------------------------- the manifold


def test_the_manifold_is_that_of_precision_and_its_gap_is_by_hand():
    reals, queries = points("reals", 70, 4), 1.3 * points("queries", 90, 4)
    queries = torch.cat([queries, reals[:3], queries[:1] + 1e6])
    manifold = RealManifold(reals, 3)
    apart = (queries[:, None] - reals[None]).norm(dim=2)
    radii = (reals[:, None] - reals[None]).norm(dim=2).sort(1).values[:, 3]
    inside = manifold.inside(queries)
    assert inside.tolist() == (apart <= radii).any(1).tolist()
    precision = manifold_metrics(reals, queries, 3)["precision"]
    assert inside.double().mean().item() == pytest.approx(precision, abs=1e-12)
    assert 0.2 < precision < 0.9
    torch.testing.assert_close(manifold.gap(queries), (apart - radii).amin(1))
    assert manifold.inside(queries.float()).tolist() == inside.tolist()


def test_the_gap_falls_along_the_way_to_its_ball():
    manifold = RealManifold(points("reals", 40, 3), 3)
    x = torch.tensor([[9.0, 1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    manifold.gap(x).sum().backward()
    assert x.grad.norm().item() == pytest.approx(1)
    step = x.detach() - 0.1 * x.grad
    assert (manifold.gap(x.detach()) - manifold.gap(step)).item() == pytest.approx(0.1)


def test_a_hinge_holds_samples_in_the_manifold():
    """Balance in one dimension: the slope of the density is 2 hinge (gap + margin)."""
    reals = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)  # the balls end at 2
    reference, seen = torch.full((1, 1), 0.5).double(), []
    space = identity(lambda x: -x[:, 0], RealManifold(reals, 1), seen)
    settings = {"steps": 600, "count": 2, "similarity": 0.0, "diversity": 0.0}
    free = run(space, reference, 100.0, **settings)
    seen.clear()
    held = run(space, reference, 100.0, hinge=10.0, margin=0.2, **settings)
    torch.testing.assert_close(
        seen[-1], torch.full((2, 1), 2 - 0.2 + 1 / 20).double(), atol=2e-3, rtol=0
    )
    assert free.feasible[0, -1] == 0 and held.feasible[0, -1] == 1
    # The hinge steers, and what is best is told by equation 2.
    path = torch.stack(seen[1:])
    assert torch.equal(held.features[0], path.where(path <= 2, 0).amax(0))


def test_references_outside_the_manifold_are_told_and_not_fatal():
    reals = points("reals", 30, 2)
    references = torch.cat([reals[:1], reals[:1] + 50])
    found = run(identity(gaussian(torch.zeros(2)), RealManifold(reals)), references, 0.5, steps=3)
    assert found.reference_inside.tolist() == [True, False]
    assert found.found[0].any() and not found.found[1].any()


# ---------------------------------------------------------------- d*, and the pool


@pytest.mark.parametrize("k", [1, 3, 19])
def test_the_distance_of_the_kth_neighbour_by_brute_force(k):
    fakes, references = points("fakes", 20, 3), points("references", 4, 3)
    expected = (references[:, None] - fakes[None]).norm(dim=2).sort(1).values[:, k - 1]
    torch.testing.assert_close(neighbour_distances(references, fakes, k), expected)
    own = torch.tensor([5, 0, 19])
    apart = (fakes[own][:, None] - fakes[None]).norm(dim=2).sort(1).values[:, k]
    torch.testing.assert_close(neighbour_distances(fakes[own], fakes, k, own), apart)


def test_a_copy_of_a_reference_is_a_neighbour():
    fakes = torch.tensor([[0.0], [0.0], [0.0], [2.0], [3.0]])
    own = torch.tensor([0, 1, 2])
    assert neighbour_distances(fakes[own], fakes, 1, own).tolist() == [0, 0, 0]
    assert neighbour_distances(fakes[own], fakes, 3, own).tolist() == [2, 2, 2]


@pytest.mark.parametrize("with_own", [False, True])
def test_the_pool_pick_by_brute_force(with_own):
    pool, inside = points("pool", 150, 2), points("in", 150, 1)[:, 0] > -0.5
    density = (gaussian(torch.zeros(2))(pool) * 4).round()  # with ties
    own = torch.arange(0, 140, 2) if with_own else None
    references = pool[::2][:70] if with_own else points("references", 70, 2)
    limits = torch.linspace(0.01, 1.0, 70).double()
    picks = pool_pick(pool, density, inside, references, limits, 4, own)
    for r in range(70):
        near = [
            j
            for j in range(150)
            if inside[j]
            and (pool[j] - references[r]).norm() <= limits[r]
            and not (with_own and j == own[r])
        ]
        expected = sorted(near, key=lambda j: (density[j].item(), j))[:4]
        assert picks[r].tolist() == expected + [-1] * (4 - len(expected))
    assert (picks == -1).any() and (picks[:, -1] >= 0).any()


# ---------------------------------------------------------------- bad input


BAD = [
    (lambda: Settings(count=0), "count must be finite and 1 or more, got 0"),
    (lambda: Settings(steps=-1), "steps"),
    (lambda: Settings(similarity=-1.0), "similarity must be finite and 0 or more"),
    (lambda: Settings(diversity=-0.1), "diversity must be finite and 0 or more"),
    (lambda: Settings(sigma=float("nan")), "sigma"),
    (lambda: Settings(select="best"), "select 'best' unknown"),
    (lambda: Settings(impl="code"), "impl 'code' unknown"),
    (lambda: RealManifold(torch.rand(3, 2), 3), "below the number of real images, got k=3 for 3"),
    (lambda: RealManifold(torch.rand(9, 2), 0), "k must be 1 or more"),
    (lambda: RealManifold(torch.rand(9, 2)).inside(torch.rand(4, 3)), "use the extractor"),
    (lambda: RealManifold(torch.rand(9, 2)).gap(torch.rand(4, 3)), "use the extractor"),
    (lambda: neighbour_distances(torch.rand(2, 2), torch.rand(9, 2), 10), "got 10 for 9"),
    (lambda: neighbour_distances(torch.rand(2, 2), torch.rand(9, 2), 0), "k' must be"),
    (
        lambda: neighbour_distances(torch.rand(1, 2), torch.rand(9, 2), 9, torch.tensor([1])),
        "got 9 for 8",
    ),
    (
        lambda: pool_pick(
            torch.rand(5, 2), torch.rand(5), torch.rand(5) > 0, torch.rand(1, 2), torch.rand(1), 0
        ),
        "count must be 1 or more",
    ),
    (
        lambda: pool_pick(
            torch.rand(5, 2), torch.rand(4), torch.rand(5) > 0, torch.rand(1, 2), torch.rand(1), 1
        ),
        "a pool of 5",
    ),
    (lambda: run(identity(gaussian(MU), Anywhere()), REFERENCE, -1.0), "not negative"),
    (lambda: run(identity(gaussian(MU), Anywhere()), REFERENCE[:0], 1.0), "one or more"),
    (lambda: run(identity(gaussian(MU), Anywhere()), REFERENCE, 1.0, numbers=[1, 2]), "2 numbers"),
    (lambda: run(identity(lambda x: x.sum(), Anywhere()), REFERENCE, 1.0), "one number per sample"),
    (
        lambda: run(identity(lambda x: x.sum(1) / 0, Anywhere()), REFERENCE, 1.0),
        "no finite value at 10 samples in step 0",
    ),
    (
        lambda: run(identity(lambda x: (x * 0).sum(1).sqrt(), Anywhere()), REFERENCE, 1.0),
        "no finite gradient at 10 samples in step 0",
    ),
    (
        lambda: run(
            Space(lambda z: z, lambda x: x[:1], gaussian(MU), Anywhere()),
            REFERENCE.expand(2, 3),
            1.0,
        ),
        "features of 2 images",
    ),
]


@pytest.mark.parametrize("call, message", BAD, ids=lambda x: x if isinstance(x, str) else "")
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("distance", DISTANCES)
def test_other_distances_by_brute_force(distance):
    """Pairs, anchors, the separation and d* against scipy's own distances."""
    points = numpy_generator(0, "distances").normal(size=(2, 7, 3))
    name = {"manhattan": "cityblock"}.get(distance, distance)
    features = torch.from_numpy(points)
    expected = np.stack([cdist(own, own, name) for own in points])
    np.testing.assert_allclose(pairwise(features, features, distance).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(
        apart(features, features[:, :1], distance).numpy(), expected[:, 0], atol=1e-7
    )
    np.testing.assert_allclose(
        separation(features, distance).numpy(), (expected**2).sum(2), atol=1e-12
    )
    fakes = numpy_generator(1, "distances").normal(size=(30, 3))
    limits = neighbour_distances(features[0], torch.from_numpy(fakes), 4, distance=distance)
    np.testing.assert_allclose(limits, np.sort(cdist(points[0], fakes, name))[:, 3], rtol=1e-6)


def test_a_search_in_another_distance_ends_at_its_limit():
    """What goes down along the first axis from (0, 2) turns until 1 - cos is d*, and no farther."""
    space = Space(lambda z: z, lambda x: x, lambda x: x[:, 0], Anywhere())
    settings = Settings(count=3, steps=200, sigma=0.0, diversity=0.0, distance="cosine")
    found = search(
        space, torch.tensor([[0.0, 2.0]]), torch.tensor([0.1]), settings, seed=0, numbers=[0]
    )
    assert found.found.all() and bool((found.distances <= 0.1).all())
    assert float(found.distances.min()) > 0.08
