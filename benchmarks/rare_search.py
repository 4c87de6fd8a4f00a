"""What searching around many references at once gains over one by one, on StyleGAN2 of the embedded config.

    python benchmarks/rare_search.py [--threads 1] [--repeats 3] [--references 40] [--steps 10]

Random weights of generator, extractor and flow, on the CPU: time does not depend on what they are. In each
repeat all sizes of a batch are timed in turn; a line is the median of the repeats, in CPU time of a sample.
`limit` is what no search can go below: one pass of generator, extractor and flow and one back for each iterate
of a sample, in the largest batch. The goal: all references at once at least 3 times faster than one by one.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from torch import Tensor

from pseudodensity.control.move.rare_search import Settings, Space, search
from pseudodensity.control.move.real_manifold import RealManifold
from pseudodensity.density.feature_density import FeatureDensity
from pseudodensity.density.flow import Flow
from pseudodensity.features.build import build_extractor
from pseudodensity.generators.build import build_generator
from pseudodensity.rng import normal

CONFIG = Path(__file__).parents[1] / "config/config.yaml"
GOAL, SEED, REALS, SAMPLES = 3, 0, 5000, 10


def space() -> tuple[Space, tuple[int, ...]]:
    """The ground of a search, and the shape of a latent."""
    config = yaml.safe_load(CONFIG.read_text())
    torch.manual_seed(SEED)
    generator = build_generator("stylegan2", 16, config["models"]["stylegan2"]["generator"]).eval()
    described = config["extractors"][config["methods"]["rare_search"]["extractor"]]
    kept = {key: described[key] for key in ("kind", "size", "widths", "blocks")}
    extractor = build_extractor(kept).eval()
    fit = config["feature_density"]
    real = torch.randn(REALS, extractor.dim)
    density = FeatureDensity.start(Flow(extractor.dim, fit["transforms"], fit["width"]), real)
    for module in (generator, extractor, density):
        module.requires_grad_(False)

    def features(images: Tensor) -> Tensor:
        return density.standardised(extractor(images.clamp(-1, 1)))

    manifold = RealManifold(density.standardised(real))
    return Space(generator, features, density.law.log_density, manifold), generator.latent_shape


def searched(ground: Space, references: Tensor, settings: Settings, batch: int) -> None:
    """Search around all references, so many at once."""
    for start in range(0, len(references), batch):
        part = references[start : start + batch]
        numbers = range(start, start + len(part))
        search(ground, part, torch.ones(len(part)), settings, seed=SEED, numbers=numbers)


def passes(ground: Space, latents: Tensor, steps: int) -> None:
    """The passes that a search of these samples cannot do without."""
    for _ in range(steps + 1):
        point = latents.requires_grad_()
        value = ground.log_density(ground.features(ground.generate(point))).sum()
        torch.autograd.grad(value, point)


def seconds(work: Callable[[], None]) -> float:
    """CPU time of this process, which other work does not disturb."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    """Print a line for each size of a batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("threads", 1), ("repeats", 3), ("references", 40), ("steps", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    ground, shape = space()
    references = normal(SEED, "references", range(asked.references), shape)
    settings = Settings(count=SAMPLES, steps=asked.steps)
    samples = asked.references * SAMPLES
    wide = references.repeat_interleave(SAMPLES, 0)
    sizes = sorted({1, 5, asked.references})
    works: dict[str, Callable[[], None]] = {
        f"{size} at once": lambda size=size: searched(ground, references, settings, size)
        for size in sizes
    }
    works["limit"] = lambda: passes(ground, wide, asked.steps)
    for work in works.values():
        work()  # the first call allocates
    times = {name: [] for name in works}
    for _ in range(asked.repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    found = {name: statistics.median(own) / samples for name, own in times.items()}
    alone, together = found["1 at once"], found[f"{asked.references} at once"]
    for name, own in found.items():
        print(f"{name:>14}: {1000 * own:7.2f} ms a sample, {alone / own:5.2f} times one by one")
    print(f"all at once {alone / together:.2f} times faster than one by one (goal {GOAL})")
    print(f"all at once {together / found['limit']:.2f} times the limit")


if __name__ == "__main__":
    main()
