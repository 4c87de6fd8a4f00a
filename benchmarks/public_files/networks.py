"""One file in a public format for each architecture, with random weights of any size."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pseudodensity.generators.build import build_discriminator, build_generator
from public_files.openai_unet import OpenAiUNet
from public_files.pickled import (
    NVLABS,
    EasyDict,
    persistent,
    published_projectedgan,
    write,
)
from public_files.tensorflow import (
    Network,
    progan_variables,
    published_discriminator,
    published_generator,
    write_tensorflow,
)

__all__ = [
    "lpips_heads",
    "nvlabs",
    "openai",
    "progan",
    "projectedgan",
    "save",
    "stylegan2_tensorflow",
]

FEATURES = {"kind": "timm", "name": "tf_efficientnet_lite0", "weights": None}
LPIPS_WIDTHS = (64, 128, 256, 512, 512)


def _networks(architecture: str, resolution: int, settings: Any, of_d: Any) -> dict[str, nn.Module]:
    """Raw generator, discriminator and averaged generator, as they are before a training."""
    generator = partial(build_generator, architecture, resolution, settings)
    networks = {"G": generator(), "D": build_discriminator(architecture, resolution, of_d)}
    networks["G_ema"] = generator()
    return {name: network.eval().requires_grad_(False) for name, network in networks.items()}


def nvlabs(
    path: Path, architecture: str, resolution: int, settings: dict[str, Any], of_d: dict[str, Any]
) -> None:
    """A pickle as StyleGAN2-ADA-PyTorch and StyleGAN3 write it."""
    networks = _networks(architecture, resolution, settings, of_d)
    shape = ("z_dim", "w_dim", "mapping_layers")
    flat = {name: value for name, value in settings.items() if name not in shape}
    kwargs = EasyDict(c_dim=0, img_resolution=resolution, img_channels=3, **flat)
    content = {name: persistent(network, "", kwargs) for name, network in networks.items()}
    content |= {"augment_pipe": None, "training_set_kwargs": EasyDict(resolution=resolution)}
    write(path, content, NVLABS, 4)


def stylegan2_tensorflow(path: Path, resolution: int, settings: dict[str, Any]) -> None:
    """A pickle as StyleGAN2 wrote it from TensorFlow, with random weights."""
    found = _networks("stylegan2", resolution, settings, _sizes(settings))
    root = (
        published_generator(found["G"]),
        published_discriminator(found["D"]),
        published_generator(found["G_ema"]),
    )
    write_tensorflow(path, root, "dnnlib.tflib.network", Network)


def progan(path: Path, resolution: int, settings: dict[str, Any]) -> None:
    """A pickle as ProGAN wrote it from TensorFlow, with random weights."""
    found = _networks("progan", resolution, settings, _sizes(settings))
    kwargs = {"num_channels": 3, "resolution": resolution, "label_size": 0, "fused_scale": True}
    roles = {"G": found["G"], "D": found["D"], "Gs": found["G_ema"]}
    root = tuple(
        Network(f"{role}_paper", progan_variables(own, generator=role != "D"), kwargs)
        for role, own in roles.items()
    )
    write_tensorflow(path, root, "tfutil", Network)


def projectedgan(path: Path, resolution: int, settings: dict[str, Any], width: int) -> None:
    """A pickle as ProjectedGAN writes it: FastGAN and a discriminator on EfficientNet-Lite0."""
    of_d = {"width": width, "features": FEATURES}
    found = _networks("projectedgan", resolution, settings, of_d)
    for name in ("G", "G_ema"):
        _normalise(found[name])
    build = partial(build_generator, "projectedgan", resolution, settings)
    build_d = partial(build_discriminator, "projectedgan", resolution, of_d)
    write(path, *published_projectedgan(build, build_d, found), 4)


def _normalise(generator: nn.Module) -> None:
    """Give batch normalisation the statistics of a few samples, without which all images are one."""
    layers = [m for m in generator.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    with torch.no_grad():
        generator.train()(torch.randn(4, *generator.latent_shape))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    generator.eval()


def openai(
    path: Path,
    flavour: str,
    channels: tuple[int, ...],
    blocks: int,
    attended: tuple[int, ...],
    classes: int | None = None,
) -> None:
    """A state dict as improved-diffusion ("iddpm") and guided-diffusion ("adm") write it."""
    save(path, OpenAiUNet(channels, blocks, attended, flavour, classes).state_dict())


def lpips_heads(path: Path) -> None:
    """The weights of channels of LPIPS v0.1 with VGG-16: none is below 0."""
    save(
        path, {f"lin{i}.model.1.weight": torch.rand(1, w, 1, 1) for i, w in enumerate(LPIPS_WIDTHS)}
    )


def save(path: Path, state: dict[str, Tensor]) -> None:
    """A state dict: as safetensors or by torch, as the name says."""
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)


def _sizes(settings: dict[str, Any]) -> dict[str, Any]:
    """Channels of a discriminator are those of its generator."""
    return {name: settings[name] for name in ("channel_base", "channel_max")}
