"""The readable images of a source, one by one, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pseudodensity.artifacts import one_line
from pseudodensity.images.decoding import load_image
from pseudodensity.images.sources import Source
from pseudodensity.plan.files import shown

__all__ = ["readable_images"]


def readable_images(
    source: Source,
    path: str | Path,
    resolution: int,
    count: int | None,
    max_unreadable: float,
    rejected: list[dict[str, str]],
) -> Iterator[tuple[str, np.ndarray]]:
    """Name, as `plan.files.shown` writes it, and uint8 (3, R, R) of the readable images, in order.

    Args:
        path: of the source, for messages.
        count: stop after so many; None for all there are.
        max_unreadable: share of the files that may fail to decode.
        rejected: gets ``name`` and ``reason`` (one line) of each file that cannot be read.

    ValueError: more than that share cannot be read, or none can.
    """
    taken = 0
    for name in source:
        try:
            image = load_image(source.read(name), resolution, name)
        except (ValueError, OSError) as error:
            rejected.append({"name": shown(name), "reason": _reason(error)})
            # Too many for any outcome: stop now, not after three million files.
            _check_unreadable(rejected, len(source), path, max_unreadable)
            continue
        yield shown(name), image
        taken += 1
        if taken == count:
            break
    _check_unreadable(rejected, taken + len(rejected), path, max_unreadable)
    if not taken:
        raise ValueError(
            f"{path} holds 0 images that can be read, first {rejected[0]['name']} "
            f"({rejected[0]['reason']}): mend the files"
        )


def _reason(error: Exception) -> str:
    """What an error says, without the path that the name beside it says already."""
    is_of_system = isinstance(error, OSError) and error.strerror
    return one_line(OSError(error.strerror)) if is_of_system else one_line(error)


def _check_unreadable(
    rejected: list[dict[str, str]], total: int, path: str | Path, limit: float
) -> None:
    share = len(rejected) / total
    if share > limit:
        first = rejected[0]
        raise ValueError(
            f"{len(rejected)} of {total} files ({share:.2%}) in {path} cannot be read, "
            f"first {first['name']} ({first['reason']}): mend or remove them, "
            f"or raise max_unreadable from {limit:g}"
        )
