"""Polarity with online rejection: the law of what is kept and of the number of draws, on pools where both are known."""

import math
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from spectra import column_of_volumes

from pseudodensity.artifacts import save_npy
from pseudodensity.columns.context import Context
from pseudodensity.columns.inside_manifold import compute
from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.select.polarity_inside import (
    DEFAULTS,
    choose,
    column_settings,
    draw_inside,
    label,
    points,
    proposals,
    why_not,
)
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.metrics import rarity
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan
from pseudodensity.progress import Progress
from pseudodensity.rng import generator, numpy_generator

torch.set_num_threads(1)

ROOT = Path(__file__).parents[2]
WEIGHTS = torch.tensor([0.35, 0.05, 0.2, 0.1, 0.3], dtype=torch.float64)
INSIDE = torch.tensor([True, True, False, True, False])
SHARE = 0.5
SETTINGS = DEFAULTS | {"manifold": "judge"}


def drawn(count, trials, *, replacement, weights=WEIGHTS, inside=INSIDE):
    """Accepted rows (trials, count) and draws (trials,) of independent runs."""
    stream = generator(0, "trials", count)
    found = [
        draw_inside(weights.log(), inside, count, stream, replacement=replacement)
        for _ in range(trials)
    ]
    return torch.stack([rows for rows, _ in found]).numpy(), np.array([draws for _, draws in found])


def sequential_law(weights, inside, count):
    """Chance of every (accepted in order, draws) without replacement: the sum over all orders of the urn."""
    law = {}
    for order in permutations(range(len(weights))):
        chance, left = 1.0, 1.0
        for row in order:
            chance *= weights[row] / left
            left -= weights[row]
            if left < 1e-12:
                break
        kept = [row for row in order if inside[row]][:count]
        key = (*kept, order.index(kept[-1]) + 1)
        law[key] = law.get(key, 0.0) + chance
    return law


def test_without_replacement_the_law_is_that_of_all_orders_of_the_urn():
    law = sequential_law(WEIGHTS.tolist(), INSIDE.tolist(), 2)
    assert sum(law.values()) == pytest.approx(1)
    rows, draws = drawn(2, 8000, replacement=False)
    seen = {}
    for kept, count in zip(rows.tolist(), draws.tolist(), strict=True):
        seen[(*kept, count)] = seen.get((*kept, count), 0) + 1
    assert set(seen) <= set(law)
    observed = [seen.get(key, 0) for key in law]
    assert chisquare(observed, [8000 * chance for chance in law.values()]).pvalue > 1e-3


def test_with_replacement_rows_and_draws_are_those_of_a_loop():
    """Against draws one after the other, written anew."""
    rows, draws = drawn(3, 6000, replacement=True)
    law = (WEIGHTS * INSIDE / SHARE).numpy()
    observed = np.bincount(rows.ravel(), minlength=5)
    assert (observed[~INSIDE.numpy()] == 0).all()
    expected = rows.size * law[INSIDE.numpy()]
    assert chisquare(observed[INSIDE.numpy()], expected).pvalue > 1e-3
    urn, looped = numpy_generator(0, "urn"), []
    for _ in range(6000):
        count = accepted = 0
        while accepted < 3:
            count += 1
            accepted += bool(INSIDE[urn.choice(5, p=WEIGHTS.numpy())])
        looped.append(count)
    # Negative binomial: n / p draws, n (1 - p) / p^2 their variance.
    looped = np.array(looped)
    for found in (draws, looped):
        assert found.mean() == pytest.approx(6, abs=4 * math.sqrt(6 / 6000))
        assert found.var() == pytest.approx(6, rel=0.1)
    ends = [np.bincount(found.clip(max=12), minlength=13)[3:] for found in (draws, looped)]
    chances = [math.comb(d - 1, 2) * SHARE**d for d in range(3, 12)]
    for observed in ends:
        assert chisquare(observed, 6000 * np.array([*chances, 1 - sum(chances)])).pvalue > 1e-3


def test_draws_do_not_tell_which_rows_are_accepted():
    rows, draws = drawn(1, 6000, replacement=True)
    common = rows[:, 0] == 0
    means = draws[common].mean(), draws[~common].mean()
    assert means[0] == pytest.approx(means[1], abs=4 * math.sqrt(2 * (1 / 4200 + 1 / 1800)))


def test_where_all_lies_inside_nothing_is_rejected_and_polarity_zero_is_uniform():
    everything = torch.ones(4, dtype=torch.bool)
    flat = torch.full((4,), 0.25, dtype=torch.float64)
    for replacement in (True, False):
        rows, draws = drawn(2, 4000, replacement=replacement, weights=flat, inside=everything)
        assert (draws == 2).all()
        pairs = np.bincount(4 * rows[:, 0] + rows[:, 1], minlength=16)
        if not replacement:
            assert (pairs[::5] == 0).all()
            pairs = np.delete(pairs, np.arange(0, 16, 5))
        assert chisquare(pairs).pvalue > 1e-3


@pytest.mark.parametrize("replacement", [True, False])
def test_what_can_never_end_is_none(replacement):
    log_weights = torch.tensor([0.0, 0.0, -50.0, -math.inf], dtype=torch.float64)
    inside = torch.tensor([False, False, True, True])
    stream = generator(0, "none")
    found = draw_inside(log_weights, inside, 1, stream, replacement=replacement)
    if replacement:  # it would take e^50 draws
        assert found is None
    else:
        assert found[0].tolist() == [2] and found[1] == 3
        # What has no volume is never drawn.
        assert draw_inside(log_weights, inside, 2, stream, replacement=False) is None
    nobody = torch.zeros(4, dtype=torch.bool)
    assert draw_inside(log_weights, nobody, 1, stream, replacement=replacement) is None


# ------------------------------------------------------------------------------------ the method

SIDES = numpy_generator(0, "sides").permutation(np.arange(12_000) % 2)
MEMBERS = numpy_generator(0, "members").permutation(np.arange(12_000) % 4) > 0


def two_slopes(members=MEMBERS) -> Pool:
    """Volumes 1 on one half of the latents and 3 on the other; of all latents three quarters are inside."""
    members = Column(members.astype(np.float32))
    volumes = column_of_volumes(SIDES * math.log(3))
    return Pool({"singular_values": volumes, "inside_manifold": members}, seed=0)


def point_of(exponent, replacement, **settings):
    grid = {"exponents": [exponent], "replacement": [replacement]}
    (point,) = points(grid, SETTINGS | settings, {"classes": False})
    return point


@pytest.mark.parametrize("exponent", [-1, 0, 2])
def test_mass_of_two_slopes_and_nothing_outside(exponent):
    choice = choose(two_slopes(), point_of(exponent, True, volumes=4000), 1000, 3)
    rows, expected = np.concatenate(choice.rows), 1 / (1 + 3.0**exponent)
    assert MEMBERS[rows].all() and [set(own // 4000) for own in choice.rows] == [{0}, {1}, {2}]
    # The deviation of 3000 draws, and of the few volumes behind them.
    sigma = math.sqrt(expected * (1 - expected) * (1 / 3000 + 1 / 9000))
    assert (SIDES[rows] == 0).mean() == pytest.approx(expected, abs=4 * sigma)
    # Draws are 4/3 of what is kept, with the deviation of a negative binomial; volumes are those of the pool.
    assert choice.generated == pytest.approx(4000, abs=4 * math.sqrt(3000 * 0.25) / 0.75)
    assert choice.acceptance == 3000 / choice.generated and choice.used == 12_000
    flat = 4000 * (1 + 3.0**exponent) ** 2 / (2 * (1 + 9.0**exponent))
    assert choice.ess == pytest.approx(flat, rel=0.05)
    assert "of their weight inside" in choice.note


def test_without_replacement_no_row_comes_twice_and_all_inside_can_be_had():
    pool = two_slopes()
    choice = choose(pool, point_of(2, False, volumes=4000), 1000, 3)
    rows = np.concatenate(choice.rows)
    assert len(set(rows)) == 3000 and MEMBERS[rows].all()
    assert 3000 < choice.generated < 12_000
    every = int(MEMBERS[:4000].sum())
    whole = choose(pool, point_of(2, False, volumes=4000), every, 1)
    assert set(whole.rows[0]) == set(np.flatnonzero(MEMBERS[:4000]))


def test_too_few_inside_give_fewer_repeats_and_say_so():
    few = MEMBERS.copy()
    few[4000:8000] = False
    choice = choose(two_slopes(few), point_of(1, False, volumes=4000), 500, 3)
    assert [set(rows // 4000) for rows in choice.rows] == [{0}, {2}]
    assert "too few inside in 1 of 3 repeats" in choice.note
    assert choice.acceptance == 1000 / choice.generated
    nobody = choose(two_slopes(0 * MEMBERS), point_of(1, True, volumes=4000), 500, 3)
    assert nobody.rows == [] and "too few inside in 3 of 3" in nobody.note
    small = choose(two_slopes(), point_of(1, True, volumes=20_000), 500, 3)
    assert small.rows == [] and small.used == 12_000 and "12000 of 20000 volumes" in small.note


def test_a_uniform_prior_divides_that_of_the_model_out():
    """Weights of e^2 on one half are undone by a prior of e^2 there."""
    pool = two_slopes()
    prior = np.where(SIDES, 2.0, 0.0)
    volumes = {"singular_values": column_of_volumes(2.0 * SIDES), "log_prior": Column(prior)}
    pool = Pool(volumes | {"inside_manifold": pool.column("inside_manifold")}, 0)
    point = point_of(1, True, volumes=4000, prior="uniform")
    assert choose(pool, point, 1000, 3).ess == pytest.approx(4000)
    assert set(column_settings(point)) == {"singular_values", "inside_manifold", "log_prior"}


def test_what_a_point_asks_for():
    point = point_of(5, False)
    assert column_settings(point)["inside_manifold"] == {"extractor": "judge", "k": 3}
    assert label(point) == "polarity 5, without replacement, inside the real manifold"
    assert proposals(point, 500, 3) == 6000
    with pytest.raises(ValueError, match="raise methods.polarity_inside.volumes"):
        proposals(point, 2001, 3)
    with pytest.raises(ValueError, match="set methods.polarity_inside.manifold"):
        column_settings(point | {"manifold": None})
    assert "take polarity" in why_not({"classes": True, "no_jacobian": None})
    assert why_not({"classes": False, "no_jacobian": "has none"}) == "has none"


def test_the_plan_asks_for_the_features_of_the_real_images():
    config = load_config(ROOT / "config/config.yaml", [], {})
    plan = Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")
    checkpoint = plan.models.pretrained("stylegan2", "faces", 0)
    item = plan.pools.item(checkpoint, point_of(1, False, manifold="judge_cnn"), 500, 2)
    needs = item.columns["inside_manifold"][0].needs
    assert needs["real_features"] == plan.data.features("faces", "judge_cnn")
    assert needs["extractor"] == plan.data.extractor("judge_cnn") and item.count == 4000
    with pytest.raises(ConfigError, match="set methods.polarity_inside.manifold") as raised:
        plan.pools.item(checkpoint, point_of(1, False, manifold=None), 500, 2)
    assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------------ the column


class Colours(Extractor):
    """The mean of each channel."""

    def embed(self, x):
        return x.mean((2, 3))


def test_the_column_is_what_rarity_calls_inside(tmp_path):
    """The metric decides by code of its own."""
    draw, colours = numpy_generator(0, "images"), Colours(3, 2)
    reals = draw.integers(0, 256, (25, 3, 2, 2), dtype=np.uint8)
    images = draw.integers(0, 256, (60, 3, 2, 2), dtype=np.uint8)
    images[:3] = reals[:3]  # in their own balls
    real_features, features = extract(colours, reals), extract(colours, images)
    save_npy(tmp_path / "reals.npy", real_features)
    inputs, settings = {"real_features": tmp_path / "reals.npy"}, {"extractor": "colours", "k": 2}
    progress = Progress("x", 60, every=1e9)
    context = Context(inputs, {}, 0, settings, progress, 7, stored=images)
    context.extractor = colours
    found = compute(context, range(60)).values
    side = rarity.prepare({"features": real_features}, k=2)
    expected = np.isfinite(rarity.rarities(side, features))
    assert found.dtype == np.float32 and found.tolist() == expected.astype(float).tolist()
    assert found[:3].all() and 5 < found.sum() < 55
