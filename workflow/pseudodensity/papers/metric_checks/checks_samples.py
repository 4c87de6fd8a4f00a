"""Checks of what a generator leaves out, adds or repeats, and of how many samples and what units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pseudodensity.papers.metric_checks import laws
from pseudodensity.papers.metric_checks.check import MOVED, NO_COPIES, NO_RARITY, Check, Draw
from pseudodensity.papers.metric_checks.criteria import best_at, flat, linear, worsens

__all__ = ["checks"]

MODES = 10


def checks(n: int) -> Iterator[Check]:
    """All of them, of n reals and n fakes where nothing else is said."""
    yield mode_drop_one_by_one(n)
    yield mode_drop_all_at_once(n)
    yield keep_modes(n)
    yield mode_invention(n)
    yield mode_collapse(n)
    yield number_of_fakes(n)
    yield number_of_both(n)
    yield scaled_dimension(n, 8)
    yield out_of_distribution(n, 8)
    yield reweighting(n)
    yield inexact(n)
    yield copies(n, 8)


def _even(kept: int) -> np.ndarray:
    return np.where(np.arange(MODES) < kept, 1 / kept, 0.0)


KEPT = (10, 8, 5, 2, 1)  # modes of ten, step by step


def _of_fewer_modes(n: int, d: int) -> Draw:
    """Reals of all modes, fakes of as many as `KEPT` says."""

    def draw(step, real, fake):
        fakes = laws.modes(fake, n, d, _even(KEPT[step]))
        return laws.modes(real, n, d, _even(MODES)), fakes

    return draw


def mode_drop_one_by_one(n: int) -> Check:
    """Fakes of ever fewer of ten modes."""
    return Check(
        "mode drop, one by one",
        "10 modes, d = 2",
        "fidelity stays, diversity falls",
        tuple(f"{count} of {MODES} modes" for count in KEPT),
        _of_fewer_modes(n, 2),
        _dropping(flat(5, of_share=True), worsens(), 5),
    )


def mode_drop_all_at_once(n: int) -> Check:
    """All modes but one become rare."""
    first = (0.1, 0.3, 0.5, 0.8, 1.0)

    def draw(step, real, fake):
        weights = np.full(MODES, (1 - first[step]) / (MODES - 1))
        weights[0] = first[step]
        fakes = laws.modes(fake, n, 2, weights)
        return laws.modes(real, n, 2, _even(MODES)), fakes

    return Check(
        "mode drop, all at once",
        "9 of 10 modes fade, d = 2",
        "fidelity stays, diversity falls",
        tuple(f"{share:.0%} of the fakes in one mode" for share in first),
        draw,
        _dropping(flat(5, of_share=True), worsens(), 5),
    )


def keep_modes(n: int) -> Check:
    """Diversity is the share of modes that are kept."""
    return Check(
        "keep q of m modes",
        "m = 10, d = 8",
        "fidelity stays; diversity is that of all modes times q / m",
        tuple(f"q = {count}" for count in KEPT),
        _of_fewer_modes(n, 8),
        _dropping(flat(5, of_share=True), linear(*(count / MODES for count in KEPT)), 5),
    )


def mode_invention(n: int) -> Check:
    """Fakes of modes that the reals do not have."""
    made = (5, 6, 8, 10)

    def draw(step, real, fake):
        return laws.modes(real, n, 2, _even(5)), laws.modes(fake, n, 2, _even(made[step]))

    return Check(
        "mode invention",
        "5 real modes, d = 2",
        "fidelity is that of no invention times 5 / modes; diversity stays",
        tuple(f"fakes of {count} modes" for count in made),
        draw,
        {
            "fidelity": linear(*(5 / count for count in made)),
            "diversity": flat(4, of_share=True),
            "closeness": "half of the fakes or more lie in real modes, and it is a median",
            "variety": "noise is various too: that it rises says nothing of the reals' law",
            "distance": worsens(),
            "rarity": NO_RARITY,
            "memorisation": NO_COPIES,
        },
    )


def mode_collapse(n: int) -> Check:
    """Two modes, and one wide mode of the same mean and variance."""
    apart = (0, 2, 5, 10, 20)

    def draw(step, real, fake):
        signs = np.where(real.random((n, 1)) < 0.5, -1, 1)
        reals = laws.normal(real, n, 1) + apart[step] * signs
        return reals, laws.normal(fake, n, 1) * np.sqrt(1 + apart[step] ** 2)

    still = "the wide mode reaches both others, only with fewer fakes"
    return Check(
        "mode collapse",
        "two modes at -mu and mu against one of the same variance, d = 1",
        "ever fewer fakes lie in a mode",
        tuple(f"mu = {mu}" for mu in apart),
        draw,
        {
            "fidelity": worsens(),
            "diversity": still,
            "closeness": worsens(),
            "variety": still,
            "distance": worsens(),
            "rarity": NO_RARITY,
            "memorisation": NO_COPIES,
        },
    )


def number_of_fakes(n: int) -> Check:
    """One law, and n / 10 to 5 n fakes; the last step is a yardstick for distances."""
    counts = (n // 10, n, 5 * n, n)

    def draw(step, real, fake):
        reals = laws.normal(real, n, 8)
        return reals, laws.normal(fake, counts[step], 8) + (step == 3)

    steps = (*(f"{count} fakes" for count in counts[:3]), f"{n} fakes {MOVED}")
    return Check(
        "number of fakes",
        f"normal, {n} reals, d = 8",
        "the law of the fakes stays, so does every score",
        steps,
        draw,
        _unmoved(),
    )


def number_of_both(n: int) -> Check:
    """One law, and n / 5 to 2 n of either side; the last step is a yardstick for distances."""
    counts = (n // 5, n, 2 * n, n)

    def draw(step, real, fake):
        fakes = laws.normal(fake, counts[step], 8) + (step == 3)
        return laws.normal(real, counts[step], 8), fakes

    steps = (*(f"{count} of each" for count in counts[:3]), f"{n} of each, {MOVED}")
    return Check(
        "number of both",
        "normal, d = 8",
        "both laws stay, so does every score",
        steps,
        draw,
        _unmoved(),
    )


def scaled_dimension(n: int, d: int) -> Check:
    """One dimension of both in other units."""
    factors = (1e-3, 1.0, 1e3)

    def draw(step, real, fake):
        reals, fakes = laws.normal(real, n, d), laws.normal(fake, n, d) + 0.5
        for points in (reals, fakes):
            points[:, 0] *= factors[step]
        return reals, fakes

    return Check(
        "one scaled dimension",
        f"fakes moved by .5, d = {d}",
        "units are a matter of choice: every score stays",
        tuple(f"times {factor:g}" for factor in factors),
        draw,
        _unmoved(),
    )


def out_of_distribution(n: int, d: int) -> Check:
    """A share of the fakes lies far from all reals."""
    shares = (0.0, 0.25, 0.5, 0.75, 1.0)

    def draw(step, real, fake):
        fakes = laws.normal(fake, n, d)
        fakes[: round(shares[step] * n)] += 50
        return laws.normal(real, n, d), fakes

    return Check(
        "out-of-distribution fakes",
        f"normal, far fakes moved by 50 in each dimension, d = {d}",
        "fidelity is that of no far fakes times the share of the others",
        tuple(f"{share:.0%} far" for share in shares),
        draw,
        {
            "fidelity": linear(*(1 - share for share in shares)),
            "diversity": "the good fakes are a fair sample, only of fewer: see number of fakes",
            "closeness": worsens(),
            "variety": "noise is various too: it says nothing of the reals' law",
            "distance": worsens(),
            "rarity": NO_RARITY,
            "memorisation": NO_COPIES,
        },
    )


DENSE = (0.1, 0.5, 0.9)
TWO_MODES = "a dense mode (sd .3) and a sparse one (sd 1), half of the reals in each, d = 16"


def reweighting(n: int) -> Check:
    """A perfect generator, of which a method chooses more or less of the dense mode."""
    return _chosen(
        n,
        0.0,
        "reweighting a perfect generator",
        "every fake is a true sample, whatever is chosen: fidelity stays",
        closeness="true samples of the dense mode have nearer neighbours",
    )


def inexact(n: int) -> Check:
    """The same, and every fake is off by noise of one size."""
    return _chosen(
        n,
        0.2,
        "inexact generator",
        "every number of every fake is off by noise of sd .2, whatever is chosen: fidelity stays",
        closeness=flat(3, of_share=False),
    )


def _chosen(n: int, error: float, name: str, truth: str, closeness: object) -> Check:
    def draw(step, real, fake):
        reals = laws.two_modes(real, n, 0.5, 0.0)
        return reals, laws.two_modes(fake, n, DENSE[step], error)

    uneven = "both modes are reached; one has fewer fakes"
    return Check(
        name,
        TWO_MODES,
        truth,
        tuple(f"{share:.0%} of the fakes in the dense mode" for share in DENSE),
        draw,
        {
            "fidelity": flat(3, of_share=True),
            "diversity": uneven,
            "closeness": closeness,
            "variety": uneven,
            "distance": best_at(1),
            "rarity": worsens(),
            "memorisation": NO_COPIES,
        },
        repeats=4,
    )


def copies(n: int, d: int) -> Check:
    """Some fakes are reals once more."""
    shares = (0.0, 0.02, 0.1, 0.5)

    def draw(step, real, fake):
        reals, fakes = laws.normal(real, n, d), laws.normal(fake, n, d)
        fakes[: round(shares[step] * n)] = reals[: round(shares[step] * n)]
        return reals, fakes

    as_good = "a copy is as good as the real that it copies"
    return Check(
        "copies",
        f"normal, d = {d}",
        "memorisation shows in the tail from 2 % on",
        tuple(f"{share:.0%} copies" for share in shares),
        draw,
        {purpose: as_good for purpose in ("fidelity", "diversity", "closeness", "distance")}
        | {"variety": as_good, "rarity": as_good, "memorisation": worsens()},
    )


def _dropping(fidelity, diversity, steps: int) -> dict:
    return {
        "fidelity": fidelity,
        "diversity": diversity,
        "closeness": flat(steps, of_share=False),
        "variety": worsens(),
        "distance": worsens(),
        "rarity": NO_RARITY,
        "memorisation": NO_COPIES,
    }


def _unmoved() -> dict:
    share, other = flat(3, of_share=True), flat(3, of_share=False)
    return {
        "fidelity": share,
        "diversity": share,
        "closeness": other,
        "variety": other,
        "distance": other,
        "rarity": other,
        "memorisation": other,
    }
