"""Adaptive augmentation against hand-made images, other implementations, and the law of its control."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import map_coordinates
from test_train_gan import CoupledGenerator, LinearDiscriminator, flat_images, make_trainer

from pseudodensity.control.train import gan
from pseudodensity.control.train.ada_control import INTERVAL, AdaControl
from pseudodensity.control.train.loop import run
from pseudodensity.generators.ada_augment import (
    TRANSFORMS,
    Draws,
    ada_augment,
    color_matrix,
    geometric_matrix,
)
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.recoloring import (
    brightness,
    contrast,
    hue,
    luma_flip,
    recolor,
    saturation,
)
from pseudodensity.generators.warping import affine_move, affine_scale, affine_turn, shift, warp
from pseudodensity.progress import Progress

torch.set_num_threads(1)

ALL = list(TRANSFORMS)
ADA = {"target": 0.6, "images": 640, "transforms": ALL}
GREY = np.full(3, 1 / math.sqrt(3))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int, side: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=stream(seed)) * 2 - 1


# ---------------------------------------------------------------------------- pixels moved


def test_whole_pixels_move_as_numpy_pads_and_cuts():
    images = pictures(5)
    right, down = torch.tensor([0, 2, -3, 1, 7]), torch.tensor([0, -1, 2, 3, -7])
    moved = shift(images, right, down)
    for image, found, x, y in zip(images, moved, right.tolist(), down.tolist(), strict=True):
        wide = np.pad(image.numpy(), ((0, 0), (7, 7), (7, 7)), mode="reflect")
        assert np.array_equal(found.numpy(), wide[:, 7 - y : 15 - y, 7 - x : 15 - x])


def test_a_whole_affine_map_moves_turns_and_flips_exactly():
    images = pictures(4)
    quarter = affine_turn(torch.full((4,), math.pi / 2))
    turned = warp(images, quarter[:, :2])
    # A place right of the centre of the result shows what was below the centre.
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    one = torch.ones(4)
    flipped = warp(images, affine_scale(-one, one)[:, :2])
    assert torch.equal(flipped, images.flip(3))
    right, down = torch.tensor([0.0, 1, -2, 3]), torch.tensor([0.0, 2, 1, -1])
    moved = warp(images, affine_move(-right, -down)[:, :2])
    assert torch.equal(moved, shift(images, right.long(), down.long()))


def test_an_affine_map_shows_what_torch_shows():
    images, count = pictures(20, 9), 20
    draws = Draws(count, 1.0, stream(1))
    matrix = geometric_matrix(9, draws)[:, :2]
    # torch's own maps are in sides from -1 to 1, here between the centres of the outer pixels.
    scaled = torch.cat([matrix[:, :, :2], matrix[:, :, 2:] / 4], 2)
    grid = F.affine_grid(scaled, images.shape, align_corners=True)
    options = {"mode": "bicubic", "padding_mode": "reflection", "align_corners": True}
    expected = F.grid_sample(images, grid, **options)
    torch.testing.assert_close(warp(images, matrix), expected, atol=2e-5, rtol=0)


def test_a_warped_ramp_stays_a_ramp():
    """A linear image is what any good interpolation reproduces; scipy's is of another kind."""
    y, x = np.mgrid[:15, :15].astype(np.float32)
    ramp = 0.05 * x - 0.03 * y
    matrix = affine_scale(torch.tensor([0.7]), torch.tensor([0.8])) @ affine_turn(
        torch.tensor([0.4])
    )
    found = warp(torch.from_numpy(ramp).expand(1, 1, 15, 15), matrix[:, :2])[0, 0].numpy()
    places = matrix[0, :2, :2].numpy() @ np.stack([x - 7, y - 7]).reshape(2, -1) + 7
    expected = map_coordinates(ramp, [places[1], places[0]], order=1).reshape(15, 15)
    inside = ((places > 1) & (places < 13)).all(0).reshape(15, 15)
    assert inside.sum() > 100
    np.testing.assert_allclose(found[inside], expected[inside], atol=0.02)


# ---------------------------------------------------------------------------- colours


def lumas(images: torch.Tensor) -> np.ndarray:
    return np.einsum("nchw,c->nhw", images.numpy(), GREY)


def test_brightness_and_contrast_are_affine():
    images, values = pictures(3), torch.tensor([0.5, -0.2, 2.0])
    shaped = values.view(3, 1, 1, 1)
    torch.testing.assert_close(recolor(images, brightness(values)), images + shaped)
    torch.testing.assert_close(recolor(images, contrast(values)), images * shaped)


def test_luma_flip_negates_luma_and_keeps_the_rest():
    images = pictures(2)
    flipped = recolor(images, luma_flip(torch.tensor([1, 0])))
    np.testing.assert_allclose(lumas(flipped[:1]), -lumas(images[:1]), atol=1e-6)
    off_axis = [x - x.mean(1, keepdim=True) for x in (images[:1], flipped[:1])]
    torch.testing.assert_close(*off_axis, atol=1e-6, rtol=0)
    assert torch.equal(flipped[1], images[1])


def test_hue_turns_colours_about_grey():
    images, angles = pictures(3), torch.tensor([0.0, 2 * math.pi / 3, 0.7])
    turned = recolor(images, hue(angles))
    np.testing.assert_allclose(lumas(turned), lumas(images), atol=1e-6)
    torch.testing.assert_close(turned.square().sum(1), images.square().sum(1), atol=1e-5, rtol=0)
    # A third of a turn takes red to green to blue to red.
    torch.testing.assert_close(turned[1], images[1].roll(1, 0), atol=1e-6, rtol=0)
    # Rodrigues' formula, by numpy's cross product.
    colours = images[2].numpy().reshape(3, -1).T.astype(np.float64)
    along = np.outer(colours @ GREY, GREY)
    expected = along + np.cos(0.7) * (colours - along) + np.sin(0.7) * np.cross(GREY, colours)
    np.testing.assert_allclose(turned[2].numpy().reshape(3, -1).T, expected, atol=1e-6)


def test_saturation_keeps_luma_and_stretches_the_rest():
    images, factors = pictures(3), torch.tensor([0.0, 1.0, 3.0])
    found = recolor(images, saturation(factors))
    grey = images.mean(1, keepdim=True)
    expected = grey + factors.view(3, 1, 1, 1) * (images - grey)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(found[1], images[1])


# ---------------------------------------------------------------------------- drawn with probability


def test_without_probability_nothing_is_drawn_or_changed():
    images, before = pictures(4), stream(5)
    assert ada_augment(images, 0.0, ALL, before) is images
    assert torch.equal(before.get_state(), stream(5).get_state())


@pytest.mark.parametrize("transform", ALL)
def test_what_is_not_chosen_is_the_same_to_the_bit(transform):
    images = pictures(4000, 4)
    changed = (ada_augment(images, 0.1, [transform], stream()) != images).flatten(1).any(1)
    # One of two sides and one of four turns are the image itself; an eighth of 4 px is no move at all.
    shares = {"blit": [0.05, 0.075], "geometric": [0.1] * 4, "color": [0.1, 0.1, 0.05, 0.1, 0.1]}
    kept = math.prod(1 - share for share in shares[transform])
    error = 5 * math.sqrt(kept * (1 - kept) / len(images))
    assert abs(1 - changed.double().mean().item() - kept) < error


def corners(images: torch.Tensor) -> torch.Tensor:
    """Which of the eight positions of a square each image is in: its bright corner and the other one."""
    flat = images[:, 0].reshape(len(images), -1)
    return flat.argmax(1) * 100 + flat.argmin(1)


def test_at_probability_one_flips_and_turns_are_all_equally_likely():
    image = torch.zeros(1, 3, 2, 2)
    image[..., 0, 0], image[..., 0, 1] = 1, -1
    # Two pixels a side: an eighth of it rounds to no move at all.
    found = corners(ada_augment(image.expand(8000, -1, -1, -1), 1.0, ["blit"], stream()))
    counts = torch.bincount(torch.unique(found, return_inverse=True)[1])
    assert len(counts) == 8
    assert (counts / 8000 - 1 / 8).abs().max() < 5 * math.sqrt(7 / 64 / 8000)


def test_moves_by_whole_pixels_reach_an_eighth_of_the_side():
    images = torch.zeros(6000, 3, 17, 17)
    images[:, :, 8, 8] = 1
    moved = ada_augment(images, 1.0, ["blit"], stream())[:, 0].flatten(1).argmax(1)
    # REACH * 17 = 2.125 px: -2, ..., 2 with shares of rounding; turns and flips keep the centre.
    edges = np.array([-2.125, -1.5, -0.5, 0.5, 1.5, 2.125])
    shares = np.diff(edges) / 4.25
    for places in (moved % 17, moved // 17):
        counts = np.bincount(places.numpy() - 6, minlength=5) / 6000
        assert np.abs(counts - shares).max() < 5 * math.sqrt(0.25 / 6000)


def test_maps_at_probability_one_have_the_laws_of_the_paper():
    count = 20_000
    matrix = geometric_matrix(16, Draws(count, 1.0, stream())).double()
    linear = matrix[:, :2, :2]
    # Turns and the stretch have determinant 1, so that it is the square of the size.
    size = torch.log2(torch.linalg.det(linear)) / 2
    assert abs(size.mean()) < 5 * 0.2 / math.sqrt(count)
    assert abs(size.std() / 0.2 - 1) < 5 / math.sqrt(2 * count)
    ratio = torch.log2(torch.linalg.svdvals(linear)[:, 0]) - size
    assert abs(ratio.square().mean().sqrt() / 0.2 - 1) < 5 / math.sqrt(2 * count)
    move = torch.linalg.solve(linear, matrix[:, :2, 2])
    assert (move.mean(0).abs() < 5 * 2 / math.sqrt(count)).all()
    assert ((move.std(0) / 2 - 1).abs() < 5 / math.sqrt(2 * count)).all()
    angle = torch.atan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
    octants = torch.bincount(((angle + math.pi) / math.pi * 4).long().clamp(max=7), minlength=8)
    assert (octants / count - 1 / 8).abs().max() < 5 * math.sqrt(7 / 64 / count)


def test_colours_at_probability_one_have_the_laws_of_the_paper():
    count = 20_000
    matrix = color_matrix(Draws(count, 1.0, stream())).double()
    assert torch.equal(matrix[:, 3], torch.tensor([0.0, 0, 0, 1]).double().expand(count, 4))
    grey = torch.from_numpy(GREY)
    along = torch.einsum("i,nij,j->n", grey, matrix[:, :3, :3], grey)  # contrast, its sign the flip
    assert abs((along < 0).double().mean() - 0.5) < 5 * 0.5 / math.sqrt(count)
    log = torch.log2(along.abs())
    assert abs(log.mean()) < 5 * 0.5 / math.sqrt(count)
    assert abs(log.std() / 0.5 - 1) < 5 / math.sqrt(2 * count)
    added = torch.einsum("i,ni->n", grey, matrix[:, :3, 3]) / along / math.sqrt(3)
    assert abs(added.std() / 0.2 - 1) < 5 / math.sqrt(2 * count)
    across = (
        torch.log2(torch.linalg.det(matrix[:, :3, :3]).abs()) - log
    )  # twice (contrast, saturation)
    saturation_log = across / 2 - log
    assert abs(saturation_log.std() / 1.0 - 1) < 5 / math.sqrt(2 * count)


@pytest.mark.parametrize("transform", ALL)
def test_gradients_flow_twice(transform):
    """R1 differentiates the gradient of logits in the images: checked against finite differences."""
    images = pictures(3, 4).double().requires_grad_(True)

    def changed(x):
        return ada_augment(x, 0.9, [transform], stream(2)).square()

    assert torch.autograd.gradcheck(changed, images, eps=1e-6, atol=1e-4)
    assert torch.autograd.gradgradcheck(changed, images, eps=1e-6, atol=1e-4)


def test_equal_streams_draw_alike_and_others_do_not():
    images = pictures(16)
    first, again, other = (ada_augment(images, 0.8, ALL, stream(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_an_unknown_transform_is_refused():
    with pytest.raises(ValueError, match=r"unknown transform \['blitt'\]; choose from blit, "):
        ada_augment(pictures(1), 0.5, ["blitt"], stream())


# ---------------------------------------------------------------------------- the control


def scripted(signs, images: int = 640, target: float = 0.6) -> list[float]:
    """p after each step of 8 images, of which a script says how many have a positive logit."""
    control, found = AdaControl(target, images, ALL, 8), []
    for iteration, positive in enumerate(signs):
        control.observe(torch.tensor([0.3] * positive + [-2.0] * (8 - positive)))
        control.adjust(iteration)
        found.append(control.probability)
    return found


def test_the_probability_follows_the_signs():
    # Of 4 x 8 logits, r = (2 n - 32) / 32: 25 positive are below .6, 26 above; logits have no size.
    up, down = [7, 7, 6, 6], [7, 6, 6, 6]
    step = 4 * 8 / 640
    assert scripted(up) == [0, 0, 0, step]
    assert scripted(up * 3 + down)[3::4] == [i * 32 / 640 for i in (1, 2, 3, 2)]
    assert scripted(down * 2)[3::4] == [0, 0]
    # Exactly on target nothing moves: r = .5 of 24 positive.
    assert scripted(up + [6] * 4, target=0.5)[3::4] == [step, step]


def test_the_probability_goes_from_0_to_1_in_the_stated_images_and_no_further():
    found = scripted([8] * 100)  # 640 images are 80 steps
    assert found[78] < 1 and found[79] == 1 and found[99] == 1
    assert found[:80] == [32 * ((i + 1) // 4) / 640 for i in range(80)]
    # No multiple of a change: the last one is cut.
    assert scripted([8] * 12, images=80) == [0] * 3 + [0.4] * 4 + [0.8] * 4 + [1]


def test_signs_of_several_logits_of_an_image_all_count():
    control = AdaControl(0.6, 640, ALL, 2)
    control.observe(torch.tensor([[1.0, -1.0, 0.0], [2.0, 3.0, 4.0]]))
    control.adjust(INTERVAL - 1)
    assert control.sign == 3 / 6


def test_a_control_goes_on_where_its_state_was_taken():
    """Between two changes, with signs that differ before and after the cut."""
    whole, cut = AdaControl(0.2, 640, ALL, 8), AdaControl(0.2, 640, ALL, 8)
    for iteration, level in enumerate([1.0] * 7 + [-1.0]):
        if iteration == 6:
            cut.load_state(whole.state())
        for control in (whole, cut)[: 1 + (iteration >= 6)]:
            control.observe(torch.full((8,), level))
            control.adjust(iteration)
    assert whole.facts() == cut.facts() == {"augmentation": 64 / 640, "real sign": 0.5}


# ---------------------------------------------------------------------------- in training


def test_probability_zero_trains_as_without_to_the_bit():
    """A target that is never reached keeps p at 0."""
    ends = []
    for ada in (None, ADA | {"target": 0.999}):
        torch.manual_seed(0)
        recipe = {"ada": ada, "r1_gamma": 1.0}
        discriminator = LinearDiscriminator(4)
        trainer = make_trainer(CoupledGenerator(), discriminator, recipe=recipe)
        for iteration in range(9):
            trainer.step(iteration)
        ends.append(torch.cat([p.flatten() for p in trainer.generator.parameters()]))
    assert torch.equal(*ends)
    assert trainer.facts()["augmentation"] == 0


class Recorded(AdaControl):
    """Stands at one probability, and keeps what it was given and what it made of it."""

    def __init__(self, probability: float):
        super().__init__(0.6, 1000, ["color"], 8)
        self.load_state(self.state() | {"level": torch.tensor(int(1000 * probability))})
        self.pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def augment(self, images, draws):
        shown = super().augment(images, draws)
        self.pairs.append((images.detach().clone(), shown.detach().clone()))
        return shown

    def adjust(self, iteration):
        """Stays where it is."""


def test_reals_fakes_and_r1_are_augmented_by_independent_draws_of_one_law():
    discriminator = LinearDiscriminator(4)
    # Colourful ones: no hue changes a grey.
    images = pictures(30, 4).add(1).mul(127.5).to(torch.uint8).numpy()
    trainer = make_trainer(CoupledGenerator(), discriminator, images, recipe={"r1_gamma": 1.0})
    trainer.ada = Recorded(0.5)
    changes = [[], [], []]
    for iteration in range(200):
        trainer.ada.pairs.clear()
        discriminator.seen.clear()
        trainer.step(4 * iteration)  # R1 in each
        # The fakes once for both updates, the reals once for their logits and once for R1.
        fake, real, penalised = trainer.ada.pairs
        for pair, judged in zip((real, fake, penalised, fake), discriminator.seen, strict=True):
            assert torch.equal(pair[1], judged)
        assert torch.equal(real[0], penalised[0]) and not torch.equal(real[1], penalised[1])
        for flags, (before, after) in zip(changes, (fake, real, penalised), strict=True):
            flags.append((before != after).flatten(1).any(1))
    touched = torch.stack([torch.cat(flags).double() for flags in changes])
    share = 1 - 0.5**4 * 0.75
    error = 5 * math.sqrt(share * (1 - share) / touched.shape[1])
    assert (touched.mean(1) - share).abs().max() < error
    together = torch.corrcoef(touched) - torch.eye(3)
    assert together.abs().max() < 5 / math.sqrt(touched.shape[1])


def stylegan2(recipe: dict, images: np.ndarray) -> gan.GanTrainer:
    torch.manual_seed(0)
    small = {"channel_base": 64, "channel_max": 8}
    generator = build_generator("stylegan2", 8, small | {"z_dim": 4, "w_dim": 4})
    discriminator = build_discriminator("stylegan2", 8, small)
    torch.nn.init.constant_(discriminator.b4.out.bias, 1.0)  # sure of itself, so that p rises
    return make_trainer(generator, discriminator, images, recipe=recipe, iterations=14)


def test_a_resumed_training_ends_in_the_same_weights_to_the_bit(tmp_path):
    images = flat_images(range(0, 250, 10), 8)
    recipe = {"ada": ADA | {"target": 0.01, "images": 100}, "r1_gamma": 1.0}
    whole, first, second = (stylegan2(recipe, images) for _ in range(3))
    for iteration in range(14):
        numbers = whole.step(iteration)
    assert 0 < numbers["p"] <= 1 and numbers["r_t"] == whole.facts()["real sign"]
    # Cut between two changes of p, so that the signs that were counted must be kept.
    run(first, 10, tmp_path, {"a": 1}, Progress("first", 80))
    run(second, 14, tmp_path, {"a": 1}, Progress("second", 112))
    assert second.facts() == whole.facts() and set(whole.facts()) == {"augmentation", "real sign"}
    for part, state in whole.weights_to_keep().items():
        for name, tensor in second.weights_to_keep()[part].items():
            assert torch.equal(tensor, state[name]), (part, name)
