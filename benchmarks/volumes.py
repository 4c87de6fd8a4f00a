"""CPU seconds and errors of the Jacobian log-volumes that polarity sampling needs.

    python benchmarks/volumes.py [--latents 6] [--rows 24] [--networks [stylegan2 stylegan3 fastgan]]
                                 [--mapping-layers 8] [--spectrum default | power]

StyleGAN2 and StyleGAN3-T with z = 512 at 64 pixels by the mapping route, and FastGAN with z = 256,
which has no mapping network, by the exact one; random weights, one thread, one run. The reference
for cost is one reverse pass per row of the Jacobian (the values at the point are computed once and
kept); only `--rows` of the 12,288 rows are timed and multiplied. The reference for errors is the
exact Gram matrix: a minute per latent of StyleGAN3. The rows are timed before and after every
latent, so that a busier minute harms no method. The mapping route takes as many columns as the
mapping network's spectrum asks for: the flatter, the more. `--mapping-layers 2`, as in the
published StyleGAN3, flattens it with random weights; so does `--spectrum power`, which gives the
layers singular values k^(-1/4).

Then two ratios that no reference is needed for. One sweep, several spaces: pixel, style and features
of a small StyleGAN2 together, over each alone. Kinds of generators, at the settings of the embedded
default: seconds of a column of the Jacobian over those of one image, of a hierarchical VAE and of a
class-conditional BigGAN beside those of unconditional networks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from types import ModuleType

import torch
from torch import Tensor, nn

from pseudodensity.features.build import build_extractor
from pseudodensity.generators import biggan, convgan, fastgan, hvae, stylegan2, stylegan3
from pseudodensity.generators.volumes import log_singular_values, log_volumes

STYLEGANS = {"stylegan2": ("StyleGAN2", stylegan2), "stylegan3": ("StyleGAN3-T", stylegan3)}


def build_stylegan(architecture: ModuleType, layers: int, spectrum: str) -> nn.Module:
    settings = {"channel_base": 1536, "channel_max": 128, "mapping_layers": layers}
    generator = architecture.build_generator(64, **settings)
    if spectrum == "power":
        for name, parameter in generator.mapping.named_parameters():
            if name.endswith("weight"):
                left, values, right = torch.linalg.svd(parameter.data)
                decay = torch.arange(1, len(values) + 1) ** -0.25
                decay *= values.norm() / decay.norm()
                parameter.data.copy_(left @ torch.diag(decay) @ right)
    return generator.eval().requires_grad_(False)


def build_fastgan() -> nn.Module:
    return fastgan.build_generator(64, ngf=16).eval().requires_grad_(False)


def cpu_seconds(work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def all_rows_seconds(generator: nn.Module, z: Tensor, rows: int) -> float:
    """Seconds of all reverse passes at one latent, from a sample of them."""
    z = z.clone().requires_grad_()
    start = time.process_time()
    image = generator(z).flatten()
    forward = time.process_time() - start
    chosen = torch.linspace(0, len(image) - 1, rows).long().tolist()
    torch.autograd.grad(image[0], z, retain_graph=True)  # warm
    start = time.process_time()
    for row in chosen:
        torch.autograd.grad(image[row], z, retain_graph=True)
    return forward + (time.process_time() - start) / rows * len(image)


def measure(
    generator: nn.Module, latents: Tensor, rows: int, routes: tuple[str, ...]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """CPU seconds per latent and volumes, by method."""
    seconds = dict.fromkeys(("rows", *routes), 0.0)
    volumes = {route: [] for route in routes}
    for route in routes:  # warm
        log_volumes(generator, latents[:1], route=route)
    for z in latents.split(1):
        before = all_rows_seconds(generator, z, rows)
        for route in routes:
            spent, volume = cpu_seconds(
                lambda z=z, route=route: log_volumes(generator, z, route=route)
            )
            seconds[route] += spent / len(latents)
            volumes[route].append(volume)
        seconds["rows"] += (before + all_rows_seconds(generator, z, rows)) / 2 / len(latents)
    return seconds, {route: torch.cat(parts) for route, parts in volumes.items()}


def report_stylegan(network: str, options: argparse.Namespace, latents: Tensor) -> None:
    name, architecture = STYLEGANS[network]
    torch.manual_seed(1)
    generator = build_stylegan(architecture, options.mapping_layers, options.spectrum)
    seconds, volumes = measure(generator, latents, options.rows, ("exact", "mapping"))
    exact, error = volumes["exact"], volumes["mapping"] - volumes["exact"]
    print(f"{name}, z 512, 64 px, {options.mapping_layers} mapping layers, ", end="")
    print(f"{options.spectrum} weights, {len(latents)} latents")
    print(f"  volumes {exact.mean():.2f}, spread {exact.std():.2f} (standard deviation)")
    print(f"  CPU s per latent: rows {seconds['rows']:.1f} (from {options.rows} rows), ", end="")
    print(f"exact Gram {seconds['exact']:.3f}, mapping {seconds['mapping']:.3f}")
    print(f"  exact Gram over rows: {seconds['rows'] / seconds['exact']:.0f} x")
    print(f"  mapping over rows: {seconds['rows'] / seconds['mapping']:.0f} x (goal 200)")
    print(f"  mapping over exact Gram: {seconds['exact'] / seconds['mapping']:.2f} x (goal 5)")
    relative, centred = error.abs() / exact.abs(), (error - error.mean()) / exact.std()
    print(f"  relative error: median {relative.median():.1e}, largest {relative.max():.1e}", end="")
    print(" (goal 1e-3)")
    print(f"  centred error over spread: rms {centred.square().mean().sqrt():.4f}, ", end="")
    print(f"largest {centred.abs().max():.4f} (goal 0.01)")


def report_fastgan(options: argparse.Namespace, latents: Tensor) -> None:
    seconds, _ = measure(build_fastgan(), latents[:, :256], options.rows, ("exact",))
    print(f"FastGAN, z 256, 64 px, {len(latents)} latents")
    print(f"  CPU s per latent: rows {seconds['rows']:.1f} (from {options.rows} rows), ", end="")
    print(f"exact Gram {seconds['exact']:.3f}")
    print(f"  exact Gram over rows: {seconds['rows'] / seconds['exact']:.0f} x (goal 50)")


def report_sharing(options: argparse.Namespace) -> None:
    """All spaces of one sweep over each of them alone."""
    torch.manual_seed(1)
    settings = {"z_dim": 64, "w_dim": 64, "channel_base": 512, "channel_max": 64}
    generator = stylegan2.build_generator(16, mapping_layers=2, **settings).eval()
    generator.requires_grad_(False)
    extractor = build_extractor({"kind": "small_cnn", "size": 16, "widths": [16, 32], "blocks": 1})
    features = {"features": extractor.eval().requires_grad_(False)}
    z = torch.randn(20 * options.latents, 64)
    alone = {space: {"spaces": [space]} for space in ("pixel", "style")}
    alone |= {"features": {"spaces": [], "features": features}}
    together = {"spaces": ["pixel", "style"], "features": features}
    seconds = {}
    for name, asked in {**alone, "together": together}.items():
        log_singular_values(generator, z[:2], **asked)  # warm
        seconds[name], _ = cpu_seconds(
            lambda asked=asked: log_singular_values(generator, z, **asked)
        )
    print(f"StyleGAN2, z 64, 16 px, {len(z)} latents: CPU ms per latent by space")
    for name, one in seconds.items():
        print(f"  {name} {one / len(z) * 1000:.2f}", end="")
    apart = sum(seconds[name] for name in alone)
    print(f"\n  together over the three apart: {seconds['together'] / apart:.2f}")


KINDS = {
    "FastGAN": lambda: fastgan.build_generator(16, ngf=12, z_dim=64),
    "plain convolutions": lambda: convgan.build_generator(16),
    "hierarchical VAE": lambda: hvae.build_generator(16, latents=[32, 1]),
    "BigGAN-deep, ten classes": lambda: biggan.build_generator(
        16, classes=10, z_dim=32, class_dim=16, channels=[96, 96, 48], attention=8
    ),
}


def report_kinds(options: argparse.Namespace) -> None:
    """What a column of the Jacobian costs, in images."""
    print("Kinds of generators, 16 px: CPU time of one column of a Jacobian over that of one image")
    for name, build in KINDS.items():
        torch.manual_seed(1)
        generator = build().eval().requires_grad_(False)
        z = torch.randn(20 * options.latents, *generator.latent_shape)
        directions = z[0].numel() - (generator.classes is not None)
        log_volumes(generator, z[:2]), generator(z)  # warm
        volumes, _ = cpu_seconds(lambda g=generator, z=z: log_volumes(g, z))
        images, _ = cpu_seconds(lambda g=generator, z=z: [g(z) for _ in range(10)])
        print(f"  {name}: {volumes / directions / (images / 10):.2f} ({directions} columns)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latents", type=int, default=6)
    parser.add_argument("--rows", type=int, default=24)
    networks = (*STYLEGANS, "fastgan")
    parser.add_argument("--networks", nargs="*", choices=networks, default=networks)
    parser.add_argument("--mapping-layers", type=int, default=8)
    parser.add_argument("--spectrum", choices=("default", "power"), default="default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    latents = torch.randn(options.latents, 512)
    for network in options.networks:
        if network == "fastgan":
            report_fastgan(options, latents)
        else:
            report_stylegan(network, options, latents)
    report_sharing(options)
    report_kinds(options)


if __name__ == "__main__":
    main()
