"""Pretrained extractors from local files: timm, Inception-v3, VGG-16, SqueezeNet; none is fetched."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import timm
import torch
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from pseudodensity.artifacts import file_sha256, one_line
from pseudodensity.features.extractor import Extractor
from pseudodensity.features.packaged import INSTALL, PACKAGED, packaged_weights
from pseudodensity.features.weight_files import MAX_BYTES, load_state_dict

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Timm(Extractor):
    """A timm model without its classifier, with timm's own input size, mean, std and filter.

    The paper's features: vit_base_patch16_224.augreg_in21k_ft_in1k, 768-d, the weights behind
    timm 0.5.4's vit_base_patch16_224 (the bare name means other weights since timm 0.9).
    """

    def __init__(self, name: str, weights: str | None, sha256: str | None):
        """name: timm model name. weights: local file, its digest sha256. ValueError: a name of a
        hub, a model that gives no vector; `read_weights`."""
        model = timm_model(name)
        config = model.pretrained_cfg
        size = config["input_size"][-1]
        dim = width_of(model, name, size)
        super().__init__(dim, size, config["mean"], config["std"], filter_of(config))
        state = read_weights(weights, sha256, f"timm's {config.get('hf_hub_id') or name}")
        load_state(model, without_classifier(state, config["classifier"]), weights)
        self.model = model

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> pooled features (n, dim)."""
        return self.model(x)


class Packaged(Extractor):
    """A network of timm with the weights of an installed package, see `packaged`."""

    def __init__(self, name: str, resolution: int | None = None):
        """name: in `packaged.PACKAGED`. resolution: side of the images that the network sees; its
        own if None. ValueError: no such name, not installed, another digest."""
        weights = packaged_weights(name)
        if weights is None:
            raise ValueError(f"the package of {name} is not installed: {INSTALL}")
        network = PACKAGED[name]
        size = resolution or network["resolution"]
        model = timm.create_model(network["timm"], pretrained=False).eval()
        config = model.pretrained_cfg
        # The package names the tensors otherwise, in the same order.
        state = read_weights(str(weights), network["sha256"], network["distribution"])
        load_state(model, dict(zip(model.state_dict(), state.values(), strict=True)), str(weights))
        model.reset_classifier(0)
        dim = width_of(model, name, size)
        super().__init__(dim, size, config["mean"], config["std"], filter_of(config))
        self.model = model

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> pooled features (n, dim)."""
        return self.model(x)


class Inception(Extractor):
    """Inception-v3 of the Frechet inception distance, 2048-d, through torch-fidelity's network.

    It keeps TensorFlow 1's bilinear resize without antialiasing, the rule behind every published
    FID, so its features are those of torch-fidelity; a stated exception to the project's filter.
    """

    def __init__(self, weights: str | None, sha256: str | None):
        """weights: torch-fidelity's weights-inception-2015-12-05 file, its digest sha256."""
        super().__init__(2048, 299, (128 / 255,) * 3, (128 / 255,) * 3, "bilinear")
        state = read_weights(
            weights, sha256, "torch-fidelity's weights-inception-2015-12-05 release"
        )
        # torch-fidelity unpickles the file that it is given, so it gets bytes that we wrote.
        safe = io.BytesIO()
        torch.save(state, safe)
        safe.seek(0)
        try:
            network = FeatureExtractorInceptionV3("inception", ["2048"], safe)
        except RuntimeError as error:
            raise ValueError(f"{weights} does not fit Inception-v3: {one_line(error)}") from None
        layers = [layer for name, layer in network.named_children() if name != "fc"]
        self.model = nn.Sequential(*layers, nn.Flatten())

    def prepare(self, x: Tensor) -> Tensor:
        """Images in [-1, 1] -> 299 px by TensorFlow 1's bilinear rule, scaled as Inception's are."""
        size = (self.size, self.size)
        x = interpolate_bilinear_2d_like_tensorflow1x(x, size, align_corners=False)
        return (x - self.offset) / self.scale

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> pool features (n, 2048)."""
        return self.model(x)


class Vgg16(Extractor):
    """torchvision's VGG-16, second fully connected layer after ReLU, 4096-d (improved P/R)."""

    def __init__(self, weights: str | None, sha256: str | None):
        """weights: torchvision's vgg16 (IMAGENET1K_V1) file, its digest sha256."""
        super().__init__(4096, 224, **IMAGENET, interpolation="bilinear")
        model = read_vgg16(weights, sha256)
        # Positions 0..4 of the classifier: fc1, ReLU, dropout, fc2, ReLU.
        head = model.classifier[:5]
        self.model = nn.Sequential(model.features, model.avgpool, nn.Flatten(), head)

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> rectified fc2 activations (n, 4096)."""
        return self.model(x)


class SqueezeNet(Extractor):
    """torchvision's SqueezeNet 1.1, its last feature map averaged, 512-d: small and fast."""

    def __init__(self, weights: str | None, sha256: str | None, resolution: int = 224):
        """weights: torchvision's squeezenet1_1 (IMAGENET1K_V1) file or one of its form, its digest
        sha256. resolution: side of the images that the network sees."""
        super().__init__(512, resolution, **IMAGENET, interpolation="bilinear")
        state = read_weights(weights, sha256, "torchvision's squeezenet1_1 IMAGENET1K_V1")
        model = torchvision.models.squeezenet1_1(weights=None)
        load_state(model, state, weights)
        self.model = nn.Sequential(model.features, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> pooled features (n, 512)."""
        return self.model(x)


def read_vgg16(weights: str | None, sha256: str | None) -> torchvision.models.VGG:
    """torchvision's VGG-16 with the weights of a local file; ValueError: as `read_weights`."""
    state = read_weights(weights, sha256, "torchvision's vgg16 IMAGENET1K_V1")
    model = torchvision.models.vgg16(weights=None, init_weights=False)
    load_state(model, state, weights)
    return model


def timm_model(name: str) -> nn.Module:
    """A timm model without its classifier, random weights, in eval mode.

    ValueError, one line: a name that asks for a hub or a folder; no model that can be built so.
    """
    if not re.fullmatch(r"[\w.]+", name):
        raise ValueError(
            f"timm model {name!r} names a hub or a folder, and nothing is fetched: give the bare "
            "name, such as vit_base_patch16_224, and its file in `weights`"
        )
    try:
        return timm.create_model(name, pretrained=False, num_classes=0).eval()
    except Exception as error:  # noqa: BLE001 - a thousand constructors
        raise ValueError(
            f"timm {timm.__version__} cannot build {name!r}: {one_line(error)}"
        ) from None


@torch.no_grad()
def width_of(model: nn.Module, name: str, size: int) -> int:
    """Length of a feature, from a forward pass: timm's num_features is that before the head.

    ValueError, one line: the model fails at this size, or gives something else than vectors.
    """
    try:
        output = model(torch.zeros(1, 3, size, size))
    except Exception as error:  # noqa: BLE001 - a thousand networks
        raise ValueError(f"{name} fails on images of {size} px: {one_line(error)}") from None
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[1] == 0:
        raise ValueError(f"{name} gives no vector for an image: name another model of timm")
    return output.shape[1]


def filter_of(config: Mapping[str, Any]) -> Literal["bicubic", "bilinear"]:
    """The resize filter that timm states for a network; its rarer ones become bicubic."""
    return "bilinear" if config["interpolation"] == "bilinear" else "bicubic"


def without_classifier(
    state: Mapping[str, Tensor], classifier: str | Sequence[str] | None
) -> dict[str, Tensor]:
    """A state dict without the tensors of a classifier; distilled networks have two."""
    names = [classifier or "head"] if not classifier or isinstance(classifier, str) else classifier
    heads = tuple(f"{name}." for name in names)
    return {key: value for key, value in state.items() if not key.startswith(heads)}


def read_weights(
    path: str | None,
    sha256: str | None,
    source: str,
    settings: tuple[str, str] = ("weights", "sha256"),
) -> dict[str, Tensor]:
    """State dict of a local .safetensors or torch file whose SHA-256 is `sha256`.

    source: what to get. settings: names of the settings that hold the path and the digest.
    Nothing in the file is executed. ValueError: no path (the message says what to get), no such
    file, no digest or another one, a file that holds no state dict.
    """
    if path is None:
        raise ValueError(
            f"no weights file: download {source}, put its path in `{settings[0]}` and its SHA-256 in "
            f"`{settings[1]}`"
        )
    if not Path(path).is_file():
        raise ValueError(f"weights file {path} does not exist: download {source} to that path")
    if Path(path).stat().st_size > MAX_BYTES:
        raise ValueError(f"weights file {path} is larger than {MAX_BYTES} bytes: get {source}")
    found = file_sha256(path)
    if found != sha256:
        raise ValueError(
            f"weights file {path} has SHA-256 {found}, not {sha256}: get {source} again, or correct "
            f"`{settings[1]}`"
        )
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        return load_state_dict(path)
    except (pickle.UnpicklingError, SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is no plain state dict: {one_line(error)}; get {source} again"
        ) from None


def load_state(model: nn.Module, state: dict[str, Tensor], path: str | None) -> None:
    """Load every weight of `state` into `model`; ValueError if they do not match exactly."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {one_line(error)}") from None
