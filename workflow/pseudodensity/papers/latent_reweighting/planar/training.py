"""Experiments that train in the plane: a WGAN-GP, latent weights on it, and a discriminator for ratios.

Reals are drawn afresh from their law in every step, so that nothing is learned by heart.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pseudodensity.control.train.adversarial import (
    cross_entropy,
    gradient_penalty,
    squared_slope,
)
from pseudodensity.control.train.loop import ExponentialAverage
from pseudodensity.control.train.weight_losses import critic_loss
from pseudodensity.control.train.weight_network import WeightNetwork, start_kinks
from pseudodensity.control.train.weights import CollapseError, WeightTrainer
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.papers.latent_reweighting.planar.laws import LAWS
from pseudodensity.papers.latent_reweighting.planar.networks import (
    Perceptron,
    PointGenerator,
    open_base,
    stored,
)
from pseudodensity.progress import Progress
from pseudodensity.rng import generator as stream_of

__all__ = ["train_base", "train_discriminator", "train_weights"]

Made = tuple[dict[str, Tensor], dict[str, Any]]
KINKS = 4000  # samples among which the kinks of first layers are laid


def normal_latents(count: int, stream: torch.Generator) -> Tensor:
    """Standard normal latents (count, 2)."""
    return torch.randn(count, 2, generator=stream)


def train_base(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Made:
    """A WGAN-GP of points: its averaged generator, and its critic.

    settings: ``law``, ``seed``, ``widths`` of both networks, ``iterations``, ``batch_size``,
    ``critic_steps``, ``penalty``, ``lr_generator``, ``lr_critic``, ``last_rate`` (the rates fall to
    this share over the second half), ``ema_half_life`` in latents.
    """
    law, seed, count = LAWS[settings["law"]], settings["seed"], settings["batch_size"]
    stream = stream_of(seed, "networks")
    generator = PointGenerator(settings["widths"], stream)
    critic = Perceptron(settings["widths"], stream)
    average = ExponentialAverage(
        copy.deepcopy(generator), generator, settings["ema_half_life"], ramp_up=0.05
    )
    adam = {"betas": (0.0, 0.9)}
    of_generator = torch.optim.Adam(generator.parameters(), settings["lr_generator"], **adam)
    of_critic = torch.optim.Adam(critic.parameters(), settings["lr_critic"], **adam)
    steps, even = settings["iterations"], torch.ones(count)
    progress = Progress(f"GAN of {settings['law']}, seed {seed}", steps, "steps")
    for step in range(steps):
        progress.update(step)
        stream = stream_of(seed, "step", step)
        _set_rate(of_generator, settings["lr_generator"], step, steps, settings["last_rate"])
        _set_rate(of_critic, settings["lr_critic"], step, steps, settings["last_rate"])
        for _ in range(settings["critic_steps"]):
            real = law.draw(count, stream)
            with torch.no_grad():
                fake = generator(normal_latents(count, stream))
            loss = critic_loss("wasserstein", critic(real), critic(fake), even)
            penalty = gradient_penalty(critic, real, fake, stream)
            _descend(of_critic, loss + settings["penalty"] * penalty)
        critic.requires_grad_(False)
        _descend(of_generator, -critic(generator(normal_latents(count, stream))).mean())
        critic.requires_grad_(True)
        average.update((step + 1) * count, count)
    return stored(generator=average.module, critic=critic), {"widths": settings["widths"]}


def train_weights(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Made:
    """Latent weights of the generator of ``inputs["base"]``, against its critic, trained on.

    facts: `weight_statistics` of the finished weights; ``collapsed``: what the trainer said if it had
    to stop, or "".

    settings: ``law``, ``seed``, ``widths`` of both networks, ``output`` of the weight network,
    ``recipe`` (see `WeightTrainer`), ``iterations``.
    """
    law, seed = LAWS[settings["law"]], settings["seed"]
    generator, critic = open_base(inputs["base"])
    what = f"weights of {settings['law']}, seed {seed}"
    return fit_weights(generator, critic, law.draw, settings, what)


def fit_weights(
    generator: BaseGenerator, critic: Perceptron, draw_reals, settings: Mapping[str, Any], what: str
) -> Made:
    """`train_weights` on any generator of points, start of the critic and law of reals."""
    recipe, seed = settings["recipe"], settings["seed"]
    stream = stream_of(seed, "weight networks")
    network = WeightNetwork(
        (2,),
        settings["widths"],
        stream,
        output=settings["output"],
        largest=recipe["largest"],
    )
    latents = normal_latents(KINKS, stream)
    start_kinks(network.hidden[0], latents, stream)
    network.start_near_one(latents)
    trainer = WeightTrainer(
        network,
        critic.requires_grad_(True),
        generator,
        normal_latents,
        draw_reals,
        recipe,
        iterations=settings["iterations"],
        seed=seed,
    )
    progress, collapsed = Progress(what, settings["iterations"], "steps"), ""
    try:
        for step in range(settings["iterations"]):
            progress.update(step, **trainer.step(step))
    except CollapseError as error:
        # A setting that fails is a result: the others are tried all the same.
        collapsed = str(error)
    facts = {key: settings[key] for key in ("widths", "output")}
    facts |= {key: recipe[key] for key in ("largest", "lambda_norm")}
    facts |= {"collapsed": collapsed, **trainer.facts()}
    return stored(network=trainer.average.module, critic=trainer.critic), facts


def train_discriminator(inputs: Mapping[str, Any], settings: Mapping[str, Any]) -> Made:
    """The critic of ``inputs["base"]`` fine-tuned to tell reals from fakes by cross-entropy.

    facts: ``auc`` and ``loss``, cross-entropy, on points that it was not trained on.

    settings: ``law``, ``seed``, ``iterations``, ``batch_size``, ``lr``, ``penalty`` (weight of the
    mean squared slope), ``held_out``, how many of each kind it is tried on.
    """
    generator, critic = open_base(inputs["base"])
    law = LAWS[settings["law"]]
    return fit_discriminator(generator, critic, law.draw, settings, settings["law"])


def fit_discriminator(
    generator: PointGenerator,
    critic: Perceptron,
    draw_reals,
    settings: Mapping[str, Any],
    what: str,
) -> Made:
    """`train_discriminator` on any generator, start and law of reals."""
    seed, steps, count = settings["seed"], settings["iterations"], settings["batch_size"]
    critic = critic.train().requires_grad_(True)
    optimizer = torch.optim.Adam(critic.parameters(), settings["lr"], betas=(0.0, 0.9))
    progress = Progress(f"discriminator of {what}, seed {seed}", steps, "steps")
    for step in range(steps):
        progress.update(step)
        stream = stream_of(seed, "discriminator step", step)
        _set_rate(optimizer, settings["lr"], step, steps, 0.0)
        with torch.no_grad():
            fake = generator(normal_latents(count, stream))
        real = draw_reals(count, stream)
        both = torch.cat([real, fake]).requires_grad_()
        logits = critic(both)
        loss = cross_entropy(logits[:count], logits[count:])
        _descend(optimizer, loss + settings["penalty"] * squared_slope(logits, both))
    critic.eval().requires_grad_(False)
    stream = stream_of(seed, "discriminator held out")
    real = critic(draw_reals(settings["held_out"], stream))
    fake = critic(generator(normal_latents(settings["held_out"], stream)))
    widths = [layer.out_features for layer in critic.layers if hasattr(layer, "out_features")][:-1]
    facts = {"auc": _auc(real, fake), "loss": cross_entropy(real, fake).item()}
    return stored(critic=critic), {"widths": widths, **facts}


def _auc(real: Tensor, fake: Tensor) -> float:
    """Share of pairs of a real and a fake in which the real has the larger logit."""
    return torch.searchsorted(fake.sort().values, real).double().mean().item() / len(fake)


def _set_rate(
    optimizer: torch.optim.Optimizer, rate: float, step: int, steps: int, last: float
) -> None:
    """Constant, then linear to a share of itself over the second half."""
    factor = min(1.0, last + (1 - last) * 2 * (steps - step) / steps)
    for group in optimizer.param_groups:
        group["lr"] = rate * factor


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
