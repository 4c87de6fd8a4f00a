"""What a job may ask of a machine, from the shapes of what it makes: for schedulers, never for numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.work import amount, calls_many, data_settings, real_images

__all__ = [
    "images_at_once",
    "of_attempt",
    "priority",
    "resources",
    "round_as_on_a_cpu",
    "stored_images",
    "stored_images_of",
]

# Kinds whose jobs run a network on the device; a small extractor is trained on the CPU.
ON_DEVICE = (
    "features",
    "trained",
    "finetuned",
    "auxiliary",
    "pool",
    "reals",
    "column",
    "scores",
    "moved",
    "extremes",
    "costs",
)
# What an experiment calls a network that it puts images through, where the others compute.
NETWORKS = frozenset(("checkpoint", "extractor", "classifier"))
BASE_MB = 2_000  # an interpreter with torch and its libraries
MOST_MB = 20_000  # for images, networks and weights: no job of inference may need more
FEATURES_MB = 4096 * 4 / 1e6  # of an image by a judge, none of which is wider
# Kinds that look for neighbours, or measure other distances of all images.
MEASURES = ("scores", "experiment", "density", "extremes")

# What an image takes on a CPU, as docs/paper_scale.md measured it, rounded up: numbers of single precision that the last
# layers of a network hold for one number of the image, in a pass, for a gradient and in a step of a training; and MB
# that the first layers of a public network take at any size, in a pass and in a training. A U-Net takes twice as much.
PASS, GRADIENT, TRAINING = 80, 500, 500
FIRST_LAYERS_MB, FIRST_LAYERS_OF_TRAINING_MB = 300, 1_800
OF_U_NET_MEMORY = 2
JUDGES_MB = 1_500  # the networks that describe an image, with what they work on
# On a GPU these lie on the card, and the machine holds the images some times over.
HOST = 16
# Pixels of a side that an extractor looks at; larger images are made smaller first.
LARGEST_INPUT = 300
ROOM_MB = 16_000  # for the activations of images that are worked on at once
TRAINS = ("trained", "finetuned", "auxiliary")
# Copies of a public file's weights that a job holds: as it reads them, and in training with averages and moments.
COPIES, COPIES_OF_TRAINING = 3, 7

# Seconds on a GPU, generous, for a scheduler kills what exceeds them: of an image, and of a pass of a million pixels.
# Those of an image are of the networks that look at it, which make it smaller first.
SECONDS = {
    "data": (0.0005, 0.1),
    "features": (0.03, 0.05),
    "reals": (0.1, 0.1),
    "pool": (0.1, 0.5),
    "column": (0.03, 0.5),
    "density": (0.001, 0.0),  # of an image and epoch, on a core
}
OTHER_SECONDS = (0.0, 0.05)
# So many times as long as a pass of a GAN, and as one without a gradient.
OF_U_NET, OF_GRADIENT = 20, 3
LONGEST_MINUTES = 2_880
SHORTEST_MINUTES = 30
MINUTES_OF_COSTS = 240  # for calls of every part of a model, again and again
# Distances between all images: operations for a pair, and in a second on some cores.
OF_A_PAIR, CORES_DO = 2 * 4096, 1e11

# The short jobs that others wait for come first; then what finishes a block that is begun, so that its
# rows are printed early; then the longest trainings, or one ends alone.
URGENT = {"data": 40, "extractor": 40, "features": 40, "density": 40, "feature_density": 40}
URGENT |= {"scores": 30, "finetuned": 25, "auxiliary": 25, "pool": 25, "reals": 22}


def round_as_on_a_cpu() -> None:
    """Switch TF32 off in this process and in its jobs, on a cluster too, since each job reads the rules again.

    With it convolutions on a GPU round to 10 bits; where a job runs may change how fast, never what.
    """
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


def resources(artifact: Artifact, config: Mapping[str, Any]) -> dict[str, int]:
    """``gpu``, ``mem_mb``, ``runtime`` (minutes) and ``disk_mb`` of the job that makes an artefact."""
    images, side = _shape(artifact, config)
    pixels = 3 * side * side
    features = _features_mb(artifact, config, images)
    working = BASE_MB + _working_mb(artifact, config, images, side) + _weights_mb(artifact)
    described = len(config["judges"]) if artifact.kind in ("pool", "reals") else 0
    written = features if artifact.kind == "features" else described * images * FEATURES_MB
    stored = _stored(artifact, config, images) * pixels / 1e6
    return {
        "gpu": int(config["runtime"]["device"] != "cpu" and _runs_network(artifact)),
        "mem_mb": math.ceil(min(MOST_MB, working) + features),
        "runtime": _minutes(artifact, config, images, side),
        "disk_mb": math.ceil(stored + written + 100),
    }


def _features_mb(artifact: Artifact, config: Mapping[str, Any], images: int) -> float:
    """What a job holds of features: those of pools twice, as parts are joined, and of reals, as distances copy them."""
    if artifact.kind == "features":
        return 1.3 * images * FEATURES_MB  # and whether each is a number
    described = images if artifact.kind in ("pool", "reals") else _rows_of_pools(artifact)
    real = sum(real_images(one, config) for one in artifact.upstream() if one.kind == "features")
    return 2 * (len(config["judges"]) * described + real) * FEATURES_MB


def images_at_once(artifact: Artifact, config: Mapping[str, Any]) -> int:
    """Images that a job puts through its networks together: as the config says, or as many as fit where images are
    large, fewer where gradients keep what every layer made. It changes no number."""
    _, side = _shape(artifact, config)
    fits = int(ROOM_MB / _of_image_mb(artifact, side))
    return max(1, min(config["runtime"]["batch_size"], fits))


def _of_image_mb(artifact: Artifact, side: int) -> float:
    """What an image needs in the networks of a job."""
    if artifact.kind in ("features", "reals", "extractor"):
        side = min(side, LARGEST_INPUT)
    first, numbers = FIRST_LAYERS_MB, GRADIENT if _takes_gradients(artifact) else PASS
    if artifact.kind in TRAINS:
        first, numbers = FIRST_LAYERS_OF_TRAINING_MB, TRAINING
    source = _public_source(artifact)
    of_image = numbers * _image_mb(side) + (first if source else 0)
    return of_image * (OF_U_NET_MEMORY if source and calls_many(source) else 1)


def _takes_gradients(artifact: Artifact) -> bool:
    """Whether a job may take gradients of images: those of methods that make images themselves."""
    pool = artifact.needs.get("pool", artifact)
    return artifact.kind == "moved" or (pool.kind == "pool" and pool.spec["point"] is not None)


def _image_mb(side: int) -> float:
    return 3 * side * side * 4 / 1e6


def _working_mb(artifact: Artifact, config: Mapping[str, Any], images: int, side: int) -> float:
    """What the images need that a job works on at once."""
    if artifact.kind == "scores":  # features alone
        return 0.0
    batch = _at_once(artifact, config, images)
    if not _runs_network(artifact) or config["runtime"]["device"] != "cpu":
        return HOST * batch * _image_mb(side)
    judged = JUDGES_MB if artifact.kind in ("pool", "reals", "column") else 0
    return batch * _of_image_mb(artifact, side) + judged


def _at_once(artifact: Artifact, config: Mapping[str, Any], images: int) -> int:
    """Images in memory together: of a pass, or of a part of a training's batch."""
    batch = min(images, images_at_once(artifact, config))
    if artifact.kind not in TRAINS:
        return batch
    settings = artifact.spec.get("recipe") or artifact.spec["settings"]
    return settings.get("batch_size", batch) // settings.get("accumulate", 1)


def _public_source(artifact: Artifact) -> Artifact | None:
    """The public file that the network of a job comes from, if it does."""
    source: Artifact | None = artifact.needs.get("pool", artifact)
    while source is not None and source.kind != "imported":
        source = source.needs.get("checkpoint") or source.needs.get("parent")
    return source


def _weights_mb(artifact: Artifact) -> float:
    """What the weights of a public file take, some times over."""
    source = _public_source(artifact)
    file = Path(source.files["file"]) if source else None
    copies = COPIES_OF_TRAINING if artifact.kind in TRAINS else COPIES
    return copies * file.stat().st_size / 1e6 if file and file.is_file() else 0.0


def of_attempt(asked: Mapping[str, int], attempt: int, *, had_enough: bool) -> dict[str, int]:
    """What a job asks for at its first, second ... attempt: memory and time double with each, since a scheduler
    kills what exceeds them. No time is beyond the longest: a training resumes, and a queue has its limit.

    had_enough: memory was enough the last time, as for a training that has saved a state: its first step, with
    all penalties that come once in an interval, takes the most.
    """
    more = 2 ** (attempt - 1)
    minutes = min(LONGEST_MINUTES, asked["runtime"] * more)
    memory = asked["mem_mb"] * (1 if had_enough else more)
    return {**asked, "mem_mb": memory, "runtime": minutes}


def stored_images(config: Mapping[str, Any], side: int, count: int) -> int:
    """How many images of a part of a pool are kept as pixels: all if they are small, else a few."""
    fits = count * 3 * side * side <= config["runtime"]["stored_mb"] * 1e6
    return count if fits else min(count, config["sampling"]["kept_images"])


def stored_images_of(artifact: Artifact, config: Mapping[str, Any]) -> int:
    """How many images the job of a part of a pool stores."""
    return _stored(artifact, config, _shape(artifact, config)[0])


def _runs_network(artifact: Artifact) -> bool:
    """Whether a job computes on the GPU; of the experiments those that are given a network do."""
    on_network = artifact.kind == "experiment" and not NETWORKS.isdisjoint(artifact.needs)
    return on_network or artifact.kind in ON_DEVICE


def priority(artifact: Artifact, longest: int, config: Mapping[str, Any]) -> float:
    """Which job starts first where several could. longest: iterations of the longest pre-training."""
    if artifact.kind == "trained":
        return 10 + 9 * artifact.spec["iterations"] / longest
    if artifact.kind == "pool" and amount(artifact, config).passes > 1:
        return URGENT["pool"] + 1  # takes long itself
    return URGENT.get(artifact.kind, 0)


def _shape(artifact: Artifact, config: Mapping[str, Any]) -> tuple[int, int]:
    """Images of a job, and their side."""
    count = _rows(artifact) or max(real_images(artifact, config), _rows_of_pools(artifact))
    return count, data_settings(artifact, config)["resolution"]


def _rows_of_pools(artifact: Artifact) -> int:
    """Images of the pools that a job reads."""
    return sum(_rows(part) for part in artifact.upstream() if part.kind in ("pool", "reals"))


def _rows(artifact: Artifact) -> int:
    """Images of a part of a pool; 0 where it is all of a data set, or no part."""
    if artifact.rows in ("", "all"):
        return 0
    start, stop = artifact.span
    return stop - start


def _stored(artifact: Artifact, config: Mapping[str, Any], images: int) -> int:
    if artifact.kind in ("pool", "reals"):
        return stored_images(config, _shape(artifact, config)[1], images)
    return images if artifact.kind == "data" else 0


def _minutes(artifact: Artifact, config: Mapping[str, Any], images: int, side: int) -> int:
    if artifact.kind in ("trained", "finetuned", "auxiliary", "feature_density"):
        return LONGEST_MINUTES
    work = amount(artifact, config)
    count, passes = (work.count, work.passes) if work else (images, 1)
    of_image, of_megapixel = SECONDS.get(artifact.kind, OTHER_SECONDS)
    checkpoint = artifact.needs.get("checkpoint")
    if artifact.kind in ("pool", "column") and calls_many(checkpoint):
        of_megapixel *= OF_U_NET
    if _takes_gradients(artifact):
        of_megapixel *= OF_GRADIENT
    seconds = count * (of_image + passes * side * side / 1e6 * of_megapixel)
    if artifact.kind in MEASURES:
        seconds += OF_A_PAIR * images**2 / CORES_DO
    least = MINUTES_OF_COSTS if artifact.kind == "costs" else SHORTEST_MINUTES
    return min(LONGEST_MINUTES, math.ceil(least + seconds / 60))
