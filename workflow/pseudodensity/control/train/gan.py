"""Train a GAN, or fine-tune it with importance sampling (papers/000 Algorithm 3).

The loss is the model's own (non-saturating with R1 for StyleGAN, hinge for ProjectedGAN): the
linear critic of Algorithm 3 is schematic and diverges without a Lipschitz penalty, with which
ProGAN has it.

Fakes are accepted by their images, so the image of a latent must not change between its scoring
and its gradient. Fine-tuning therefore trains the generator as it is sampled, in eval mode: batch
statistics, spectral vectors and magnitudes stay those of the parent and noise is constant. Then
only the accepted latents need a graph, in one batch or part by part.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.ada_control import AdaControl
from pseudodensity.control.train.adversarial import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    squared_slope,
)
from pseudodensity.control.train.batches import draw_real_images
from pseudodensity.control.train.loop import (
    ExponentialAverage,
    linear_decay,
    optimizer_state,
    restore_optimizer,
)
from pseudodensity.control.train.parts import buffers_put_back, size_of_part
from pseudodensity.control.train.path_length import INTERVAL as PATH_LENGTH_INTERVAL
from pseudodensity.control.train.path_length import penalise_path_lengths
from pseudodensity.control.train.proposals import AcceptImages, Proposals
from pseudodensity.generators.diffaug import diff_augment
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import seed_layers

__all__ = ["GanTrainer"]

# Keys of a recipe that the trainer reads; the plan refuses others.
RECIPE = (
    "loss",
    "batch_size",
    "lr_generator",
    "lr_discriminator",
    "r1_gamma",
    "r1_interval",
    "path_length_weight",
    "ema_half_life",
    "ema_ramp_up",
    "decay_fraction",
    "augment",
)
# Keys that a recipe may leave out, with the value that does nothing. The plan leaves such a value out
# too, so that a key that is added here defines no recipe anew.
NEUTRAL = {"accumulate": 1, "gradient_penalty": 0, "drift": 0, "ada": None}

# Batches that the running statistics of the finished average are measured on.
STATISTICS = 100
# Latents that the mean w of a fine-tuned average is measured on.
MEAN_W = 10_000

# Images, and what the trained part of the discriminator sees of them.
Fakes = tuple[torch.Tensor, Sequence[torch.Tensor]]


class GanTrainer:
    """One GAN in training; see :class:`pseudodensity.control.train.loop.Trainer`.

    Args:
        generator: latents ``(n, *latent_shape)`` -> images in [-1, 1]; one with a w space where
            ``path_length_weight`` is not 0.
        discriminator: images -> logits ``(n,)`` or ``(n, m)``.
        average: the generator's exponential average to continue, or None to start one.
        images: real images ``(N, 3, R, R)`` uint8 (an array or a memory map).
        recipe: ``loss`` (nonsaturating | hinge | wasserstein), ``batch_size``, ``lr_generator``,
            ``lr_discriminator``, ``r1_gamma`` and ``r1_interval`` (gamma 0 for none),
            ``path_length_weight`` (0 for none), ``ema_half_life`` in images, ``ema_ramp_up``
            (null for none), ``decay_fraction``, ``augment`` (DiffAugment policies in front of the
            discriminator, may be empty). It may have ``gradient_penalty``, the weight of
            :func:`~.adversarial.gradient_penalty` in every step, ``drift``, that of the mean
            square of the logits of real images (Karras et al. 2018, appendix A.1), ``ada``:
            ``target``, ``images`` and ``transforms`` of :class:`~.ada_control.AdaControl`, and
            ``accumulate``: the batch is worked through in that many equal parts, for which fakes
            are made twice. What compares the images of a batch (minibatch standard deviation,
            batch statistics) then does so within a part, and running statistics move with each.
        iterations: length of the whole run, for the learning-rate decay.
        mirror: flip real images at random.
        seed: names all random streams of the run.
        weights: importance weights ``(N,)`` of the real images, or None for uniform.
        as_sampled: train the generator in eval mode, as fine-tuning does; see the module.
        accept: ``(images, stream) -> (n,) bool``: which fakes the discriminator may see, or None
            for all. Needs ``as_sampled``.
        max_proposals: fakes to propose per accepted fake wanted before giving up.
        device: where to compute.

    ValueError: a filter without ``as_sampled``; ``accumulate`` that does not divide the batch.
    """

    def __init__(
        self,
        generator: BaseGenerator,
        discriminator: StagedDiscriminator,
        images: np.ndarray,
        recipe: Mapping[str, Any],
        *,
        iterations: int,
        mirror: bool,
        seed: int,
        average: BaseGenerator | None = None,
        weights: torch.Tensor | None = None,
        as_sampled: bool = False,
        accept: AcceptImages | None = None,
        max_proposals: int = 200,
        device: str = "cpu",
    ) -> None:
        if accept is not None and not as_sampled:
            raise ValueError("a filter of fakes needs as_sampled: their images must not change")
        self.generator = generator.to(device).train(not as_sampled)
        self.discriminator = discriminator.to(device).train()
        average = average if average is not None else copy.deepcopy(generator)
        self.average = ExponentialAverage(
            average.to(device), self.generator, recipe["ema_half_life"], recipe["ema_ramp_up"]
        )
        self.images, self.recipe, self.iterations = images, {**NEUTRAL, **recipe}, iterations
        self.batch_size, self.mirror, self.seed = int(recipe["batch_size"]), mirror, seed
        self.parts = int(self.recipe["accumulate"])
        self.part_size = size_of_part(self.batch_size, self.parts)
        self.weights, self.accept, self.device = weights, accept, device
        self.ada = _adaptive(self.recipe["ada"], self.batch_size)
        self.proposals = Proposals(
            self.generator,
            accept,
            batch_size=self.batch_size,
            at_once=self.part_size if self.parts > 1 else None,
            most=max_proposals,
            device=device,
        )
        self.path_length_mean = torch.zeros((), device=device)
        self._make_optimizers()

    def _make_optimizers(self) -> None:
        # Lazy regularisation runs its extra gradient through the same Adam, once in an interval;
        # the correction keeps the effective step and memory those of an every-step term.
        recipe = self.recipe
        lazy_d = recipe["r1_interval"] if recipe["r1_gamma"] else None
        lazy_g = PATH_LENGTH_INTERVAL if recipe["path_length_weight"] else None
        self.optimizers, self.learning_rates = {}, {}
        for name, module, lazy in (
            ("generator", self.generator, lazy_g),
            ("discriminator", self.discriminator, lazy_d),
        ):
            correction = lazy / (lazy + 1) if lazy else 1.0
            parameters = [p for p in module.parameters() if p.requires_grad]
            rate = recipe[f"lr_{name}"] * correction
            self.optimizers[name] = torch.optim.Adam(
                parameters, lr=rate, betas=(0.0, 0.99**correction), eps=1e-8
            )
            self.learning_rates[name] = rate

    def step(self, iteration: int) -> dict[str, float]:
        """One update of the discriminator and one of the generator.

        Both see the same accepted fakes, augmented alike: drawing them once halves the cost of
        the rejection. Where the graph of the whole batch may not be held, they are made once more,
        with the same draws.
        """
        stream = random_stream(self.seed, "gan step", iteration)
        self._set_learning_rates(iteration)
        drawn = [x.to(self.device).split(self.part_size) for x in self.draw_real(stream)]
        real = list(zip(*drawn, strict=True))
        latents = self.proposals.batch(stream)
        if self.parts == 1:
            images, fake = self._fakes(latents, stream)
            shown = [(images.detach(), [x.detach() for x in fake])]
            loss_d = self._update_discriminator(real, shown, iteration, stream)
            loss_g = self._update_generator([(images, fake)])
        else:
            key = int(torch.randint(2**31, (), generator=stream))
            with buffers_put_back(self.generator):
                shown = self._fakes_in_parts(latents, key, graph=False)
                loss_d = self._update_discriminator(real, shown, iteration, stream)
            loss_g = self._update_generator(self._fakes_in_parts(latents, key, graph=True))
        if self.recipe["path_length_weight"] and iteration % PATH_LENGTH_INTERVAL == 0:
            self._regularise_path_length(stream)
        seen = (iteration + 1) * self.batch_size
        self.average.update(seen, self.batch_size)
        numbers = {"loss D": loss_d, "loss G": loss_g}
        if self.accept is not None:
            numbers["accepted"] = self.proposals.acceptance
        if self.ada:
            self.ada.adjust(iteration)
            numbers |= {"p": self.ada.probability, "r_t": self.ada.sign}
        return numbers

    def draw_real(self, stream: torch.Generator) -> Sequence[torch.Tensor]:
        """Real images of one step (batch_size, 3, R, R), and what the discriminator is told of them."""
        return [draw_real_images(self.images, self.batch_size, self.weights, self.mirror, stream)]

    def told_of(self, latents: torch.Tensor) -> Sequence[torch.Tensor]:
        """What the discriminator is told of the images of latents, beside them: here nothing."""
        return []

    def _set_learning_rates(self, iteration: int) -> None:
        factor = linear_decay(iteration, self.iterations, self.recipe["decay_fraction"])
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rates[name] * factor

    def _fakes(self, latents: torch.Tensor, stream: torch.Generator) -> Fakes:
        seed_layers(stream, self.device)
        images = self.generator(latents)
        return images, self._show([images, *self.told_of(latents)], stream)

    def _fakes_in_parts(self, latents: torch.Tensor, key: int, *, graph: bool) -> Iterator[Fakes]:
        """Fakes of one part after the other, for one key the same: each part has a stream of its own."""
        for number, part in enumerate(latents.split(self.part_size)):
            stream = random_stream(key, "fakes of a part", number)
            with torch.set_grad_enabled(graph):
                fakes = self._fakes(part, stream)
            yield fakes

    def _show(
        self, batch: Sequence[torch.Tensor], stream: torch.Generator
    ) -> Sequence[torch.Tensor]:
        """What the trained part of the discriminator sees of images and of what it is told of them."""
        images, *told = batch
        augmented = diff_augment(images, stream, self.recipe["augment"])
        if self.ada:
            augmented = self.ada.augment(augmented, stream)
        return [*self.discriminator.features(augmented), *told]

    def _judge(self, batch: Sequence[torch.Tensor], stream: torch.Generator) -> torch.Tensor:
        return self.discriminator.judge(self._show(batch, stream))

    def _update_discriminator(
        self,
        real: Sequence[Sequence[torch.Tensor]],
        fakes: Iterable[Fakes],
        iteration: int,
        stream: torch.Generator,
    ) -> float:
        """real: images of each part, and what the discriminator is told of them; fakes: of each part."""
        optimizer, losses = self.optimizers["discriminator"], []
        optimizer.zero_grad(set_to_none=True)
        for part, (images, fake) in zip(real, fakes, strict=True):
            logits = self.discriminator.judge_both(self._show(part, stream), fake)
            if self.ada:
                self.ada.observe(logits[0])
            loss = discriminator_loss(self.recipe["loss"], *logits)
            if self.recipe["drift"]:
                loss = loss + self.recipe["drift"] * logits[0].square().mean()
            (loss / self.parts).backward()
            losses.append(loss.detach())
            if self.recipe["gradient_penalty"]:
                self._penalise_between(part, images, stream)
        optimizer.step()
        if self.recipe["r1_gamma"] and iteration % self.recipe["r1_interval"] == 0:
            self._penalise_real(real, stream)
        return torch.stack(losses).mean().item()

    def _penalise_between(
        self, real: Sequence[torch.Tensor], fake: torch.Tensor, stream: torch.Generator
    ) -> None:
        """Add the gradient of the penalty between the images of a part, real and fake."""
        images, *told = real
        # A point between a real image and a fake is judged by what is told of the real one.
        penalty = gradient_penalty(lambda x: self._judge([x, *told], stream), images, fake, stream)
        (self.recipe["gradient_penalty"] * penalty / self.parts).backward()

    def _penalise_real(
        self, real: Sequence[Sequence[torch.Tensor]], stream: torch.Generator
    ) -> None:
        """A step of the discriminator by R1 alone."""
        optimizer = self.optimizers["discriminator"]
        optimizer.zero_grad(set_to_none=True)
        for images, *told in real:
            leaf = images.detach().requires_grad_(True)
            logits = self._judge([leaf, *told], stream)
            penalty = squared_slope(logits, leaf) * (self.recipe["r1_gamma"] / 2)
            (penalty * self.recipe["r1_interval"] / self.parts).backward()
        optimizer.step()

    def _update_generator(self, fakes: Iterable[Fakes]) -> float:
        """fakes: of each part."""
        optimizer, losses = self.optimizers["generator"], []
        optimizer.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)
        for _, fake in fakes:
            loss = generator_loss(self.recipe["loss"], self.discriminator.judge(fake))
            (loss / self.parts).backward()
            losses.append(loss.detach())
        self._unfreeze_discriminator()
        optimizer.step()
        return torch.stack(losses).mean().item()

    def _unfreeze_discriminator(self) -> None:
        for group in self.optimizers["discriminator"].param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)

    def _regularise_path_length(self, stream: torch.Generator) -> None:
        """A step of the generator by path lengths alone, of half a batch."""
        optimizer = self.optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        latents = self.proposals.draw(self.batch_size, stream)[: max(1, self.batch_size // 2)]
        weight = self.recipe["path_length_weight"]
        penalise_path_lengths(
            self.generator, latents, self.path_length_mean, weight, stream, self.part_size
        )
        optimizer.step()

    def weights_to_keep(self) -> dict[str, dict[str, torch.Tensor]]:
        """The averaged generator to sample from; generator and discriminator to train on.

        What the average knows of its own weights is measured anew, because it has other weights
        than the generator: in train mode the statistics of its layers, which follow those of the
        generator; in eval mode, where they must stay as they are, the mean w of truncation, which
        would be that of the parent.
        """
        average = copy.deepcopy(self.average.module)
        if self.generator.training:
            stream = random_stream(self.seed, "statistics")
            # In batches as those of the training, on which layers normalised themselves.
            batches = range(STATISTICS * self.parts)
            average.measure_statistics(self.proposals.draw(self.part_size, stream) for _ in batches)
        else:
            average.measure_mean_w(self.proposals.draw(MEAN_W, random_stream(self.seed, "mean w")))
        return self._weights() | {"average": average.state_dict()}

    def _weights(self) -> dict[str, dict[str, torch.Tensor]]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
        }

    def facts(self) -> dict[str, float]:
        """Realised acceptance of the fakes over the whole run, if they were filtered; the last
        probability of augmentation and mean sign of real logits, if they were adaptive."""
        facts = {} if self.accept is None else {"acceptance": self.proposals.acceptance}
        return facts | (self.ada.facts() if self.ada else {})

    def state(self) -> dict[str, Any]:
        """Weights, averages, optimisers, acceptance counts and what augmentation follows."""
        adaptive = {"ada": self.ada.state()} if self.ada else {}
        return {
            **adaptive,
            **self._weights(),
            "optimizers": {n: optimizer_state(o) for n, o in self.optimizers.items()},
            "counts": {
                "proposed": torch.tensor(self.proposals.proposed),
                "accepted": torch.tensor(self.proposals.accepted),
            },
            "path_length_mean": self.path_length_mean,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put :meth:`state` back."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.module.load_state_dict(state["average"])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state["optimizers"].get(name, {}))
        self.proposals.proposed = int(state["counts"]["proposed"])
        self.proposals.accepted = int(state["counts"]["accepted"])
        self.path_length_mean.copy_(state["path_length_mean"])
        if self.ada:
            self.ada.load_state(state["ada"])


def _adaptive(settings: Mapping[str, Any] | None, batch_size: int) -> AdaControl | None:
    """What a recipe says under ``ada``."""
    if settings is None:
        return None
    return AdaControl(settings["target"], settings["images"], settings["transforms"], batch_size)
