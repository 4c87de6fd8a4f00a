"""Which features a ranking looks at, by what the user said and what is installed."""

from __future__ import annotations

from dataclasses import dataclass

from pseudodensity.artifacts import file_sha256
from pseudodensity.features.build import build_extractor
from pseudodensity.features.extractor import Extractor
from pseudodensity.features.packaged import INSTALL, PACKAGED, packaged_entry, packaged_weights
from pseudodensity.rank.pixels import Pixels

__all__ = ["Choice", "choose_extractor"]

PIXELS = "pixels"
TOY = (
    "Toy features: bare pixels at 16 px, which see colours and layout and nothing else, so that "
    "the ranking says little about photographs. For an ImageNet network: "
)


@dataclass(frozen=True)
class Choice:
    """An extractor, how it is called, and what the reader of its results must know."""

    name: str
    extractor: Extractor
    notes: list[str]


def choose_extractor(
    extractor: str | None = None, weights: str | None = None, name: str | None = None
) -> Choice:
    """A timm model with a weights file, or an extractor by name, or the best that is installed.

    extractor: `pixels` or a network that a package carries. weights, name: file and timm name.
    Without anything: the packaged network if there is one, else pixels.

    ValueError: weights without name or the reverse, both ways at once, a name that is not known
    or not installed, an unfit weights file.
    """
    if (weights is None) != (name is None):
        raise ValueError("--weights FILE and --name TIMM_NAME belong together: give both")
    if weights is not None and extractor is not None:
        raise ValueError("give --weights with --name, or --extractor, not both")
    if weights is not None:
        return _from_weights(weights, name)
    if extractor not in (None, PIXELS, *PACKAGED):
        raise ValueError(
            f"unknown extractor {extractor!r}: use one of {', '.join([*PACKAGED, PIXELS])}, or "
            "--weights FILE with --name TIMM_NAME"
        )
    if extractor in PACKAGED and packaged_weights(extractor) is None:
        raise ValueError(f"{extractor} is not installed: {INSTALL}")
    if extractor in PACKAGED:
        resolution = PACKAGED[extractor]["resolution"]
        entry = {"kind": "packaged", "name": extractor, "resolution": resolution}
    else:
        entry = packaged_entry() if extractor is None else None
    if entry is None:
        return Choice(PIXELS, Pixels(), [TOY + INSTALL])
    return Choice(entry["name"], build_extractor(entry), [])


def _from_weights(weights: str, name: str) -> Choice:
    try:
        digest = file_sha256(weights)
    except OSError as error:
        raise ValueError(f"--weights {weights} cannot be read: {error.strerror}") from None
    spec = {"kind": "timm", "name": name, "weights": weights, "sha256": digest}
    return Choice(name, build_extractor(spec), [])
