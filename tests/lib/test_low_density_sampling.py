"""Low-density guidance as a method: which points there are, and that its images are those of the sampler."""

from dataclasses import replace

import pytest
import torch
from guided_example import checkpoint_with_classes, labelled_images, tools_of

from pseudodensity.control.guide import low_density_sampling
from pseudodensity.control.guide.guided_maker import interval_of, names_of, pushed_steps
from pseudodensity.control.guide.losses import loss_called
from pseudodensity.control.guide.low_density import LowDensityGuide
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.plan.methods import points
from pseudodensity.plan.models import declaration

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return tools_of(checkpoint_with_classes(), labelled_images(), tmp_path_factory.mktemp("made"))


def asked(**grid):
    says = declaration("class_diffusion")
    return points("low_density", grid, {"low_density": {"steps": 5}}, says)


def images(tools, point, rows):
    bench = tools(point)
    return low_density_sampling.maker(bench).make(bench.latents(rows))


def test_points_name_the_networks_that_they_ask():
    found = asked(alpha=[0, 0.1], beta=[0, 1.0], loss=["plain", "random"])
    # Without alpha there is no loss, and so one point for both.
    told = [(p["loss"], p["alpha"], p["beta"], p["auxiliaries"]) for p in found]
    embedder, both = ["noisy_embedder"], ["noisy_embedder", "real_classifier"]
    assert told == [
        (None, 0, 0, []),
        (None, 0, 1.0, ["real_classifier"]),
        ("plain", 0.1, 0, embedder),
        ("plain", 0.1, 1.0, both),
        ("random", 0.1, 0, embedder),
        ("random", 0.1, 1.0, both),
    ]
    labels = [low_density_sampling.label(point) for point in found]
    assert len(set(labels)) == len(labels) and labels[0] == "plain, ancestral, 5 steps"


@pytest.mark.parametrize("step", ["ancestral", "ddim"])
def test_strengths_of_zero_are_the_plain_sampler_to_the_bit(tools, step):
    (point,) = asked(alpha=[0], beta=[0], loss=["plain"])
    point |= {"step": step}
    bench = tools(point)
    latents = bench.latents(range(4))
    names = names_of(latents)
    assert len(set(names)) == 4 and min(names) >= 0
    assert [names_of(latents[i : i + 1])[0] for i in range(4)] == names
    plain = sample(bench.generator, latents, step=step, steps=5, noise=StepNoise(3, names))
    assert torch.equal(images(tools, point, range(4)), plain)
    assert low_density_sampling.maker(bench).facts == {"passes": {"generator": 5}}


def test_images_are_those_of_the_guide_in_any_batch(tools):
    (point,) = asked(alpha=[0.5], beta=[0], loss=["contrastive"])
    point |= {"from_time": 100.0, "to_time": 900.0, "temperature": 2.0}
    bench = tools(point)
    embedder = bench.auxiliary("noisy_embedder")
    guide = LowDensityGuide(
        embedder,
        None,
        loss_called("contrastive", embedder.head, embedder.anchor_means.shape[2], 3),
        alpha=0.5,
        beta=0,
        temperature=2.0,
        interval=interval_of(point),
    )
    with torch.no_grad():
        expected = sample(
            bench.generator,
            bench.latents(range(4)),
            step="ancestral",
            steps=5,
            guide=guide,
            noise=StepNoise(3, names_of(bench.latents(range(4)))),
        )
    whole = images(tools, point, range(4))
    assert torch.equal(whole, expected)
    torch.testing.assert_close(images(tools, point, range(2, 4)), whole[2:], rtol=0, atol=1e-4)
    (plain,) = asked(alpha=[0], beta=[0], loss=["plain"])
    assert (whole - images(tools, plain, range(4))).abs().max() > 1e-3
    # Of five steps three lie in the interval.
    assert low_density_sampling.maker(bench).facts["passes"]["noisy_embedder"] == 6


def test_a_model_without_classes_is_not_served():
    reason = low_density_sampling.why_not(declaration("diffusion"))
    assert reason and "\n" not in reason
    assert low_density_sampling.why_not(declaration("class_diffusion")) is None


def test_a_classifier_that_must_not_steer_gives_no_push_and_the_set_says_why(tools):
    """Three iterations leave it at chance: the images are those of beta 0 to the bit."""
    alone, both = asked(alpha=[0.5], beta=[0, 1.0], loss=["plain"])
    made = low_density_sampling.maker(tools(both))
    refusal = tools(both).auxiliary("real_classifier").accuracy.refusal()
    assert "cannot steer" in refusal
    assert made.facts["note"] == f"beta 1 gave no push: {refusal}"
    assert set(made.facts["passes"]) == {"generator", "noisy_embedder"}
    assert torch.equal(images(tools, both, range(3)), images(tools, alone, range(3)))
    assert "note" not in low_density_sampling.maker(tools(alone)).facts
    # Nothing but H' is asked: then the sampler is plain.
    (only,), (none,) = (asked(alpha=[0], beta=[beta]) for beta in (1.0, 0))
    assert torch.equal(images(tools, only, range(3)), images(tools, none, range(3)))


def with_accuracy(tools, point, times, shares):
    """The tools of a point, whose classifier is right so often."""
    bench = tools(point)
    known = bench.auxiliary("real_classifier")
    accuracy = replace(known.accuracy, times=torch.tensor(times), shares=torch.tensor(shares))
    networks = {"real_classifier": replace(known, accuracy=accuracy)}
    bench.auxiliary = lambda name: networks.get(name) or tools(point).auxiliary(name)
    return bench


def test_a_classifier_that_may_steer_does(tools):
    alone, both = asked(alpha=[0.5], beta=[0, 1.0], loss=["plain"])
    bench = with_accuracy(tools, both, [0.0, 990.0], [1.0, 1.0])
    made = low_density_sampling.maker(bench)
    assert "note" not in made.facts and made.facts["passes"]["real_classifier"] == 8
    pushed = made.make(bench.latents(range(3)))
    assert (pushed - images(tools, alone, range(3))).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("known_until", "told"),
    [
        (550.0, "pushed in 2 of 4 steps: in the others the real/synthetic classifier is at chance"),
        (150.0, "gave no push: the real/synthetic classifier is at chance in each of these steps"),
    ],
)
def test_a_set_says_in_how_many_steps_the_classifier_knew_nothing(tools, known_until, told):
    """A process of 100 steps in 5: a guide is asked at times 990, 740, 500 and 250."""
    (point,) = asked(alpha=[0.5], beta=[1.0], loss=["plain"])
    bench = with_accuracy(tools, point, [0.0, known_until, known_until + 1, 990.0], [1.0, 1, 0, 0])
    times = list(pushed_steps(bench).values())
    assert len(times) == 4
    assert sum(time <= known_until for time in times) == {550.0: 2, 150.0: 0}[known_until]
    made = low_density_sampling.maker(bench)
    assert made.facts["note"] == f"beta 1 {told}"
    assert ("real_classifier" in made.facts["passes"]) == (known_until == 550.0)
