"""The density ratio that the head of a discriminator is taught."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pseudodensity.control.train.ratio import RatioTrainer
from pseudodensity.generators.build import build_discriminator
from pseudodensity.images.dataset import ImageSet

torch.set_num_threads(1)

# Two images, dark and bright: shares of the data, and of the generator.
REAL, FAKE = 0.8, 0.5
LEVELS = (64, 192)
SETTINGS = {"iterations": 300, "batch_size": 64, "learning_rate": 0.01, "r1_gamma": 0.0}


class TwoImages(nn.Module):
    """z (n, 1) -> a dark image where z < 0, else a bright one."""

    latent_shape = (1,)

    def forward(self, z):
        level = torch.where(z[:, 0] < 0, *[torch.tensor(v / 127.5 - 1) for v in LEVELS])
        return level[:, None, None, None].expand(-1, 3, 8, 8)


def data() -> ImageSet:
    dark = np.arange(500) < REAL * 500
    images = np.where(dark, *LEVELS).astype(np.uint8)[:, None, None, None]
    return ImageSet(
        np.broadcast_to(images, (500, 3, 8, 8)).copy(), None, [], {"spec": {"kind": "x"}}
    )


@pytest.mark.parametrize("group_size", [1, 4])
def test_the_logit_becomes_the_log_ratio_of_the_shares(group_size):
    torch.manual_seed(0)
    discriminator = build_discriminator(
        "stylegan2", 8, {"channel_base": 64, "channel_max": 8, "group_size": group_size}
    )
    trunk = discriminator.b8.conv0.weight.clone()
    trainer = RatioTrainer(discriminator, TwoImages(), data(), SETTINGS, mirror=False, seed=0)
    for iteration in range(SETTINGS["iterations"]):
        trainer.step(iteration)
    images = TwoImages()(torch.tensor([[-1.0], [1.0]]))
    dark, bright = trainer.critic(images).tolist()
    assert dark == pytest.approx(math.log(REAL / FAKE), abs=0.15)
    assert bright == pytest.approx(math.log((1 - REAL) / (1 - FAKE)), abs=0.15)
    assert torch.equal(discriminator.b8.conv0.weight, trunk), "the trunk is frozen"
    # Jensen-Shannon: log 2 - 2 JSD / 2 of the shares; the loss of a perfect ratio.
    best = -0.5 * sum(
        p * math.log(p / (p + q)) + q * math.log(q / (p + q))
        for p, q in ((REAL, FAKE), (1 - REAL, 1 - FAKE))
    )
    assert trainer.facts()["held_out_loss"] == pytest.approx(best, abs=0.03)


def test_the_penalty_is_that_of_r1():
    torch.manual_seed(0)
    discriminator = build_discriminator("stylegan2", 8, {"channel_base": 64, "channel_max": 8})
    settings = {**SETTINGS, "r1_gamma": 3.0}
    trainer = RatioTrainer(discriminator, TwoImages(), data(), settings, mirror=False, seed=0)
    images = torch.randn(5, 3, 8, 8)
    norms = []
    for image in images:
        leaf = image[None].requires_grad_(True)
        (gradient,) = torch.autograd.grad(trainer.critic(leaf).sum(), leaf)
        norms.append(gradient.square().sum())
    assert trainer._penalty(images).item() == pytest.approx(
        1.5 * torch.stack(norms).mean().item(), rel=1e-4
    )
