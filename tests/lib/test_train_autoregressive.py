"""Training of autoregressive models: the law that they learn is known, and runs resume exactly."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from pseudodensity.control.train.autoregressive import AutoregressiveTrainer
from pseudodensity.control.train.loop import run
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import (
    CheckpointFile,
    load_checkpoint,
    load_generator,
    save_checkpoint,
)
from pseudodensity.images.transform import to_float
from pseudodensity.progress import Progress

torch.set_num_threads(1)

SETTINGS = {
    "patch": 2,
    "channels": [8, 8],
    "blocks": 1,
    "attention_levels": [],
    "norm_groups": 4,
    "codes": 8,
    "code_width": 4,
    "layers": 1,
    "width": 16,
    "heads": 2,
    "dropout": 0.0,
}
RECIPE = {
    "batch_size": 16,
    "tokeniser_iterations": 60,
    "tokeniser_lr": 5e-3,
    "lr": 5e-3,
    "warmup_iterations": 5,
    "decay_fraction": 0.5,
    "ema_half_life": 200,
    "ema_ramp_up": 0.1,
}


def make_trainer(images: np.ndarray, iterations: int, **options) -> AutoregressiveTrainer:
    torch.manual_seed(0)
    settings = SETTINGS | options.pop("settings", {})
    model = options.pop("model", None) or build_generator("vqgpt", 8, settings)
    recipe = RECIPE | options.pop("recipe", {})
    common = {"iterations": iterations, "mirror": False, "seed": 3} | options
    return AutoregressiveTrainer(model, images, recipe, **common)


def train(trainer: AutoregressiveTrainer) -> list[dict[str, float]]:
    return [trainer.step(i) for i in range(trainer.iterations)]


def halves(*levels: int) -> np.ndarray:
    """8 x 8 images, the left half of one level and the right half of its opposite."""
    images = np.zeros((len(levels), 3, 8, 8), np.uint8)
    for image, level in zip(images, levels, strict=True):
        image[..., :4], image[..., 4:] = level, 255 - level
    return images


def states_equal(ours, theirs) -> bool:
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def two_images():
    """Trained on two images, the second of them three times as often as the first."""
    images = halves(30, 200)
    trainer = make_trainer(images, 260, weights=torch.tensor([1.0, 3.0]))
    return images, trainer, train(trainer)


# ------------------------------------------------------------------------------ what is learnt


def test_the_tokeniser_learns_a_tiny_set(two_images):
    images, trainer, losses = two_images
    model = trainer.averaged
    with torch.no_grad():
        codes = model.encode(to_float(images))
        error = (model.decode(codes) - to_float(images)).abs().mean().item()
    assert not torch.equal(codes[0], codes[1])
    assert error < 0.2 * losses[0]["error"]


def test_the_gpt_learns_the_probability_of_each_image(two_images):
    """One in four and three in four: a minimum of the loss at log p(codes) = log of the weight."""
    images, trainer, losses = two_images
    model = trainer.averaged
    p = model.log_likelihood(model.encode(to_float(images))).exp()
    assert p.sum() > 0.97
    # The last steps see the two images as often as chance has it, and the weights follow: the
    # average remembers about 300 images, of which the share has a standard deviation of .025.
    assert p[1].item() == pytest.approx(0.75, abs=0.1)
    # Loss per image: its entropy, .56 nats; one draw has a standard deviation of
    # sqrt(3) / 4 log 3 = .48, the mean of 640 draws .02.
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    last = np.mean([step["nats_per_code"] for step in losses[-40:]])
    assert last * trainer.model.gpt.tokens == pytest.approx(entropy, abs=0.08)


def test_samples_are_the_images_that_were_learnt(two_images):
    images, trainer, _ = two_images
    z = torch.randn(400, trainer.model.gpt.tokens, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        samples = trainer.averaged(z)
    distance = (samples[:, None] - to_float(images)).abs().mean((2, 3, 4))
    assert (distance.min(1).values < 0.3).float().mean() > 0.95
    assert set(distance.argmin(1).tolist()) == {0, 1}


def test_fine_tuning_keeps_the_tokeniser_and_follows_new_weights(two_images):
    images, parent, _ = two_images
    kept = parent.weights_to_keep()
    model, average = (build_generator("vqgpt", 8, SETTINGS) for _ in range(2))
    model.load_state_dict(kept["generator"])
    average.load_state_dict(kept["average"])
    recipe = {"tokeniser_iterations": 0, "ema_ramp_up": None, "lr": 2e-3}
    trainer = make_trainer(
        images,
        80,
        recipe=recipe,
        model=model,
        average=average,
        weights=torch.tensor([1.0, 0.0]),
    )
    train(trainer)
    before = {k: v for k, v in kept["average"].items() if k.startswith("tokeniser")}
    for module in (trainer.model, trainer.averaged):
        assert states_equal(module.state_dict(), before)
    codes = trainer.averaged.encode(to_float(images))
    assert trainer.averaged.log_likelihood(codes).exp()[0] > 0.9


# ------------------------------------------------------------------------------- the two phases


def test_each_phase_trains_its_own_part():
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    trainer = make_trainer(images, 6, recipe={"tokeniser_iterations": 3})
    names = {"tokeniser": ("error", "commitment"), "gpt": ("nats_per_code",)}
    for i in range(6):
        at_work, idle = ("tokeniser", "gpt") if i < 3 else ("gpt", "tokeniser")
        before = {
            name: {k: v.clone() for k, v in getattr(trainer.averaged, name).state_dict().items()}
            for name in names
        }
        losses = trainer.step(i)
        assert tuple(losses) == names[at_work]
        assert states_equal(getattr(trainer.averaged, idle).state_dict(), before[idle])
        assert not states_equal(getattr(trainer.averaged, at_work).state_dict(), before[at_work])
    # The GPT has learnt the codes of the tokeniser that is kept in both.
    kept = trainer.weights_to_keep()
    tokeniser = [k for k in kept["average"] if k.startswith("tokeniser")]
    assert tokeniser and all(
        torch.equal(kept["average"][k], kept["generator"][k]) for k in tokeniser
    )


def test_the_learning_rate_warms_up_and_decays_in_each_phase():
    images = halves(0)
    trainer = make_trainer(images, 300, recipe={"tokeniser_iterations": 100})
    seen = []
    trainer._update = lambda optimizer, rate, loss: seen.append(rate / 5e-3)
    for i in (0, 4, 50, 75, 99, 100, 104, 200, 250, 299):
        trainer.step(i)
    assert seen == pytest.approx([0.2, 1, 1, 0.5, 0.02, 0.2, 1, 1, 0.5, 0.01])


def test_unused_codes_are_moved_onto_data_and_used_ones_stay():
    images = np.random.default_rng(0).integers(0, 256, (64, 3, 8, 8), dtype=np.uint8)
    trainer = make_trainer(images, 100)
    book = trainer.model.tokeniser.quantize.embedding.weight
    with torch.no_grad():
        features = trainer.model.features(to_float(images))
        book[:] = 1e3 + torch.arange(8.0)[:, None]  # far away: one code at most is used
        book[5] = features.mean((0, 2, 3))
    trainer._revive_codes(torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(book[5], features.mean((0, 2, 3)))
        vectors = features.movedim(1, -1).reshape(-1, 4)
        gap = torch.cdist(book, vectors).min(1).values
        used = trainer.model.encode(to_float(images)).unique()
    assert (gap[torch.arange(8) != 5] < 1e-3).all()
    assert len(used) >= 7


def test_images_are_drawn_by_their_weights():
    images = np.stack([np.full((3, 8, 8), level, np.uint8) for level in (0, 60, 120, 180, 240)])
    weights = torch.tensor([1.0, 2, 0, 4, 1])
    trainer, seen = make_trainer(images, 101, weights=weights), []
    trainer.first = 0  # every step sees its batch by way of `encode`
    encode = trainer.model.encode
    trainer.model.encode = lambda batch: (seen.append(batch[:, 0, 0, 0]), encode(batch))[1]
    for i in range(1, 101):
        trainer.step(i)
    levels = torch.cat(seen).add(1).mul(127.5).round().long() // 60
    counts = torch.bincount(levels, minlength=5).double()
    expected = weights / weights.sum() * counts.sum()
    assert counts[2] == 0
    drawn = weights > 0
    statistic = ((counts - expected) ** 2 / expected)[drawn].sum().item()
    assert statistic < chi2.ppf(0.999, drawn.sum().item() - 1)


# ---------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("killed_at", [2, 4, 6])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, killed_at):
    """Killed in the first phase, between the two, and in the second."""
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    options = {"recipe": {"tokeniser_iterations": 4}, "settings": {"dropout": 0.2}, "mirror": True}
    whole = make_trainer(images, 8, **options)
    run(whole, 8, tmp_path / "whole", {}, Progress("whole", 128))
    part = Progress("part", 16 * killed_at)
    run(make_trainer(images, 8, **options), killed_at, tmp_path / "part", {}, part)
    torch.randn(7)  # the global stream must not matter
    resumed = make_trainer(images, 8, **options)
    run(resumed, 8, tmp_path / "part", {}, Progress("resumed", 128))
    for name in ("model", "average"):
        assert states_equal(resumed.state()[name], whole.state()[name])


def test_a_checkpoint_gives_the_same_images_and_likelihoods(two_images, tmp_path):
    _, trainer, _ = two_images
    path, settings = tmp_path / "checkpoint.safetensors", {"generator": SETTINGS}
    kept = CheckpointFile("vqgpt", 8, settings, trainer.weights_to_keep(), trainer.facts())
    save_checkpoint(path, kept, {})
    z = torch.randn(50, trainer.model.gpt.tokens, generator=torch.Generator().manual_seed(1))
    loaded = load_generator(path)
    assert torch.equal(loaded(z), trainer.averaged(z))
    codes = loaded.codes(z)
    assert torch.equal(loaded.log_likelihood(codes), trainer.averaged.log_likelihood(codes))
    assert states_equal(load_checkpoint(path).states["generator"], trainer.model.state_dict())


def test_a_run_without_a_step_for_the_gpt_is_refused():
    with pytest.raises(ValueError, match="leave none for the GPT: lower them") as error:
        make_trainer(halves(0), 60)
    assert "\n" not in str(error.value)
