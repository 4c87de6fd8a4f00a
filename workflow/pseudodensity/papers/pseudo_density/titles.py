"""How tables and figures of the main paper call a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["block_title", "title_and_aside"]


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
