"""How tables and figures of the main paper call a block and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["block_title", "repeats_introduction", "setting_title", "title_and_aside"]

TUNED = ("precision", "recall", "fid")


def title_and_aside(line: Mapping[str, Any]) -> tuple[str, str]:
    """Model and data set of a line of a table, and what the data set stands for in the paper ("" if
    it stands for itself)."""
    stand_in = line["stands_for"]
    aside = f"stands for {stand_in}" if isinstance(stand_in, str) and stand_in else ""
    return f"{line['model']} on {line['dataset']}", aside


def block_title(line: Mapping[str, Any]) -> str:
    """Both in one line."""
    title, aside = title_and_aside(line)
    return f"{title} ({aside})" if aside else title


def repeats_introduction(line: Mapping[str, Any]) -> str:
    """What a table of one trained model is of; line: any of its lines that is sampled."""
    return (
        f"{block_title(line)}: {line['n']:,} generated against {line['n_real']:,} real images per repeat, "
        f"{line['repeats']} repeats, k = {line['k']}, training seed {line['seed']}."
    )


def setting_title(setting: str, w: float | None, otherwise: str) -> str:
    """A row of a block, worded as in the paper. otherwise: of a setting that the paper does not know."""
    if setting == "pretrained":
        return "pre-trained"
    if setting.startswith("oracle"):
        return f"oracle (w = {w:g})"
    if setting.startswith("control"):
        return f"+ control (w = {w:g}{', FID images' if setting == 'control_fid' else ''})"
    return f"+ fine-tune (w = {w:g})" if setting in TUNED else otherwise
