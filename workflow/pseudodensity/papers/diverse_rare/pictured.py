"""What the pictures of searches share: what an experiment kept, and sentences of their captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pseudodensity.papers.diverse_rare.boxes import boxed
from pseudodensity.report.samples import load_arrays, load_facts
from pseudodensity.report.titles import block_title

__all__ = ["Searched", "caption_of", "counted", "open_searched", "rarity_words"]

SAMPLES = ("images", "sample", "rarity", "found", "step", "log_density", "nearness")
REFERENCES = ("reference_images", "reference", "reference_rarity", "reference_log_density")


@dataclass(frozen=True)
class Searched:
    """r references and v samples of each, of s searches; arrays as of `searched_images`.

    of: references that were searched, of which r are shown.
    """

    images: np.ndarray
    sample: np.ndarray
    rarity: np.ndarray
    found: np.ndarray
    step: np.ndarray
    log_density: np.ndarray
    nearness: np.ndarray
    reference_images: np.ndarray
    reference: np.ndarray
    reference_rarity: np.ndarray
    reference_log_density: np.ndarray
    of: int

    def boxed_references(self) -> np.ndarray:
        """Images (r, 3, S, S) with boxes where they lie outside."""
        return boxed(self.reference_images, np.isnan(self.reference_rarity))

    def boxed_images(self, search: int) -> np.ndarray:
        """Images (r, v, 3, S, S) of a search with their boxes."""
        images, rarity, found = self.images[search], self.rarity[search], self.found[search]
        flat = images.reshape(-1, *images.shape[2:])
        made = boxed(flat, np.isnan(rarity).ravel(), (found == 0).ravel())
        return made.reshape(*images.shape[:2], *made.shape[1:])


def open_searched(path: str | Path) -> Searched:
    """What `searched_images` kept. ArtifactError: missing or damaged."""
    arrays = load_arrays(path, [*SAMPLES, *REFERENCES])
    return Searched(**arrays, of=load_facts(path)["of"])


def counted(sets: Sequence[Searched]) -> str:
    """How many references are shown, and of how many; one for all if they are alike."""
    counts = list(dict.fromkeys(f"n = {len(own.reference)} of {own.of:,}" for own in sets))
    each = " of each model" if len(sets) > len(counts) else ""
    return f"{' and '.join(counts)} references{each}"


def rarity_words(rarity: float) -> str:
    """A rarity as it stands below an image."""
    return "outside" if np.isnan(rarity) else f"{rarity:.3g}"


def caption_of(panels: Sequence[Mapping[str, Any]], said: Iterable[str]) -> str:
    """Of what, what is shown, and how was searched and judged.

    panels: one of each model; of several the titles of the parts say the names.
    """
    first = panels[0]
    names = block_title(first) if len(panels) == 1 else f"{len(panels)} models"
    return " ".join(
        [
            f"{names}, training seed {first['seed']}.",
            *said,
            (
                f"Searched in features of {first['extractor']}, {first['steps']} steps, N = {first['samples']}; "
                f"rarity and its manifold in features of {first['judge']}, k = {first['k']}."
            ),
        ]
    )
