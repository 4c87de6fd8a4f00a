"""The networks that guidance asks: what they learn of laws that are known, and what they say of it."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pseudodensity.control.auxiliary.noisy_encoder import build_encoder
from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy, NoisyEncoder, at_time
from pseudodensity.control.train.noisy import evenly_spaced
from pseudodensity.control.train.noisy_embedder import EmbedderTrainer
from pseudodensity.control.train.real_classifier import (
    RealClassifierTrainer,
    generated_images,
)
from pseudodensity.generators.gaussian_diffusion import GaussianDiffusion, cosine_betas
from pseudodensity.progress import Progress

torch.set_num_threads(1)

SETTINGS = {
    "iterations": 80,
    "batch_size": 32,
    "learning_rate": 0.004,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "patch": 2,
    "channels": [16],
    "blocks": 1,
    "attention_levels": [],
    "norm_groups": 4,
    "features": 8,
    "anchors": 5,
}
LEVELS = (64, 192)  # of a dark image and of a bright one


def process() -> GaussianDiffusion:
    return GaussianDiffusion.from_betas(cosine_betas(1000), "epsilon")


def encoder(outputs: int, **changes) -> NoisyEncoder:
    return build_encoder(8, SETTINGS | changes, outputs, 0)


def two_images(count: int, dark: float) -> tuple[np.ndarray, np.ndarray]:
    """Dark and bright images (count, 3, 8, 8) uint8 in turn, so many of them dark, and which is bright."""
    bright = np.arange(count) % 10 >= 10 * dark
    images = np.where(bright, LEVELS[1], LEVELS[0]).astype(np.uint8)[:, None, None, None]
    return np.broadcast_to(images, (count, 3, 8, 8)).copy(), bright.astype(np.int64)


def trained(trainer):
    for iteration in range(trainer.settings["iterations"]):
        trainer.step(iteration)
    return trainer


# ------------------------------------------------------------------------------- pieces


def test_values_lie_on_straight_lines_between_their_times():
    times, values = torch.tensor([0.0, 100.0, 400.0]), torch.tensor([[0.0], [10.0], [40.0]])
    asked = [-5.0, 0.0, 30.0, 100.0, 250.0, 400.0, 999.0]
    found = [at_time(values, times, torch.tensor(t)).item() for t in asked]
    assert found == pytest.approx([0, 0, 3, 10, 25, 40, 40])
    assert at_time(values[:1], times[:1], 7.0).item() == 0


def test_steps_are_spaced_evenly_and_none_comes_twice():
    assert evenly_spaced(1000, 4) == [0, 333, 666, 999]
    assert evenly_spaced(3, 10) == [0, 1, 2] and evenly_spaced(5, 1) == [0]


def test_chance_is_what_three_standard_errors_of_a_coin_reach():
    accuracy = HeldOutAccuracy(torch.tensor([0.0, 500.0]), torch.tensor([0.7, 0.6]), 100)
    assert accuracy.chance == pytest.approx(0.65)
    assert [accuracy.above_chance(t) for t in (0, 240, 260, 999)] == [True, True, False, False]
    assert accuracy.ever_above_chance()
    assert not HeldOutAccuracy(torch.tensor([0.0]), torch.tensor([0.64]), 100).ever_above_chance()


def test_an_encoder_knows_the_time_and_takes_each_sample_alone():
    network = encoder(3, channels=[16, 16], attention_levels=[1]).eval()
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        early, late = (network(x, torch.tensor([time])) for time in (10.0, 900.0))
        torch.testing.assert_close(network(x[2:3], torch.tensor([10.0])), early[2:3])
        each = network(x, torch.tensor([10.0, 900.0, 10.0, 900.0]))
        features = network.features(x, torch.tensor([10.0]))
    assert early.shape == (4, 3) and features.shape == (4, 8)
    assert (early - late).abs().max() > 1e-3
    torch.testing.assert_close(each, torch.stack([early[0], late[1], early[2], late[3]]))


def test_the_same_seed_makes_the_same_encoder():
    first, again = encoder(1).state_dict(), encoder(1).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = build_encoder(8, SETTINGS, 1, 1).state_dict()
    assert not torch.equal(first["embed.weight"], other["embed.weight"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch": 3}, "no multiple of patch=3"),
        ({"channels": [8]}, "below 3 patch"),
        ({"channels": [16] * 4}, "cannot be halved"),
    ],
)
def test_an_encoder_that_cannot_be_built_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        encoder(1, **changes)


# ------------------------------------------------------------------------------- the embedder


@pytest.fixture(scope="module")
def embedder() -> EmbedderTrainer:
    images, labels = two_images(100, 0.5)
    return trained(
        EmbedderTrainer(
            encoder(2),
            process(),
            images,
            torch.from_numpy(labels),
            2,
            SETTINGS,
            mirror=False,
            seed=0,
        )
    )


def test_classes_are_told_apart_until_the_noise_is_all_there_is(embedder):
    facts = embedder.facts()
    assert {"accuracy_at_0", "accuracy_at_999"} < set(facts) and len(facts) == 10
    assert facts["accuracy_at_0"] == facts["accuracy_at_333"] == 1
    assert facts["accuracy_at_999"] < 0.9


def test_class_means_are_those_of_noised_training_images(embedder):
    means = embedder.weights_to_keep()["means"]
    times, values = means["times"], means["values"]
    assert times.tolist() == [0, 250, 500, 749, 999] and values.shape == (5, 2, 8)
    embedder.network.eval()
    stream = torch.Generator().manual_seed(7)
    for level, step in enumerate((0, 500)):
        for label in range(2):
            x0 = torch.full((400, 3, 8, 8), LEVELS[label] / 127.5 - 1)
            noise = torch.randn(x0.shape, generator=stream)
            noised = process().noised(x0, torch.full((400,), step), noise)
            with torch.no_grad():
                found = embedder.network.features(noised, torch.tensor([float(step)]))
            error = (
                found.std(0) * (1 / 45 + 1 / 400) ** 0.5
            )  # 45 images of a class are behind a mean
            assert ((found.mean(0) - values[2 * level, label]).abs() < 4.5 * error + 1e-5).all()
    apart = (values[:, 0] - values[:, 1]).norm(dim=1)
    assert apart[0] > 5 * apart[-1], "noise alone has no class"


def test_a_tenth_of_each_class_is_held_out(embedder):
    assert [len(rows) for rows in embedder.held_out] == [5, 5]
    held_out, learnt = (
        {int(row) for rows in split for row in rows}
        for split in (embedder.held_out, embedder.learnt)
    )
    assert not held_out & learnt and held_out | learnt == set(range(100))


def test_an_embedder_needs_images_of_every_class():
    images, labels = two_images(10, 0.5)
    for classes, told in ((3, r"has \[5, 5, 0\]"), (1, "labels from 0 to 0")):
        with pytest.raises(ValueError, match=told) as raised:
            EmbedderTrainer(
                encoder(classes),
                process(),
                images,
                torch.from_numpy(labels),
                classes,
                SETTINGS,
                mirror=False,
                seed=0,
            )
        assert "\n" not in str(raised.value)


# ------------------------------------------------------------------------------- real or generated

REAL, FAKE = 0.8, 0.5  # shares of dark images


def classifier(real: np.ndarray, generated: np.ndarray, **changes) -> RealClassifierTrainer:
    settings = SETTINGS | {"learning_rate": 0.002} | changes
    return RealClassifierTrainer(
        encoder(1), process(), real, generated, settings, mirror=False, seed=0
    )


def told(held_out) -> HeldOutAccuracy:
    names = ("loss", "learnt_loss")
    losses = (held_out[name] for name in names)
    return HeldOutAccuracy(
        held_out["times"], held_out["accuracy"], int(held_out["images"]), *losses
    )


def test_the_logit_becomes_the_log_ratio_of_the_shares():
    real, generated = two_images(400, REAL)[0], two_images(400, FAKE)[0]
    trainer = trained(classifier(real, generated, iterations=200))
    found = trainer.weights_to_keep()["held_out"]
    images = torch.tensor(LEVELS).view(2, 1, 1, 1).expand(2, 3, 8, 8) / 127.5 - 1
    with torch.no_grad():
        dark, bright = trainer.network(images, torch.tensor([0.0]))[:, 0].tolist()
    assert dark == pytest.approx(math.log(REAL / FAKE), abs=0.25)
    assert bright == pytest.approx(math.log((1 - REAL) / (1 - FAKE)), abs=0.25)
    # Real where dark is right for .8 of the reals and .5 of the fakes.
    assert found["images"] == 160 and found["accuracy"][0] == pytest.approx(0.65, abs=0.08)
    assert found["loss"][0] < math.log(2) - 0.02 < found["loss"][-1]
    facts = trainer.facts()
    assert facts["held_out_accuracy_at_0"] == found["accuracy"][0].item()
    assert {"held_out_loss_at_999", "learnt_loss_at_999"} < set(facts)


def test_two_samples_of_one_law_are_not_told_apart():
    same = two_images(200, 0.5)[0]
    found = trained(classifier(same, same.copy())).weights_to_keep()["held_out"]
    assert not told(found).ever_above_chance()
    assert found["loss"].mean() == pytest.approx(math.log(2), abs=0.05)


def test_a_classifier_that_knows_its_images_by_heart_is_refused():
    draw = np.random.Generator(np.random.Philox(0))
    noise = [draw.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8) for _ in range(2)]
    trainer = classifier(*noise, iterations=100, learning_rate=0.01)
    # Before the training it knows nothing, and is no liar.
    assert "overfits" not in told(trainer.weights_to_keep()["held_out"]).refusal()
    trainer = trained(classifier(*noise, iterations=100, learning_rate=0.01))
    found = told(trainer.weights_to_keep()["held_out"])
    with pytest.raises(ValueError, match="classifier overfits: its loss is") as raised:
        found.refuse_ignorance()
    assert "\n" not in str(raised.value) and str(raised.value) == found.refusal()


@pytest.mark.parametrize(
    ("loss", "learnt_loss", "reason"),
    [(0.75, 0.6, "overfits"), (0.75, 0.69, None), (0.7, 0.1, None), (0.6, 0.5, None)],
)
def test_overfitting_is_worse_than_nothing_on_held_out_images_and_better_on_learnt_ones(
    loss, learnt_loss, reason
):
    """The accuracy is above chance here: only the losses, against log 2 = .693 and .05, speak against it."""
    losses = (torch.tensor([value - 0.01, value + 0.01]) for value in (loss, learnt_loss))
    times, shares = torch.tensor([0.0, 999.0]), torch.tensor([0.9, 0.5])
    refusal = HeldOutAccuracy(times, shares, 100, *losses).refusal()
    assert refusal is None if reason is None else reason in refusal
    assert HeldOutAccuracy(times, shares, 100).refusal() is None
    assert "cannot steer" in HeldOutAccuracy(times, shares - 0.4, 100).refusal()


def test_generated_images_are_rounded_and_do_not_depend_on_batches_and_are_counted(tmp_path):
    class Identity(nn.Module):
        latent_shape = (3, 4, 4)

        def forward(self, z):
            return z

    def drawn(batch_size: int) -> tuple[np.ndarray, list[str]]:
        log = tmp_path / f"{batch_size}.log"
        progress = Progress("draw", 7, log=log, every=0)
        images = generated_images(Identity(), 7, 0, batch_size, "cpu", progress)
        return images, [line.split("  ", 1)[1].split(",")[0] for line in log.open()]

    whole, said = drawn(7)
    assert whole.dtype == np.uint8 and whole.shape == (7, 3, 4, 4)
    assert said == ["draw: 7 images\n"]
    parts, said = drawn(3)
    assert np.array_equal(whole, parts)
    assert said == ["draw: 7 images\n", "draw: 3/7 images", "draw: 6/7 images"]


def test_one_image_of_a_kind_is_too_few():
    images = two_images(10, 0.5)[0]
    with pytest.raises(ValueError, match="2 images of either kind, got 10 and 1"):
        classifier(images, images[:1])
