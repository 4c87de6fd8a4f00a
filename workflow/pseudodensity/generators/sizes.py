"""Sizes and channels of networks that double or halve an image from stage to stage."""

from __future__ import annotations

__all__ = ["channels_at", "resolutions"]


def resolutions(resolution: int) -> list[int]:
    """[4, 8, ..., resolution]; ValueError unless it is a power of two of at least 8."""
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two of at least 8, not {resolution}")
    return [2**i for i in range(2, resolution.bit_length())]


def channels_at(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at a resolution: as many as `channel_base` allows, at most `channel_max`."""
    return min(channel_base // resolution, channel_max)
