"""Checks where both laws are known whole: identical, moved, wider, heavy-tailed, apart, rounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pseudodensity.papers.metric_checks import laws
from pseudodensity.papers.metric_checks.check import MOVED, NO_COPIES, NO_RARITY, Check, Draw
from pseudodensity.papers.metric_checks.criteria import (
    best_at,
    flat,
    near,
    share_bell,
    small,
    worsens,
)

__all__ = ["checks"]

NO_SCALE = "it has no value that stands for a perfect or a useless generator"


def checks(n: int) -> Iterator[Check]:
    """All of them, of n reals and n fakes."""
    yield from (identical(n, d) for d in (1, 8, 64))
    for d, most in ((1, 6.0), (8, 3.0), (64, 1.0)):
        yield from (mean_shift(n, d, most, whose) for whose in ("", "reals", "fakes"))
    yield from (std_shift(n, d, decades) for d, decades in ((1, 3.0), (8, 1.0), (64, 0.5)))
    yield from (pareto(n, d) for d in (1, 8))
    yield from (hypercubes(n, d) for d in (1, 8, 64))
    yield from (shells(n, d, radius) for d, radius in ((16, 0.5), (128, 0.1), (128, 1.9)))
    yield sphere_torus(n)
    yield disjoint_dimension(n, 64)
    yield rounding_of_both(n, 8)
    yield rounding_of_fakes(n, 8)


def identical(n: int, d: int) -> Check:
    """Two samples of one normal law; the second step is a yardstick for distances."""

    def draw(step, real, fake):
        return laws.normal(real, n, d), laws.normal(fake, n, d) + step

    return Check(
        "identical",
        f"normal, d = {d}",
        "both laws are one: 1",
        ("one law", MOVED),
        draw,
        _others(near(1), near(1), distance=small(0, 1)),
    )


def mean_shift(n: int, d: int, most: float, outlier: str) -> Check:
    """Fakes moved along the diagonal, with one outlier at the far end of it or none."""
    moves = np.linspace(-most, most, 5)

    def draw(step, real, fake):
        reals, fakes = laws.normal(real, n, d), laws.normal(fake, n, d) + moves[step]
        if outlier:
            (reals if outlier == "reals" else fakes)[0] = most
        return reals, fakes

    bell = best_at(2)
    return Check(
        "mean shift",
        f"d = {d}, one outlier in {outlier}" if outlier else f"d = {d}",
        "1 where nothing is moved, 0 at the ends",
        tuple(f"moved by {move:g} in each dimension" for move in moves),
        draw,
        _others(
            share_bell(5),
            share_bell(5),
            closeness=bell,
            distance=bell,
            variety=flat(5, of_share=False),
        ),
    )


def std_shift(n: int, d: int, decades: float) -> Check:
    """Fakes of another standard deviation."""
    spreads = 10 ** np.linspace(-decades, decades, 5)

    def draw(step, real, fake):
        return laws.normal(real, n, d), laws.normal(fake, n, d) * spreads[step]

    return Check(
        "std shift",
        f"d = {d}",
        "narrow fakes are all good and reach little, wide ones are bad; equal spread is best",
        tuple(f"sd {spread:.3g}" for spread in spreads),
        draw,
        _others(
            worsens(1, 0),
            near(0, None, 1),
            closeness=worsens(),
            distance=best_at(2),
            variety="cosines do not see how far samples are from the origin",
        ),
    )


def pareto(n: int, d: int) -> Check:
    """Heavy tails: the law itself, and its mirror image, which it never meets."""

    def draw(step, real, fake):
        fakes = laws.pareto(fake, n, d, 1.01)
        return laws.pareto(real, n, d, 1.01), -fakes if step else fakes

    return Check(
        "heavy tails",
        f"Pareto, tail 1.01, d = {d}",
        "1 for the law itself, 0 for its mirror image",
        ("one law", "mirrored"),
        draw,
        _others(near(1, 0), near(1, 0), closeness=worsens(), distance=worsens()),
    )


def hypercubes(n: int, d: int) -> Check:
    """Two cubes whose common part has a volume of .2."""
    offset = 1 - 0.2 ** (1 / d)

    def draw(step, real, fake):
        return laws.cube(real, n, d), laws.cube(fake, n, d) + offset

    return Check(
        "hypercubes",
        f"d = {d}",
        "they share .2 of their volume",
        ("overlapping by .2",),
        draw,
        _others(near(0.2), near(0.2)),
    )


def _apart(name: str, setting: str, step: str, draw: Draw) -> Check:
    """Two laws that never meet, in one step."""
    truth, wanted = "they never meet: 0", _others(near(0), near(0))
    return Check(name, setting, truth, (step,), draw, wanted)


def shells(n: int, d: int, radius: float) -> Check:
    """Two concentric spheres that never meet."""

    def draw(step, real, fake):
        return laws.shell(real, n, d, 1.0), laws.shell(fake, n, d, radius)

    setting = f"d = {d}, fakes at radius {radius}, reals at 1"
    return _apart("shells", setting, f"radius {radius}", draw)


def sphere_torus(n: int) -> Check:
    """A sphere in the hole of a torus."""

    def draw(step, real, fake):
        return laws.torus(real, n, 1.0, 0.1), laws.shell(fake, n, 3, 0.5)

    setting = "sphere of radius .5 in the hole of a torus, d = 3"
    return _apart("sphere and torus", setting, "apart by .4", draw)


def disjoint_dimension(n: int, d: int) -> Check:
    """All dimensions alike but one, in which the two never meet."""

    def draw(step, real, fake):
        reals, fakes = laws.cube(real, n, d), laws.cube(fake, n, d)
        fakes[:, 0] += 2
        return reals, fakes

    return _apart("one disjoint dimension", f"cubes, 1 of {d} dimensions", "apart by 1", draw)


def rounding_of_both(n: int, d: int) -> Check:
    """One law on a grid: ties everywhere."""

    def draw(step, real, fake):
        fakes = laws.normal(fake, n, d) + step
        return np.round(2 * laws.normal(real, n, d)) / 2, np.round(2 * fakes) / 2

    return Check(
        "rounding of both",
        f"normal to multiples of .5, d = {d}",
        "both laws are one: 1",
        ("one law", MOVED),
        draw,
        _others(near(1), near(1), distance=small(0, 1)),
    )


def rounding_of_fakes(n: int, d: int) -> Check:
    """Fakes on an ever coarser grid."""
    grids = (0.01, 0.5, 1.0, 3.0)

    def draw(step, real, fake):
        fakes = np.round(laws.normal(fake, n, d) / grids[step]) * grids[step]
        # A row of zeros has no direction, which the Vendi score asks for.
        fakes[~fakes.any(1), 0] = 1e-6
        return laws.normal(real, n, d), fakes

    return Check(
        "rounding of fakes",
        f"normal, d = {d}",
        "the coarser, the further from the reals and the fewer different ones",
        tuple(f"to multiples of {grid:g}" for grid in grids),
        draw,
        _others(worsens(), worsens(), closeness=worsens(), distance=worsens(), variety=worsens()),
    )


def _others(fidelity, diversity, closeness=NO_SCALE, distance=NO_SCALE, variety=NO_SCALE) -> dict:
    return {
        "fidelity": fidelity,
        "diversity": diversity,
        "closeness": closeness,
        "variety": variety,
        "distance": distance,
        "rarity": NO_RARITY,
        "memorisation": NO_COPIES,
    }
