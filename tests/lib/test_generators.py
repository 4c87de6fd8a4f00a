"""Every architecture that exists is what it declares to be."""

from importlib import import_module

import pytest
import torch
from diffusion_example import DIFFUSION

from pseudodensity.generators.build import build_generator
from pseudodensity.generators.discriminator import StagedDiscriminator
from pseudodensity.generators.external import ExternalGenerator
from pseudodensity.generators.generator import BaseGenerator, LinearisedStage
from pseudodensity.plan.declared import declared, modules_declaring, parameters
from pseudodensity.plan.methods import method
from pseudodensity.rng import normal

torch.set_num_threads(1)

ARCHITECTURES = modules_declaring("generators", "DECLARATION")
KEYS = {
    "name": str,
    "prior": str,
    "classes": bool,
    "w_space": bool,
    "normalises_z": bool,
    "discriminator": str | None,
    "trainer": str | None,
    "tangents": str | None,
    "no_jacobian": str | None,
    "truncation": list,
    "likelihood": bool,
    "calls_per_image": str,
    "formats": list,
}
STYLEGAN = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 64, "channel_max": 8}
TOKENISER = {"patch": 2, "channels": [8, 8], "blocks": 1, "attention_levels": [], "codes": 16}
SETTINGS = {
    "stylegan2": STYLEGAN,
    "stylegan3": STYLEGAN | {"num_layers": 4, "margin_size": 4},
    "projectedgan": {"z_dim": 8, "ngf": 4},
    "diffusion": DIFFUSION,
    "class_diffusion": DIFFUSION | {"classes": 3},
    "progan": {"z_dim": 8, "channel_base": 64, "channel_max": 8},
    "convgan": {"z_dim": 8, "channels": [8, 8, 4]},
    "biggan": {"classes": 3, "z_dim": 8, "class_dim": 4, "channels": [8, 8, 4], "attention": 8},
    "hvae": {"channels": [8, 8, 8, 4], "latents": [4, 1]},
    "vqgpt": TOKENISER
    | {"norm_groups": 4, "code_width": 4, "layers": 1, "width": 16, "heads": 2, "dropout": 0.0},
}

every = pytest.mark.parametrize("name", ARCHITECTURES)


class Blot(torch.nn.Module):
    """Images of 16 x 16 of one dark and one bright half."""

    def forward(self, z):
        bright = torch.tanh(z[:, :1, None, None]).expand(-1, 3, 16, 8)
        return torch.cat([bright - 0.1, -bright], 3)


def make(name: str) -> BaseGenerator:
    torch.manual_seed(0)
    if name == "external":
        return ExternalGenerator(Blot(), (8,))
    generator = build_generator(name, 16, SETTINGS[name]).eval().requires_grad_(False)
    for parameter in generator.parameters():
        if (
            not parameter.any()
        ):  # what starts at zero may be all that breaks a symmetry, once trained
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return generator


@every
def test_a_declaration_is_complete_and_has_nothing_else(name):
    says = declared(ARCHITECTURES[name], "DECLARATION")
    assert says.keys() == KEYS.keys()
    assert all(isinstance(says[key], kind) for key, kind in KEYS.items())
    assert says["name"] == name
    assert says["prior"] in ("normal", "uniform") and says["calls_per_image"] in ("one", "many")
    assert set(says["truncation"]) <= {"style", "scale", "resample"}


@every
def test_what_a_declaration_names_exists(name):
    says = declared(ARCHITECTURES[name], "DECLARATION")
    if says["discriminator"] is not None:
        built = import_module(f"pseudodensity.{says['discriminator']}").build_discriminator
        assert callable(built)
        assert "resolution" in parameters(says["discriminator"], "build_discriminator")
    if says["trainer"] is not None:
        module, trainer = says["trainer"].split(":")
        assert isinstance(getattr(import_module(f"pseudodensity.{module}"), trainer), type)
        # What a config may say is known before anything runs.
        assert set(SETTINGS[name]) < set(parameters(ARCHITECTURES[name], "build_generator"))
    if says["tangents"] is not None:
        assert import_module(f"pseudodensity.{says['tangents']}").__all__


@every
def test_a_generator_is_as_it_is_declared(name):
    says, generator = declared(ARCHITECTURES[name], "DECLARATION"), make(name)
    assert isinstance(generator, BaseGenerator) and generator.resolution == 16
    assert generator.w_space == says["w_space"]
    assert (generator.classes is not None) == says["classes"]
    assert list(generator.truncation) == says["truncation"]
    assert callable(getattr(generator, "log_likelihood", None)) == says["likelihood"]
    z = normal(0, "z", range(3), generator.latent_shape)
    images = generator(z)
    assert images.shape == (3, 3, 16, 16) and images.abs().max() > 0.01
    same = torch.allclose(generator(3 * z), images, atol=1e-4)
    assert same == says["normalises_z"]
    if says["w_space"]:
        w = generator.mapping(z)
        assert torch.equal(generator.synthesis(w), images) and generator.mapping.w_avg.ndim == 1
        assert isinstance(generator.synthesis, LinearisedStage) == (says["tangents"] is not None)
    if "scale" in says["truncation"]:
        assert torch.allclose(generator.scaled(z, 1.0), images, atol=1e-5)
        assert not torch.allclose(generator.scaled(z, 0.5), images, atol=1e-3)


@every
def test_what_may_be_asked_of_every_generator_changes_no_plain_image(name):
    generator = make(name)
    z = normal(0, "z", range(3), generator.latent_shape)
    before = generator(z)
    generator.measure_mean_w(normal(1, "z", range(50), generator.latent_shape))
    assert torch.equal(generator(z), before)


def test_a_discriminator_compares_with_none_unless_it_says_so():
    class Mean(StagedDiscriminator):
        def judge(self, features):
            return features[0].flatten(2).mean(2)

    images = torch.randn(4, 3, 8, 8)
    network = Mean().eval()
    assert network.companions == 0
    torch.testing.assert_close(network.judge_each(images), images.mean((1, 2, 3)))


NEVER_BY = {
    "drs": {"biggan", "class_diffusion", "diffusion", "hvae", "vqgpt", "external"},
    "dot": {"biggan", "class_diffusion", "diffusion", "hvae", "vqgpt", "external"},
    "polarity": {"class_diffusion", "diffusion", "vqgpt"},
    "truncation": {"vqgpt"},
    "importance": set(),
}


@pytest.mark.parametrize("name", NEVER_BY)
def test_a_method_is_refused_with_a_reason_where_a_model_lacks_what_it_needs(name):
    said = {a: method(name).why_not(declared(m, "DECLARATION")) for a, m in ARCHITECTURES.items()}
    assert {architecture for architecture, reason in said.items() if reason} == NEVER_BY[name]


@every
def test_every_reason_against_a_method_follows_from_the_declaration(name):
    """Why a method is refused is nowhere said a second time."""
    says = declared(ARCHITECTURES[name], "DECLARATION")
    alone = says["discriminator"] and not says["classes"]
    lacks_discriminator = None if alone else "needs a discriminator"
    expected = {"drs": lacks_discriminator, "dot": lacks_discriminator}
    expected |= {"budgeted": lacks_discriminator, "polarity": says["no_jacobian"]}
    expected["truncation"] = None if says["truncation"] else "needs a latent"
    expected["likelihood"] = None if says["likelihood"] else "needs an exact likelihood"
    for asked, reason in expected.items():
        said = method(asked).why_not(says)
        assert said is None if reason is None else said.startswith(reason), asked


@every
def test_how_a_model_is_truncated_follows_from_its_latents(name):
    says = declared(ARCHITECTURES[name], "DECLARATION")
    families = {"style"} if says["w_space"] else set()
    if says["prior"] == "normal":  # uniform numbers that codes are drawn by have no centre
        families.add("resample")
        # A mapping network that normalises z undoes every scale.
        families |= set() if says["w_space"] and says["normalises_z"] else {"scale"}
    assert set(says["truncation"]) == families
