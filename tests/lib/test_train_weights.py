"""Latent weights: losses against closed forms, the bridge of known answer, resuming, collapse, errors."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from pseudodensity.control.train.adversarial import gradient_penalty
from pseudodensity.control.train.loop import run
from pseudodensity.control.train.weight_losses import (
    critic_loss,
    reward_baseline,
    weight_loss,
)
from pseudodensity.control.train.weight_network import WeightNetwork, start_kinks
from pseudodensity.control.train.weights import (
    CollapseError,
    WeightTrainer,
    alarms,
    weight_statistics,
)
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of
from pseudodensity.tensors import load_tensors

torch.set_num_threads(1)

# What works on the bridge: one side of it is as good as the other, so the critic must be fast.
RECIPE = {
    "critic_loss": "wasserstein",
    "normalised": True,
    "penalty": 0.1,
    "penalty_sides": "two",
    "baseline": "minimum",
    "lambda_norm": 10.0,
    "lambda_clip": 3.0,
    "largest": 2.0,
    "batch_size": 128,
    "lr_weights": 2e-3,
    "lr_critic": 5e-3,
    "lr_warm_up": 5e-3,
    "betas": [0.0, 0.9],
    "warm_up": 100,
    "critic_steps": 1,
    "weight_steps": 1,
    "decay_fraction": 0.5,
    "ema_half_life": 1,
}
STEPS = 700


# ---------------------------------------------------------------------------------- the losses


def test_the_critic_sees_weighted_fakes():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([2.0, -2.0])
    weights = torch.tensor([3.0, 1.0])
    # By hand: mean(w D) is (1.5 * 2 - .5 * 2) / 2 = 1, and 2 where the weights stay as they are.
    assert critic_loss("wasserstein", real, fake, weights).item() == pytest.approx(1 - 2)
    raw = critic_loss("wasserstein", real, fake, weights, normalised=False)
    assert raw.item() == pytest.approx(2 - 2)
    # relu(1 - D) of reals is 0 and 0; of fakes relu(1 + D) is 3 and 0.
    assert critic_loss("hinge", real, fake, weights).item() == pytest.approx(1.5 * 3 / 2)
    with pytest.raises(ValueError, match="'ns' unknown: use one of wasserstein, hinge"):
        critic_loss("ns", real, fake, weights)


def test_the_penalty_of_a_linear_critic_is_its_slope():
    real, fake = torch.randn(5, 3), torch.randn(5, 3)
    for slope, sides, expected in ((3.0, "two", 4.0), (0.5, "two", 0.25), (0.5, "one", 0.0)):
        found = gradient_penalty(
            lambda x, s=slope: s * x[:, 0], real, fake, stream_of(0), sides=sides
        )
        assert found.item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="one or two sides"):
        gradient_penalty(lambda x: x[:, 0], real, fake, stream_of(0), sides="both")


def test_baselines_by_hand():
    weights, scores = torch.tensor([3.0, 1.0]), torch.tensor([2.0, -2.0])
    assert reward_baseline("minimum", weights, scores) == -2
    assert reward_baseline("self_normalised", weights, scores) == 1
    with pytest.raises(ValueError, match="'mean' unknown"):
        reward_baseline("mean", weights, scores)


def test_the_self_normalised_reward_is_the_gradient_of_the_mean_score_under_the_weights():
    scores, weights = torch.randn(50), torch.rand(50).requires_grad_()
    loss = weight_loss(
        weights, scores, baseline="self_normalised", lambda_norm=0, lambda_clip=0, largest=9
    )
    (found,) = torch.autograd.grad(loss, weights)
    (exact,) = torch.autograd.grad((weights * scores).sum() / weights.sum(), weights)
    assert torch.allclose(found, -exact * weights.mean(), atol=1e-7)


def water_level(gains: np.ndarray, lambda_norm: float, lambda_clip: float, m: float) -> np.ndarray:
    """The weights that solve Equation 6 for a fixed critic, by the conditions of Kuhn and Tucker.

    With c = 2 lambda1 (mean w - 1), a weight is m + (gain - c) / (2 lambda2) where its gain is above
    c, 0 where it is below, and where it is c, whatever makes the mean right.
    """

    def above(c):
        return np.where(gains > c, m + (gains - c) / (2 * lambda_clip), 0)

    low, high = -1e3, 1e3
    for _ in range(200):
        c = (low + high) / 2
        low, high = (c, high) if above(c).mean() > 1 + c / (2 * lambda_norm) else (low, c)
    found = above(high)
    if found.mean() < 1 + high / (2 * lambda_norm) - 1e-9:
        partly = np.abs(gains - high).argmin()
        found[partly] = (1 + high / (2 * lambda_norm)) * len(gains) - np.delete(found, partly).sum()
    return found


@pytest.mark.parametrize("penalties", [(10.0, 3.0, 3.0), (0.2, 3.0, 2.0), (30.0, 0.5, 2.0)])
def test_equation_6_with_a_fixed_linear_critic_has_the_solution_of_its_quadratic_problem(
    penalties,
):
    lambda_norm, lambda_clip, m = penalties
    points = torch.linspace(-1, 1, 41, dtype=torch.float64)
    scores = 1.5 * points  # D(G(z)) with a linear critic

    def objective(values):
        weights = torch.tensor(values, requires_grad=True)
        loss = weight_loss(
            weights,
            scores,
            baseline="minimum",
            lambda_norm=lambda_norm,
            lambda_clip=lambda_clip,
            largest=m,
        )
        loss.backward()
        return loss.item(), weights.grad.numpy()

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-11}
    solved = minimize(
        objective,
        np.ones(41),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * 41,
        options=options,
    )
    exact = water_level((scores - scores.min()).numpy(), lambda_norm, lambda_clip, m)
    assert solved.fun == pytest.approx(objective(exact)[0], abs=1e-7)
    assert np.allclose(solved.x, exact, atol=2e-3)
    # The best points have the largest weights, and the worst none.
    assert exact[-1] > m and exact[0] == 0


# ---------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("output", ["relu", "sigmoid"])
@pytest.mark.parametrize("activation", ["relu", "leaky"])
def test_a_network_starts_near_one_and_learns(activation, output):
    network = WeightNetwork(
        (2, 4), [32, 32], stream_of(0), activation=activation, output=output, largest=3.0
    )
    weights = network(torch.randn(500, 2, 4, generator=stream_of(1)))
    assert weights.shape == (500,) and (weights >= 0).all()
    assert abs(weights.mean().item() - 1) < 0.3
    weights.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())
    if output == "sigmoid":
        with torch.no_grad():
            network.last.bias.fill_(50)
            assert network(torch.zeros(1, 2, 4)).item() == 3.0


def test_a_network_is_decided_by_its_stream():
    states = [WeightNetwork((3,), [8], stream_of(s)).state_dict() for s in (0, 0, 1)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not torch.equal(states[0]["last.weight"], states[2]["last.weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "tanh"}, "activation 'tanh' of a weight network unknown"),
        ({"output": "exp"}, "output 'exp' of a weight network unknown"),
        ({"output": "sigmoid", "largest": 1.0}, "m must be above 1"),
    ],
)
def test_a_network_that_cannot_be(changes, message):
    with pytest.raises(ValueError, match=message):
        WeightNetwork((3,), [8], stream_of(0), **changes)
    with pytest.raises(ValueError, match="widths"):
        WeightNetwork((3,), [], stream_of(0))


def test_kinks_run_through_samples():
    layer, samples = nn.Linear(2, 64), torch.rand(10, 2, generator=stream_of(0))
    start_kinks(layer, samples, stream_of(1), scale=4.0)
    assert torch.allclose(layer.weight.norm(dim=1), torch.full((64,), 4.0))
    # Each row is 0 at one of the samples.
    assert layer(samples).abs().amin(0).max() < 1e-5


@pytest.mark.parametrize("output", ["relu", "sigmoid"])
def test_a_start_near_one_has_little_spread_whatever_the_first_layer(output):
    z = torch.randn(4000, 2, generator=stream_of(0))
    network = WeightNetwork((2,), [64, 64], stream_of(1), output=output, largest=3.0)
    start_kinks(network.hidden[0], z, stream_of(2), scale=20.0)
    assert network(z).std() > 0.3
    network.start_near_one(z)
    assert network(z).mean().item() == pytest.approx(1, abs=0.01)
    assert 0.05 < network(z).std().item() < 0.15


def test_a_batch_without_any_weight_gives_a_loss_that_is_finite():
    loss = critic_loss("wasserstein", torch.ones(3), torch.ones(3), torch.zeros(3))
    assert loss.item() == -1


# ---------------------------------------------------------------------------------- the bridge


def bridge(z):
    """0 up to .4, 1 from .6, and a straight way between."""
    return ((z - 0.4) / 0.2).clamp(0, 1)


def halves(count, stream):
    """Reals: exactly half of them 0, the others 1."""
    return (torch.arange(count) % 2).float()[:, None]


def strata(count, stream):
    """Uniform latents, one in each of `count` equal parts."""
    return ((torch.arange(count) + torch.rand(count, generator=stream)) / count)[:, None]


def bridge_trainer(kind=WeightTrainer, seed=0, iterations=STEPS, **changes):
    stream, recipe = stream_of(seed, "bridge"), RECIPE | changes
    network = WeightNetwork((1,), [64, 64], stream, largest=recipe["largest"])
    critic = nn.Sequential(
        nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    for layer in critic[::2]:
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=stream)
        nn.init.zeros_(layer.bias)
    inside = torch.rand(200, 1, generator=stream)
    start_kinks(network.hidden[0], inside, stream)
    start_kinks(critic[0], inside, stream)
    return kind(network, critic, bridge, strata, halves, recipe, iterations=iterations, seed=seed)


def trained(trainer):
    for iteration in range(trainer.iterations):
        trainer.step(iteration)
    return trainer


def law_of(trainer):
    """W1 to half 0 and half 1, w / mean(w) on and beside the bridge, E min(w / m, 1)."""
    z = (torch.arange(20_000) + 0.5)[:, None] / 20_000
    with torch.no_grad():
        weights = trainer.average.module(z).double()
    share, x = weights / weights.sum(), bridge(z).squeeze(1).double()
    # In one dimension W1 is the area between both distribution functions.
    order = x.argsort()
    below = share[order].cumsum(0)
    distance = ((below[:-1] - 0.5).abs() * x[order].diff()).sum().item()
    relative, on = weights / weights.mean(), (x > 0) & (x < 1)
    acceptance = weight_statistics(weights, trainer.recipe["largest"])["acceptance"]
    return distance, relative[on].mean().item(), relative[~on].mean().item(), acceptance


@pytest.mark.parametrize(("baseline", "lambda_norm"), [("minimum", 10.0), ("self_normalised", 0.2)])
def test_the_bridge_is_found_by_training(baseline, lambda_norm):
    """Plain W1 is .05; the best weights are 0 on the bridge and 1.25 beside it, where W1 is 0."""
    untrained = bridge_trainer()
    with torch.no_grad():
        untrained.average.module.last.weight.zero_()
    assert law_of(untrained)[0] == pytest.approx(0.05, abs=1e-3)
    found = law_of(trained(bridge_trainer(baseline=baseline, lambda_norm=lambda_norm)))
    distance, on, beside, acceptance = found
    assert distance < 0.01
    assert on < 0.1 and beside == pytest.approx(1.25, abs=0.03)
    assert acceptance == pytest.approx(0.5, abs=0.05)


class WrongSign(WeightTrainer):
    """Algorithm 1 as it is printed: the reward is minimised."""

    def weight_loss(self, weights, scores):
        return super().weight_loss(weights, -scores)


def test_the_printed_sign_of_algorithm_1_does_not_find_the_bridge():
    distance, on, _, _ = law_of(trained(bridge_trainer(WrongSign)))
    assert distance > 0.05 and on > 0.5


# ---------------------------------------------------------------------------------- the trainer


def weights_of(trainer):
    return {f"{part}.{k}": v for part, s in trainer.weights_to_keep().items() for k, v in s.items()}


def test_a_run_that_was_stopped_ends_in_the_same_weights(tmp_path):
    whole = trained(bridge_trainer(iterations=30, warm_up=5))
    (halfway := tmp_path / "work").mkdir()
    progress = Progress("toy", 30, "steps")
    first = bridge_trainer(iterations=30, warm_up=5)
    run(first, 12, halfway, {}, progress, save_seconds=0)
    second = bridge_trainer(iterations=30, warm_up=5)
    run(second, 30, halfway, {}, progress)
    assert load_tensors(halfway / "state.safetensors")[1] == {"iteration": 30}
    for name, value in weights_of(whole).items():
        assert torch.equal(value, weights_of(second)[name]), name


def test_the_warm_up_leaves_the_weights_alone():
    trainer = bridge_trainer(iterations=10, warm_up=10)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    critic = {k: v.clone() for k, v in trainer.critic.state_dict().items()}
    trained(trainer)
    assert all(torch.equal(v, before[k]) for k, v in trainer.network.state_dict().items())
    assert any(not torch.equal(v, critic[k]) for k, v in trainer.critic.state_dict().items())


def test_hinge_trains_and_says_what_it_sees():
    trainer = bridge_trainer(critic_loss="hinge", iterations=20, warm_up=2, penalty=1.0)
    assert set(trainer.step(0)) == {"gap"}
    assert set(trainer.step(2)) == {"gap", "E w", "sd w", "P(w > m)", "ESS"}
    assert set(trainer.facts()) == {"mean", "sd", "effective", "above", "acceptance"}


def test_collapsed_weights_stop_the_run_in_one_line():
    trainer = bridge_trainer(warm_up=0, lr_weights=0.0)
    with torch.no_grad():
        trainer.network.last.weight.zero_()
        trainer.network.last.bias.fill_(0.01)
    told = r"collapsed before step 19: their mean is 0\.010; raise"
    with pytest.raises(CollapseError, match=told) as raised:
        trained(trainer)
    assert "\n" not in str(raised.value)


def test_a_dip_of_a_few_steps_is_no_collapse():
    trainer = bridge_trainer(warm_up=0, lr_weights=0.0)
    layer = trainer.network.last
    with torch.no_grad():
        layer.weight.zero_()
    for step, level in enumerate([0.01] * 19 + [1.0] + [0.01] * 19):
        with torch.no_grad():
            layer.bias.fill_(level)
        trainer.step(step)


def test_few_latents_that_count_are_a_collapse_too():
    trainer = bridge_trainer(warm_up=0, lr_weights=0.0)

    class Spike(nn.Module):
        def forward(self, z):
            return torch.where(z.squeeze(1) < 0.03, 30.0, 0.0) * self.one

    trainer.network = Spike()
    trainer.network.one = nn.Parameter(torch.ones(()))
    with pytest.raises(CollapseError, match=r"only \d\.\d% of the latents count"):
        trained(trainer)


def test_statistics_by_hand_and_what_is_alarming():
    found = weight_statistics(torch.tensor([0.0, 0.0, 1.0, 3.0]), 2.0)
    assert found["mean"] == 1 and found["sd"] == pytest.approx(1.5**0.5)
    assert found["effective"] == pytest.approx(16 / 40)
    assert found["above"] == 0.25 and found["acceptance"] == pytest.approx(0.375)
    assert len(alarms(found)) == 1 and "25% of the latents" in alarms(found)[0]
    flat = weight_statistics(torch.full((9,), 1.2), 2.0)
    assert len(alarms(flat)) == 2 and weight_statistics(torch.zeros(3), 1.0)["effective"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"largest": 0}, r"m \(largest\) must be positive and finite, got 0"),
        ({"lambda_norm": -1}, "lambda_norm must be finite and not negative, got -1"),
        ({"lambda_clip": float("nan")}, "lambda_clip must be finite"),
        ({"critic_loss": "ns"}, "critic_loss 'ns' unknown: use one of wasserstein, hinge"),
        ({"baseline": "mean"}, "baseline 'mean' unknown"),
        ({"batch_size": 0}, "batch_size must be 1 or more"),
        ({"lambda1": 3}, "has 'lambda1': take it out"),
    ],
)
def test_a_recipe_that_cannot_be_is_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as raised:
        bridge_trainer(**{"largest": 2.0, **changes})
    assert "\n" not in str(raised.value)
