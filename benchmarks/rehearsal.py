"""Files in the formats and shapes of config/scales/paper.yaml, with random weights and pictures.

    python benchmarks/rehearsal.py [--only NAME ...]
    snakemake results/table1.csv --cores 1 --configfile config/scales/paper.yaml \
        config/scales/rehearsal.yaml downloads/rehearsal/files.yaml

Everything lies below downloads/rehearsal, never where a real download would. What is there is kept, so
the same command goes on. files.yaml, written last, is an overlay that says where the files are and
what their digests are. The weights are those before any training: images mean nothing, shapes, times
and memory are those of the papers' scale.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
import yaml
from public_files import networks, pictures
from torch_fidelity.feature_extractor_inceptionv3 import (
    FeatureExtractorInceptionV3,
)

from pseudodensity.artifacts import file_sha256

PLACE = "downloads/rehearsal"
PAPER = Path("config/scales/paper.yaml")
STYLE = {"z_dim": 512, "w_dim": 512, "channel_max": 512}
CONFIG_F = STYLE | {"mapping_layers": 8, "channel_base": 32768}
STYLEGAN3_T = STYLE | {"mapping_layers": 2, "channel_base": 32768, "num_layers": 14}
STYLEGAN3_T |= {"num_critical": 2, "margin_size": 10, "conv_clamp": 256}
DISCRIMINATOR = {"channel_base": 32768, "channel_max": 512}
PROGAN = {"z_dim": 512, "channel_base": 8192, "channel_max": 512}
FACES = ["age", "gender", "race", "head_pose", "Bald", "Eyeglasses", "Gray_Hair", "Wearing_Hat"]
# Images of each set in config/scales/rehearsal.yaml: more or fewer lines are refused.
SETS = {"references": 10, "starts": 20, "search": 20, "pick": 20, "real": 64}
SETS_OF_SMALL = SETS | {"references": 4}
# Images of each class: two have enough for the Gaussians that measure hardness.
OF_CLASSES = [10, 10] + [1] * 998


def weights() -> dict[str, Callable[[Path], None]]:
    """Name of a file of weights -> what writes it."""
    stylegan2 = partial(networks.nvlabs, architecture="stylegan2", of_d=DISCRIMINATOR)
    unet = partial(networks.openai, blocks=2)
    projected = partial(
        networks.projectedgan, resolution=256, settings={"z_dim": 256, "ngf": 128}, width=64
    )
    return {
        "vit_base_patch16_224.safetensors": partial(
            timm_weights, "vit_base_patch16_224.augreg_in21k_ft_in1k"
        ),
        "resnet50.safetensors": partial(timm_weights, "resnet50.a1_in1k"),
        "vgg16-397923af.pth": lambda path: networks.save(
            path, torchvision.models.vgg16(weights=None).state_dict()
        ),
        "weights-inception-2015-12-05-6726825d.pth": inception_weights,
        "lpips-vgg.pth": networks.lpips_heads,
        "church.pkl": projected,
        "bedroom.pkl": projected,
        "stylegan2-church-config-f.pkl": partial(
            networks.stylegan2_tensorflow, resolution=256, settings=CONFIG_F
        ),
        "stylegan2-ffhq-1024x1024.pkl": partial(stylegan2, resolution=1024, settings=CONFIG_F),
        "stylegan3-t-ffhq-1024x1024.pkl": partial(
            networks.nvlabs,
            architecture="stylegan3",
            resolution=1024,
            settings=STYLEGAN3_T,
            of_d=DISCRIMINATOR,
        ),
        "karras2018iclr-celebahq-1024x1024.pkl": partial(
            networks.progan, resolution=1024, settings=PROGAN
        ),
        "64x64_diffusion.pt": partial(
            networks.openai,
            flavour="adm",
            channels=(192, 384, 576, 768),
            blocks=3,
            attended=(1, 2, 3),
            classes=1000,
        ),
        "lsun_uncond_100M_1200K_bs128.pt": partial(
            unet, flavour="iddpm", channels=(128, 128, 256, 256, 512, 512), attended=(4,)
        ),
        "lsun_bedroom.pt": partial(
            unet, flavour="adm", channels=(256, 256, 512, 512, 1024, 1024), attended=(3, 4, 5)
        ),
        "metfaces.pkl": partial(stylegan2, resolution=1024, settings=CONFIG_F),
        "afhqcat.pkl": partial(stylegan2, resolution=512, settings=CONFIG_F),
        "afhqdog.pkl": partial(stylegan2, resolution=512, settings=CONFIG_F),
    }


def data(place: Path) -> dict[str, Callable[[Path], None]]:
    """Name of a data set -> what writes it; the labels of IDX come with their images."""
    found: dict[str, Callable[[Path], None]] = {
        "ffhq1024": partial(pictures.folder, side=1024, count=64, seed=1),
        "celebahq1024": partial(pictures.folder, side=1024, count=64, seed=2),
        "metfaces1024": partial(pictures.folder, side=1024, count=64, seed=3),
        "afhq512/train/cat": partial(pictures.folder, side=512, count=64, seed=4),
        "afhq512/train/dog": partial(pictures.folder, side=512, count=64, seed=5),
        "bedroom_train_lmdb": partial(pictures.lsun, side=256, count=128, seed=6),
        "church_outdoor_train_lmdb": partial(pictures.lsun, side=256, count=128, seed=7),
        "imagenet64": partial(pictures.class_folders, side=64, counts=OF_CLASSES, seed=8),
    }
    for seed, name in enumerate(("mnist", "fashion"), start=9):
        labels = place / f"{name}-train-labels-idx1-ubyte.gz"
        found[f"{name}-train-images-idx3-ubyte.gz"] = partial(
            pictures.idx, labels=labels, side=28, count=512, seed=seed
        )
    for seed, name in enumerate(("ffhq", "afhq-cat", "afhq-dog", "metfaces"), start=11):
        counts = SETS if name == "ffhq" else SETS_OF_SMALL
        found[f"attributes-{name}.csv"] = partial(
            pictures.attributes, names=FACES, counts=counts, seed=seed
        )
    return found


def timm_weights(name: str, path: Path) -> None:
    """The whole state dict of a model of timm."""
    networks.save(path, timm.create_model(name, pretrained=False).state_dict())


def inception_weights(path: Path) -> None:
    """The state dict of torch-fidelity's Inception-v3: kernels that keep the size of what passes."""
    with torch.device("meta"):
        shapes = inception_shapes()
    state = {}
    for name, shape in shapes.items():
        tensor = torch.zeros(shape.shape, dtype=shape.dtype)
        if tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor)
        elif name.endswith(("running_var", "bn.weight")):
            tensor += 1
        state[name] = tensor
    networks.save(path, state)


def inception_shapes() -> dict[str, torch.Tensor]:
    """Names and shapes of the network, which torch-fidelity builds only around a file."""

    class Shapes(FeatureExtractorInceptionV3):
        def load_state_dict(self, state, **settings):
            return None

    empty = Path(f"{PLACE}/empty.pth")
    torch.save({}, empty)
    try:
        return Shapes("inception", ["2048"], str(empty)).state_dict()
    finally:
        empty.unlink()


def written(path: Path, write: Callable[[Path], None]) -> None:
    """Write what is not there whole, and say it."""
    if path.exists():
        print(f"{path} is there")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    half = path.with_name(f"half-{path.name}")
    shutil.rmtree(half, ignore_errors=True)
    half.unlink(missing_ok=True)
    write(half)
    os.replace(half, path)
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    print(f"{path}: {sum(file.stat().st_size for file in files) / 1e6:,.1f} MB", flush=True)


def overlay(value: Any) -> Any:
    """Where the entries of paper.yaml find their files, with digests; None for what needs none."""
    if not isinstance(value, dict):
        return None
    found = dict(_entries(value))
    return found or None


def _entries(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    digests = {"weights": "sha256", "head_weights": "head_sha256"}
    for key, own in value.items():
        if isinstance(own, str) and own.startswith("downloads/"):
            path = f"{PLACE}/{own.removeprefix('downloads/')}"
            yield key, path
            if key in digests and Path(path).is_file():
                yield digests[key], file_sha256(path)
        elif (inner := overlay(own)) is not None:
            yield key, inner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", help="names of files or data sets; all if left out")
    only = parser.parse_args().only
    place = Path(PLACE)
    place.mkdir(parents=True, exist_ok=True)
    for name, write in {**data(place), **weights()}.items():
        if only is None or name in only:
            written(place / name, write)
    text = yaml.safe_dump(overlay(yaml.safe_load(PAPER.read_text())), sort_keys=False)
    (place / "files.yaml").write_text(f"# Written by benchmarks/rehearsal.py.\n{text}")
    print(f"{place}/files.yaml says where they are")


if __name__ == "__main__":
    main()
