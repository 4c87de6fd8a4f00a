"""The networks of guidance from their files, steering a diffusion model with classes."""

from dataclasses import replace

import pytest
import torch
from auxiliary_example import trained_auxiliaries, workshop_of
from guided_example import checkpoint_with_classes, labelled_images

from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.auxiliary.noisy_embedder import trainer as embedder_trainer
from pseudodensity.control.guide.losses import loss_called
from pseudodensity.control.guide.low_density import LowDensityGuide
from pseudodensity.generators.checkpoint import CheckpointFile
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.rng import normal

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def checkpoint() -> CheckpointFile:
    return checkpoint_with_classes()


@pytest.fixture(scope="module")
def networks(checkpoint, tmp_path_factory) -> dict:
    files = trained_auxiliaries(checkpoint, labelled_images(), tmp_path_factory.mktemp("networks"))
    return {
        name: load_auxiliary(f, workshop_of(name, checkpoint, None)) for name, f in files.items()
    }


def test_files_bring_all_that_guidance_asks(networks):
    embedder, classifier = networks["noisy_embedder"], networks["real_classifier"]
    x, time = torch.zeros(2, 3, 8, 8), torch.tensor(495.0)
    features = embedder.features(x, time)
    assert embedder.head(features).shape == (2, 3)
    # Two anchors, at the ends of a process of 100 steps.
    assert embedder.anchors.tolist() == [0, 990]
    torch.testing.assert_close(embedder.means(time), embedder.anchor_means.mean(0))
    assert classifier.logit(x, time).shape == (2,) and classifier.accuracy.images == 12
    assert embedder.resolution == classifier.resolution == 8
    assert not any(p.requires_grad for n in (embedder, classifier) for p in n.network.parameters())


@pytest.mark.parametrize("kind", ["ancestral", "ddim"])
@pytest.mark.parametrize("name", ["contrastive", "plain", "softmax_minus_h", "logits", "random"])
def test_guided_samples_are_those_of_their_rows_in_any_batch(checkpoint, networks, name, kind):
    model, embedder = checkpoint.frozen_generator(), networks["noisy_embedder"]
    guide = LowDensityGuide(
        embedder,
        networks["real_classifier"],
        loss_called(name, embedder.head, embedder.network.head.in_features, 0),
        alpha=0.5,
        beta=0.5,
        even_at_chance=True,
    )

    @torch.no_grad()
    def images(rows: range, **options) -> torch.Tensor:
        latents = normal(0, "latents", rows, model.latent_shape)
        return sample(model, latents, step=kind, noise=StepNoise(0, rows), **options)

    whole = images(range(5), guide=guide)
    parts = torch.cat([images(range(2), guide=guide), images(range(2, 5), guide=guide)])
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)
    assert (whole - images(range(5))).abs().max() > 1e-3


def test_an_embedder_needs_the_classes_of_its_model(checkpoint):
    unlabelled = replace(labelled_images(), labels=None)
    for images, told in (
        (unlabelled, "with labels, and this one has none"),
        (labelled_images(2), "2 classes"),
    ):
        with pytest.raises(ValueError, match=told) as raised:
            embedder_trainer(workshop_of("noisy_embedder", checkpoint, images))
        assert "\n" not in str(raised.value)
