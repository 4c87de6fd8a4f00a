"""Where the guiding losses of low-density diffusion push: closed forms and finite differences."""

import pytest
import torch

from pseudodensity.control.guide.hardness import hardness
from pseudodensity.control.guide.losses import (
    LOSSES,
    contrastive,
    logits,
    loss_called,
    plain,
    random_direction,
    softmax_minus_h,
)
from pseudodensity.control.move.gradient import per_sample_gradient

torch.set_num_threads(1)

CLASSES, K, N, TEMPERATURE = 4, 6, 5, 3.0
STREAM = torch.Generator().manual_seed(0)
MEANS = torch.randn(CLASSES, K, generator=STREAM, dtype=torch.float64)
FEATURES = torch.randn(N, K, generator=STREAM, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 1])


def nearest_mean_head(features: torch.Tensor) -> torch.Tensor:
    """The linear classifier that Gaussians of identity covariance make: its logits are -H and a constant
    of each sample."""
    return features @ MEANS.T - MEANS.square().sum(1) / 2


ALL = {
    "contrastive": contrastive,
    "plain": plain,
    "softmax_minus_h": softmax_minus_h,
    "logits": logits(nearest_mean_head),
    "random": random_direction(torch.arange(K, dtype=torch.float64)),
}


def gradient_of(loss, features=FEATURES, labels=LABELS, means=MEANS, temperature=TEMPERATURE):
    return per_sample_gradient(lambda f: loss(f, labels, means, temperature), features)


def finite_differences(loss) -> torch.Tensor:
    step, found = 1e-5, torch.empty_like(FEATURES)
    for j in range(K):
        move = torch.zeros(K, dtype=torch.float64)
        move[j] = step
        ahead = loss(FEATURES + move, LABELS, MEANS, TEMPERATURE)
        behind = loss(FEATURES - move, LABELS, MEANS, TEMPERATURE)
        found[:, j] = (ahead - behind) / (2 * step)
    return found


def closed_form(name: str) -> torch.Tensor:
    h = hardness(FEATURES, MEANS) / TEMPERATURE
    if name == "plain":
        return (FEATURES - MEANS[LABELS]) / TEMPERATURE
    if name == "random":
        return (torch.arange(K, dtype=torch.float64) / TEMPERATURE).expand(N, K)
    shares = (h if name == "contrastive" else -h).softmax(1)
    return (shares @ MEANS - MEANS[LABELS]) / TEMPERATURE


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_closed_form_and_of_finite_differences(name):
    found = gradient_of(ALL[name])
    torch.testing.assert_close(found, closed_form(name), rtol=0, atol=1e-12)
    torch.testing.assert_close(found, finite_differences(ALL[name]), rtol=0, atol=1e-8)


# Own class at the origin, another near on one axis, a third far on the other.
CORNER = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 9.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "towards"), [("contrastive", 2), ("softmax_minus_h", 1), ("logits", 1)]
)
def test_as_printed_it_pushes_to_the_farthest_class_and_the_others_to_the_border(name, towards):
    def head(f):
        return f @ CORNER.T - CORNER.square().sum(1) / 2

    start = torch.tensor([[0.1, 0.1]], dtype=torch.float64)
    loss = logits(head) if name == "logits" else ALL[name]
    found = gradient_of(loss, start, torch.tensor([0]), CORNER, 1.0)[0]
    direction = CORNER[towards] / CORNER[towards].norm()
    assert (found @ direction / found.norm()).item() > 0.99
    # A small step along it: the class that is sought comes nearer.
    moved = start + 0.1 * found / found.norm()
    assert hardness(moved, CORNER)[0, towards] < hardness(start, CORNER)[0, towards]


def test_two_classes_have_one_direction_whatever_the_loss():
    """From the own mean to the other: with two classes rareness is not what any of them seeks."""
    two, labels = MEANS[:2], LABELS % 2
    wanted = (two[1 - labels] - two[labels]).double()
    for loss in (contrastive, softmax_minus_h):
        found = gradient_of(loss, labels=labels, means=two)
        cosine = torch.cosine_similarity(found, wanted, dim=1)
        torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_a_large_temperature_pushes_from_the_own_mean_to_the_centroid():
    found = 1e6 * gradient_of(contrastive, temperature=1e6)
    torch.testing.assert_close(found, MEANS.mean(0) - MEANS[LABELS], rtol=0, atol=1e-4)


def test_plain_works_with_one_class_and_without_labels():
    found = gradient_of(plain, labels=None, means=MEANS[:1], temperature=1.0)
    torch.testing.assert_close(found, FEATURES - MEANS[0])


@pytest.mark.parametrize("name", ["contrastive", "softmax_minus_h", "logits"])
def test_a_loss_that_compares_classes_refuses_one(name):
    with pytest.raises(
        ValueError, match=f"{name} compares classes .* use the loss plain"
    ) as raised:
        ALL[name](FEATURES, LABELS * 0, MEANS[:1], 1.0)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 2, 3, 4]), torch.tensor([0, 1, 2, 3, -1])])
def test_labels_out_of_range_are_refused(labels):
    with pytest.raises(ValueError, match="labels go from 0 to 3, got"):
        plain(FEATURES, labels, MEANS, 1.0)


def test_several_classes_need_labels():
    with pytest.raises(ValueError, match="one of 4 classes needs a label"):
        plain(FEATURES, None, MEANS, 1.0)


def test_losses_by_name():
    for name in ("contrastive", "plain", "softmax_minus_h", "logits"):
        found = loss_called(name, nearest_mean_head, K, 0)(FEATURES, LABELS, MEANS, TEMPERATURE)
        assert torch.equal(found, ALL[name](FEATURES, LABELS, MEANS, TEMPERATURE))
    first, again, other = (loss_called("random", None, K, seed) for seed in (0, 0, 1))
    values = [loss(FEATURES, None, MEANS, 1.0) for loss in (first, again, other)]
    assert torch.equal(values[0], values[1]) and not torch.allclose(values[0], values[2])
    with pytest.raises(ValueError, match="'entropy' unknown: use one of contrastive"):
        loss_called("entropy", None, K, 0)
