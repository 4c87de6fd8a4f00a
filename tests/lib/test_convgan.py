"""The GAN of plain convolutions: sizes by hand, and images that know nothing of one another."""

import pytest
import torch

from pseudodensity.control.train.adversarial import gradient_penalty
from pseudodensity.generators.build import build_discriminator, build_generator

torch.set_num_threads(1)


def test_the_default_has_the_parameters_that_its_layers_add_up_to():
    generator, discriminator = (
        build("convgan", 16, {}) for build in (build_generator, build_discriminator)
    )
    dense, ups = 512 * (32 + 1), 32 * (9 * 32 + 1) + 16 * (9 * 32 + 1)
    assert sum(p.numel() for p in generator.parameters()) == dense + ups + 3 * (9 * 16 + 1)
    downs = 16 * (16 * 3 + 1) + 32 * (16 * 16 + 1)
    assert sum(p.numel() for p in discriminator.parameters()) == downs + 512 + 1


@pytest.mark.parametrize(
    ("resolution", "up", "down"), [(8, [6, 5], [4]), (32, [6, 5, 4, 3], [3, 4, 5])]
)
def test_images_have_the_resolution_and_are_bounded(resolution, up, down):
    torch.manual_seed(0)
    generator = build_generator("convgan", resolution, {"z_dim": 7, "channels": up})
    discriminator = build_discriminator("convgan", resolution, {"channels": down})
    images = generator(100 * torch.randn(5, 7))
    assert images.shape == (5, 3, resolution, resolution) and images.abs().max() <= 1
    logits = discriminator(images)
    assert logits.shape == (5,)
    # What columns and critics ask: one logit of each image, whatever shape the network gives.
    torch.testing.assert_close(discriminator.eval().judge_each(images), logits)


def test_no_image_and_no_logit_depends_on_its_batch_in_training_either():
    """So the penalty of a batch is the mean of the penalties of its images."""
    torch.manual_seed(0)
    generator = build_generator("convgan", 16, {}).train()
    discriminator = build_discriminator("convgan", 16, {}).train()
    z = torch.randn(6, 32)
    fake = generator(z).detach()
    torch.testing.assert_close(fake[:1], generator(z[:1]))
    torch.testing.assert_close(discriminator(fake)[2:3], discriminator(fake[2:3]))
    stream = torch.Generator().manual_seed(0)
    whole = gradient_penalty(discriminator, torch.zeros_like(fake), fake, stream)
    stream = torch.Generator().manual_seed(0)
    parts = [
        gradient_penalty(discriminator, torch.zeros(1, 3, 16, 16), f[None], stream) for f in fake
    ]
    torch.testing.assert_close(whole, torch.stack(parts).mean())


@pytest.mark.parametrize(
    ("build", "channels"),
    [(build_generator, [8, 8]), (build_generator, [8, 8, 0]), (build_discriminator, [8, 8, 8])],
)
def test_another_number_of_channels_is_refused(build, channels):
    with pytest.raises(ValueError, match="numbers of channels") as error:
        build("convgan", 16, {"channels": channels})
    assert "\n" not in str(error.value)
