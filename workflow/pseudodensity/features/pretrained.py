"""Pretrained extractors from local files: a timm model, Inception-v3, VGG-16. Nothing is fetched."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

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

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Timm(Extractor):
    """A timm model without its classifier, with timm's own input size, mean, std and filter.

    The paper's features: vit_base_patch16_224.augreg_in21k_ft_in1k, 768-d, the weights behind
    timm 0.5.4's vit_base_patch16_224 (the bare name means other weights since timm 0.9).
    """

    def __init__(self, name: str, weights: str | None, sha256: str | None):
        """name: timm model name. weights: local file, its digest sha256. ValueError: `read_weights`."""
        try:
            model = timm.create_model(name, pretrained=False, num_classes=0)
        except RuntimeError as error:
            raise ValueError(
                f"timm {timm.__version__} cannot build {name!r}: {one_line(error)}"
            ) from None
        config = model.pretrained_cfg
        smooth = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
        size = config["input_size"][-1]
        super().__init__(model.num_features, size, config["mean"], config["std"], smooth)
        state = read_weights(weights, sha256, f"timm's {config.get('hf_hub_id') or name}")
        classifier = f"{config['classifier'] or 'head'}."
        state = {key: value for key, value in state.items() if not key.startswith(classifier)}
        load_state(model, state, weights)
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
        state = read_weights(weights, sha256, "torchvision's vgg16 IMAGENET1K_V1")
        model = torchvision.models.vgg16(weights=None, init_weights=False)
        load_state(model, state, weights)
        # Positions 0..4 of the classifier: fc1, ReLU, dropout, fc2, ReLU.
        head = model.classifier[:5]
        self.model = nn.Sequential(model.features, model.avgpool, nn.Flatten(), head)

    def embed(self, x: Tensor) -> Tensor:
        """Prepared images -> rectified fc2 activations (n, 4096)."""
        return self.model(x)


def read_weights(path: str | None, sha256: str | None, source: str) -> dict[str, Tensor]:
    """State dict of a local .safetensors or torch file whose SHA-256 is `sha256`.

    Nothing in the file is executed. ValueError: no path (the message says what to get), no such
    file, no digest or another one, a file that holds no state dict.
    """
    if path is None:
        raise ValueError(
            f"no weights file: download {source}, put its path in `weights` and its SHA-256 in `sha256`"
        )
    if not Path(path).is_file():
        raise ValueError(f"weights file {path} does not exist: download {source} to that path")
    found = file_sha256(path)
    if found != sha256:
        raise ValueError(
            f"weights file {path} has SHA-256 {found}, not {sha256}: get {source} again, or correct `sha256`"
        )
    try:
        if Path(path).suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no plain state dict: {one_line(error)}") from None


def load_state(model: nn.Module, state: dict[str, Tensor], path: str | None) -> None:
    """Load every weight of `state` into `model`; ValueError if they do not match exactly."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit the model: {one_line(error)}") from None
