"""A draw depends on its seed, its name and its index, and on nothing else."""

import numpy as np
import pytest
import torch
from scipy import stats

from pseudodensity.rng import generator, normal, numpy_generator, seed_layers, uniform

GOLDEN_NORMAL = [
    pytest.approx([0.55825549, -1.46549535], abs=1e-6),
    pytest.approx([-0.46668607, -1.83217502], abs=1e-6),
]
GOLDEN_UNIFORM = [0.865688030204728, 0.8044490478854113]


@pytest.mark.parametrize("draw", [normal, uniform])
def test_a_row_keeps_its_number(draw):
    whole = draw(0, "latents", range(40), (3, 2))
    assert torch.equal(draw(0, "latents", [17], (3, 2))[0], whole[17])
    order = np.random.default_rng(0).permutation(40)
    assert torch.equal(draw(0, "latents", order, (3, 2)), whole[torch.from_numpy(order)])
    batches = [draw(0, "latents", range(i, i + 8), (3, 2)) for i in range(0, 40, 8)]
    assert torch.equal(torch.cat(batches), whole)
    assert torch.equal(draw(0, "latents", [5, 5], (3, 2))[0], whole[5])


def test_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    np.random.seed(1)
    first = normal(3, "a", range(4), (2,))
    drawn = torch.rand(3), np.random.rand(3)
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.equal(torch.rand(3), drawn[0]) and (np.random.rand(3) == drawn[1]).all()
    assert torch.equal(normal(3, "a", range(4), (2,)), first)


@pytest.mark.parametrize("draw", [normal, uniform])
@pytest.mark.parametrize("other", [(1, "a"), (0, "b"), (0, "a/0"), (10, "a")])
def test_streams_differ_by_seed_and_name(draw, other):
    ours, theirs = draw(0, "a", range(2000), (4,)), draw(*other, range(2000), (4,))
    assert not (ours == theirs).any(dim=1).any()
    correlation = np.corrcoef(ours.flatten(), theirs.flatten())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(8000)


def test_neighbouring_rows_are_independent():
    rows = normal(0, "a", range(4000), (8,)).numpy()
    for lag in (1, 2, 64):
        assert abs(np.corrcoef(rows[lag:].ravel(), rows[:-lag].ravel())[0, 1]) < 5 / np.sqrt(32000)
    # Streams that overlapped would share values, shifted within the row.
    assert len(np.unique(uniform(0, "a", range(4000), (8,)))) == 32000


def test_normal_is_standard_normal():
    values = normal(0, "a", range(5000), (10,))
    assert values.dtype == torch.float32 and values.shape == (5000, 10)
    assert stats.kstest(values.flatten().numpy(), "norm").pvalue > 1e-4
    assert values.mean().abs() < 5 / np.sqrt(5e4) and (values.var() - 1).abs() < 0.04


def test_uniform_is_uniform():
    values = uniform(0, "a", range(50000))
    assert values.dtype == torch.float64 and values.shape == (50000,)
    assert values.min() >= 0 and values.max() < 1
    assert stats.kstest(values.numpy(), "uniform").pvalue > 1e-4


def test_the_numbers_of_today_are_those_of_tomorrow():
    """Published samples are named by their index; a new library must not change them."""
    assert normal(0, "latents", [0, 1], (2,)).tolist() == GOLDEN_NORMAL
    assert uniform(0, "u", [0, 10**6]).tolist() == pytest.approx(GOLDEN_UNIFORM, abs=1e-12)


@pytest.mark.parametrize("make", [generator, numpy_generator])
def test_generators_are_repeatable_and_independent(make):
    def draws(*names):
        stream = make(*names)
        if isinstance(stream, torch.Generator):
            return torch.rand(1000, generator=stream).double().numpy()
        return stream.random(1000)

    base = draws(0, "step", 7)
    assert (draws(0, "step", 7) == base).all()
    for other in [(1, "step", 7), (0, "step", 8), (0, "other", 7), (0, "step"), (0, 7, "step")]:
        assert abs(np.corrcoef(base, draws(*other))[0, 1]) < 5 / np.sqrt(1000), other


def test_layers_draw_what_their_stream_says():
    def noise(step: int) -> torch.Tensor:
        seed_layers(generator(0, "step", step), "cpu")
        return torch.rand(4)

    first = noise(0)
    torch.manual_seed(99)  # what was drawn before does not matter
    assert torch.equal(noise(0), first) and not torch.equal(noise(1), first)
