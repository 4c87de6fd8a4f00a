"""What an image costs by latentRS against SIR with n = 10 and DOT with 10 steps, on StyleGAN2.

    python benchmarks/latent.py [--threads 1] [--repeats 3] [--largest 3] [--skip-paper]

Two shapes, random weights, on the CPU: StyleGAN2 of the embedded config with the weight network that
is trained there, and StyleGAN2 of 256 px with the public settings and 3 x 512 on w (papers/003,
appendix E). In each repeat all methods are timed in turn; a line is the median of the repeats, in CPU
time. Time does not depend on what the weights of a network are, but latentRS does on the acceptance:
the last layer of the weight network is 0 with bias 1, so w = 1 everywhere and 1 / m are accepted.

`limit` is what no implementation can go below: a pass of the weight network (behind the mapping) for
each proposal of an image, and one plain image. The goals: latentRS at most 1.1 times the limit, SIR and
DOT at least 5 times latentRS. `limit, latents` has the latents of the rejected proposals too, which are
drawn from one random stream each: at 16 px that takes longer than their weights. What is done once per
model is not counted: calibration of SIR, constant of DOT. The discriminator looks at three references
beside each batch, which at 256 px (batches of four for SIR, one image for DOT) is up to half of the cost
of the rivals. There it takes 10 GB of memory.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from pseudodensity.columns.pool import Column, Pool
from pseudodensity.control.auxiliary import latent_weight
from pseudodensity.control.auxiliary.latent_space import LatentSpace, LatentWeight
from pseudodensity.control.move import dot
from pseudodensity.control.select import latent_rs
from pseudodensity.control.select.discriminator import Calibration
from pseudodensity.control.select.schemes import sir
from pseudodensity.control.train.weight_network import WeightNetwork
from pseudodensity.generators.build import build_discriminator, build_generator
from pseudodensity.generators.critic import critic_of
from pseudodensity.images.dataset import ImageSet
from pseudodensity.images.transform import to_float, to_uint8
from pseudodensity.rng import generator as random_stream
from pseudodensity.rng import normal

CONFIG = Path(__file__).parents[1] / "config/config.yaml"
MOST, LEAST = 1.1, 5  # of the limit; of latentRS, by its rivals
CANDIDATES, STEPS = 10, 10
PAPER_WIDTHS = [512, 512, 512]
SEED = 0


@dataclass
class Bench:
    """One model as the methods see it (see `pseudodensity.control.choice.Tools`).

    batch: latents at once. images: of a measurement of plain samples and of latentRS. few: of SIR and DOT.
    """

    generator: nn.Module
    discriminator: nn.Module
    data: ImageSet
    weight: LatentWeight
    settings: dict
    batch: int
    images: int
    few: int
    checkpoint: None = None
    seed: int = SEED
    device: str = "cpu"

    def latents(self, rows: range) -> Tensor:
        """Latents (n, *latent_shape), each of its own stream."""
        return normal(self.seed, "latents", rows, self.generator.latent_shape)

    def batches(self, count: int) -> Iterable[range]:
        """Rows 0 .. count - 1 in batches."""
        return (range(i, min(i + self.batch, count)) for i in range(0, count, self.batch))


def bench_of(
    resolution: int,
    model: dict,
    widths: list[int],
    largest: float,
    *,
    batch: int,
    images: int,
    few: int,
) -> Bench:
    """An untrained StyleGAN2 with discriminator and weights of the acceptance 1 / largest."""
    generator = build_generator("stylegan2", resolution, model["generator"])
    discriminator = build_discriminator("stylegan2", resolution, model["discriminator"])
    generator, discriminator = (m.eval().requires_grad_(False) for m in (generator, discriminator))
    space = LatentSpace(generator, "w")
    stream = random_stream(SEED, "weight network")
    network = WeightNetwork(space.shape, widths, stream, activation="leaky", largest=largest)
    network.requires_grad_(False)
    network.last.weight.zero_()  # its bias starts at 1
    noise = np.random.default_rng(SEED).integers(0, 256, (32, 3, resolution, resolution), np.uint8)
    data = ImageSet(noise, None, [], {"spec": {"kind": "folder"}})
    weight = LatentWeight(network, space, largest)
    settings = {"variant": "per_sample", **dot.DEFAULTS, "steps": STEPS, "pairs": 4}
    return Bench(generator, discriminator, data, weight, settings, batch, images, few)


# ---------------------------------------------------------------- what is timed; all give images made


def drawing(bench: Bench) -> int:
    """Latents alone."""
    for rows in bench.batches(bench.images):
        bench.latents(rows)
    return bench.images


@torch.no_grad()
def weighing(bench: Bench, latents: Tensor) -> int:
    """Weights of latents that are there."""
    for part in latents.split(bench.batch):
        bench.weight(part)
    return len(latents)


@torch.no_grad()
def plain(bench: Bench) -> int:
    """Plain samples, in bytes."""
    for rows in bench.batches(bench.images):
        to_uint8(bench.generator(bench.latents(rows)))
    return bench.images


@torch.no_grad()
def latent_rejection(bench: Bench) -> tuple[int, int]:
    """latentRS: images and the proposals that they took."""
    count = round(bench.images * bench.weight.largest)
    latents = torch.cat([bench.latents(rows) for rows in bench.batches(count)])
    weights = torch.cat([bench.weight(part) for part in latents.split(bench.batch)]).numpy()
    column = Column(weights, None, {"largest": bench.weight.largest, "note": ""})
    # The length of a pool is that of its density.
    pool = Pool({"density": column, "latent_weight": column}, bench.seed)
    choice = latent_rs.choose(pool, {}, 1, count)
    accepted = np.concatenate(choice.rows)
    for part in latents[accepted].split(bench.batch):
        to_uint8(bench.generator(part))
    return len(accepted), count


def resampling(bench: Bench) -> Callable[[], int]:
    """SIR, with a discriminator that is calibrated."""
    critic = critic_of(bench.discriminator, bench.data, 0)
    stream = random_stream(SEED, "calibration")
    real, fake = torch.randn(2, 1000, generator=stream) + torch.tensor([[1.0], [0.0]])
    calibration = Calibration.fit(real, fake, method="isotonic")

    @torch.no_grad()
    def run() -> int:
        images, logits = [], []
        for rows in bench.batches(bench.few * CANDIDATES):
            images.append(to_uint8(bench.generator(bench.latents(rows))))
            logits.append(critic(to_float(images[-1])))
        ratios = calibration.log_ratio(torch.cat(logits))
        chosen = sir(ratios, CANDIDATES, random_stream(bench.seed, "sir"))
        return len(torch.cat(images)[chosen])

    return run


def transport(bench: Bench) -> Callable[[], int]:
    """DOT, with its constant estimated."""
    maker = dot.maker(bench)

    def run() -> int:
        for rows in bench.batches(bench.few):
            to_uint8(maker.make(bench.latents(rows)).detach())
        return bench.few

    return run


# ---------------------------------------------------------------- the table


def cpu_ms(call: Callable[[], int]) -> float:
    """CPU milliseconds of one image; waiting for a core of a busy machine does not count."""
    began = time.process_time()
    count = call()
    return 1000 * (time.process_time() - began) / count


def measure(name: str, bench: Bench, repeats: int) -> None:
    """Print the cost of one image by each method, and whether the goals are met."""
    latents = bench.latents(range(bench.images))
    accepted, proposals = latent_rejection(bench)  # the first calls allocate
    calls = {
        "latent": lambda: drawing(bench),
        "weight": lambda: weighing(bench, latents),
        "plain": lambda: plain(bench),
        "latentRS": lambda: latent_rejection(bench)[0],
        f"SIR, n = {CANDIDATES}": resampling(bench),
        f"DOT, {STEPS} steps": transport(bench),
    }
    found: dict[str, list[float]] = {method: [] for method in calls}
    for _ in range(repeats):
        for method, call in calls.items():
            found[method].append(cpu_ms(call))
    each = proposals / accepted
    made, weighed, drawn = (np.array(found[key]) for key in ("plain", "weight", "latent"))
    found["limit"] = list(made + each * weighed)
    found["limit, latents"] = list(made + each * weighed + (each - 1) * drawn)
    cost = {method: statistics.median(values) for method, values in found.items()}
    print(f"\n{name}: {accepted} of {proposals} latents accepted, m = {bench.weight.largest:g}")
    print(f"{'':16}{'CPU ms':>12}{'of plain':>12}{'of latentRS':>14}")
    for method, ms in cost.items():
        print(f"{method:16}{ms:12.4g}{ms / cost['plain']:12.4g}{ms / cost['latentRS']:14.4g}")
    for limit in ("limit", "limit, latents"):
        ratio = _ratio(found, "latentRS", limit)
        print(f"latentRS of {limit}: {ratio:.3g}, goal at most {MOST}: {_met(ratio <= MOST)}")
    for method in list(calls)[-2:]:
        ratio = _ratio(found, method, "latentRS")
        print(f"{method} of latentRS: {ratio:.3g}, goal at least {LEAST}: {_met(ratio >= LEAST)}")


def _ratio(found: dict[str, list[float]], above: str, below: str) -> float:
    """The median over the repeats."""
    return statistics.median(a / b for a, b in zip(found[above], found[below], strict=True))


def _met(met: bool) -> str:
    return "met" if met else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="three times as many at 16 px")
    parser.add_argument("--largest", type=float, default=3.0, help="m: the acceptance is 1 / m")
    parser.add_argument("--skip-paper", action="store_true", help="the embedded shape only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    small = yaml.safe_load(CONFIG.read_text())["models"]["stylegan2"]
    widths = latent_weight.DEFAULTS["widths"]
    bench = bench_of(16, small, widths, options.largest, batch=500, images=1000, few=100)
    measure("embedded: StyleGAN2 16 px", bench, 3 * options.repeats)
    if not options.skip_paper:
        public = {"generator": {}, "discriminator": {}}
        bench = bench_of(256, public, PAPER_WIDTHS, options.largest, batch=4, images=8, few=1)
        measure("paper: StyleGAN2 256 px", bench, options.repeats)


if __name__ == "__main__":
    main()
