"""Training of latent weights against a critic (latent reweighting, Algorithm 1 with the sign of Equation 6).

The spaces are open: a latent is what `draw_latents` gives and the weight network and the generator
take (z, or w behind a frozen mapping), a sample what the critic takes. By default the weights are
divided by their mean in the critic's loss and the reward has a self-normalised baseline. In the
paper's own form (`normalised` false, baseline "minimum") the mean weight can run away: watch
`alarms`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pseudodensity.control.select.latent import expected_latent_acceptance, share_above
from pseudodensity.control.train.adversarial import gradient_penalty
from pseudodensity.control.train.loop import (
    ExponentialAverage,
    linear_decay,
    optimizer_state,
    restore_optimizer,
)
from pseudodensity.control.train.parts import size_of_part
from pseudodensity.control.train.weight_losses import (
    BASELINES,
    CRITIC_LOSSES,
    critic_loss,
    unit_mean,
    weight_loss,
)
from pseudodensity.rng import generator as random_stream

__all__ = [
    "NEUTRAL",
    "RECIPE",
    "CollapseError",
    "WeightTrainer",
    "alarms",
    "check_recipe",
    "weight_statistics",
]

# Keys of a recipe that the trainer reads.
# critic_loss, normalised, penalty, penalty_sides: of the critic, see `weight_losses` and `adversarial`.
# baseline, lambda_norm, lambda_clip, largest: of the weights; lambda1, lambda2 and m of the paper.
# warm_up: steps of the critic alone, at the rate lr_warm_up. critic_steps, weight_steps: in one step.
# decay_fraction: of the steps after warm-up, in which both rates fall to 0. ema_half_life: in latents.
RECIPE = (
    "critic_loss",
    "normalised",
    "penalty",
    "penalty_sides",
    "baseline",
    "lambda_norm",
    "lambda_clip",
    "largest",
    "batch_size",
    "lr_weights",
    "lr_critic",
    "lr_warm_up",
    "betas",
    "warm_up",
    "critic_steps",
    "weight_steps",
    "decay_fraction",
    "ema_half_life",
)
# Keys that it may leave out, with the value that does nothing.
# accumulate: samples and their critic are worked through in that many equal parts of the batch, whose gradients
# add up to that of the whole one; weights are compared with those of the whole one all the same.
NEUTRAL = {"accumulate": 1}

LEAST_MEAN, LEAST_SHARE = 0.05, 0.05  # below, the weights have collapsed,
# if they stay there for so many steps: a dip of a few is common at the start and heals.
PATIENCE = 20
MEASURED = 10_000  # latents that the finished weights are measured on

Draw = Callable[[int, torch.Generator], Tensor]


class CollapseError(RuntimeError):
    """Weights that left nearly all latents, or all of them, with nothing."""


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """ValueError, in one line: a recipe of `WeightTrainer` that cannot be trained by."""
    if missing := [key for key in RECIPE if key not in recipe]:
        raise ValueError(f"the recipe of latent weights lacks {missing[0]}: add it")
    if unknown := [key for key in recipe if key not in (*RECIPE, *NEUTRAL)]:
        raise ValueError(f"the recipe of latent weights has {unknown[0]!r}: take it out")
    largest = recipe["largest"]
    if not (largest > 0 and math.isfinite(largest)):
        raise ValueError(f"m (largest) must be positive and finite, got {largest}")
    for key in ("lambda_norm", "lambda_clip", "penalty"):
        if not (recipe[key] >= 0 and math.isfinite(recipe[key])):
            raise ValueError(f"{key} must be finite and not negative, got {recipe[key]}")
    for key, known in (("critic_loss", CRITIC_LOSSES), ("baseline", BASELINES)):
        if recipe[key] not in known:
            raise ValueError(f"{key} {recipe[key]!r} unknown: use one of {', '.join(known)}")
    for key in ("batch_size", "critic_steps", "weight_steps"):
        if recipe[key] < 1:
            raise ValueError(f"{key} must be 1 or more, got {recipe[key]}")
    size_of_part(recipe["batch_size"], recipe.get("accumulate", 1))


def weight_statistics(weights: Tensor, largest: float) -> dict[str, float]:
    """What tells whether weights (n,) are good ones.

    ``mean``, ``sd``, ``effective`` (the share of latents that as many equal weights would be worth),
    ``above`` (P(w > m)) and ``acceptance`` (E min(w / m, 1)).
    """
    weights = weights.detach().double()
    squares = weights.square().sum().item()
    return {
        "mean": weights.mean().item(),
        "sd": weights.std(correction=0).item(),
        "effective": weights.sum().item() ** 2 / (len(weights) * squares) if squares else 0.0,
        "above": share_above(weights, largest),
        "acceptance": expected_latent_acceptance(weights, largest),
    }


def alarms(statistics: Mapping[str, float]) -> list[str]:
    """What is wrong with finished weights, in words; of `weight_statistics`."""
    found = []
    if abs(statistics["mean"] - 1) > 0.1:
        found.append(f"the mean weight is {statistics['mean']:.2f}, not 1")
    if statistics["above"] > 0.05:
        found.append(f"{statistics['above']:.0%} of the latents have a weight above m")
    if statistics["sd"] < 0.1:
        found.append(f"the weights hardly differ (sd {statistics['sd']:.2f}): nothing was learned")
    return found


class WeightTrainer:
    """Weights and critic in training; see :class:`pseudodensity.control.train.loop.Trainer`.

    Args:
        network: latents (n, ...) -> weights (n,), such as a `WeightNetwork`.
        critic: samples -> scores (n,) or (n, m), fresh or pre-trained.
        generator: latents -> samples; it gets no gradient.
        draw_latents, draw_reals: (count, stream) -> that many, drawn from the stream only.
        recipe: see `RECIPE`.
        iterations: steps of the whole run, those of the warm-up among them.
        seed: names all random streams of the run.
        device: where to compute.

    ValueError: see `check_recipe`.
    """

    def __init__(
        self,
        network: nn.Module,
        critic: nn.Module,
        generator: Callable[[Tensor], Tensor],
        draw_latents: Draw,
        draw_reals: Draw,
        recipe: Mapping[str, Any],
        *,
        iterations: int,
        seed: int,
        device: str = "cpu",
    ) -> None:
        check_recipe(recipe)
        self.network, self.critic = network.to(device).train(), critic.to(device).train()
        self.generator, self.draw_latents, self.draw_reals = generator, draw_latents, draw_reals
        self.recipe, self.iterations = {**NEUTRAL, **recipe}, iterations
        self.batch_size, self.seed, self.device = int(recipe["batch_size"]), seed, device
        self.part_size = size_of_part(self.batch_size, self.recipe["accumulate"])
        self.bad_steps = 0
        average = copy.deepcopy(self.network)
        self.average = ExponentialAverage(average, self.network, recipe["ema_half_life"], None)
        betas = tuple(recipe["betas"])
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), lr=0.0, betas=betas)
            for name, module in (("weights", self.network), ("critic", self.critic))
        }

    def step(self, iteration: int) -> dict[str, float]:
        """One round: the critic's updates and, after the warm-up, those of the weights.

        CollapseError, in one line: the weights have collapsed.
        """
        stream = random_stream(self.seed, "weight step", iteration)
        self._set_learning_rates(iteration)
        for _ in range(self.recipe["critic_steps"]):
            gap = self._update_critic(stream)
        if iteration < self.recipe["warm_up"]:
            return {"gap": gap}
        for _ in range(self.recipe["weight_steps"]):
            weights = self._update_weights(stream)
        seen = (iteration + 1 - self.recipe["warm_up"]) * self.batch_size
        self.average.update(seen, self.batch_size)
        found = weight_statistics(weights, self.recipe["largest"])
        self._check_collapse(found, iteration)
        named = {"E w": "mean", "sd w": "sd", "P(w > m)": "above", "ESS": "effective"}
        return {"gap": gap, **{name: found[key] for name, key in named.items()}}

    def _set_learning_rates(self, iteration: int) -> None:
        recipe, warm_up = self.recipe, self.recipe["warm_up"]
        done, whole = iteration - warm_up, self.iterations - warm_up
        factor = linear_decay(done, whole, recipe["decay_fraction"]) if done >= 0 else 1.0
        rates = {
            "weights": recipe["lr_weights"] * factor,
            "critic": recipe["lr_critic"] * factor if done >= 0 else recipe["lr_warm_up"],
        }
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name]

    @torch.no_grad()
    def _samples(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    def _scores(self, samples: Tensor) -> Tensor:
        return self.critic(samples).reshape(len(samples), -1).mean(1)

    def _update_critic(self, stream: torch.Generator) -> float:
        recipe, losses = self.recipe, []
        real = self.draw_reals(self.batch_size, stream).to(self.device)
        latents = self.draw_latents(self.batch_size, stream).to(self.device)
        with torch.no_grad():
            weights = self.network(latents)
        if recipe["normalised"]:
            weights = unit_mean(weights)
        self.optimizers["critic"].zero_grad(set_to_none=True)
        batch = (x.split(self.part_size) for x in (real, latents, weights))
        for x, z, w in zip(*batch, strict=True):
            fake = self._samples(z)
            scores = self._scores(x), self._scores(fake)
            loss = critic_loss(recipe["critic_loss"], *scores, w, normalised=False)
            losses.append(loss.detach())
            if recipe["penalty"]:
                sides = recipe["penalty_sides"]
                penalty = gradient_penalty(self._scores, x, fake, stream, sides=sides)
                loss = loss + recipe["penalty"] * penalty
            (loss / recipe["accumulate"]).backward()
        self.optimizers["critic"].step()
        return -torch.stack(losses).mean().item()

    def _update_weights(self, stream: torch.Generator) -> Tensor:
        latents = self.draw_latents(self.batch_size, stream).to(self.device)
        with torch.no_grad():
            parts = latents.split(self.part_size)
            scores = torch.cat([self._scores(self._samples(part)) for part in parts])
        weights, optimizer = self.network(latents), self.optimizers["weights"]
        optimizer.zero_grad(set_to_none=True)
        self.weight_loss(weights, scores).backward()
        optimizer.step()
        return weights.detach()

    def weight_loss(self, weights: Tensor, scores: Tensor) -> Tensor:
        """What the weights (n,) of latents minimise whose samples have these scores (n,)."""
        recipe = self.recipe
        return weight_loss(
            weights,
            scores,
            baseline=recipe["baseline"],
            lambda_norm=recipe["lambda_norm"],
            lambda_clip=recipe["lambda_clip"],
            largest=recipe["largest"],
        )

    def _check_collapse(self, found: Mapping[str, float], iteration: int) -> None:
        if found["mean"] < LEAST_MEAN:
            what = f"their mean is {found['mean']:.3f}"
        elif found["effective"] < LEAST_SHARE:
            what = f"only {found['effective']:.1%} of the latents count"
        else:
            self.bad_steps = 0
            return
        self.bad_steps += 1
        if self.bad_steps < PATIENCE:
            return
        raise CollapseError(
            f"the latent weights collapsed before step {iteration}: {what}; raise lambda_norm or lower "
            "lr_weights"
        )

    def weights_to_keep(self) -> dict[str, dict[str, Tensor]]:
        """The averaged weight network to sample by, and the critic."""
        return {
            "average": self.average.module.state_dict(),
            "critic": self.critic.state_dict(),
        }

    @torch.no_grad()
    def facts(self) -> dict[str, float]:
        """`weight_statistics` of the averaged network on fresh latents."""
        stream = random_stream(self.seed, "weight statistics")
        blocks = []
        for start in range(0, MEASURED, self.batch_size):
            latents = self.draw_latents(min(self.batch_size, MEASURED - start), stream)
            blocks.append(self.average.module(latents.to(self.device)).cpu())
        return weight_statistics(torch.cat(blocks), self.recipe["largest"])

    def state(self) -> dict[str, Any]:
        """Weights, their average, the critic, both optimisers, and for how long they look bad."""
        return {
            "bad_steps": torch.tensor(self.bad_steps),
            "network": self.network.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizers": {n: optimizer_state(o) for n, o in self.optimizers.items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.bad_steps = int(state["bad_steps"])
        self.network.load_state_dict(state["network"])
        self.critic.load_state_dict(state["critic"])
        self.average.module.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state["optimizers"].get(name, {}))
