"""A public checkpoint file -> settings and state dicts of our networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pseudodensity.artifacts import ArtifactError, file_sha256
from pseudodensity.checkpoints.biggan import convert_biggan
from pseudodensity.checkpoints.openai import convert_openai
from pseudodensity.checkpoints.progan import convert_progan
from pseudodensity.checkpoints.projectedgan import convert_projectedgan
from pseudodensity.checkpoints.stylegan import convert_stylegan
from pseudodensity.checkpoints.stylegan_tensorflow import convert_stylegan_tensorflow
from pseudodensity.generators.build import build_generator
from pseudodensity.generators.checkpoint import CheckpointFile, save_checkpoint
from pseudodensity.plan.declared import declared, modules_declaring
from pseudodensity.tensors import refuse_non_finite

__all__ = ["FORMATS", "convert", "import_checkpoint"]

# format -> its converter; a generator module declares which formats it comes in
FORMATS = {
    "nvlabs": convert_stylegan,
    "nvlabs_tensorflow": convert_stylegan_tensorflow,
    "progan": convert_progan,
    "projectedgan": convert_projectedgan,
    "openai": convert_openai,
    "biggan": convert_biggan,
}


def convert(
    path: str | Path, format: str, architecture: str, sha256: str | None = None
) -> dict[str, Any]:
    """Read a public checkpoint as data and name its tensors as our networks do.

    Args:
        path: the file as its owner publishes it.
        format: "nvlabs" (StyleGAN2-ADA-PyTorch and StyleGAN3 pickles),
            "nvlabs_tensorflow" (StyleGAN2 pickles), "progan" (TensorFlow pickles), "projectedgan" (plain
            and dill pickles), "openai" (guided-diffusion and improved-diffusion ``.pt``) or "biggan"
            (BigGAN-deep, ``pytorch_model.bin``).
        architecture: what the file must hold, as ``build_generator`` calls it.
        sha256: the expected digest of the file; without one the digest is only reported.

    Returns:
        ``settings``: {"resolution": R, "generator": settings of ``build_generator``,
        "discriminator": settings of ``build_discriminator`` or None};
        ``generator``, ``average``: state dicts of the raw and of the averaged generator, the same
        where only the average is published; ``discriminator``: state dict or None;
        ``sha256``: hexadecimal digest of the file.

    Raises:
        ArtifactError: unknown format, a missing file, another digest, a damaged or hostile file,
            or one that holds another architecture.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ArtifactError(f"unknown format {format!r}: choose one of {', '.join(FORMATS)}")
    modules = modules_declaring("generators", "DECLARATION")
    architectures = [
        n for n, m in modules.items() if format in declared(m, "DECLARATION")["formats"]
    ]
    if architecture not in architectures:
        raise ArtifactError(
            f"{path}: a file of format {format} holds {' or '.join(architectures)}, "
            f"not {architecture}"
        )
    if not path.is_file():
        raise ArtifactError(f"{path} does not exist: download it from its owner first")
    digest = file_sha256(path)
    if sha256 is not None and digest != sha256.strip().lower():
        raise ArtifactError(f"{path} has SHA-256 {digest}, expected {sha256}: download it again")
    try:
        return {**FORMATS[format](path, architecture), "sha256": digest}
    except ArtifactError as error:
        raise ArtifactError(f"{path} {error}") from None


def import_checkpoint(
    source: str | Path,
    spec: Mapping[str, Any],
    path: str | Path,
    stamp: Mapping[str, Any] | None = None,
) -> None:
    """Convert the public file ``source`` and write it as a checkpoint of ours.

    Args:
        spec: ``architecture``, ``resolution`` and ``source``: ``format`` and ``sha256``; ``sampling``, where
            the file says nothing of it: settings of the generator, such as ``sampling_steps``.
        path: the checkpoint to write; the digest of the file is among its facts.
        stamp: all that defines the checkpoint, written into it; the spec where none is given.

    Raises:
        ArtifactError: as :func:`convert`; the file is of another resolution than ``spec``.
        NonFiniteError: a weight is NaN or infinite.
        ValueError: the generator cannot be sampled as ``sampling`` says.
    """
    origin = spec["source"]
    found = convert(source, origin["format"], spec["architecture"], origin["sha256"])
    settings = dict(found["settings"])
    if "sampling" in spec:
        settings["generator"] = {**settings["generator"], **spec["sampling"]}
        with torch.device("meta"):
            build_generator(spec["architecture"], settings["resolution"], settings["generator"])
    resolution = settings.pop("resolution")
    if resolution != spec["resolution"]:
        raise ArtifactError(
            f"{source} makes images of {resolution} px, the config says {spec['resolution']} px: "
            "correct the resolution of the data set"
        )
    states = {k: found[k] for k in ("average", "generator", "discriminator") if found[k]}
    for state in states.values():
        refuse_non_finite(state, source)
    facts = {"sha256": found["sha256"]}
    checkpoint = CheckpointFile(spec["architecture"], resolution, settings, states, facts)
    save_checkpoint(path, checkpoint, stamp or spec)
