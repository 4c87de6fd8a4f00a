"""Train a GAN, or fine-tune it with importance sampling (papers/000 Algorithm 3).

The loss is the model's own (non-saturating with R1 for StyleGAN, hinge for ProjectedGAN): the
linear critic of Algorithm 3 is schematic and diverges without a Lipschitz penalty, with which
ProGAN has it.

Fakes are accepted by their images, so the image of a latent must not change between its scoring
and its gradient. Fine-tuning therefore trains the generator as it is sampled, in eval mode: batch
statistics, spectral vectors and magnitudes stay those of the parent and noise is constant. Then
only the accepted latents need a graph, in one batch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pseudodensity.control.train.ada_control import AdaControl
from pseudodensity.control.train.adversarial import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    path_lengths,
    squared_slope,
)
from pseudodensity.control.train.batches import draw_real_images
from pseudodensity.control.train.loop import (
    ExponentialAverage,
    linear_decay,
    optimizer_state,
    restore_optimizer,
)
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
NEUTRAL = {"gradient_penalty": 0, "drift": 0, "ada": None, "accumulate": 1}

# Path-length penalties (StyleGAN2), each of half a batch: steps between two, and how fast their mean moves.
PATH_LENGTH_INTERVAL, PATH_LENGTH_DECAY = 4, 0.01
# Batches of fakes that are proposed at once, at most.
LARGEST_PROPOSAL = 4
# Batches that the running statistics of the finished average are measured on.
STATISTICS = 100
# Latents that the mean w of a fine-tuned average is measured on.
MEAN_W = 10_000

AcceptImages = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


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
            ``accumulate``, the number of equal parts that a batch is worked through in. Their gradients add up
            to those of the batch; what compares images (a minibatch standard deviation, a batch norm in train
            mode) compares those of a part, and path lengths move their mean part by part.
        iterations: length of the whole run, for the learning-rate decay.
        mirror: flip real images at random.
        seed: names all random streams of the run.
        weights: importance weights ``(N,)`` of the real images, or None for uniform.
        as_sampled: train the generator in eval mode, as fine-tuning does; see the module.
        accept: ``(images, stream) -> (n,) bool``: which fakes the discriminator may see, or None
            for all. Needs ``as_sampled`` (ValueError).
        max_proposals: fakes to propose per accepted fake wanted before giving up.
        device: where to compute.
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
        self.weights, self.accept = weights, accept
        self.parts = int(self.recipe["accumulate"])
        self.ada = None
        if ada := self.recipe["ada"]:
            self.ada = AdaControl(ada["target"], ada["images"], ada["transforms"], self.batch_size)
        self.max_proposals, self.device = max_proposals, device
        self.proposed, self.accepted = 0, 0
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

        Both see the same accepted fakes. In one part they are augmented alike, and drawn once, which halves the
        cost of the rejection; in several they are made again, so that no more than a part needs a graph.
        """
        stream = random_stream(self.seed, "gan step", iteration)
        self._set_learning_rates(iteration)
        real = [x.to(self.device) for x in self.draw_real(stream)]
        if self.accept is None:
            latents = self._draw_latents(stream)
        else:
            latents = self._accepted_latents(stream)
        seed_layers(stream, self.device)
        if self.parts == 1:
            ((images, fake),) = self._fakes(latents, stream, graph=True)
            seen = [(images.detach(), [x.detach() for x in fake])]
            shown = [fake]
        else:
            seen = self._fakes(latents, stream, graph=False)
            shown = (fake for _, fake in self._fakes(latents, stream, graph=True))
        loss_d = self._update_discriminator(real, seen, iteration, stream)
        loss_g = self._update_generator(shown)
        if self.recipe["path_length_weight"] and iteration % PATH_LENGTH_INTERVAL == 0:
            self._regularise_path_length(stream)
        seen = (iteration + 1) * self.batch_size
        self.average.update(seen, self.batch_size)
        numbers = {"loss D": loss_d, "loss G": loss_g}
        if self.accept is not None:
            numbers["accepted"] = self.accepted / self.proposed
        if self.ada:
            self.ada.adjust(iteration)
            numbers |= {"p": self.ada.probability, "r_t": self.ada.sign}
        return numbers

    def _fakes(
        self, latents: torch.Tensor, stream: torch.Generator, *, graph: bool
    ) -> Iterator[tuple[torch.Tensor, Sequence[torch.Tensor]]]:
        """Part by part the images of latents, and what the trained part of the discriminator sees of them."""
        for part in latents.chunk(self.parts):
            with torch.set_grad_enabled(graph):
                images = self.generator(part)
                shown = self._show([images, *self.told_of(part)], stream)
            yield images, shown

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

    def _draw_latents(self, stream: torch.Generator, count: int | None = None) -> torch.Tensor:
        shape = (count or self.batch_size, *self.generator.latent_shape)
        return torch.randn(shape, generator=stream).to(self.device)

    @torch.no_grad()
    def _accepted_latents(self, stream: torch.Generator) -> torch.Tensor:
        """A batch of latents whose images are accepted, out of as many as it takes."""
        kept, count, proposed = [], 0, 0
        while count < self.batch_size:
            if proposed >= self.max_proposals * self.batch_size:
                raise RuntimeError(
                    f"only {count} of {proposed} fakes were accepted in one step: the threshold "
                    "tau leaves nothing of this generator; choose a tau or w nearer to the data"
                )
            # One large batch of proposals costs less than several small ones.
            rate = self.accepted / self.proposed if self.accepted else 1.0
            enough = math.ceil((self.batch_size - count) / rate)
            latents = self._draw_latents(stream, min(enough, LARGEST_PROPOSAL * self.batch_size))
            pieces = latents.split(
                self.batch_size // self.parts if self.parts > 1 else len(latents)
            )
            rows = self.accept(torch.cat([self.generator(piece) for piece in pieces]), stream)
            kept.append(latents[rows])
            accepted = len(kept[-1])
            count, proposed = count + accepted, proposed + len(latents)
            self.accepted, self.proposed = self.accepted + accepted, self.proposed + len(latents)
        return torch.cat(kept)[: self.batch_size]

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
        real: Sequence[torch.Tensor],
        fakes: Iterable[tuple[torch.Tensor, Sequence[torch.Tensor]]],
        iteration: int,
        stream: torch.Generator,
    ) -> float:
        """fakes: of each part the images, and what the trained part of the discriminator sees of them."""
        optimizer, total = self.optimizers["discriminator"], 0.0
        optimizer.zero_grad(set_to_none=True)
        parts = list(zip(*(x.chunk(self.parts) for x in real), strict=True))
        for part, (images, fake) in zip(parts, fakes, strict=True):
            loss = self._discriminator_loss(part, fake, stream) / self.parts
            loss.backward()
            total += loss.item()
            if self.recipe["gradient_penalty"]:
                penalty = self._gradient_penalty(part, images, stream)
                (self.recipe["gradient_penalty"] * penalty / self.parts).backward()
        optimizer.step()
        gamma = self.recipe["r1_gamma"]
        interval = self.recipe["r1_interval"]
        if gamma and iteration % interval == 0:
            optimizer.zero_grad(set_to_none=True)
            for images, *told in parts:
                leaf = images.detach().requires_grad_(True)
                logits = self._judge([leaf, *told], stream)
                penalty = squared_slope(logits, leaf) * (gamma / 2)
                (penalty * interval / self.parts).backward()
            optimizer.step()
        return total

    def _discriminator_loss(
        self, real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor], stream: torch.Generator
    ) -> torch.Tensor:
        logits = self.discriminator.judge_both(self._show(real, stream), fake)
        if self.ada:
            self.ada.observe(logits[0])
        loss = discriminator_loss(self.recipe["loss"], *logits)
        if self.recipe["drift"]:
            loss = loss + self.recipe["drift"] * logits[0].square().mean()
        return loss

    def _gradient_penalty(
        self, real: Sequence[torch.Tensor], images: torch.Tensor, stream: torch.Generator
    ) -> torch.Tensor:
        """A point between a real image and a fake is judged by what is told of the real one."""
        images_of_real, *told = real
        return gradient_penalty(
            lambda x: self._judge([x, *told], stream), images_of_real, images.detach(), stream
        )

    def _update_generator(self, fakes: Iterable[Sequence[torch.Tensor]]) -> float:
        """fakes: of each part what the trained part of the discriminator sees."""
        optimizer, total = self.optimizers["generator"], 0.0
        optimizer.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)
        for fake in fakes:
            loss = generator_loss(self.recipe["loss"], self.discriminator.judge(fake)) / self.parts
            loss.backward()
            total += loss.item()
        self._unfreeze_discriminator()
        optimizer.step()
        return total

    def _unfreeze_discriminator(self) -> None:
        for group in self.optimizers["discriminator"].param_groups:
            for parameter in group["params"]:
                parameter.requires_grad_(True)

    def _regularise_path_length(self, stream: torch.Generator) -> None:
        optimizer = self.optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        latents = self._draw_latents(stream)[: max(1, self.batch_size // 2)]
        seed_layers(stream, self.device)
        weight = self.recipe["path_length_weight"] * PATH_LENGTH_INTERVAL / self.parts
        for part in latents.chunk(self.parts):
            lengths = path_lengths(self.generator, part, stream)
            # Each part moves the mean by its share of what a batch does.
            mean = self.path_length_mean.lerp(lengths.mean(), PATH_LENGTH_DECAY / self.parts)
            self.path_length_mean.copy_(mean.detach())
            ((lengths - mean).square().mean() * weight).backward()
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
            average.measure_statistics(self._draw_latents(stream) for _ in range(STATISTICS))
        else:
            average.measure_mean_w(self._draw_latents(random_stream(self.seed, "mean w"), MEAN_W))
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
        facts = {} if self.accept is None else {"acceptance": self.accepted / self.proposed}
        return facts | (self.ada.facts() if self.ada else {})

    def state(self) -> dict[str, Any]:
        """Weights, averages, optimisers, acceptance counts and what augmentation follows."""
        adaptive = {"ada": self.ada.state()} if self.ada else {}
        return {
            **adaptive,
            **self._weights(),
            "optimizers": {n: optimizer_state(o) for n, o in self.optimizers.items()},
            "counts": {
                "proposed": torch.tensor(self.proposed),
                "accepted": torch.tensor(self.accepted),
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
        self.proposed = int(state["counts"]["proposed"])
        self.accepted = int(state["counts"]["accepted"])
        self.path_length_mean.copy_(state["path_length_mean"])
        if self.ada:
            self.ada.load_state(state["ada"])
