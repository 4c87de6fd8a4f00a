"""The autoregressive model: a law over codes that sums to one, and samples that follow it."""

import itertools

import pytest
import torch
from scipy.stats import chi2

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.vqgpt import Gpt, VqGpt

torch.set_num_threads(1)

SMALL = {
    "patch": 2,
    "channels": [8, 8],
    "blocks": 1,
    "attention_levels": [],
    "norm_groups": 4,
    "codes": 7,
    "code_width": 4,
    "layers": 2,
    "width": 16,
    "heads": 2,
    "dropout": 0.1,
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sharpen(gpt: Gpt, gain: float = 1.0) -> None:
    """Random weights large enough that the conditionals differ and depend on what came before."""
    with torch.no_grad():
        for index, parameter in enumerate(gpt.parameters()):
            if parameter.ndim > 1:
                parameter.copy_(gain * noise(*parameter.shape, seed=index) / 2)


def small_model(**changes) -> VqGpt:
    """16 tokens of 7 codes at 16 px, with a law far from uniform."""
    torch.manual_seed(0)
    model = build_generator("vqgpt", 16, SMALL | changes).eval()
    sharpen(model.gpt)
    return model


def tiny_model() -> VqGpt:
    """Two tokens of three codes: nine sequences in all. It has no use for its tokeniser."""
    gpt = Gpt(codes=3, tokens=2, layers=1, width=8, heads=2, dropout=0.0)
    sharpen(gpt)
    return VqGpt(torch.nn.Identity(), gpt, 4, 1).eval().requires_grad_(False)


NINE = torch.tensor(list(itertools.product(range(3), repeat=2)))


# -------------------------------------------------------------------------- the law of the codes


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0, 0.0])
def test_probabilities_of_all_codes_sum_to_one(temperature):
    log_p = tiny_model().log_likelihood(NINE, temperature)
    assert log_p.shape == (9,) and log_p.dtype == torch.float64
    # Conditionals come from float32 logits, but two passes agree on those of one prefix.
    assert log_p.exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_the_tiny_law_is_worth_testing():
    """Neither uniform nor independent, or the tests on it would show nothing."""
    p = tiny_model().log_likelihood(NINE).exp().view(3, 3)
    conditional = p / p.sum(1, keepdim=True)
    assert p.min() > 0.005 and p.max() > 0.2
    assert (conditional[0] - conditional[1]).abs().max() > 0.1


def test_likelihood_is_the_product_of_the_conditionals_of_a_textbook_transformer():
    """Recomputed in float64 token by token, with attention written as a softmax of products."""
    model = small_model().double()
    codes = torch.randint(7, (3, 16), generator=torch.Generator().manual_seed(1))
    gpt, expected = model.gpt, []
    for sequence in codes.tolist():
        total = 0.0
        for position, code in enumerate(sequence):
            inputs = torch.tensor([0, *sequence[:position]])
            x = gpt.embedding(inputs) + gpt.positions[: position + 1]
            for block in gpt.blocks:
                q, k, v = block.queries_keys_values(block.norm_attention(x)).split(16, dim=1)
                heads = []
                for h in (slice(0, 8), slice(8, 16)):
                    scores = q[:, h] @ k[:, h].T / 8**0.5
                    future = torch.ones_like(scores).triu(1).bool()
                    heads.append(scores.masked_fill(future, -torch.inf).softmax(1) @ v[:, h])
                x = x + block.project(torch.cat(heads, 1))
                x = x + block.mlp(block.norm_mlp(x))
            total += gpt.head(gpt.norm(x[-1])).log_softmax(0)[code].item()
        expected.append(total)
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(model.log_likelihood(codes), expected, rtol=1e-12, atol=1e-12)


def test_the_loss_is_minus_the_log_likelihood():
    model = small_model()
    codes = torch.randint(7, (5, 16), generator=torch.Generator().manual_seed(1))
    loss = -model.negative_log_likelihood(codes).double()
    torch.testing.assert_close(loss, model.log_likelihood(codes), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("temperature", [1.0, 0.6, 3.0])
def test_samples_follow_the_likelihood(temperature):
    model, count = tiny_model(), 40_000
    drawn = model.codes(noise(count, 2), temperature)
    counts = torch.bincount(drawn @ torch.tensor([3, 1]), minlength=9).double()
    expected = count * model.log_likelihood(NINE, temperature).exp()
    assert expected.min() > 5
    assert ((counts - expected) ** 2 / expected).sum().item() < chi2.ppf(0.999, 8)


def test_a_latent_picks_the_code_whose_stretch_of_the_cdf_holds_its_uniform():
    model = tiny_model()
    first = model.log_likelihood(NINE).exp().view(3, 3).sum(1)
    edges = torch.special.ndtri(first.cumsum(0)[:2])
    for edge, below in zip(edges, (0, 1), strict=True):
        z = torch.stack([edge - 1e-4, edge + 1e-4])[:, None].expand(2, 2)
        assert model.codes(z)[:, 0].tolist() == [below, below + 1]


def test_extreme_latents_pick_the_first_and_the_last_code():
    z = torch.tensor([[-40.0, -40.0], [40.0, 40.0]])
    assert tiny_model().codes(z).tolist() == [[0, 0], [2, 2]]


def test_a_latent_never_picks_a_code_of_probability_zero():
    model = tiny_model()
    with torch.no_grad():
        model.gpt.head.weight.zero_()
        model.gpt.norm.weight.zero_()
        model.gpt.norm.bias.fill_(1.0)
        model.gpt.head.weight[2] = -1000.0  # exp(-8000) is 0 in float64
    z = torch.cat([noise(500, 2), torch.tensor([[40.0, 40.0]])])
    assert set(model.codes(z).flatten().tolist()) == {0, 1}


def test_cached_sampling_equals_sampling_without_a_cache():
    model = small_model().double()
    z = noise(20, 16)
    codes = torch.zeros(20, 16, dtype=torch.int64)
    with torch.no_grad():
        for i in range(16):
            p = model.gpt(codes)[:, i].softmax(-1)
            picked = (p.cumsum(-1) <= torch.special.ndtr(z[:, i].double())[:, None]).sum(-1)
            codes[:, i] = picked
    assert torch.equal(model.codes(z), codes)
    assert len(codes.unique(dim=0)) > 15


def test_the_logits_of_a_code_do_not_know_what_comes_after():
    model = small_model().double()
    codes = torch.randint(7, (4, 16), generator=torch.Generator().manual_seed(1))
    other = codes.clone()
    other[:, 9:] = (codes[:, 9:] + 1) % 7
    with torch.no_grad():
        ours, theirs = model.gpt(codes), model.gpt(other)
    torch.testing.assert_close(ours[:, :10], theirs[:, :10], rtol=0, atol=1e-12)
    assert not torch.allclose(ours[:, 10:], theirs[:, 10:])


def test_temperature_zero_takes_the_likeliest_code_whatever_the_latent():
    model = small_model()
    codes = model.codes(noise(5, 16), temperature=0.0)
    with torch.no_grad():
        assert torch.equal(model.gpt(codes).argmax(-1), codes)
    assert len(codes.unique(dim=0)) == 1
    assert model.log_likelihood(codes, temperature=0.0).tolist() == [0.0] * 5
    # The limit of small temperatures.
    assert torch.equal(model.codes(noise(5, 16), temperature=1e-4), codes)


def test_a_low_temperature_draws_likelier_codes():
    model, z = small_model(), noise(300, 16)
    means = [model.log_likelihood(model.codes(z, t)).mean().item() for t in (0.3, 1.0, 3.0)]
    assert means[0] > means[1] + 1 > means[2] + 2


# --------------------------------------------------------------------------- codes and images


def test_images_are_those_of_the_codes_and_repeat():
    model, z = small_model(), noise(6, 16)
    with torch.no_grad():
        images = model(z)
        assert images.shape == (6, 3, 16, 16) and images.dtype == torch.float32
        assert torch.equal(images, model(z))
        assert torch.equal(images, model.decode(model.codes(z)))
        # A sample does not depend on the batch that it is in.
        alone = torch.cat([model(row[None]) for row in z])
    torch.testing.assert_close(alone, images, rtol=1e-4, atol=1e-5)
    assert model.latent_shape == (16,) and not model.couples_batch and model.resolution == 16


def test_codes_survive_a_round_trip_through_an_exact_tokeniser():
    """With the identity for an encoder and a decoder, an image is its own codebook vector."""
    model = small_model(code_width=48, patch=4, channels=[8])
    for part in ("encoder", "decoder", "quant_conv", "post_quant_conv"):
        setattr(model.tokeniser, part, torch.nn.Identity())
    codes = torch.randint(7, (5, 16), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        images = model.decode(codes)
        assert torch.equal(model.encode(images), codes)
        # Raster order: code 1 stands right of code 0, code 4 below it.
        book = model.tokeniser.quantize.embedding.weight
        for place, corner in ((1, (0, 4)), (4, (4, 0))):
            block = images[0, :, corner[0] : corner[0] + 4, corner[1] : corner[1] + 4]
            assert torch.equal(block.flatten(), book[codes[0, place]])


def test_each_vector_gets_the_nearest_code_and_passes_its_gradient_straight_through():
    model = small_model()
    features = noise(3, 4, 4, 4).requires_grad_()
    vectors, loss, codes = model.quantise(features)
    book = model.tokeniser.quantize.embedding.weight
    rows = features.detach().movedim(1, -1).reshape(3, 16, 1, 4)
    nearest = (rows - book).square().sum(-1).argmin(-1)
    assert torch.equal(codes, nearest)
    torch.testing.assert_close(vectors.movedim(1, -1).reshape(3, 16, 4), book[nearest])
    # VQ-VAE equation 3: the codebook's term counts once, the encoder's beta = .25 times.
    mse = (vectors.detach() - features.detach()).square().mean()
    torch.testing.assert_close(loss, 1.25 * mse)
    (gradient,) = torch.autograd.grad(loss, features, retain_graph=True)
    expected = 0.25 * 2 * (features - vectors).detach() / features.numel()
    torch.testing.assert_close(gradient, expected)
    (through,) = torch.autograd.grad(vectors.sum(), features)
    assert torch.equal(through, torch.ones_like(features))


def test_the_tokeniser_has_the_published_number_of_parameters_at_paper_scale():
    paper = {
        "patch": 1,
        "channels": [128, 128, 256, 256, 512],
        "blocks": 2,
        "attention_levels": [4],
        "norm_groups": 32,
        "codes": 1024,
        "code_width": 256,
    }
    with torch.device("meta"):
        model = build_generator("vqgpt", 256, SMALL | paper)
    assert sum(p.numel() for p in model.tokeniser.parameters()) == 72_141_699
    assert model.latent_shape == (256,)


# --------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 16}, "no multiple of patch"),
        ({"norm_groups": 3}, "must divide by norm_groups=3"),
        ({"width": 15}, "must divide by heads=2"),
        ({"codes": 1}, "use 2 or more"),
        ({"depth": 3}, "depth"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        build_generator("vqgpt", 16, SMALL | changes)
    assert "\n" not in str(error.value)


def test_latents_codes_and_temperatures_that_do_not_fit_are_named():
    model = tiny_model()
    for shape in ((4, 3), (4, 2, 1), (2,)):
        with pytest.raises(ValueError, match=r"latents of shape .* give \(n, 2\)"):
            model.codes(torch.zeros(shape))
        for use in (model.log_likelihood, model.decode):
            with pytest.raises(ValueError, match=r"codes of shape .* give \(n, 2\)"):
                use(torch.zeros(shape, dtype=torch.int64))
    for temperature in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="temperature must be 0 or more"):
            model.codes(torch.zeros(1, 2), temperature)
        with pytest.raises(ValueError, match="temperature must be 0 or more"):
            model.log_likelihood(NINE, temperature)
