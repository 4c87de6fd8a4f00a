"""What a guided step of the class-conditional diffusion model costs, against a plain one.

    python benchmarks/guidance.py [--threads 1] [--repeats 9] [--images 50] [--device cpu]

The U-Net of `adm_class` in the embedded config, with the embedder and the real/synthetic classifier at their defaults;
random weights, on which the time of a step does not depend. A step is an ancestral one of 50. Guidance by alpha runs
the embedder forward and backward, alpha and beta together both encoders.

Counted: passes, and multiplications and additions of convolutions, matrix products and attention (torch's own counter) by
one forward and one backward pass of each network. Measured: CPU time of whole steps, all kinds in turn in each repeat;
a ratio is the median of those of the repeats. On a GPU it is wall time. The goal: alpha and beta together take at most
2.5 times a plain step.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pseudodensity.columns.context import clock
from pseudodensity.control.auxiliary import noisy_embedder, real_classifier
from pseudodensity.control.auxiliary.noisy_encoder import build_encoder
from pseudodensity.control.guide.losses import contrastive
from pseudodensity.control.guide.low_density import LowDensityGuide
from pseudodensity.control.guide.noisy_networks import (
    HeldOutAccuracy,
    NoisyEmbedder,
    RealClassifier,
)
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.denoiser import Denoiser
from pseudodensity.generators.diffusion_sampling import StepNoise, sample
from pseudodensity.generators.guidance import Guide
from pseudodensity.rng import normal

CONFIG = Path(__file__).parents[1] / "config/config.yaml"
MOST = 2.5  # plain steps that a guided one may take
RESOLUTION, STEPS, SEED = 16, 50, 0
NETWORKS = {"plain": 0, "alpha": 1, "alpha and beta": 2}  # encoders of each kind of step


def networks_of(device: str) -> tuple[Denoiser, NoisyEmbedder, RealClassifier]:
    """The three networks at their embedded shapes."""
    settings = yaml.safe_load(CONFIG.read_text())["models"]["adm_class"]["generator"]
    torch.manual_seed(SEED)
    model = build_generator("class_diffusion", RESOLUTION, settings).to(device).eval()
    encoders = [
        build_encoder(RESOLUTION, module.DEFAULTS, outputs, SEED)
        .to(device)
        .eval()
        .requires_grad_(False)
        for module, outputs in ((noisy_embedder, model.classes), (real_classifier, 1))
    ]
    times = torch.tensor([0.0, 1000.0])
    means = torch.randn(2, model.classes, noisy_embedder.DEFAULTS["features"]).to(device)
    embedder = NoisyEmbedder(encoders[0], times, means, RESOLUTION)
    # As if it were always right, so that it steers at every time.
    accuracy = HeldOutAccuracy(times, torch.ones(2), images=1000)
    classifier = RealClassifier(encoders[1], accuracy, RESOLUTION)
    return model.requires_grad_(False), embedder, classifier


def guides_of(embedder: NoisyEmbedder, classifier: RealClassifier) -> dict[str, Guide | None]:
    """None, alpha alone, alpha and beta."""
    alone = LowDensityGuide(embedder, None, contrastive, alpha=0.3, beta=0)
    both = LowDensityGuide(embedder, classifier, contrastive, alpha=0.3, beta=0.3)
    return dict(zip(NETWORKS, (None, alone, both), strict=True))


def flops(run: Callable[[], object]) -> int:
    """Of a call, a product and its sum as two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def counted(model: Denoiser, embedder: NoisyEmbedder, classifier: RealClassifier) -> dict[str, int]:
    """Operations of a step for one image by kind: those of the U-Net, and of each encoder forth and back."""
    x, time = torch.randn(1, 3, RESOLUTION, RESOLUTION), torch.tensor(500.0)
    device = next(model.parameters()).device
    x, time = x.to(device), time.to(device)
    label = torch.zeros(1, dtype=torch.int64, device=device)

    def backward(output: Callable[[Tensor], Tensor]) -> int:
        def run() -> None:
            start = x.clone().requires_grad_()
            # The counter follows no leaf into a network.
            torch.autograd.grad(output(start.view_as(start)).sum(), start)

        return flops(run)

    with torch.no_grad():
        unet = flops(lambda: model.output(x, time.reshape(1), label))
    first = backward(lambda start: embedder.features(start, time))
    second = backward(lambda start: classifier.logit(start, time))
    return dict(zip(NETWORKS, (unet, unet + first, unet + first + second), strict=True))


def measured(
    model: Denoiser, guides: dict[str, Guide | None], images: int, repeats: int, device: str
) -> dict[str, list[float]]:
    """Milliseconds of a step of one image, by kind, of each repeat."""
    latents = normal(SEED, "latents", range(images), model.latent_shape).to(device)

    def seconds(guide: Guide | None) -> float:
        began = clock(device)
        with torch.no_grad():
            noise = StepNoise(SEED, range(images))
            sample(model, latents, step="ancestral", steps=STEPS, guide=guide, noise=noise)
        return clock(device) - began

    for guide in guides.values():
        seconds(guide)  # the first call allocates
    found: dict[str, list[float]] = {kind: [] for kind in guides}
    for _ in range(repeats):
        for kind, guide in guides.items():
            found[kind].append(1000 * seconds(guide) / (STEPS * images))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--images", type=int, default=50, help="in a batch")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, embedder, classifier = networks_of(options.device)
    operations = counted(model, embedder, classifier)
    guides = guides_of(embedder, classifier)
    ms = measured(model, guides, options.images, options.repeats, options.device)
    print(f"A step of adm_class, {RESOLUTION} px, batches of {options.images}, {options.device}")
    print(f"{'':16}{'passes':>14}{'MFLOP':>10}{'of plain':>10}{'ms':>10}{'of plain':>10}")
    ratios = {}
    for kind, encoders in NETWORKS.items():
        passes = f"1 + {encoders} x (1 + 1)" if encoders else "1"
        ratios[kind] = statistics.median(
            own / plain for own, plain in zip(ms[kind], ms["plain"], strict=True)
        )
        share = operations[kind] / operations["plain"]
        print(
            f"{kind:16}{passes:>14}{operations[kind] / 1e6:10.2f}{share:10.2f}"
            f"{statistics.median(ms[kind]):10.3f}{ratios[kind]:10.2f}"
        )
    ratio = ratios["alpha and beta"]
    met = "met" if ratio <= MOST else "missed"
    print(
        f"alpha and beta together of a plain step: {ratio:.2f}, goal at most {MOST}: {met} (alpha alone: "
        f"{ratios['alpha']:.2f})"
    )


if __name__ == "__main__":
    main()
