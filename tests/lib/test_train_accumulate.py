"""A batch in parts: the same step as whole, and no more than a part in memory at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from pseudodensity.control.train.diffusion import DiffusionTrainer
from pseudodensity.control.train.gan import GanTrainer
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.plan.config import load_config
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.plan import Plan

ROOT = Path(__file__).parents[2]
STYLEGAN2 = {"z_dim": 4, "w_dim": 4, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
UNET = {"channels": [32, 32], "blocks": 1, "attention_levels": [1], "norm_groups": 8}
UNET |= {"network": "diffusers", "flavour": "adm", "head_channels": 8, "dropout": 0.0, "patch": 1}
UNET |= {
    "schedule": "linear",
    "prediction": "epsilon",
    "training_steps": 1000,
    "sampling_steps": 50,
}
RECIPE = {
    "loss": "nonsaturating",
    "batch_size": 8,
    "lr_generator": 2e-3,
    "lr_discriminator": 2e-3,
    "r1_gamma": 0,
    "r1_interval": 1,
    "path_length_weight": 0,
    "ema_half_life": 50,
    "ema_ramp_up": None,
    "decay_fraction": 0,
    "augment": [],
}
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)


class Alone(StagedDiscriminator):
    """Logits of which each is of one image."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(192, 16), nn.Softplus(), nn.Linear(16, 1)
        )

    def judge(self, features):
        return self.layers(features[0])[:, 0]


def trainer_of(accumulate: int, accept=None, discriminator=None, **recipe) -> GanTrainer:
    torch.manual_seed(0)
    generator = build_generator("stylegan2", 8, STYLEGAN2).double()
    discriminator = discriminator or Alone()
    # Constant noise, as fine-tuning has it: in training each pass has noise of its own.
    return GanTrainer(
        generator,
        discriminator.double(),
        IMAGES,
        RECIPE | recipe | {"accumulate": accumulate},
        iterations=10,
        mirror=False,
        seed=3,
        as_sampled=True,
        accept=accept,
    )


@pytest.fixture(autouse=True)
def _double():
    torch.set_num_threads(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def doubled(trainer: GanTrainer) -> GanTrainer:
    """Latents and images in double precision too, so that only the order of sums differs."""
    draw = trainer.draw_real
    trainer.draw_real = lambda stream: [x.double() for x in draw(stream)]
    return trainer


@pytest.mark.parametrize("parts", [2, 4, 8])
@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"r1_gamma": 10},
        {"loss": "hinge", "gradient_penalty": 10, "drift": 0.1},
        {"loss": "wasserstein", "gradient_penalty": 10},
    ],
    ids=["plain", "R1", "hinge", "wasserstein"],
)
def test_a_batch_in_parts_makes_the_step_of_the_batch(recipe, parts):
    whole, cut = (doubled(trainer_of(n, **recipe)) for n in (1, parts))
    for step in range(2):
        losses = whole.step(step), cut.step(step)
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    for name in ("generator", "discriminator"):
        ours, theirs = (getattr(t, name).state_dict() for t in (cut, whole))
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, rtol=1e-7, atol=1e-9)


def test_path_lengths_in_parts_move_their_mean_as_far(monkeypatch):
    """Of one length for all: by 1 - (1 - .01 / parts)^parts, which is .01 but for its square."""
    monkeypatch.setattr(
        "pseudodensity.control.train.gan.path_lengths",
        lambda generator, latents, stream: generator.mapping(latents).sum(1) * 0 + 5.0,
    )
    means = []
    for parts in (1, 4):
        trainer = doubled(trainer_of(parts, path_length_weight=2))
        trainer.step(0)
        means.append(trainer.path_length_mean.item())
    assert means == pytest.approx([0.05, 5 * (1 - (1 - 0.0025) ** 4)])


def test_only_a_part_is_in_the_graph_at_once_and_proposals_are_made_in_parts():
    def largest(parts: int) -> tuple[int, int]:
        """Images of one pass of the generator, with a graph and without."""
        trainer = doubled(trainer_of(parts, accept=lambda images, _: torch.rand(len(images)) < 0.5))
        sizes = {True: [0], False: [0]}
        trainer.generator.register_forward_hook(
            lambda module, inputs, output: sizes[output.requires_grad].append(len(output))
        )
        trainer.step(0)
        trainer.step(1)
        return max(sizes[True]), max(sizes[False])

    torch.manual_seed(1)
    assert largest(4) == (2, 2)
    assert largest(1)[0] == 8


def test_a_part_is_compared_with_itself():
    """Minibatch standard deviation: logits of a part are those of a batch that is the part."""
    torch.manual_seed(0)
    settings = {"channel_base": 64, "channel_max": 8, "group_size": 4}
    discriminator = build_discriminator("stylegan2", 8, settings)
    sizes = []
    discriminator.b4.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    doubled(trainer_of(2, discriminator=discriminator)).step(0)
    assert set(sizes) <= {4, 8}  # real and fake images of a part may be judged together


@pytest.mark.parametrize("parts", [2, 4])
def test_a_diffusion_model_is_trained_alike(parts):
    recipe = {"batch_size": 8, "lr": 1e-3, "warmup_iterations": 0, "decay_fraction": 0}
    recipe |= {"ema_half_life": 50, "ema_ramp_up": None}
    trainers, sizes = [], []
    for accumulate in (1, parts):
        torch.manual_seed(0)
        model = build_generator("diffusion", 8, UNET | {"rescale_vb": False}).double()
        made = recipe | {"accumulate": accumulate}
        trainer = DiffusionTrainer(model, IMAGES, made, iterations=10, mirror=True, seed=1)
        model.unet.register_forward_hook(
            lambda module, inputs, output: sizes.append(len(inputs[0]))
        )
        trainers.append((trainer, [trainer.step(i)["loss"] for i in range(3)]))
    (whole, losses), (cut, others) = trainers
    assert losses == pytest.approx(others, rel=1e-6)
    assert set(sizes) == {8, 8 // parts}
    for ours, theirs in zip(cut.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def planned(tmp_path, **models) -> Plan:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"models": models}))
    config = load_config(ROOT / "config/config.yaml", [tmp_path / "mine.yaml"], {})
    return Plan(config, ROOT / "workflow/schemas", ROOT / "config/papers")


def test_parts_that_do_not_fit_are_refused_before_anything_runs(tmp_path):
    wrong = {"recipe": {"batch_size": 32, "accumulate": 3}}
    with pytest.raises(
        ConfigError,
        match=r"models\.stylegan2\.recipe\.accumulate is 3, .* one of 1, 2, 4, 8, 16, 32",
    ):
        planned(tmp_path, stylegan2=wrong)
    with pytest.raises(ConfigError, match=r"models\.hvae\.recipe\.accumulate is nothing"):
        planned(tmp_path, hvae={"recipe": {"accumulate": 2}})


def test_one_part_makes_nothing_anew(tmp_path):
    plain = planned(tmp_path).models.pretrained("stylegan2", "faces", 0)
    one, two = (
        planned(tmp_path, stylegan2={"recipe": {"accumulate": n}}).models.pretrained(
            "stylegan2", "faces", 0
        )
        for n in (1, 2)
    )
    assert plain.digest == one.digest != two.digest
