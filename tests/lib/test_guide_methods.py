"""The rivals of low-density guidance as methods: plain at strength 0, the same in any batch, and counted."""

from dataclasses import replace

import pytest
import torch
from auxiliary_example import workshop_of
from diffusion_example import DIFFUSION
from guided_example import checkpoint_with_classes, labelled_images, tools_of

from pseudodensity.control.auxiliary.weaker_model import trainer
from pseudodensity.control.guide.guided_maker import guide_noise, guided_maker, names_of
from pseudodensity.control.guide.low_density_sampling import FEW_PUSHES, NO_PUSH
from pseudodensity.control.guide.noisy_networks import HeldOutAccuracy
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.guidance import Guide
from pseudodensity.plan.methods import method, points
from pseudodensity.plan.models import declaration

torch.set_num_threads(1)

# A strength of each that is seen on a model of random weights, and the one that does nothing.
STRENGTHS = {
    "autoguidance": ("weight", 5.0, 1.0),
    "self_guided_minority": ("strength", 3.0, 0.0),
    "discriminator_guidance": ("weight", 500.0, 0.0),
    "particle_guidance": ("strength", 1000.0, 0.0),
    "density_guidance": ("quantile", 0.1, 0.5),
    "cads": ("scale", 1.0, 0.0),
}
# So that each acts in several of few steps.
SETTINGS = {"steps": 5, "every": 2, "particles": 2, "from_time": 200.0}
SETTINGS |= {"clear_until": 300.0, "least_sigma": 0.1}

every_rival = pytest.mark.parametrize("name", STRENGTHS)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """What a job has at hand; the classifier is said to be right at all times but the noisiest."""
    folder = tmp_path_factory.mktemp("made")
    made = tools_of(checkpoint_with_classes(), labelled_images(), folder)
    networks = made({}).networks
    known = HeldOutAccuracy(torch.tensor([0.0, 800.0, 801.0]), torch.tensor([1.0, 1.0, 0.5]), 900)
    networks["real_classifier"] = replace(networks["real_classifier"], accuracy=known)
    return made


def asked(name, strength=None, **more):
    says, (key, strong, _) = declaration("class_diffusion"), STRENGTHS[name]
    own = {k: v for k, v in (SETTINGS | more).items() if k in method(name).DEFAULTS}
    (point,) = points(name, {key: [strong if strength is None else strength]}, {name: own}, says)
    return point


def images(tools, point, rows):
    bench = tools(point)
    return method(point["method"]).maker(bench).make(bench.latents(rows))


def plain(tools, rows, step):
    bench = tools({})
    latents = bench.latents(rows)
    with torch.no_grad():
        noise = StepNoise(3, names_of(latents))
        return sample(bench.generator, latents, step=step, steps=5, noise=noise)


def kinds_of(name):
    return method(name).CHOICES["step"]


@pytest.mark.parametrize(
    ("name", "step"), [(name, s) for name in STRENGTHS for s in kinds_of(name)]
)
def test_without_strength_images_are_plain_to_the_bit_and_with_it_they_are_others(
    tools, name, step
):
    nothing = asked(name, STRENGTHS[name][2], step=step)
    expected = plain(tools, range(4), step)
    assert torch.equal(images(tools, nothing, range(4)), expected)
    assert method(name).maker(tools(nothing)).facts == {"passes": {"generator": 5}}
    guided = images(tools, asked(name, step=step), range(4))
    assert (guided - expected).abs().max() > 1e-3 and guided.isfinite().all()


@every_rival
def test_no_batch_size_and_no_order_of_batches_changes_an_image(tools, name):
    point = asked(name)
    group = method(name).maker(tools(point)).group
    assert group == (2 if name == "particle_guidance" else 1)
    whole = images(tools, point, range(6))
    for size in (2, 4):
        parts = [images(tools, point, range(i, min(i + size, 6))) for i in range(0, 6, size)]
        torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-4)
    swapped = images(tools, point, [4, 5, 0, 1])
    torch.testing.assert_close(swapped, whole[[4, 5, 0, 1]], rtol=0, atol=1e-4)


def test_particles_that_are_left_over_are_a_smaller_set(tools):
    point = asked("particle_guidance", particles=3)
    left = images(tools, point, range(5))[3:]
    pair = asked("particle_guidance", particles=2)
    torch.testing.assert_close(left, images(tools, pair, [3, 4]), rtol=0, atol=1e-4)
    alone = images(tools, pair, range(3))[2:]
    torch.testing.assert_close(alone, plain(tools, [2], "ancestral"), rtol=0, atol=1e-4)


@every_rival
def test_the_model_is_told_the_classes_of_the_latents_and_passes_are_counted(
    tools, name, monkeypatch
):
    bench = tools(asked(name))
    latents = bench.latents(range(4))
    classes, told = bench.generator.labels(latents), []
    assert len(set(classes.tolist())) > 1
    networks = {
        "generator": bench.generator.unet,
        "weaker_model": bench.networks["weaker_model"].unet,
        "real_classifier": bench.networks["real_classifier"].network,
    }
    passes = dict.fromkeys(networks, 0)

    def count(network):
        passes[network] += 1

    def passed(network):
        def hook(module, given, output):
            count(network)
            if output.requires_grad:
                output.register_hook(lambda gradient: count(network))

        return hook

    hooks = [module.register_forward_hook(passed(n)) for n, module in networks.items()]
    output = bench.generator.folded_output

    def remember(x, clock, labels=None):
        told.append(labels)
        return output(x, clock, labels)

    monkeypatch.setattr(bench.generator, "folded_output", remember)
    maker = method(name).maker(bench)
    maker.make(latents)
    for hook in hooks:
        hook.remove()
    counted = maker.facts["passes"]
    assert counted == {network: count for network, count in passes.items() if count}
    assert all(torch.equal(one, classes) for one in told if one.dtype == torch.int64)
    mixed = [one for one in told if one.dtype != torch.int64]
    assert bool(mixed) == (name == "cads") and all(one.shape == (4, 3) for one in mixed)


@pytest.mark.parametrize("knows", [[], [0.0], [0.0, 990.0]])
def test_a_classifier_at_chance_leaves_the_images_plain_and_says_so(tools, knows):
    """knows: times at which it is above chance: those of no step that it may push."""
    bench = tools(asked("discriminator_guidance", to_time=900.0))
    times = torch.tensor([0.0, 1.0, 989.0, 990.0])
    shares = torch.tensor([0.9 if time in knows else 0.5 for time in times.tolist()])
    unlearned = replace(
        bench.networks["real_classifier"], accuracy=HeldOutAccuracy(times, shares, 900)
    )
    bench.auxiliary = {"real_classifier": unlearned}.__getitem__
    maker = method("discriminator_guidance").maker(bench)
    made = maker.make(bench.latents(range(3)))
    assert torch.equal(made, plain(tools, range(3), "ancestral"))
    assert maker.facts["passes"] == {"generator": 5}
    assert maker.facts["note"].startswith(f"plain images: the classifier {NO_PUSH}: the real/synth")


def test_a_classifier_that_knows_something_tells_in_how_many_steps_it_pushes(tools):
    bench = tools(asked("discriminator_guidance", to_time=900.0))
    times, shares = torch.tensor([0.0, 300.0, 301.0]), torch.tensor([0.9, 0.9, 0.5])
    known = replace(bench.networks["real_classifier"], accuracy=HeldOutAccuracy(times, shares, 900))
    bench.auxiliary = {"real_classifier": known}.__getitem__
    facts = method("discriminator_guidance").maker(bench).facts
    assert facts["note"].startswith(f"the classifier {FEW_PUSHES} 1 of 3 steps")
    assert facts["passes"] == {"generator": 5, "real_classifier": 2}


def test_noise_of_a_guide_belongs_to_the_latent_and_is_none_of_the_steps(tools):
    bench = tools({})
    latents = bench.latents(range(3))
    drawn = guide_noise(bench, latents).draw(2, (4,))
    torch.testing.assert_close(guide_noise(bench, latents[[2, 0]]).draw(2, (4,)), drawn[[2, 0]])
    assert (drawn - StepNoise(3, names_of(latents)).draw(2, (4,))).abs().min() > 1e-6


def test_a_guide_is_asked_for_whole_groups_and_for_what_is_left(tools):
    bench, asked_for = tools({"step": "ddim", "steps": 5}), []

    def guide_of(latents):
        asked_for.append(len(latents))
        return Guide()

    maker = guided_maker(bench, guide_of, {"other": 0, "generator": 2}, group=3, note="said")
    made = maker.make(bench.latents(range(8)))
    torch.testing.assert_close(made, plain(tools, range(8), "ddim"), rtol=0, atol=1e-4)
    assert asked_for == [6, 2] and maker.group == 3
    assert maker.facts == {"passes": {"generator": 7}, "note": "said"}


@every_rival
def test_every_diffusion_model_is_served_but_for_cads_which_needs_classes(name):
    reasons = {a: method(name).why_not(declaration(a)) for a in ("diffusion", "class_diffusion")}
    assert reasons["class_diffusion"] is None
    assert (reasons["diffusion"] is None) == (name != "cads")
    assert "this is none" in method(name).why_not(declaration("stylegan2"))


def test_the_weaker_model_is_of_the_kind_of_the_model():
    settings = DIFFUSION | {"channels": [16], "patch": 2, "training_steps": 100}
    settings |= {"sampling_steps": 5, "rescale_vb": False}
    states = {"average": build_generator("diffusion", 8, settings).state_dict()}
    checkpoint = CheckpointFile("diffusion", 8, {"generator": settings}, states, {})
    started = trainer(
        workshop_of("weaker_model", checkpoint, replace(labelled_images(), labels=None))
    )
    assert started.model.classes is None and started.step(0)["loss"] > 0
    with pytest.raises(ValueError, match="needs a data set with labels") as raised:
        trainer(
            workshop_of(
                "weaker_model", checkpoint_with_classes(), replace(labelled_images(), labels=None)
            )
        )
    assert "\n" not in str(raised.value)
