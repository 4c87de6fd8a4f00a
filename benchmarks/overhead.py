"""What density evaluation adds to plain generation: images -> ViT features -> density network.

    python benchmarks/overhead.py [--threads 1] [--batch 2] [--repeats 3] [--skip-paper]

Two shapes, random weights, on the CPU: StyleGAN2 of the embedded config with its small ViT, and
StyleGAN2 of 1024 px with ViT-B/16 of 224 px (timm), which are the paper's. `extra` is the CPU time
of evaluation over that of generation right before it, medians over the repeats; on a busy machine
only this ratio means much. Evaluation takes the pipeline's own route: quantise, resize, normalise,
extract, density. The goal at the paper's shapes is 15 % at most.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
import yaml
from safetensors.torch import save_file

from pseudodensity.artifacts import file_sha256
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.generators.build import build_generator
from pseudodensity.images.transform import to_uint8
from pseudodensity.rng import normal

GOAL = 0.15
CONFIG = Path(__file__).parents[1] / "config/config.yaml"
PAPER_VIT = "vit_base_patch16_224.augreg_in21k_ft_in1k"


def paper_extractor() -> Extractor:
    """ViT-B/16 with random weights, read from a file as the real ones are."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights.safetensors")
        save_file(timm.create_model(PAPER_VIT, pretrained=False).state_dict(), path)
        spec = {"kind": "timm", "name": PAPER_VIT, "weights": str(path)}
        return build_extractor(spec | {"sha256": file_sha256(path)})


def embedded() -> tuple[torch.nn.Module, Extractor]:
    """StyleGAN2 and the steering extractor of the default config, untrained."""
    config = yaml.safe_load(CONFIG.read_text())
    extractor = dict(config["extractors"][config["density"]["extractor"]])
    for training in ("trained_on", "training"):
        extractor.pop(training)
    settings = config["models"]["stylegan2"]["generator"]
    return build_generator("stylegan2", 16, settings), build_extractor(extractor)


def paper() -> tuple[torch.nn.Module, Extractor]:
    """StyleGAN2 of 1024 px and ViT-B/16, untrained."""
    return build_generator("stylegan2", 1024, {}), paper_extractor()


def cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of a call; waiting for a core of a busy machine does not count."""
    began = time.process_time()
    call()
    return time.process_time() - began


@torch.no_grad()
def measure(
    name: str, generator: torch.nn.Module, extractor: Extractor, batch: int, repeats: int
) -> float:
    """Print and return the evaluation's share of generation, timed in turn."""
    generator.eval()
    density = PseudoDensity(extractor.dim, np.zeros(1), {})
    latents = normal(0, "latents", range(batch), generator.latent_shape)
    images = generator(latents)

    def evaluate() -> np.ndarray:
        return density(extract(extractor, to_uint8(images)))

    evaluate()
    pairs = [
        (cpu_seconds(lambda: generator(latents)), cpu_seconds(evaluate)) for _ in range(repeats)
    ]
    extra = statistics.median(evaluation / generation for generation, evaluation in pairs)
    times = (1000 * statistics.median(seconds) / batch for seconds in zip(*pairs, strict=True))
    print(f"{name:38}{batch:6}" + "".join(f"{t:16.4g}" for t in times) + f"{extra:10.1%}")
    return extra


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=2, help="images at the paper's shapes")
    parser.add_argument("--repeats", type=int, default=3, help="at the paper's shapes")
    parser.add_argument("--skip-paper", action="store_true", help="the embedded shapes only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    head = ("generation ms", "evaluation ms", "extra")
    print(f"{'':38}{'batch':>6}{head[0]:>16}{head[1]:>16}{head[2]:>10}")
    measure("embedded: StyleGAN2 16 px, small ViT", *embedded(), 500, 5)
    if not options.skip_paper:
        name = "paper: StyleGAN2 1024 px, ViT-B/16"
        extra = measure(name, *paper(), options.batch, options.repeats)
        print(f"goal at the paper's shapes: {GOAL:.0%}, {'met' if extra <= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
