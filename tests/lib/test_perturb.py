"""Per-sample perturbation against closed forms, and through every kind of generator."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import nn

from pseudodensity.control.move.gradient import per_sample_gradient
from pseudodensity.control.move.perturb import (
    DensityObjective,
    DiscriminatorObjective,
    perturb,
    random_direction,
)
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import extract
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.images.transform import to_uint8
from pseudodensity.rng import normal

torch.set_num_threads(1)

GAN = {"steps": 10, "step_size": 0.025, "bound": 0.1}  # appendix A.1
DIFFUSION = {"steps": 5, "step_size": 0.0025, "bound": 0.0125}
STYLEGAN = {"z_dim": 8, "w_dim": 12, "mapping_layers": 2, "channel_base": 128, "channel_max": 16}
UNET = {
    "network": "small",
    "flavour": "iddpm",
    "channels": [16, 32],
    "blocks": 1,
    "attention_levels": [1],
    "head_channels": None,
    "norm_groups": 8,
    "dropout": 0.0,
    "patch": 2,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 1000,
    "sampling_steps": 50,
    "rescale_vb": False,
}
VIT = {"kind": "small_vit", "size": 16, "patch": 4, "width": 32, "depth": 1, "heads": 2}


class Linear(nn.Module):
    """G(z) = A z, float64, without any image about it."""

    couples_batch = False

    def __init__(self, inputs=6, outputs=10):
        super().__init__()
        self.latent_shape = (inputs,)
        self.register_buffer("matrix", normal(0, "A", range(outputs), (inputs,)).double())
        self.eval()

    def forward(self, z):
        return z @ self.matrix.T


def linear_case(n=5):
    """A linear generator, rho(x) = c.x, latents, and the sign of A^T c."""
    model = Linear()
    c = normal(0, "c", [0], (10,))[0].double()
    z = normal(0, "z", range(n), model.latent_shape).double()
    return model, lambda x: x @ c, z, model.matrix.T @ c


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("settings", [GAN, DIFFUSION, {"steps": 3, "step_size": 0.01, "bound": 1}])
def test_sign_on_a_linear_generator_reaches_the_corner_exactly(settings, direction):
    model, density, z, slope = linear_case()
    reached = perturb(model, z, density, **settings, direction=direction)
    size = min(settings["steps"] * settings["step_size"], settings["bound"])
    expected = z + direction * size * slope.sign()
    torch.testing.assert_close(reached, expected, rtol=0, atol=1e-14)
    # No point of the box is better: the best value is f(z) + size |A^T c|_1.
    gain = density(model(reached)) - density(model(z))
    torch.testing.assert_close(gain, (direction * size * slope.abs().sum()).expand_as(gain))


def test_raw_on_a_linear_generator_adds_the_gradient():
    model, density, z, slope = linear_case()
    small = {"steps": 4, "step_size": 1e-3, "bound": 10.0}
    moved = perturb(model, z, density, **small, update="raw")
    torch.testing.assert_close(moved, z + 4e-3 * slope)
    clipped = perturb(model, z, density, steps=4, step_size=1e-3, bound=2e-3, update="raw")
    torch.testing.assert_close(clipped, z + (4e-3 * slope).clamp(-2e-3, 2e-3))


def test_raw_on_a_quadratic_density_is_gradient_ascent():
    """f = -|z - m|^2 / 2: each raw step multiplies z - m by 1 - step_size."""
    model, m = Linear(3, 3), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    model.matrix = torch.eye(3, dtype=torch.float64)
    z = normal(0, "z", range(4), (3,)).double()
    moved = perturb(
        model,
        z,
        lambda x: -(x - m).square().sum(1) / 2,
        steps=7,
        step_size=0.1,
        bound=9,
        update="raw",
    )
    torch.testing.assert_close(moved, m + 0.9**7 * (z - m))


@pytest.mark.parametrize("changes", [{"steps": 0}, {"step_size": 0.0}, {"bound": 0.0}])
def test_no_step_and_no_room_are_the_identity(changes):
    model, density, z, _ = linear_case()
    assert torch.equal(perturb(model, z, density, **(GAN | changes)), z)


def test_a_sample_does_not_depend_on_its_batch():
    model, _, z, _ = linear_case()
    bent = lambda x: torch.tanh(x).square().sum(1)
    together = perturb(model, z, bent, **GAN, update="raw")
    alone = torch.cat([perturb(model, row[None], bent, **GAN, update="raw") for row in z])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-14)


def law_of_the_clipped_walk(steps, step_size, bound):
    """Places k (in step sizes) and their exact probabilities after a walk clipped to the box."""
    edge = round(bound / step_size)
    places = np.arange(-edge, edge + 1)
    move = np.zeros((len(places), len(places)))
    for column, place in enumerate(places):
        for sign in (-1, 1):
            move[np.clip(place + sign, -edge, edge) + edge, column] += 0.5
    return places, np.linalg.matrix_power(move, steps)[:, edge]


@pytest.mark.parametrize("settings", [GAN, DIFFUSION, {"steps": 1, "step_size": 0.1, "bound": 1}])
def test_a_random_direction_is_a_clipped_walk(settings):
    """The frequencies of all places are those of the exact law."""
    z = normal(0, "z", range(500), (40,)).double()
    moved = random_direction(z, range(500), 0, "walk", **settings)
    ended = ((moved - z) / settings["step_size"]).flatten()
    assert (ended - ended.round()).abs().max() < 1e-9
    places, law = law_of_the_clipped_walk(**settings)
    found = np.array([(ended.round() == place).sum().item() for place in places])
    possible = law > 0
    assert found.sum() == 20_000 == found[possible].sum()
    assert chisquare(found[possible], 20_000 * law[possible]).pvalue > 1e-4
    # Not along one line: the signs of neighbouring coordinates are unrelated.
    signs = (moved - z).sign()
    assert abs((signs[:, 1:] * signs[:, :-1]).mean().item()) < 4 / (500 * 39) ** 0.5


def test_a_random_direction_uses_up_half_of_the_box_of_the_paper():
    places, law = law_of_the_clipped_walk(**GAN)
    mean = (abs(places) * law).sum() * 0.025
    assert mean == pytest.approx(0.051, abs=5e-4)
    z = torch.zeros(500, 40)
    moved = random_direction(z, range(500), 0, "mean", **GAN)
    spread = np.sqrt(((abs(places) * 0.025 - mean) ** 2 * law).sum())
    assert moved.abs().mean().item() == pytest.approx(mean, abs=4 * spread / 20_000**0.5)
    assert moved.abs().max().item() == pytest.approx(0.1)


def test_a_random_walk_belongs_to_its_sample():
    z = normal(0, "z", range(6), (3, 4))
    together = random_direction(z, range(6), 0, "walk", **GAN)
    alone = [random_direction(z[i : i + 1], [i], 0, "walk", **GAN) for i in range(6)]
    assert torch.equal(together, torch.cat(alone))
    order = [4, 0, 5]
    assert torch.equal(random_direction(z[order], order, 0, "walk", **GAN), together[order])
    others = [(1, "walk"), (0, "another")]
    for seed, name in others:
        assert not torch.equal(random_direction(z, range(6), seed, name, **GAN), together)
    # Longer walks begin with the shorter ones, and no step is the identity.
    first = random_direction(z, range(6), 0, "walk", **(GAN | {"steps": 1}))
    second = random_direction(z, range(6), 0, "walk", **(GAN | {"steps": 2}))
    torch.testing.assert_close((second - first).abs(), torch.full_like(z, 0.025))
    assert torch.equal(random_direction(z, range(6), 0, "walk", **(GAN | {"steps": 0})), z)


# ---------------------------------------------------------------- real objectives


@pytest.fixture(scope="module")
def density_of_noise():
    """An extractor and a density fitted on blurred noise, (extractor, density, images)."""
    extractor = build_extractor(VIT)
    coarse = normal(0, "images", range(200), (3, 4, 4)) / 2
    images = to_uint8(nn.functional.interpolate(coarse, scale_factor=4, mode="bilinear"))
    density = PseudoDensity.fit(extract(extractor, images), k=5, epochs=15)
    return extractor, density, images


def test_density_objective_is_the_density_of_the_stored_image(density_of_noise):
    extractor, density, images = density_of_noise
    objective = DensityObjective(extractor, density)
    # Beyond [-1, 1] on purpose: what is stored is clamped.
    floats = images[:20].float() / 127.5 - 1
    stored = density(extract(extractor, images[:20]))
    np.testing.assert_allclose(objective(floats).numpy(), stored, atol=1e-5)
    bright = torch.where(floats > 0.3, 1.4, floats)
    kept = density(extract(extractor, to_uint8(bright)))
    np.testing.assert_allclose(objective(bright).numpy(), kept, atol=1e-4)
    gradient = per_sample_gradient(objective, bright)
    assert (gradient[bright == 1.4] == 0).all() and (gradient[bright < 0.3] != 0).any()


def test_density_gradient_is_that_of_finite_differences(density_of_noise):
    extractor, density, images = density_of_noise
    objective = DensityObjective(extractor.double(), density.double())
    try:
        x = images[:6].double() / 140 - 0.9
        gradient = per_sample_gradient(objective, x)
        direction = normal(0, "direction", range(6), x.shape[1:]).double()
        step = 1e-7  # ReLUs bend within larger ones
        ends = [objective(x + s * step * direction) for s in (1, -1)]
        slope = (gradient * direction).flatten(1).sum(1)
        torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), slope, rtol=1e-3, atol=1e-6)
    finally:
        extractor.float(), density.float()


def small_generator(name):
    torch.manual_seed(0)
    settings = {"stylegan2": STYLEGAN, "diffusion": UNET}[name]
    return build_generator(name, 16, settings).eval()


@pytest.mark.parametrize("name, settings", [("stylegan2", GAN), ("diffusion", DIFFUSION)])
def test_density_rises_or_falls_through_a_whole_generator(name, settings, density_of_noise):
    """Also: 50 steps of DDIM are differentiated, parameters gather no gradient."""
    extractor, density, _ = density_of_noise
    model = small_generator(name)
    objective = DensityObjective(extractor, density)
    z = normal(0, "z", range(2), model.latent_shape)
    settings = settings | {"steps": 2 if name == "diffusion" else settings["steps"]}
    values = {}
    for direction in (1, -1):
        moved = perturb(model, z, objective, **settings, direction=direction)
        assert moved.shape == z.shape and not moved.requires_grad
        assert (moved - z).abs().max() <= settings["bound"] * (1 + 1e-4)
        with torch.no_grad():
            values[direction] = objective(model(moved))
    with torch.no_grad():
        before = objective(model(z))
    assert (values[1] > before).all() and (values[-1] < before).all()
    assert all(p.grad is None for p in model.parameters())


def test_gradient_through_all_ddim_steps_is_that_of_finite_differences(density_of_noise):
    extractor, density, _ = density_of_noise
    model = small_generator("diffusion").double()
    objective = DensityObjective(extractor.double(), density.double())
    try:
        z = normal(0, "z", range(1), model.latent_shape).double()
        gradient = per_sample_gradient(lambda latents: objective(model(latents)), z)
        direction = normal(0, "d", range(1), model.latent_shape).double()
        with torch.no_grad():
            ends = [objective(model(z + s * 1e-6 * direction)) for s in (1, -1)]
        difference = (ends[0] - ends[1]).item() / 2e-6
        assert (gradient * direction).sum().item() == pytest.approx(difference, rel=1e-2)
    finally:
        extractor.float(), density.float()


def test_a_discriminator_that_compares_is_made_to_judge_alone():
    torch.manual_seed(0)
    discriminator = build_discriminator("stylegan2", 16, {"channel_base": 128, "channel_max": 16})
    references = normal(0, "references", range(3), (3, 16, 16))
    objective = DiscriminatorObjective(discriminator.eval(), references)
    model = small_generator("stylegan2")
    z = normal(0, "z", range(3), model.latent_shape)
    together = perturb(model, z, objective, **GAN, update="raw")
    alone = torch.cat([perturb(model, row[None], objective, **GAN, update="raw") for row in z])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    with torch.no_grad():
        gain = objective(model(perturb(model, z, objective, **GAN))) - objective(model(z))
    assert (gain > 0).all()


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": -1}, "number of updates"),
        ({"step_size": -0.1}, "`direction` has the sign"),
        ({"step_size": float("nan")}, "finite and not negative"),
        ({"bound": -0.1}, "bound must be finite"),
        ({"direction": 0}, "direction is \\+1"),
        ({"update": "adam"}, "unknown: use 'sign' or 'raw'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    model, density, z, _ = linear_case()
    with pytest.raises(ValueError, match=message):
        perturb(model, z, density, **(GAN | changes))


def test_unfit_latents_generators_and_objectives_are_refused():
    model, density, z, _ = linear_case()
    with pytest.raises(ValueError, match=r"shape \(n, 6\), got \(5, 5\)"):
        perturb(model, z[:, :5], density, **GAN)
    with pytest.raises(ValueError, match="one number per sample"):
        perturb(model, z, lambda x: x, **GAN)
    with pytest.raises(ValueError, match="no finite gradient at 1 of 5"):
        perturb(model, z, lambda x: (x - model(z)[:1]).norm(dim=1).sqrt(), **GAN)
    with pytest.raises(ValueError, match="training mode"):
        perturb(model.train(), z, density, **GAN)
    with pytest.raises(ValueError, match="bound must be finite"):
        random_direction(z, range(5), 0, "walk", **(GAN | {"bound": -1.0}))
    with pytest.raises(ValueError, match="5 latents but 4 sample numbers"):
        random_direction(z, range(4), 0, "walk", **GAN)
