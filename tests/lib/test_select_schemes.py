"""The schemes against the laws that they must sample."""

import math

import pytest
import torch
from scipy.stats import chisquare

from pseudodensity.control.select.schemes import (
    effective_sample_size,
    metropolis,
    rejection,
    resample,
    sir,
)
from pseudodensity.rng import generator

RATIOS = torch.tensor([1.5, 0.5])  # two atoms of one half each: the target of the first is 3/4


def atoms(count, *names):
    """Which of the two atoms each proposal is, and its log ratio."""
    which = torch.randint(2, (count,), generator=generator(0, "atoms", *names))
    return which, RATIOS[which].log()


def share_of_first(which, chosen):
    return (which[chosen] == 0).double().mean().item()


def four_sigma(p, count):
    return 4 * math.sqrt(p * (1 - p) / count)


@pytest.mark.parametrize("p", [0.001, 0.3, 0.999])
def test_rejection_accepts_with_the_given_probability(p):
    accepted = rejection(torch.full((50_000,), math.log(p)), generator(0, "reject", p))
    assert accepted.dtype == torch.bool and accepted.shape == (50_000,)
    assert accepted.double().mean().item() == pytest.approx(p, abs=four_sigma(p, 50_000))


def test_rejection_is_certain_at_both_ends_and_stays_when_a_pool_grows():
    values = torch.tensor([0.0, -math.inf]).repeat(1000)
    assert torch.equal(rejection(values, generator(0)), values == 0)
    some = torch.full((100,), -0.7)
    whole = rejection(some, generator(1))
    assert torch.equal(whole[:30], rejection(some[:30], generator(1)))


def test_rejection_by_the_ratio_samples_the_target():
    which, log_ratio = atoms(50_000, "rejection")
    accepted = rejection(log_ratio - math.log(1.5), generator(2))
    assert accepted.double().mean().item() == pytest.approx(2 / 3, abs=four_sigma(2 / 3, 50_000))
    kept = int(accepted.sum())
    assert share_of_first(which, accepted) == pytest.approx(0.75, abs=four_sigma(0.75, kept))


def test_resampling_with_replacement_follows_the_weights():
    weights = torch.tensor([0.0, 0.1, 0.2, 0.0, 0.7, 0.0])
    drawn = resample(weights.log() + 900, 20_000, generator(3), replacement=True)
    counts = torch.bincount(drawn, minlength=6)
    assert drawn.dtype == torch.int64 and (counts[weights == 0] == 0).all()
    assert chisquare(counts[weights > 0], 20_000 * weights[weights > 0].double()).pvalue > 1e-4


def test_resampling_without_replacement_is_an_urn_from_which_nothing_returns():
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    trials, stream = 6000, generator(4)
    pairs = [resample(weights.log(), 2, stream, replacement=False) for _ in range(trials)]
    found = torch.bincount(torch.stack(pairs) @ torch.tensor([3, 1]), minlength=9).view(3, 3)
    expected = weights[:, None] * weights / (1 - weights[:, None]) * trials
    assert (found.diagonal() == 0).all()
    off = ~torch.eye(3, dtype=torch.bool)
    assert chisquare(found[off], expected[off]).pvalue > 1e-4


def test_without_replacement_all_of_a_pool_is_a_permutation():
    drawn = resample(torch.linspace(-1e4, 1e4, 50), 50, generator(5), replacement=False)
    assert torch.equal(drawn.sort().values, torch.arange(50))
    # Weights this far apart leave only one order.
    assert torch.equal(drawn, torch.arange(50).flip(0))


@pytest.mark.parametrize("n", [1, 2, 5, 10, 50])
def test_sir_of_two_atoms(n):
    outputs = 10_000
    which, log_ratio = atoms(outputs * n, "sir", n)
    chosen = sir(log_ratio, n, generator(6, n))
    assert torch.equal(chosen // n, torch.arange(outputs))
    # The law: a block of k first atoms yields one with probability k r_1 / (k r_1 + (n - k) r_2).
    blocks = [math.comb(n, k) / 2**n * k * 1.5 / (k * 1.5 + (n - k) * 0.5) for k in range(n + 1)]
    expected = math.fsum(blocks)
    table = {1: 0.5, 2: 0.625, 5: 0.7065, 10: 0.7298, 50: 0.7462}
    assert expected == pytest.approx(table[n], abs=5e-5)
    tolerance = four_sigma(expected, outputs)
    assert share_of_first(which, chosen) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 64])
def test_metropolis_chains_of_two_atoms(steps):
    chains = 10_000
    which, log_ratio = atoms(chains * (steps + 1), "metropolis", steps)
    chosen = metropolis(log_ratio, steps + 1, generator(7, steps))
    assert torch.equal(chosen // (steps + 1), torch.arange(chains))
    # P_k = 1/2 + P_{k-1} / 3 from P_0 = 1/2.
    expected = 0.75 - 0.25 * 3.0**-steps
    table = {0: 0.5, 1: 0.6667, 2: 0.7222, 5: 0.7490, 64: 0.75}
    assert expected == pytest.approx(table[steps], abs=5e-5)
    tolerance = four_sigma(expected, chains)
    assert share_of_first(which, chosen) == pytest.approx(expected, abs=tolerance)


def test_two_steps_from_a_given_start():
    """From the first atom the second is accepted with probability 1/3, the first with 1."""
    chains = 20_000
    which, log_ratio = atoms(2 * chains, "two steps")
    start = torch.full((chains,), math.log(1.5))
    last = metropolis(log_ratio, 2, generator(8), start) % 2
    pairs = which.view(-1, 2).tolist()
    ends = {key: [] for key in ((0, 0), (0, 1), (1, 0), (1, 1))}
    for pair, end in zip(pairs, last.tolist(), strict=True):
        ends[tuple(pair)].append(end)
    # (1, 1): a chain that refused both runs again from the first and accepts its equal.
    assert all(ends[0, 0]) and all(ends[1, 0]) and all(ends[1, 1])
    moved = ends[0, 1]
    assert sum(moved) / len(moved) == pytest.approx(1 / 3, abs=four_sigma(1 / 3, len(moved)))


def test_a_single_proposal_is_the_only_state_there_is():
    _, log_ratio = atoms(100, "single")
    chosen = metropolis(log_ratio, 1, generator(9), torch.full((100,), 9.0))
    assert torch.equal(chosen, torch.arange(100))


def test_chains_that_never_leave_a_real_image_restart_from_a_proposal():
    chains, length = 10_000, 3
    which, log_ratio = atoms(chains * length, "restart")
    chosen = metropolis(log_ratio, length, generator(10), torch.full((chains,), 50.0))
    expected = 0.75 - 0.25 * 3.0**-2
    tolerance = four_sigma(expected, chains)
    assert share_of_first(which, chosen) == pytest.approx(expected, abs=tolerance)


def test_a_chain_leaves_a_ratio_of_zero():
    blocks = torch.tensor([-math.inf, -math.inf, 0.3, -math.inf])
    assert metropolis(blocks, 4, generator(11)).tolist() == [2]
    assert metropolis(blocks[:2], 2, generator(11)).tolist() == [1]


@pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
def test_effective_sample_size(scale):
    weights = torch.tensor([1.0, 2.0, 3.0, 0.0], dtype=torch.float64)
    assert effective_sample_size(weights.log() + scale) == pytest.approx(36 / 14)
    assert effective_sample_size(torch.full((7,), scale)) == pytest.approx(7)
    assert effective_sample_size(torch.tensor([0.0, 1e4])) == pytest.approx(1)


def test_the_same_stream_gives_the_same_choice():
    _, log_ratio = atoms(1000, "repeat")
    for choose in (
        lambda stream: rejection(log_ratio - 1, stream),
        lambda stream: resample(log_ratio, 100, stream, replacement=True),
        lambda stream: resample(log_ratio, 100, stream, replacement=False),
        lambda stream: sir(log_ratio, 10, stream),
        lambda stream: metropolis(log_ratio, 10, stream),
    ):
        assert torch.equal(choose(generator(12)), choose(generator(12)))
        assert not torch.equal(choose(generator(12)), choose(generator(13)))


def test_incomplete_blocks_are_left_out():
    _, log_ratio = atoms(25, "incomplete")
    assert len(sir(log_ratio, 10, generator(14))) == 2
    assert len(metropolis(log_ratio, 10, generator(14))) == 2


BAD = [
    (lambda v, s: rejection(v + 1, s), "no probability"),
    (lambda v, s: rejection(v * math.nan, s), "NaN"),
    (lambda v, s: rejection(v[:, None], s), "must be"),
    (lambda v, s: rejection(v[:0], s), "N > 0"),
    (lambda v, s: resample(v, 5, s, replacement=False), "5 draws without replacement from 4"),
    (lambda v, s: resample(v, 0, s, replacement=True), "0 draws"),
    (lambda v, s: resample(v - math.inf, 1, s, replacement=True), "from 0 proposals"),
    (lambda v, s: sir(v, 5, s), "no block of 5"),
    (lambda v, s: sir(v - math.inf, 2, s), "zero weights"),
    (lambda v, s: metropolis(v, 0, s), "no block of 0"),
    (lambda v, s: metropolis(v, 2, s, v), "2 chains need"),
    (lambda v, s: metropolis(v - math.nan, 2, s), "NaN"),
    (lambda v, s: effective_sample_size(v - math.inf), "all weights are zero"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(4), generator(0))
