"""How much a job has to do, so that the time of a small run tells that of a large one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm, prod
from typing import Any

from pseudodensity.plan.artifact import Artifact
from pseudodensity.plan.models import declaration

__all__ = [
    "UNKNOWN_IMAGES",
    "Amount",
    "amount",
    "calls_many",
    "data_settings",
    "dataset_of",
    "real_images",
    "rows_of_a_column",
    "rows_of_a_part",
    "subject",
]

UNKNOWN_IMAGES = 100_000  # of a data set that takes all images there are
UNKNOWN_STEPS = 1000  # of a public diffusion model that is sampled in as many as it was trained on

# Settings that multiply the work of an image: passes through a network.
PASSES = ("steps", "terms")
# Directions that a Jacobian is taken along: for each singular value that is kept, where a mapping network leaves out
# the others, twice as many at least; elsewhere all of a latent, of which a public file has so many.
COLUMNS, LATENT = 3, 512
# Images of a job in passes of a million pixels, where one of a U-Net counts as many of a GAN: by
# docs/paper_scale.md these take a GPU for hours, not days.
LARGEST_PART, U_NET = 48_000, 10
# Of a job of a column, which may take a GPU a day: singular values of many latents would be thousands of jobs more.
LARGEST_COLUMN = 250_000
# Units of kinds whose time does not count images alone.
UNIT = {"density": "images x epochs", "feature_density": "images x epochs"}
UNIT |= {"extractor": "images x epochs", "moved": "images x steps"}


@dataclass(frozen=True)
class Amount:
    """What a job has to do: so many images, or other things, each gone through so many times."""

    count: int
    passes: int
    unit: str

    @property
    def whole(self) -> int:
        """What the time of the job is proportional to, in its unit."""
        return self.count * self.passes


def amount(artifact: Artifact, config: Mapping[str, Any]) -> Amount | None:
    """What the time of a job is proportional to, beside its start.

    None for a kind whose time is not proportional to anything known: distances between sets grow with the square,
    an experiment is a computation of its own.

    config: resolved; for the images of a data set.
    """
    count = _count(artifact, config)
    if count is None:
        return None
    passes = _passes(artifact)
    return Amount(count, passes, _unit(artifact, passes))


def subject(artifact: Artifact) -> str:
    """What a job is about, for people: the model and the data set, and what is done with them."""
    if artifact.kind in ("pool", "column"):
        pool = artifact if artifact.kind == "pool" else artifact.needs["pool"]
        made, point = pool.needs["checkpoint"].facts, pool.spec["point"] or {}
        about = [made["model"], made["dataset"], point.get("method")]
        about += [_name_of_column(artifact)] if artifact.kind == "column" else []
        return ", ".join(filter(None, about))
    if artifact.kind == "scores":
        return f"{artifact.spec['metric']}, {dataset_of(artifact)}"
    if artifact.kind == "experiment":
        return artifact.spec["function"].rpartition(":")[2].replace("_", " ")
    if artifact.kind == "auxiliary":
        made = artifact.needs["checkpoint"].facts
        return f"{artifact.spec['network']}, {made['model']}, {made['dataset']}"
    if "model" in artifact.facts:
        about = [artifact.facts[key] for key in ("model", "dataset")]
        # A filter decides how many fakes a step makes, and how many it throws away.
        about += [artifact.facts["setting"]] if artifact.kind == "finetuned" else []
        return ", ".join(about)
    return artifact.slug.replace("-", ", ")


def _unit(artifact: Artifact, passes: int) -> str:
    if _is_read_once(artifact):
        return "files"
    return UNIT.get(artifact.kind, "passes" if passes > 1 else "images")


def _is_read_once(artifact: Artifact) -> bool:
    """Whether a job converts or reads a public file: an extractor has no training then."""
    trained = "training" in artifact.spec.get("settings", {})
    return artifact.kind == "imported" or (artifact.kind == "extractor" and not trained)


def _name_of_column(artifact: Artifact) -> str:
    extractor = artifact.spec["settings"].get("extractor")
    return artifact.spec["column"] + (f" of {extractor}" if extractor else "")


def _count(artifact: Artifact, config: Mapping[str, Any]) -> int | None:
    spec, kind = artifact.spec, artifact.kind
    if _is_read_once(artifact):
        return 1
    if kind in ("trained", "finetuned"):
        return spec["iterations"] * spec["recipe"]["batch_size"]
    if kind == "auxiliary":
        settings = spec["settings"]
        found = [settings.get(key) for key in ("iterations", "batch_size")]
        return prod(found) if all(found) else None
    if kind in ("pool", "column", "reals") and artifact.rows != "all":
        start, stop = artifact.span
        return stop - start
    if kind == "moved":
        return spec["images"]
    if kind in ("data", "features", "reals"):
        return real_images(artifact, config)
    if kind == "extractor":
        images = sum(
            config["datasets"][name]["images"] or UNKNOWN_IMAGES for name in spec["trained_on"]
        )
        return images * spec["settings"]["training"]["epochs"]
    if kind in ("density", "feature_density"):
        return real_images(artifact, config) * spec.get("epochs", 1)
    return None


def data_settings(artifact: Artifact, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of the data set that an artefact has to do with; the first one if it has to do with none."""
    return config["datasets"][dataset_of(artifact) or next(iter(config["datasets"]))]


def real_images(artifact: Artifact, config: Mapping[str, Any]) -> int:
    """Images of the data set that an artefact has to do with."""
    return data_settings(artifact, config)["images"] or UNKNOWN_IMAGES


def _passes(artifact: Artifact) -> int:
    """How often an image goes through the network of a job."""
    if artifact.kind == "pool":
        return _passes_of_pool(artifact.needs["checkpoint"], artifact.spec["point"])
    if artifact.kind not in ("column", "moved"):
        return 1
    settings = artifact.spec["settings"]
    if artifact.kind == "column":
        checkpoint = artifact.needs["pool"].needs["checkpoint"]
        return passes_of_column(artifact.spec["column"], settings, checkpoint)
    return _passes_in(settings) or 1


def passes_of_column(name: str, settings: Mapping[str, Any], checkpoint: Artifact) -> int:
    """How often the job of a column puts an image through a network."""
    if name != "singular_values":
        return _passes_in(settings) or 1
    if declaration(checkpoint.facts["architecture"])["w_space"] and settings["spaces"] == ["pixel"]:
        return COLUMNS * settings["kept"]
    return (checkpoint.spec.get("generator") or {}).get("z_dim", LATENT)


def _passes_of_pool(checkpoint: Artifact, point: Mapping[str, Any] | None) -> int:
    return (_passes_in(point) if point else None) or _steps_of(checkpoint)


def _passes_in(settings: Mapping[str, Any]) -> int | None:
    """Passes that settings name; None where they name none. Without steps an image is still made."""
    found = [max(1, settings[key]) for key in PASSES if key in settings]
    return prod(found) if found else None


def calls_many(checkpoint: Artifact) -> bool:
    """Whether an image of a model takes many calls of its network, as that of a diffusion model does."""
    return declaration(checkpoint.facts["architecture"])["calls_per_image"] == "many"


def rows_of_a_part(
    checkpoint: Artifact, point: Mapping[str, Any] | None, side: int, group: int
) -> int:
    """How many images of a pool one job may draw: it cannot go on where it was killed, and a queue has its limit.

    side: of an image. group: rows that belong together; the answer is a multiple of it, and of 100.
    """
    passes, unit = _passes_of_pool(checkpoint, point), lcm(group, 100)
    return _rows_of_a_job(checkpoint, passes, side, LARGEST_PART, unit)


def rows_of_a_column(
    checkpoint: Artifact, name: str, settings: Mapping[str, Any], side: int
) -> int:
    """How many images of a column one job may compute, a multiple of 100; see `rows_of_a_part`."""
    passes = passes_of_column(name, settings, checkpoint)
    return _rows_of_a_job(checkpoint, passes, side, LARGEST_COLUMN, 100)


def _rows_of_a_job(checkpoint: Artifact, passes: int, side: int, largest: int, unit: int) -> int:
    dear = U_NET if calls_many(checkpoint) else 1
    return max(1, int(largest / (passes * side * side / 1e6 * dear) / unit)) * unit


def _steps_of(checkpoint: Artifact) -> int:
    """Passes of an image of a diffusion model as its checkpoint is sampled; 1 of all others."""
    if not calls_many(checkpoint):
        return 1
    spec = checkpoint.spec
    for settings in (spec.get("sampling"), spec.get("generator")):
        if settings and "sampling_steps" in settings:
            return settings["sampling_steps"]
    if parent := checkpoint.needs.get("parent"):
        return _steps_of(parent)
    return UNKNOWN_STEPS if checkpoint.kind == "imported" else 1


def dataset_of(artifact: Artifact) -> str | None:
    """Name of the data set that an artefact has to do with, in the config; None where there is none."""
    if artifact.kind == "data":
        return artifact.slug
    if "dataset" in artifact.facts:
        return artifact.facts["dataset"]
    for upstream in artifact.upstream():
        found = dataset_of(upstream)
        if found is not None:
            return found
    return None
