"""Diffusion models with classes: the class in the network, and what of a latent is the class's."""

import pytest
import torch
from diffusers import UNet2DModel

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.class_diffusion import ClassDiffusionModel
from pseudodensity.generators.truncation import truncated_images
from pseudodensity.rng import generator, normal

torch.set_num_threads(1)

UNET = {
    "classes": 4,
    "network": "small",
    "flavour": "adm",
    "channels": [16, 16],
    "blocks": 1,
    "attention_levels": [1],
    "head_channels": 8,
    "norm_groups": 8,
    "dropout": 0.0,
    "patch": 1,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 1000,
    "sampling_steps": 5,
    "rescale_vb": False,
}
SHARES = torch.tensor([0.5, 0.0, 0.2, 0.3], dtype=torch.float64)


def make(**changes) -> ClassDiffusionModel:
    torch.manual_seed(0)
    return build_generator("class_diffusion", 8, UNET | changes).eval().requires_grad_(False)


def latents(model: ClassDiffusionModel, count: int) -> torch.Tensor:
    return normal(0, "z", range(count), model.latent_shape)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("network", ["small", "diffusers"])
def test_the_class_reaches_the_network_as_in_diffusers(network):
    reference = UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=6,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        downsample_type="resnet",
        upsample_type="resnet",
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=8,
        norm_num_groups=8,
        attn_norm_num_groups=8,
        norm_eps=1e-5,
        num_class_embeds=4,
    ).requires_grad_(False)
    model = make(network=network)
    state = {name.removeprefix("network."): w for name, w in model.unet.state_dict().items()}
    reference.load_state_dict(state)
    x, times, labels = noise(3, 3, 8, 8), torch.tensor([0.0, 431.5, 999.0]), torch.tensor([3, 0, 2])
    expected = reference(x, times, class_labels=labels, return_dict=False)[0]
    torch.testing.assert_close(model.unet(x, times, labels), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.output(x, times, labels), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(model.unet(x, times, labels.flip(0)), expected, atol=1e-2)


def test_a_seed_makes_one_network_with_classes_and_its_like_without():
    with_classes, without = make(), build_generator("class_diffusion", 8, UNET | {"classes": 1})
    assert set(with_classes.state_dict()) == set(without.state_dict())
    assert with_classes.unet.class_embedding.weight.shape == (4, 64)
    plain = {name: value for name, value in UNET.items() if name != "classes"}
    names = set(build_generator("diffusion", 8, plain).state_dict())
    assert set(with_classes.state_dict()) - names == {"shares", "unet.class_embedding.weight"}


@pytest.mark.parametrize("network", ["small", "diffusers"])
def test_mixtures_of_classes_mix_their_vectors(network):
    model, x, times = make(network=network), noise(2, 3, 8, 8), torch.tensor([10.0, 700.0])
    pure = torch.eye(4)[[2, 1]]
    labels = torch.tensor([2, 1])
    torch.testing.assert_close(model.output(x, times, pure), model.output(x, times, labels))
    weight = model.unet.class_embedding.weight
    shares = torch.tensor([[0.25, 0.75, 0, 0], [0, 0, 0.5, 0.5]])
    vectors = torch.stack([0.25 * weight[0] + 0.75 * weight[1], (weight[2] + weight[3]) / 2])
    torch.testing.assert_close(model.unet.class_embedding(shares), vectors)
    assert not torch.allclose(model.output(x, times, shares), model.output(x, times, labels))


def test_a_latent_is_noise_and_a_class():
    model = make()
    model.set_shares(SHARES)
    z = latents(model, 200)
    assert z.shape == (200, 3 * 8 * 8 + 1)
    start, labels = model.split(z)
    assert torch.equal(start.flatten(1), z[:, :-1]) and start.shape == (200, 3, 8, 8)
    assert torch.equal(labels, model.labels(z)) and set(labels.tolist()) == {0, 2, 3}


def test_only_the_class_of_the_last_number_reaches_the_image():
    model = make()
    z = latents(model, 4)
    one, other = model.with_class(z, 1), model.with_class(z, 2)
    moved = one.clone()
    moved[:, -1] += 0.1
    assert torch.equal(model.labels(moved), model.labels(one))
    assert torch.equal(model(moved), model(one))
    assert (model(other) - model(one)).abs().amax((1, 2, 3)).min() > 1e-3
    z = z[:1].requires_grad_()
    (gradient,) = torch.autograd.grad(model(z).square().sum(), z)
    assert gradient[0, -1] == 0 and gradient[0, :-1].abs().max() > 0


@pytest.mark.parametrize("family", ["scale", "resample"])
def test_truncation_keeps_the_class(family):
    model = make()
    z = latents(model, 6)
    z[:, -1] = 1.2  # beyond 0.3, and another class than 0.3 * 1.2
    seen = []
    model.unet.class_embedding.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    images = truncated_images(model, z, 0.3, family, generator(0))
    assert set(torch.cat(seen).tolist()) == {3} and not torch.equal(images, model(z))
    if family == "scale":
        small = torch.cat([0.3 * z[:, :-1], z[:, -1:]], 1)
        assert torch.equal(images, model(small))


def test_shares_are_part_of_the_weights():
    model = make()
    model.set_shares(SHARES)
    again = make()
    again.load_state_dict(model.state_dict())
    z = latents(model, 20)
    assert torch.equal(again.labels(z), model.labels(z)) and torch.equal(again(z), model(z))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"classes": 0}, "classes is 0: a model with classes has 1 or more"),
        ({"patch": 3}, "no multiple of patch"),
        ({"network": "large"}, "network 'large' unknown"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)
