"""Smoothing of the class embedding: its two ends, what lies between, and what the sampler refuses."""

from types import SimpleNamespace

import pytest
import torch
from guided_example import checkpoint_with_classes

from pseudodensity.control.guide import class_smoothing, low_density_sampling
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.guidance import Guide
from pseudodensity.plan.methods import points
from pseudodensity.plan.models import declaration
from pseudodensity.rng import normal

torch.set_num_threads(1)

LABELS = torch.tensor([2, 0, 1, 2])


@pytest.fixture(scope="module")
def model():
    return checkpoint_with_classes().frozen_generator()


def latents(model, rows=range(4)):
    return normal(3, "latents", rows, model.latent_shape)


def made(model, method, point, rows=range(4)):
    bench = SimpleNamespace(generator=model, seed=3, settings=point)
    return method.maker(bench).make(latents(model, rows))


def asked(name, **grid):
    found = points(name, grid, {name: {"steps": 5}}, declaration("class_diffusion"))
    return found if len(found) > 1 else found[0]


def test_shares_are_the_papers():
    """y_max for the class and the rest of the probability equally over the others; rows sum to 1."""
    shares = class_smoothing.smoothed(LABELS, 3, 0.3)
    y_max = 1 - 0.3 * (1 - 1 / 3)
    expected = torch.full((4, 3), (1 - y_max) / 2)
    expected[range(4), LABELS] = y_max
    torch.testing.assert_close(shares, expected)
    assert torch.equal(class_smoothing.smoothed(LABELS, 3, 0.0), torch.eye(3)[LABELS])


def test_no_smoothing_is_plain_sampling_to_the_bit(model):
    plain = made(model, low_density_sampling, asked("low_density", alpha=[0], beta=[0]))
    assert torch.equal(made(model, class_smoothing, asked("class_smoothing", smoothing=[0])), plain)
    slight = made(model, class_smoothing, asked("class_smoothing", smoothing=[0.1]))
    assert (slight - plain).abs().max() > 1e-4


def test_full_smoothing_tells_the_mean_embedding_whatever_the_class():
    """A model all of whose embeddings are that mean makes the same images from labels."""
    checkpoint = checkpoint_with_classes()
    model, mean = checkpoint.frozen_generator(), checkpoint.frozen_generator()
    weight = mean.unet.class_embedding.weight
    weight.data.copy_(weight.mean(0).expand_as(weight))
    point = asked("class_smoothing", smoothing=[1])
    expected = made(mean, low_density_sampling, asked("low_density", alpha=[0], beta=[0]))
    found = made(model, class_smoothing, point)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (found - made(model, class_smoothing, point | {"smoothing": 0})).abs().max() > 1e-4
    bench = SimpleNamespace(generator=model, seed=3, settings=point)
    same = [class_smoothing.maker(bench).make(model.with_class(latents(model), k)) for k in (0, 2)]
    assert torch.equal(*same)


def test_images_do_not_depend_on_their_batch(model):
    point = asked("class_smoothing", smoothing=[0.5])
    whole = made(model, class_smoothing, point)
    parts = [made(model, class_smoothing, point, rows) for rows in (range(1), range(1, 4))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-5)


def test_points_and_labels():
    found = asked("class_smoothing", smoothing=[0.1, 1.0])
    assert [point["smoothing"] for point in found] == [0.1, 1.0]
    assert class_smoothing.label(found[0]) == "smoothed class embedding, 0.1, ancestral, 5 steps"
    assert class_smoothing.why_not(declaration("diffusion"))


@pytest.mark.parametrize(
    ("shares", "guide", "told"),
    [
        (
            torch.full((2, 2), 0.5),
            None,
            r"must be \(2, 3\), one row of sum 1 per latent, not \(2, 2",
        ),
        (torch.full((2, 3), 0.5), None, r"one row of sum 1 per latent"),
        (torch.full((2, 3), float("nan")), None, r"one row of sum 1 per latent"),
        (torch.full((2, 3), 1 / 3), Guide(), "give labels in place of shares"),
    ],
)
def test_what_are_no_shares_is_refused_in_one_line(model, shares, guide, told):
    with pytest.raises(ValueError, match=told) as raised:
        noise = StepNoise(0, range(2))
        sample(model, latents(model, range(2)), labels=shares, guide=guide, noise=noise)
    assert "\n" not in str(raised.value)
