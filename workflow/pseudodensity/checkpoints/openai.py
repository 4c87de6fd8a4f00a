"""OpenAI state dicts of IDDPM and ADM models, with classes or without -> diffusers' UNet2DModel.

The files hold nothing but weights, so every setting follows from the shapes, or is known of the
published LSUN and ImageNet models (Nichol and Dhariwal 2021; Dhariwal and Nichol 2021).

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

__all__ = ["convert_openai", "split_heads"]

# (how the resolution changes, what the time embedding does) -> flavour, head width, dropout
FLAVOURS = {
    ("conv", "add"): ("iddpm", None, 0.0),
    ("resnet", "scale and shift"): ("adm", 64, 0.1),
}
# Common to the published LSUN models.
COMMON = {
    "network": "diffusers",
    "norm_groups": 32,
    "patch": 1,
    "schedule": "linear",
    "prediction": "epsilon",
    "training_steps": 1000,
    "sampling_steps": 50,
    "rescale_vb": False,
}
# What is different of the published class-conditional models, by resolution. That of 128 px has heads
# of several widths, and that of 512 px a time embedding that its first level does not tell.
WITH_CLASSES = {
    64: {"schedule": "cosine", "dropout": 0.1},
    256: {"schedule": "linear", "dropout": 0.0},
}
# Resolutions of models whose joint projection is ordered (one of q k v, head, channel).
PLAIN_THIRDS = (64,)
CLASSES = "label_emb.weight"
COARSEST = 8  # side of the grid of the last level in every published model
PARTS = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def convert_openai(path: Path, architecture: str) -> dict[str, Any]:
    """Settings and state dicts of an OpenAI ``.pt``, as :func:`~.convert.convert` returns them.

    The published weights are the average; they stand for the raw generator too.

    Raises:
        ArtifactError: the file is no state dict, or not that of a model named above.
    """
    public = read_state_dict(path)
    check_architecture(public, "state dict", architecture)
    settings = _settings(public)
    resolution = COARSEST * 2 ** (len(settings["channels"]) - 1)
    heads = settings["head_channels"]
    if CLASSES in public:
        settings |= _with_classes(public, settings["flavour"], resolution)
        public["shares"] = torch.full(
            (settings["classes"],), 1 / settings["classes"], dtype=torch.float64
        )
    modules = _public_modules(settings)
    build = partial(build_generator, architecture, resolution, settings)
    what = f"{settings['flavour']} U-Net of {resolution} px"
    thirds = CLASSES in public and resolution in PLAIN_THIRDS
    split = _split_attention(public, None if thirds else heads)
    average = fit(build, split, partial(_public_key, modules), what)
    parts = {"resolution": resolution, "generator": settings, "discriminator": None}
    return {"settings": parts, "generator": average, "discriminator": None, "average": average}


def _with_classes(public: dict[str, Tensor], flavour: str, resolution: int) -> dict[str, Any]:
    """What the settings of a model with classes have more, or otherwise."""
    if flavour != "adm" or resolution not in WITH_CLASSES:
        known = " and ".join(map(str, WITH_CLASSES))
        raise ArtifactError(
            f"holds a class-conditional {flavour} U-Net of {resolution} px: only those of ADM of {known} "
            "px are read"
        )
    return {"classes": extent(public, CLASSES), **WITH_CLASSES[resolution]}


def split_heads(qkv: Tensor, head_channels: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (c, ...) of the joint projection (3c, ...) of all heads.

    The joint rows are ordered (head, one of q k v, channel within the head), the separate ones
    (head, channel within the head). ``head_channels`` None means one head, or any number where the
    joint rows are ordered (one of q k v, head, channel within the head).

    Raises:
        ArtifactError: the rows do not divide into such heads.
    """
    width = head_channels or max(len(qkv) // 3, 1)
    if len(qkv) % (3 * width):
        raise ArtifactError(f"has attention of {len(qkv)} rows, no multiple of 3 x {width}")
    q, k, v = qkv.unflatten(0, (-1, 3, width)).unbind(1)
    return q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)


def _settings(public: dict[str, Tensor]) -> dict[str, Any]:
    """Settings of our generator; what does not hang together here will not fit there."""
    resampled = [
        name
        for name in public
        if re.fullmatch(r"output_blocks\.\d+\.[12]\.(conv|in_layers\.0)\.weight", name)
    ]
    outputs = {name.split(".")[1] for name in public if name.startswith("output_blocks.")}
    levels = len(resampled) + 1
    blocks = len(outputs) // levels - 1
    scaling = "conv" if any(name.endswith("conv.weight") for name in resampled) else "resnet"
    rows = extent(public, "middle_block.0.emb_layers.1.weight")
    joint = rows == 2 * extent(public, "middle_block.0.in_layers.0.weight")
    conditioning = "scale and shift" if joint else "add"
    if (scaling, conditioning) not in FLAVOURS:
        raise ArtifactError(
            f"holds a U-Net with {scaling} resampling and time embedding by {conditioning}: only "
            f"{' or '.join(' with '.join(flavour) for flavour in FLAVOURS)} is read"
        )
    flavour, head_channels, dropout = FLAVOURS[scaling, conditioning]
    firsts = [1 + level * (blocks + 1) for level in range(levels)]
    return {
        "flavour": flavour,
        "channels": [extent(public, f"input_blocks.{k}.0.out_layers.3.weight") for k in firsts],
        "blocks": blocks,
        "attention_levels": [
            level for level, k in enumerate(firsts) if f"input_blocks.{k}.1.qkv.weight" in public
        ],
        "head_channels": head_channels,
        "dropout": dropout,
        **COMMON,
    }


def _split_attention(public: dict[str, Tensor], heads: int | None) -> dict[str, Tensor]:
    """Joint projections split, and all projections as matrices, not convolutions of width 1."""
    split = {}
    for name, tensor in public.items():
        layer, _, kind = name.rpartition(".")
        stem, _, part = layer.rpartition(".")
        if part in ("qkv", "proj_out") and kind == "weight" and tensor.ndim == 3:
            tensor = tensor.squeeze(2)
        if part == "qkv" and tensor.ndim:
            for one, rows in zip("qkv", split_heads(tensor, heads), strict=True):
                split[f"{stem}.{one}.{kind}"] = rows
        else:
            split[name] = tensor
    return split


def _public_modules(settings: dict[str, Any]) -> dict[str, str]:
    """Our module names -> the public ones, which number blocks through all levels."""
    levels, blocks = len(settings["channels"]), settings["blocks"]
    plain = settings["flavour"] == "iddpm"
    names = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "unet.class_embedding": "label_emb",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
    }
    for level in range(levels):
        down, up = f"down_blocks.{level}", f"up_blocks.{levels - 1 - level}"
        # Going down, a level ends with its downsampler, a block of its own.
        for j in range(blocks):
            block = f"input_blocks.{1 + level * (blocks + 1) + j}"
            names |= {f"{down}.resnets.{j}": f"{block}.0", f"{down}.attentions.{j}": f"{block}.1"}
        block = f"input_blocks.{(level + 1) * (blocks + 1)}.0"
        names[f"{down}.downsamplers.0{'.conv' * plain}"] = block + ".op" * plain
        # Going up there is one block more, and the upsampler is the last item of that.
        for j in range(blocks + 1):
            block = f"output_blocks.{(levels - 1 - level) * (blocks + 1) + j}"
            names |= {f"{up}.resnets.{j}": f"{block}.0", f"{up}.attentions.{j}": f"{block}.1"}
        item = 2 if level in settings["attention_levels"] else 1
        names[f"{up}.upsamplers.0{'.conv' * plain}"] = f"{block}.{item}{'.conv' * plain}"
    return names


def _public_key(modules: dict[str, str], name: str) -> str:
    """Public name of our state-dict entry ``name``."""
    if name == "shares":
        return name
    layer, _, kind = name.removeprefix("unet.network.").rpartition(".")
    if layer in modules:
        return f"{modules[layer]}.{kind}"
    part = next(part for part in PARTS if layer.endswith(f".{part}"))
    return f"{modules[layer.removesuffix(f'.{part}')]}.{PARTS[part]}.{kind}"
