"""State dicts of BigGAN-deep (``pytorch_model.bin``) -> our modules.

Shapes tell the settings. Only the generator is published. Its weights are stored before spectral
normalisation, with the vectors that it is taken by: here they are normalised once. Of the running
statistics, which a file holds for 51 values of truncation from 0 to 1, those of 1 are taken, the last:
truncation here draws other latents and leaves the network as it is.

Messages of errors continue a sentence that begins with the name of the file.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pseudodensity.artifacts import ArtifactError
from pseudodensity.checkpoints.fit import check_architecture, extent, fit
from pseudodensity.checkpoints.state_dict import read_state_dict
from pseudodensity.generators.build import build_generator

__all__ = ["convert_biggan"]

# Public name -> ours, in this order.
RENAMED = (
    (r"^generator\.", ""),
    (r"^embeddings\.", "embedding."),
    (r"^gen_z\.", "dense."),
    (r"^conv_to_rgb\.", "torgb."),
    (r"^bn\.", "norm."),
    (r"\.bn_([0-3])\.running_", r".norms.\1.norm.running_"),
    (r"\.bn_([0-3])\.scale\.", r".norms.\1.gain."),
    (r"\.bn_([0-3])\.offset\.", r".norms.\1.bias."),
    (r"\.conv_([0-3])\.", r".convolutions.\1."),
    (r"\.snconv1x1_theta\.", ".query."),
    (r"\.snconv1x1_phi\.", ".key."),
    (r"\.snconv1x1_g\.", ".value."),
    (r"\.snconv1x1_o_conv\.", ".out."),
)
STATISTICS = {"running_means": "running_mean", "running_vars": "running_var"}


def convert_biggan(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of a BigGAN-deep file, as :func:`~.convert.convert` returns them.

    The published weights are the average; they stand for the raw generator too. All classes have the
    same share.

    Raises:
        ArtifactError: the file is no state dict, or not that of such a generator.
    """
    public = read_state_dict(path)
    check_architecture(public, "state dict", architecture)
    resolution, settings = _settings(public)
    tensors = _ours(_normalised(public))
    classes = settings["classes"]
    tensors["shares"] = torch.full((classes,), 1 / classes, dtype=torch.float64)
    build = partial(build_generator, architecture, resolution, settings)
    average = fit(build, tensors, str, f"BigGAN-deep generator of {resolution} px")
    parts = {"resolution": resolution, "generator": settings, "discriminator": None}
    return {"settings": parts, "generator": average, "discriminator": None, "average": average}


def _settings(public: dict[str, Tensor]) -> tuple[int, dict[str, Any]]:
    """Resolution and settings; what does not hang together here will not fit there."""
    blocks = [
        name
        for name in public
        if re.fullmatch(r"generator\.layers\.\d{1,2}\.conv_0\.weight_orig", name)
    ]
    numbers = sorted(int(name.split(".")[2]) for name in blocks)
    attending = [
        name for name in public if re.fullmatch(r"generator\.layers\.\d{1,2}\.gamma", name)
    ]
    if len(numbers) < 2 or len(attending) > 1:
        raise ArtifactError(
            f"holds {len(numbers)} blocks and {len(attending)} layers of attention, which is no such generator"
        )

    def channels(number: int, convolution: int, axis: int) -> int:
        return extent(public, f"generator.layers.{number}.conv_{convolution}.weight_orig", axis)

    # Every second block halves the channels and doubles the map.
    first, doubling = numbers[0], numbers[1::2]
    class_dim, classes = (extent(public, "embeddings.weight", axis) for axis in (0, 1))
    inside = channels(first, 0, 0)
    settings = {
        "classes": classes,
        "z_dim": extent(public, "generator.gen_z.weight_orig", 1) - class_dim,
        "class_dim": class_dim,
        "channels": [channels(first, 0, 1), *(channels(number, 3, 0) for number in doubling)],
        "reduction": channels(first, 0, 1) // inside if inside else 0,
        "attention": 4 * 2 ** (int(attending[0].split(".")[2]) // 2) if attending else None,
        "spectral_norm": False,
    }
    return 4 * 2 ** len(doubling), settings


def _normalised(public: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each weight divided by its largest singular value, that its two vectors give."""
    found = {name: t for name, t in public.items() if not re.search(r"\.weight_(orig|u|v)$", name)}
    for name, weight in public.items():
        if not name.endswith(".weight_orig"):
            continue
        layer = name.removesuffix("_orig")
        rows, columns = weight.shape[0], weight[0].numel()
        left, right = (public.get(f"{layer}_{side}") for side in "uv")
        if left is None or right is None or (left.shape, right.shape) != ((rows,), (columns,)):
            raise ArtifactError(f"holds {name} without the two vectors of its norm")
        largest = left.double() @ weight.flatten(1).double() @ right.double()
        found[layer] = (weight / largest).float()
    return found


def _ours(public: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under our names; one that is unknown keeps its own, and fits nothing."""
    found = {}
    for name, tensor in public.items():
        layer, _, kind = name.rpartition(".")
        if kind in STATISTICS and tensor.ndim == 2:
            name, tensor = f"{layer}.{STATISTICS[kind]}", tensor[-1].clone()
        for pattern, ours in RENAMED:
            name = re.sub(pattern, ours, name)
        found[name] = tensor
    for name in [name for name in found if name.endswith(".running_mean")]:
        found[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    if "embedding.weight" in found:
        found["embedding.weight"] = found["embedding.weight"].t().contiguous()
    for name in ("torgb.weight", "torgb.bias"):  # of as many maps as go in, three become the image
        if name in found:
            found[name] = found[name][:3].clone()
    return found
