"""The plane of a search: log-density as colours, reals with their balls, fakes, and the path."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from pseudodensity.papers.diverse_rare.plane import section_radii
from pseudodensity.report.drawing import BLACK, PALETTE

__all__ = ["ARRAYS", "draw_plane", "plane_entries"]

# Of the experiment `paths`.
ARRAYS = (
    *(
        "reference",
        "kept",
        "limit",
        "along",
        "log_density",
        "rarity",
        "feasible",
        "picture",
        "images",
    ),
    *("path", "off", "real", "real_path", "real_off", "real_radius", "real_holds"),
    *("fake", "fake_path", "heat", "corners"),
)
BALL, KEPT, FAKE = "#ffffff", PALETTE[3], "#bbbbbb"


def draw_plane(figure: Figure, axes: Axes, arrays: Mapping[str, np.ndarray], i: int) -> None:
    """Path i, with a scale of the colours below."""
    corners = arrays["corners"][i]
    # Corners far from all data would take the colours of what lies along the path.
    lowest = arrays["log_density"][i].min()
    image = axes.imshow(
        arrays["heat"][i],
        vmin=max(lowest, arrays["heat"][i].min()),
        extent=(corners[0, 0], corners[1, 0], corners[0, 1], corners[1, 1]),
        origin="lower",
        cmap="viridis",
        aspect="equal",
    )
    # An inset keeps to the square, whose place the layout does not know.
    below = axes.inset_axes((0, -0.2, 1, 0.045))
    figure.colorbar(
        image, cax=below, orientation="horizontal", extend="min", label="log-density (nats)"
    )
    _balls(axes, arrays, i)
    fakes = arrays["fake"][arrays["fake_path"] == i]
    axes.scatter(*fakes.T, s=3, color=FAKE, linewidth=0, alpha=0.7, zorder=2)
    _path(axes, arrays, i)
    axes.set_xlim(*corners[:, 0])
    axes.set_ylim(*corners[:, 1])
    axes.grid(visible=False)
    axes.locator_params(nbins=4)


def _balls(axes: Axes, arrays: Mapping[str, np.ndarray], i: int) -> None:
    own = arrays["real_path"] == i
    centres, off, radii = (arrays[name][own] for name in ("real", "real_off", "real_radius"))
    for centre, cut in zip(centres, section_radii(radii, off), strict=True):
        if cut:
            axes.add_patch(
                Circle(centre, cut, facecolor=BALL, edgecolor=BLACK, alpha=0.25, zorder=1)
            )
    holds = arrays["real_holds"][own]
    for centre, radius in zip(centres[holds], radii[holds], strict=True):
        look = {"fill": False, "edgecolor": BALL, "linestyle": ":", "linewidth": 0.9, "zorder": 1.5}
        axes.add_patch(Circle(centre, radius, **look))
    axes.scatter(*centres.T, s=14, marker="^", color=BALL, edgecolor=BLACK, linewidth=0.5, zorder=3)


def _path(axes: Axes, arrays: Mapping[str, np.ndarray], i: int) -> None:
    path, feasible, kept = arrays["path"][i], arrays["feasible"][i], int(arrays["kept"][i])
    axes.plot(*path.T, color=BLACK, linewidth=1, zorder=4)
    for inside, face in ((True, BLACK), (False, "none")):
        dots = path[feasible == inside]
        axes.scatter(*dots.T, s=10, facecolor=face, edgecolor=BLACK, linewidth=0.6, zorder=5)
    look = {"edgecolor": "white", "linewidth": 0.6, "zorder": 6}
    axes.scatter(*path[0], s=45, marker="s", color=PALETTE[1], **look)
    axes.scatter(*path[kept], s=110, marker="*", color=KEPT, **look)
    axes.scatter(0, 0, s=45, marker="P", color=PALETTE[0], **look)


def plane_entries() -> list[Line2D]:
    """Of the legend."""
    grey = {"markeredgecolor": BLACK, "markeredgewidth": 0.6, "linestyle": "none"}
    return [
        Line2D([], [], marker="P", ms=7, color=PALETTE[0], ls="none", label="reference"),
        Line2D([], [], marker="s", ms=6, color=PALETTE[1], ls="none", label="start"),
        Line2D([], [], marker="*", ms=9, color=KEPT, ls="none", label="kept"),
        Line2D([], [], marker="o", ms=4, color=BLACK, ls="none", label="feasible"),
        Line2D([], [], marker="o", ms=4, markerfacecolor="white", label="not feasible", **grey),
        Line2D(
            [], [], marker="^", ms=5, markerfacecolor="white", label="reals near the path", **grey
        ),
        Line2D([], [], marker="o", ms=3, color=FAKE, ls="none", label="fakes"),
    ]
