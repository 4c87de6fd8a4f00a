"""Extractors by name, and the files they are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from pseudodensity.artifacts import one_line
from pseudodensity.features.extractor import Extractor
from pseudodensity.plan.declared import parameters
from pseudodensity.tensors import load_tensors, save_tensors

# Kind -> "module:class" in this folder.
TRAINED_HERE = {"small_vit": "small:SmallViT", "small_cnn": "small:SmallCnn"}
# What an entry of a config says of the training, and the network is not told.
TRAINING = ("trained_on", "training", "mirror")
PRETRAINED = {
    "timm": "pretrained:Timm",
    "inception": "pretrained:Inception",
    "vgg16": "pretrained:Vgg16",
    "squeezenet": "pretrained:SqueezeNet",
    "packaged": "pretrained:Packaged",
    "lpips": "lpips:Lpips",
}


def _class_of(kind: str) -> type[Extractor]:
    module, _, name = (TRAINED_HERE | PRETRAINED)[kind].partition(":")
    # Imported when one is built: timm takes seconds, and many jobs load features only.
    return getattr(import_module(f"pseudodensity.features.{module}"), name)


def build_extractor(spec: Mapping[str, Any], seed: int = 0) -> Extractor:
    """Extractor of an entry of a config's ``extractors``, frozen, in eval mode.

    Pretrained kinds (timm, inception, vgg16, squeezenet) read the local file in `weights` and check `sha256`;
    lpips reads two, packaged ones find theirs. Kinds trained here (small_vit, small_cnn) start from random weights
    that depend on `seed` alone: what they would be trained on is left out, and `trained` is False.
    ValueError: unknown kind, missing or unknown settings, an unfit weights file.
    """
    settings = dict(spec)
    kind = settings.pop("kind", None)
    kinds = [*PRETRAINED, *TRAINED_HERE]
    if kind not in kinds:
        raise ValueError(f"unknown extractor kind {kind!r}: use one of {', '.join(kinds)}")
    if kind in TRAINED_HERE:
        for key in TRAINING:
            settings.pop(key, None)
    _check_settings(kind, settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        extractor = _class_of(kind)(**settings)
    extractor.spec = {"kind": kind, **settings}
    extractor.trained = kind in PRETRAINED
    return extractor.eval().requires_grad_(False)


def _check_settings(kind: str, settings: Mapping[str, Any]) -> None:
    """ValueError, one line: a setting that the kind does not have, or one that is missing."""
    module, _, name = (TRAINED_HERE | PRETRAINED)[kind].partition(":")
    known = parameters(f"features.{module}", name)
    unknown = [key for key in settings if key not in known]
    missing = [key for key, needed in known.items() if needed and key not in settings]
    for what, keys in (("has no setting", unknown), ("needs", missing)):
        if keys:
            names = one_line(ValueError(", ".join(map(str, keys))))
            raise ValueError(
                f"settings of extractor {kind}: it {what} {names}; it takes {', '.join(known)}"
            )


def save_extractor(
    path: str | Path, extractor: Extractor, report: Mapping[str, Any] | None = None
) -> None:
    """Write an extractor and how its training went to one safetensors file.

    A pretrained one is kept as its spec, which names the weights by path and digest.
    """
    tensors = extractor.state_dict() if extractor.spec["kind"] in TRAINED_HERE else {}
    meta = {"spec": extractor.spec, "report": dict(report or {})}
    save_tensors(path, tensors, extractor.spec, meta)


def load_extractor(path: str | Path) -> Extractor:
    """Read what `save_extractor` wrote. ArtifactError: missing or damaged; as `build_extractor`."""
    tensors, meta = load_tensors(path)
    extractor = build_extractor(meta["spec"])
    if tensors:
        extractor.load_state_dict(tensors)
        extractor.trained = True
    return extractor
