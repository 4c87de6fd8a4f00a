"""BigGAN-deep by its parts: classes as drawn, norms and attention by hand, and what a class leaves alone."""

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare

from pseudodensity.generators.biggan import BigGan, ConditionalNorm, SelfAttention
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.truncation import truncated_images
from pseudodensity.generators.volumes import log_volumes
from pseudodensity.rng import generator, normal

torch.set_num_threads(1)

SMALL = {"classes": 3, "z_dim": 5, "class_dim": 4, "channels": [8, 8, 4], "reduction": 2}
SMALL |= {"attention": 8}
SHARES = torch.tensor([0.5, 0.0, 0.2, 0.3], dtype=torch.float64)


def make(**changes) -> BigGan:
    torch.manual_seed(0)
    model = build_generator("biggan", 16, SMALL | changes).eval().requires_grad_(False)
    stream = generator(0, "statistics")
    # Fresh networks neither attend nor have statistics.
    for name, tensor in model.state_dict().items():
        if name.endswith("gamma"):
            tensor.fill_(0.7)
        if name.endswith("running_mean"):
            tensor.copy_(0.2 * torch.randn(tensor.shape, generator=stream))
        if name.endswith("running_var"):
            tensor.copy_(0.05 + torch.rand(tensor.shape, generator=stream))
    return model


def latents(model: BigGan, count: int, seed: int = 0) -> torch.Tensor:
    return normal(seed, "z", range(count), model.latent_shape)


# ------------------------------------------------------------------------------- classes


def test_standard_normal_latents_give_classes_with_their_shares():
    model = make(classes=4)
    model.set_shares(SHARES)
    labels = model.labels(latents(model, 20_000))
    assert labels.dtype == torch.int64
    counts = torch.bincount(labels, minlength=4)
    assert counts[1] == 0  # a class without a share never comes
    kept = SHARES > 0
    assert chisquare(counts[kept], 20_000 * SHARES[kept]).pvalue > 1e-3


def test_a_class_is_the_stretch_of_quantiles_that_its_share_takes():
    model = make(classes=4)
    model.set_shares(SHARES)
    z = torch.zeros(5, 6)
    z[:, -1] = torch.special.ndtri(torch.tensor([0.01, 0.49, 0.51, 0.69, 0.71]))
    assert model.labels(z).tolist() == [0, 0, 2, 2, 3]
    z[:, -1] = torch.tensor([-torch.inf, -40, 40, torch.inf, 0.6])
    assert model.labels(z).tolist() == [0, 0, 3, 3, 3]


@pytest.mark.parametrize("classes", [1, 4, 1000])
def test_a_class_can_be_asked_for(classes):
    model = make(classes=classes)
    z = latents(model, 3)
    for label in {0, classes // 2, classes - 1}:
        asked = model.with_class(z, label)
        assert model.labels(asked).tolist() == [label] * 3
        assert torch.equal(asked[:, :-1], z[:, :-1]) and asked.dtype == z.dtype
    with pytest.raises(ValueError, match=f"from 0 to {classes - 1}"):
        model.with_class(z, classes)


def test_a_class_without_a_share_cannot_be_asked_for():
    model = make(classes=4)
    model.set_shares(SHARES)
    with pytest.raises(ValueError, match="there is no class 1 with a share"):
        model.with_class(latents(model, 2), 1)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.7, 0.7, -0.4], [0.2, 0.2, 0.2]])
def test_shares_are_shares(shares):
    with pytest.raises(ValueError, match="3 numbers from 0 up whose sum is 1"):
        make().set_shares(torch.tensor(shares, dtype=torch.float64))


def test_only_the_class_of_the_last_number_reaches_the_image():
    model = make()
    z = latents(model, 4)
    one, other = model.with_class(z, 1), model.with_class(z, 2)
    moved = one.clone()
    moved[:, -1] += 0.1
    assert torch.equal(model.labels(moved), model.labels(one))
    assert torch.equal(model(moved), model(one))
    assert (model(other) - model(one)).abs().amax((1, 2, 3)).min() > 1e-3


# ------------------------------------------------------------------------------- layers


def test_conditional_normalisation_by_hand():
    torch.manual_seed(0)
    layer = ConditionalNorm(3, 4, False)
    x, condition = torch.randn(6, 3, 2, 2), torch.randn(6, 4)
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    gain = 1 + condition @ layer.gain.weight.T
    bias = condition @ layer.bias.weight.T

    def by_hand(mean, variance):
        unit = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-4).sqrt()
        return unit * gain[:, :, None, None] + bias[:, :, None, None]

    torch.testing.assert_close(layer(x, condition), by_hand(mean, variance), atol=1e-5, rtol=1e-5)
    # In eval mode with the running statistics, a tenth of the way from mean 0 and variance 1.
    running = 0.1 * mean, 0.9 + 0.1 * x.var((0, 2, 3))
    torch.testing.assert_close(layer.eval()(x, condition), by_hand(*running), atol=1e-5, rtol=1e-5)


def test_attention_is_an_explicit_softmax_over_pooled_pixels():
    torch.manual_seed(0)
    layer = SelfAttention(16, False).requires_grad_(False)
    x = torch.randn(2, 16, 4, 4)
    assert torch.equal(layer(x), x)
    layer.gamma.fill_(0.3)
    weights = {n: m.weight[:, :, 0, 0] for n, m in layer.named_children()}
    expected = x.clone()
    for image, target in zip(x, expected, strict=True):
        keys, values = [], []
        for row in (0, 2):
            for column in (0, 2):
                pixels = image[:, row : row + 2, column : column + 2].flatten(1)
                keys.append((weights["key"] @ pixels).amax(1))
                values.append((weights["value"] @ pixels).amax(1))
        for row in range(4):
            for column in range(4):
                query = weights["query"] @ image[:, row, column]
                powers = torch.stack([(query @ key).exp() for key in keys])
                passed = sum(p * v for p, v in zip(powers, values, strict=True)) / powers.sum()
                target[:, row, column] += 0.3 * weights["out"] @ passed
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_a_block_drops_channels_and_doubles_its_map_on_the_way_past_it():
    model = make(spectral_norm=False)
    block, x = model.layers[4], torch.randn(2, 8, 8, 8)
    assert block.up and block.outputs == 4
    block.convolutions[-1].weight.zero_()
    block.convolutions[-1].bias.zero_()
    past = block(x, torch.randn(2, 9))
    torch.testing.assert_close(past, x[:, :4].repeat_interleave(2, 2).repeat_interleave(2, 3))


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_sizes(resolution):
    count = resolution.bit_length() - 2
    settings = SMALL | {"channels": [8] * count, "attention": 8}
    model = build_generator("biggan", resolution, settings)
    twin = {"classes": 3, "channels": [8] * count, "reduction": 2, "attention": 4}
    judge = build_discriminator("biggan", resolution, twin)
    z = latents(model, 3)
    images = model(z)
    assert images.shape == (3, 3, resolution, resolution) and images.abs().max() <= 1
    assert judge(images, model.labels(z)).shape == (3,)


PUBLISHED = {
    128: ([2048, 2048, 1024, 512, 256, 128], 50.4),
    256: ([2048, 2048, 1024, 1024, 512, 256, 128], 55.9),
    512: ([2048, 2048, 1024, 1024, 512, 256, 128, 128], 56.2),
}


@pytest.mark.parametrize("resolution", PUBLISHED)
def test_the_published_sizes_make_the_published_number_of_weights(resolution):
    channels, millions = PUBLISHED[resolution]
    with torch.device("meta"):
        model = build_generator(
            "biggan", resolution, {"classes": 1000, "channels": channels, "spectral_norm": False}
        )
    assert isinstance(model.layers[8], SelfAttention)
    # Published weights make as many maps as the last layer has inputs, of which three are kept.
    count = sum(p.numel() for p in model.parameters()) + 125 * (128 * 9 + 1)
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_in_eval_mode_an_image_depends_on_its_own_latent_only():
    model = make()
    z = latents(model, 5)
    together = model(z)
    alone = torch.cat([model(row[None]) for row in z])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_the_state_goes_round():
    model, again = make(), make()
    model.set_shares(torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64))
    again.load_state_dict(model.state_dict())
    z = latents(model, 20)
    assert torch.equal(again.labels(z), model.labels(z)) and torch.equal(again(z), model(z))


def test_statistics_are_the_mean_of_those_of_batches():
    model = make()
    batches = latents(model, 12).split(4)
    first = model.layers[0].norms[0]
    inputs = []
    hook = first.norm.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    model.measure_statistics(batches)
    hook.remove()
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(first.norm.running_mean, mean)
    torch.testing.assert_close(first.norm.running_var, variance)
    assert not any(module.training for module in model.modules())
    before = model(batches[0])
    assert torch.equal(model(batches[0]), before)


# ------------------------------------------------------------------------------- what reaches it


def test_truncation_leaves_classes_alone():
    model = make()
    z = latents(model, 200)
    seen = []
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    truncated_images(model, z, 0.2, "resample", generator(0, "stream"))
    assert torch.equal(seen[0][:, -1], z[:, -1]) and seen[0][:, :-1].abs().max() <= 0.2
    scaled = torch.cat([0.5 * z[:, :-1], z[:, -1:]], 1)
    torch.testing.assert_close(truncated_images(model, z, 0.5, "scale"), model(scaled))


@pytest.mark.parametrize("top", [2, 5, 30])
def test_volumes_are_those_over_z_alone(top):
    """More singular values than z has numbers are no more than z has."""
    model = make().double()
    z = latents(model, 3).double()
    expected = []
    for row in z:

        def images(part, last=row[-1:]):
            return model(torch.cat([part, last])[None]).flatten()

        jacobian = torch.autograd.functional.jacobian(images, row[:-1], vectorize=True)
        expected.append(torch.linalg.svdvals(jacobian)[:top].log().sum())
    torch.testing.assert_close(log_volumes(model, z, top=top), torch.stack(expected))


# ------------------------------------------------------------------------------- the discriminator


def test_the_logit_is_a_projection_on_the_class():
    torch.manual_seed(0)
    judge = build_discriminator(
        "biggan", 16, {"classes": 3, "channels": [4, 8, 8], "reduction": 2, "attention": 8}
    ).eval()
    images = torch.randn(5, 3, 16, 16)
    pooled = F.relu(judge.layers(judge.fromrgb(images))).sum((2, 3))
    logits = torch.stack([judge(images, torch.full((5,), label)) for label in range(3)])
    plain = pooled @ judge.dense.weight[0] + judge.dense.bias
    expected = plain + judge.embedding.weight @ pooled.T
    torch.testing.assert_close(logits, expected)
    assert (logits[0] - logits[1]).abs().min() > 1e-3


BAD = [
    ({"channels": [8, 8]}, "3 numbers of channels, at 4 to 16 px"),
    ({"channels": [8, 4, 8]}, "none more than the one before"),
    ({"channels": [8, 2, 2], "reduction": 4}, "leave nothing of a 4th"),
    ({"attention": 4}, r"give one of \[8, 16\] or null"),
    ({"classes": 0}, "classes 0"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_settings_that_make_no_generator_are_one_clear_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": [8, 8]}, "3 numbers of channels, at 16 to 4 px"),
        ({"channels": [4, 8, 4]}, "none fewer than the one before"),
        ({"channels": [1, 2, 8]}, "leave nothing of a 4th"),
        ({"attention": 16}, r"give one of \[8, 4\] or null"),
    ],
)
def test_settings_that_make_no_discriminator_are_one_clear_line(changes, message):
    settings = {"classes": 3, "channels": [4, 8, 8], "reduction": 4, "attention": None}
    with pytest.raises(ValueError, match=message) as error:
        build_discriminator("biggan", 16, settings | changes)
    assert "\n" not in str(error.value)
