"""What data sets, extractors, features and densities are made from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pseudodensity.plan.artifact import Artifact, digest_of
from pseudodensity.plan.declared import declared, declares, parameters
from pseudodensity.plan.errors import ConfigError
from pseudodensity.plan.files import FEWEST_IMAGES, KINDS, absent, list_files, place_of
from pseudodensity.plan.kinds import check_keys
from pseudodensity.plan.methods import check_settings

__all__ = ["FILES", "Data", "check_neighbours", "distance_of"]

# Raised when a procedural scene is drawn otherwise, so that all that was made of it is made again.
SCENES_VERSION = 2

# Settings of a data set that change no pixel.
UNTOLD = ("title", "stands_for", "density_k", "mirror")
COSMETIC = (*UNTOLD, "max_unreadable")
WHAT = {"path": "images", "labels": "labels"}  # of a data set
TRAINED_HERE = "small_"  # prefix of the kinds of extractors that are trained by this project
# Settings of public extractors that are files. What they hold counts, and a digest beside each tells it.
FILES = ("weights", "head_weights")
FIT = "control.train.feature_density"


class Data:
    """Data sets of a config and what is learned of them before any model.

    ConfigError, one line: a name that is not described, a setting that does not fit. A file that is not
    there is no error before something is asked for that needs it (`Artifact.absent`).
    """

    def __init__(self, config: Mapping[str, Any]):
        self.config = config
        for name, dataset in config["datasets"].items():
            _check_dataset(name, dataset)
        for name, extractor in config["extractors"].items():
            self._check_extractor(name, extractor)
        self._check_roles()
        fit = {key: value for key, value in config["feature_density"].items() if key != "seed"}
        check_settings("feature_density", FIT, fit)
        # Asked for again and again, by name.
        self.dataset = cache(self._dataset)
        self.listing = cache(self._listing)
        self.extractor = cache(self._extractor)
        self.features = cache(self._features)
        self.density = cache(self._density)
        self.feature_density = cache(self._feature_density)

    @property
    def steering(self) -> str:
        """Name of the extractor whose features carry the density."""
        return self.config["density"]["extractor"]

    def _dataset(self, name: str) -> Artifact:
        """Decoded images of a data set."""
        settings = self.config["datasets"][name]
        spec = {key: value for key, value in settings.items() if key not in COSMETIC}
        if settings["kind"] == "procedural":
            spec["version"] = SCENES_VERSION
        # A title reruns nothing, but what decides whether the job may go on is told to it.
        told = {key: value for key, value in settings.items() if key not in UNTOLD}
        facts = {"settings": told, "dataset": name}
        return Artifact("data", name, spec, facts=facts, absent=_absent_images(name, settings))

    def _listing(self, name: str) -> str:
        """Digest of the files that a data set is decoded from; "" if it needs none.

        ConfigError: they are too few, or cannot be listed. They are not walked through until this is asked for:
        every job of a cluster reads the plan, and a data set may be half there that nobody asked for.
        """
        settings = self.config["datasets"][name]
        if settings["kind"] not in KINDS:
            return ""
        place = f"config: datasets.{name}"
        try:
            found = list_files(settings["kind"], settings["path"])
            if "labels" in settings:
                labels = list_files(settings["kind"], settings["labels"])
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from None
        if found.count is not None:
            _check_count(place, settings, found.count)
        return digest_of([found.digest, labels.digest]) if "labels" in settings else found.digest

    def _extractor(self, name: str) -> Artifact:
        """A feature extractor: trained here, or a public file with a known digest."""
        settings = dict(self.config["extractors"][name])
        # The content of a public file counts (sha256), not the place it was downloaded to.
        files = {key: settings.pop(key) for key in FILES if key in settings}
        trained_on = settings.pop("trained_on", [])
        mirror = [self.config["datasets"][dataset]["mirror"] for dataset in trained_on]
        return Artifact(
            "extractor",
            name,
            {"settings": settings, "mirror": mirror, "trained_on": list(trained_on)},
            {"data": tuple(self.dataset(dataset) for dataset in trained_on)},
            modules=self.extractor_modules(name),
            files=files,
            absent=_absent_package(name, settings) or _absent_weights(name, files),
        )

    def extractor_modules(self, name: str) -> tuple[str, ...]:
        """The module that holds an extractor's class: it is imported by the name of its kind."""
        return (_class_of(self.config["extractors"][name]["kind"])[0],)

    def distance(self, name: str) -> str | None:
        """What the squared distance of two features of an extractor is called, if that is a measure by itself."""
        return distance_of(self.config["extractors"][name]["kind"])

    def _features(self, dataset: str, extractor: str) -> Artifact:
        """Features of all images of a data set."""
        return Artifact(
            "features",
            f"{dataset}-{extractor}",
            {},
            {"data": self.dataset(dataset), "extractor": self.extractor(extractor)},
            modules=self.extractor_modules(extractor),
        )

    def _density(self, dataset: str) -> Artifact:
        """Pseudo density of a data set: labels and network."""
        settings = {k: v for k, v in self.config["density"].items() if k != "extractor"}
        settings["k"] = self.config["datasets"][dataset]["density_k"]
        return Artifact(
            "density", dataset, settings, {"features": self.features(dataset, self.steering)}
        )

    def _feature_density(self, dataset: str, extractor: str, kind: str) -> Artifact:
        """How likely features of a data set by an extractor are: a flow or a Gaussian."""
        settings = self.config["feature_density"] | {"kind": kind}
        if kind == "gaussian":
            settings = {key: settings[key] for key in ("kind", "held_out", "seed")}
        slug = f"{dataset}-{extractor}-{kind}"
        needs = {"features": self.features(dataset, extractor)}
        return Artifact("feature_density", slug, settings, needs, modules=(FIT,))

    # ---------------------------------------------------------------- checks across keys

    def _check_extractor(self, name: str, extractor: Mapping[str, Any]) -> None:
        _check_settings_of_extractor(f"extractors.{name}", extractor)
        for dataset in extractor.get("trained_on", ()):
            if dataset not in self.config["datasets"]:
                raise ConfigError(
                    f"config: extractors.{name}.trained_on names {dataset!r}, which is not under "
                    "datasets"
                )

    def _check_roles(self) -> None:
        config, steering = self.config, self.steering
        needed = {steering: "density.extractor"}
        needed |= {name: "judges" for name in config["judges"]}
        for metric, settings in config["metrics"].items():
            if "extractor" in settings:
                needed[settings["extractor"]] = f"metrics.{metric}.extractor"
        for model, settings in config["models"].items():
            if settings.get("backbone"):
                needed[settings["backbone"]] = f"models.{model}.backbone"
        for name, place in needed.items():
            if name not in config["extractors"]:
                raise ConfigError(
                    f"config: {place} names {name!r}, which is not described under extractors"
                )
        judging = {*config["judges"], *(m.get("extractor") for m in config["metrics"].values())}
        if steering in judging:
            raise ConfigError(
                f"config: judges or metrics use {steering!r}, the extractor that also steers: name "
                "another one, or the method is graded by what it optimised"
            )


def distance_of(kind: str) -> str | None:
    """What the squared distance of two features of a kind of extractor is called, if that is a measure."""
    module, _ = _class_of(kind)
    return declared(module, "DISTANCE") if declares(module, "DISTANCE") else None


def _class_of(kind: str) -> tuple[str, str]:
    """Module and class of a kind of extractor."""
    trained = kind.startswith(TRAINED_HERE)
    places = declared("features.build", "TRAINED_HERE" if trained else "PRETRAINED")
    module, _, name = places[kind].partition(":")
    return f"features.{module}", name


def _check_settings_of_extractor(place: str, extractor: Mapping[str, Any]) -> None:
    """ConfigError: a setting of the network or of its training that is unknown or missing."""
    settings = {k: v for k, v in extractor.items() if k not in ("kind", "trained_on", "training")}
    kind = extractor["kind"]
    parts = {place: (settings, parameters(*_class_of(kind)))}
    if kind.startswith(TRAINED_HERE):
        known = parameters("features.training", "train_extractor")
        known = {key: needed for key, needed in known.items() if key not in ("spec", "datasets")}
        parts[f"{place}.training"] = (extractor.get("training", {}), known)
    elif "training" in extractor or "trained_on" in extractor:
        raise ConfigError(f"config: {place}: a {kind} is not trained here: take its training out")
    if kind == "packaged":
        _check_package(place, extractor)
    for where, (given, known) in parts.items():
        check_keys(where, given, known)


def _check_package(place: str, extractor: Mapping[str, Any]) -> None:
    """ConfigError: a network that no package is known for."""
    networks = declared("features.packaged", "PACKAGED")
    name = extractor.get("name")
    if name not in networks:
        raise ConfigError(
            f"config: {place}.name is {name!r}; a packaged network is one of {', '.join(networks)}"
        )


def _absent_package(name: str, extractor: Mapping[str, Any]) -> str:
    """That the package which carries an extractor is not installed; "" if it is, or if none does."""
    if extractor["kind"] != "packaged":
        return ""
    network = declared("features.packaged", "PACKAGED")[extractor["name"]]
    try:
        version(network["distribution"])
    except PackageNotFoundError:
        return (
            f"config: extractors.{name}: the package of {extractor['name']} is not installed: "
            f"{declared('features.packaged', 'INSTALL')}"
        )
    return ""


def _absent_weights(name: str, files: Mapping[str, str]) -> str:
    """What is not there of the files of an extractor; "" if nothing."""
    for key, path in files.items():
        if why := absent(f"extractors.{name}.{key}", path, "download it from its owner first"):
            return why
    return ""


def _absent_images(name: str, dataset: Mapping[str, Any]) -> str:
    """What is not there of the images of a data set and their labels, or not what its kind says; "" if nothing."""
    for key, what in WHAT.items():
        if key not in dataset:
            continue
        otherwise = f"put the {what} there or correct the path"
        if why := absent(f"datasets.{name}.{key}", dataset[key], otherwise, folder=True):
            return why
        try:
            place_of(dataset["kind"], dataset[key])
        except ValueError as error:
            return f"config: datasets.{name}: {error}"
    return ""


def _check_dataset(name: str, dataset: Mapping[str, Any]) -> None:
    if dataset.get("images") is not None:
        check_neighbours(f"config: datasets.{name}", dataset["density_k"], dataset["images"])


def check_neighbours(place: str, k: int, count: int) -> None:
    """ConfigError: a density of more neighbours than a data set of `count` images has."""
    if k >= count:
        raise ConfigError(
            f"{place}.density_k is {k} but there are only {count} images: k must be smaller than the "
            "number of images"
        )


def _check_count(place: str, dataset: Mapping[str, Any], count: int) -> None:
    """ConfigError: fewer files than the data set, or anything that is made of it, needs."""
    path = dataset["path"]
    if count < FEWEST_IMAGES:
        raise ConfigError(
            f"{place}: {path} holds {count} images and a data set needs {FEWEST_IMAGES}: add some"
        )
    if dataset["images"] is not None and dataset["images"] > count:
        raise ConfigError(
            f"{place}.images is {dataset['images']} but {path} holds {count}: ask for no more"
        )
    check_neighbours(place, dataset["density_k"], count)
