"""Diffusion models against diffusers' scheduler, closed forms and a float64 recomputation."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import nn
from torch.distributions import Normal, kl_divergence

from pseudodensity.generators.diffusion import DiffusionModel, build_generator
from pseudodensity.generators.gaussian_diffusion import (
    GaussianDiffusion,
    cosine_betas,
    discretised_gaussian_nll,
    linear_betas,
)
from pseudodensity.generators.unet import Attention, Resampling, ResidualBlock

torch.set_num_threads(1)

SMALL = {
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
    "sampling_steps": 5,
    "rescale_vb": False,
}
BARE = {"blocks": 0, "channels": [16, 16]}
FOLDED = BARE | {"patch": 4, "channels": [48, 48]}
ADM = {"flavour": "adm", "attention_levels": [0, 1], "head_channels": 8}
PAPER = {
    "blocks": 2,
    "norm_groups": 32,
    "patch": 1,
    "schedule": "linear",
    "prediction": "epsilon",
    "sampling_steps": 50,
}
IDDPM_BEDROOM = {
    "channels": [128, 128, 256, 256, 512, 512],
    "attention_levels": [4],
}
ADM_BEDROOM = {
    "flavour": "adm",
    "channels": [256, 256, 512, 512, 1024, 1024],
    "attention_levels": [3, 4, 5],
    "head_channels": 64,
    "dropout": 0.1,
}


def small_model(**changes) -> DiffusionModel:
    torch.manual_seed(0)
    return build_generator(16, **SMALL | changes).eval()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def process(prediction: str, schedule=linear_betas) -> GaussianDiffusion:
    return GaussianDiffusion.from_betas(schedule(1000), prediction)


@pytest.mark.parametrize(
    ("settings", "parameters"), [(IDDPM_BEDROOM, 113_676_678), (ADM_BEDROOM, 552_814_086)]
)
def test_paper_scale_has_the_published_number_of_parameters(settings, parameters):
    with torch.device("meta"):
        model = build_generator(256, **SMALL | PAPER | settings)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_flavours_keep_their_families_at_small_size():
    iddpm, adm = small_model().unet, small_model(**ADM).unet
    blocks = [[m for m in u.modules() if isinstance(m, ResidualBlock)] for u in (iddpm, adm)]
    assert [{block.scale_shift for block in found} for found in blocks] == [{False}, {True}]
    resampling = [type(u.up_blocks[0].upsamplers[0]) for u in (iddpm, adm)]
    assert resampling == [Resampling, ResidualBlock]
    heads = [[m.heads for m in u.modules() if isinstance(m, Attention)] for u in (iddpm, adm)]
    assert set(heads[0]) == {1} and min(heads[1]) > 1 and len(heads[1]) > len(heads[0])


NETWORKS = [
    {},
    ADM,
    BARE,
    FOLDED,
    FOLDED | ADM,
    {"blocks": 2, "attention_levels": []},
    ADM | {"channels": [16, 16, 32], "attention_levels": [1], "head_channels": 16},
]


@pytest.mark.parametrize("changes", NETWORKS)
def test_a_seed_makes_the_weights_that_diffusers_would_draw(changes):
    ours, theirs = (small_model(network=n, **changes) for n in ("small", "diffusers"))
    state, public = ours.unet.state_dict(), theirs.unet.network.state_dict()
    assert state.keys() == public.keys()
    assert all(torch.equal(state[name], public[name]) for name in state)


@pytest.mark.parametrize("changes", NETWORKS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_network_is_that_of_diffusers(changes, dtype, tolerance, layout):
    ours, theirs = (small_model(network=n, **changes).to(dtype) for n in ("small", "diffusers"))
    with torch.no_grad():
        for name, parameter in ours.unet.named_parameters():
            # Norms and biases away from the ones and zeros that they start with.
            parameter.add_(0.05 * noise(*parameter.shape, seed=len(name)))
        theirs.unet.network.load_state_dict(ours.unet.state_dict())
    side = 16 // ours.patch
    x = noise(3, 3 * ours.patch**2, side, side).to(dtype).contiguous(memory_format=layout)
    times = torch.tensor([0.0, 431.5, 999.0])
    outputs = [model.unet(x, times) for model in (ours, theirs)]
    assert outputs[1].std() > 0.1
    torch.testing.assert_close(*outputs, rtol=0, atol=tolerance)
    shared = [model.unet(x, times[1:2]) for model in (ours, theirs)]
    torch.testing.assert_close(*shared, rtol=0, atol=tolerance)
    assert (shared[0][0] - outputs[0][0]).abs().max() > 1e-3
    if dtype == torch.float64:
        gradients = [
            dict(zip(names, torch.autograd.grad(y.square().sum(), weights), strict=True))
            for y, (names, weights) in zip(
                outputs,
                (zip(*u.named_parameters(), strict=True) for u in (ours.unet, theirs.unet.network)),
                strict=True,
            )
        ]
        torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-8)


def test_channels_last_stays_channels_last():
    """Or every second layer would copy its input."""
    model = small_model(**FOLDED | ADM | {"blocks": 1})
    layouts = {}
    for name, module in model.unet.named_modules():
        if isinstance(module, ResidualBlock | Attention | Resampling):
            module.register_forward_hook(
                lambda _, __, y, name=name: layouts.update(
                    {name: y.is_contiguous(memory_format=torch.channels_last)}
                )
            )
    model.predict(noise(2, 3, 16, 16), torch.tensor([3, 900]))
    assert len(layouts) > 8 and all(layouts.values())


def test_dropout_acts_in_training_only():
    model, x, times = small_model(dropout=0.5), noise(2, 3, 16, 16), torch.tensor([3, 900])
    assert torch.equal(model.predict(x, times), model.predict(x, times))
    model.train()
    assert not torch.allclose(model.predict(x, times), model.predict(x, times), atol=1e-3)


@pytest.mark.parametrize("flavour", [{}, ADM])
def test_a_time_that_the_batch_shares_is_that_time_of_each(flavour):
    model, x = small_model(**flavour), noise(3, 3, 16, 16)
    with torch.no_grad():
        mixed = model.predict(x, torch.tensor([700, 700, 20]))
        shared = model.predict(x[:2], torch.tensor([700, 700]))
        alone = model.predict(x[2:], torch.tensor([20]))
    torch.testing.assert_close(torch.cat([shared, alone]), mixed, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model.predict(x[:2], torch.tensor([20, 20])), shared, atol=1e-3)


@pytest.mark.parametrize(
    "name, betas", [("linear", linear_betas), ("squaredcos_cap_v2", cosine_betas)]
)
def test_schedules_are_those_of_diffusers(name, betas):
    theirs = DDPMScheduler(beta_schedule=name).betas.double()
    torch.testing.assert_close(betas(1000), theirs, rtol=0, atol=1e-7)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("schedule", [linear_betas, cosine_betas])
def test_ddim_is_that_of_diffusers(prediction, schedule):
    theirs = DDIMScheduler(
        trained_betas=schedule(1000).numpy(), prediction_type=prediction, clip_sample=True
    )
    theirs.set_timesteps(50)
    ours = process(prediction, schedule).leading(50)
    assert ours.times.tolist() == theirs.timesteps.tolist()[::-1]
    x = y = noise(4, 3, 8, 8)
    for i, t in zip(range(49, -1, -1), theirs.timesteps, strict=True):
        output = torch.sin(3 * y)
        y = theirs.step(output, t, y, eta=0.0, use_clipped_model_output=True).prev_sample
        steps = torch.full((4,), i)
        x = ours.ddim_step(torch.cat([output, output], 1), x, steps)
        torch.testing.assert_close(x, y, rtol=0, atol=1e-5)


class ExactNetwork(nn.Module):
    """What a perfect network says when the data are N(0, std^2) in every pixel."""

    def __init__(self, of: GaussianDiffusion, std: float):
        super().__init__()
        self.of, self.std = of, std

    def forward(self, x, times):
        abar = self.of.at("abar", times.long(), x)
        x0 = abar.sqrt() * self.std**2 / (abar * self.std**2 + 1 - abar) * x
        eps = (x - abar.sqrt() * x0) / (1 - abar).sqrt()
        v = abar.sqrt() * eps - (1 - abar).sqrt() * x0
        mean = eps if self.of.prediction == "epsilon" else v
        # The channels of the variances must not matter to DDIM.
        return torch.cat([mean, torch.full_like(mean, torch.nan)], 1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_exact_score_of_a_gaussian_gives_the_closed_form(prediction):
    std, z = 0.2, noise(2, 3, 4, 4)
    of = process(prediction)
    scale = {}
    for steps in (50, 1000):
        model = DiffusionModel(ExactNetwork(of, std), of, 4, 1, steps, False)
        x = model(z).detach().double()
        factors = (x / z).flatten()
        torch.testing.assert_close(factors, factors.mean().expand_as(factors), rtol=1e-3, atol=0)
        scale[steps] = factors.mean().item()

    # One DDIM step multiplies by a number; the chain by their product.
    abar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[::20]
    before = np.concatenate([[1.0], abar[:-1]])
    gain = np.sqrt(abar) * std**2 / (abar * std**2 + 1 - abar)
    slope = np.sqrt(before) * gain + np.sqrt((1 - before) / (1 - abar)) * (1 - np.sqrt(abar) * gain)
    assert scale[50] == pytest.approx(slope.prod(), rel=1e-4)
    # In the limit of small steps, the flow keeps x / std(x): a sample has the data's own std.
    assert scale[1000] == pytest.approx(std, rel=0.01)


def test_few_steps_keep_the_process():
    full = process("epsilon")
    assert torch.equal(full.respace(torch.arange(1000)).log_beta, full.log_beta)
    sparse = full.leading(50)
    # q(x_i | x_{i-1}) of the sparse chain composes to the same marginals.
    retained = torch.cumprod(1 - sparse.log_beta.exp(), 0)
    torch.testing.assert_close(retained, full.abar[::20])
    with pytest.raises(ValueError, match="do not divide"):
        full.leading(300)


def exact_posterior(betas: torch.Tensor, t: int, x0: torch.Tensor, x: torch.Tensor) -> Normal:
    """q(x_{t-1} | x_t, x_0) from Bayes' rule for a product of two Gaussians."""
    abar = torch.cumprod(1 - betas, 0)[t - 1]
    prior, likelihood = 1 / (1 - abar), (1 - betas[t]) / betas[t]
    precision = prior + likelihood
    mean = prior * abar.sqrt() * x0 + likelihood * x / (1 - betas[t]).sqrt()
    return Normal(mean / precision, precision**-0.5)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("t", [1, 10, 500, 999])
def test_hybrid_loss_is_that_of_an_independent_computation(prediction, t):
    betas = linear_betas(1000)
    abar = torch.cumprod(1 - betas, 0)[t]
    x0, eps, output = noise(2, 3, 4, 4).clamp(-1, 1), noise(2, 3, 4, 4, seed=1), noise(2, 6, 4, 4)
    step = torch.full((2,), t)
    measured = process(prediction).hybrid_loss(output, x0, step, eps, rescale_vb=False)

    x0, eps, output = x0.double(), eps.double(), output.double()
    mean, variance = output.chunk(2, 1)
    x = abar.sqrt() * x0 + (1 - abar).sqrt() * eps
    if prediction == "epsilon":
        target, guess = eps, (x - (1 - abar).sqrt() * mean) / abar.sqrt()
    else:
        target = abar.sqrt() * eps - (1 - abar).sqrt() * x0
        guess = abar.sqrt() * x - (1 - abar).sqrt() * mean
    truth = exact_posterior(betas, t, x0, x)
    share = (variance + 1) / 2
    log_variance = share * betas[t].log() + (1 - share) * 2 * truth.scale.log()
    model = Normal(exact_posterior(betas, t, guess, x).loc, (log_variance / 2).exp())
    bound = kl_divergence(truth, model).mean((1, 2, 3)) / math.log(2)
    expected = ((mean - target) ** 2).mean((1, 2, 3)) + bound
    torch.testing.assert_close(measured.double(), expected, rtol=1e-3, atol=1e-5)


def test_first_step_is_scored_by_the_likelihood_of_the_levels():
    of, step = process("epsilon"), torch.zeros(2, dtype=torch.long)
    # Not the outermost levels, whose intervals have no end.
    stream = torch.Generator().manual_seed(0)
    x0 = torch.randint(1, 255, (2, 3, 4, 4), generator=stream) / 127.5 - 1
    eps = noise(2, 3, 4, 4)
    # A perfect guess of the noise and the variance of step 1, the clipped lower end.
    output = torch.cat([eps, -torch.ones_like(eps)], 1)
    measured = of.hybrid_loss(output, x0, step, eps, rescale_vb=False)
    std = (of.posterior_log_variance[1] / 2).exp()
    assert of.posterior_log_variance[0] == of.posterior_log_variance[1]
    inside = math.erf(1 / 255 / std / math.sqrt(2))
    assert measured.min() > 0 and measured.max().item() == pytest.approx(
        -math.log2(inside), abs=2e-3
    )


def test_each_image_of_a_batch_is_scored_at_its_own_step():
    of, steps = process("v_prediction"), torch.tensor([0, 300, 0, 1, 999])
    x0, eps, output = noise(5, 3, 4, 4).clamp(-1, 1), noise(5, 3, 4, 4), noise(5, 6, 4, 4, seed=1)
    together = of.hybrid_loss(output, x0, steps, eps, rescale_vb=False)
    rows = zip(output.split(1), x0.split(1), steps.split(1), eps.split(1), strict=True)
    alone = torch.cat([of.hybrid_loss(*row, rescale_vb=False) for row in rows])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("mean, std", [(0.0, 0.5), (0.9, 0.3), (-3.0, 0.2), (0.37, 0.004)])
def test_likelihood_of_all_levels_sums_to_one(mean, std):
    levels = (torch.arange(256) / 127.5 - 1).double()
    where = torch.full_like(levels, mean)
    spread = torch.full_like(levels, 2 * math.log(std))
    nll = discretised_gaussian_nll(levels, where, spread)
    assert torch.exp(-nll).sum().item() == pytest.approx(1, abs=1e-6)
    edges = torch.cat([torch.tensor([-math.inf]), levels[:-1] + 1 / 255, torch.tensor([math.inf])])
    exact = Normal(mean, std).cdf(edges).diff()
    torch.testing.assert_close(torch.exp(-nll), exact, rtol=0, atol=1e-3)


@pytest.mark.parametrize("t", [0, 300])
def test_bound_moves_only_the_variance(t):
    of, step = process("v_prediction"), torch.full((2,), t)
    x0, eps = noise(2, 3, 4, 4).clamp(-1, 1), noise(2, 3, 4, 4, seed=1)
    output = noise(2, 6, 4, 4, seed=2).requires_grad_()
    (gradient,) = torch.autograd.grad(of.hybrid_loss(output, x0, step, eps, False).sum(), output)
    error = output[:, :3] - of.target(x0, step, eps)
    torch.testing.assert_close(gradient[:, :3], 2 * error / error[0].numel())
    assert gradient[:, 3:].abs().min() > 0


def test_rescaled_bound_counts_the_steps():
    of = GaussianDiffusion.from_betas(linear_betas(100), "epsilon")
    x0, eps, output = noise(2, 3, 4, 4), noise(2, 3, 4, 4), noise(2, 6, 4, 4)
    step = torch.tensor([7, 50])
    plain, rescaled = (of.hybrid_loss(output, x0, step, eps, flag) for flag in (False, True))
    error = (output[:, :3] - eps).square().mean((1, 2, 3))
    torch.testing.assert_close(rescaled - error, (plain - error) / 10)


@pytest.mark.parametrize("changes", [{}, ADM, {"patch": 1, "prediction": "epsilon"}, BARE])
def test_sampling_is_deterministic_and_batch_free(changes):
    model = small_model(**changes)
    z = noise(5, 3, 16, 16)
    with torch.no_grad():
        images = model(z)
        assert images.shape == (5, *model.latent_shape) and images.abs().max() <= 1
        assert torch.equal(images, model(z))
        torch.testing.assert_close(model(z[3:4]), images[3:4], rtol=0, atol=1e-4)


def test_gradient_flows_through_the_whole_chain():
    model = small_model(sampling_steps=10)
    z, direction = noise(1, 3, 16, 16).requires_grad_(), noise(1, 3, 16, 16, seed=1)
    images = model(z)
    with torch.no_grad():
        torch.testing.assert_close(model(z), images, rtol=0, atol=1e-5)
    probe = images.detach().abs() < 0.9  # where the clamp of the last step is far away
    (gradient,) = torch.autograd.grad(images[probe].sum(), z)
    model, step = model.double(), 1e-5
    with torch.no_grad():
        ends = [model(z.double() + s * step * direction.double())[probe].sum() for s in (1, -1)]
    difference = (ends[0] - ends[1]) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"flavour": "edm"}, "flavour 'edm' unknown"),
        ({"schedule": "sigmoid"}, "schedule 'sigmoid' unknown"),
        ({"blocks": 0}, "blocks=0 cannot change the width"),
        ({"prediction": "x0"}, "prediction 'x0' unknown"),
        ({"patch": 3}, "no multiple of patch"),
        ({"channels": [16] * 5}, "cannot be halved"),
        ({"channels": [16, 16], "patch": 4}, "below 3 patch"),
        ({"channels": [16, 20]}, "divide by norm_groups"),
        ({"channels": [27, 27], "norm_groups": 3}, "must be even"),
        ({"head_channels": 24}, "divide by head_channels"),
        ({"network": "large"}, "network 'large' unknown"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        small_model(**changes)
