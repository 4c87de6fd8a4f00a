"""Singular values of a generator's Jacobian, whose product polarity sampling weighs its proposals by.

Humayun et al. 2022 (papers/001), section 3 and Algorithm 1: the volume is the product of the
largest singular values of the Jacobian. Two routes: the exact Gram matrix of forward-mode columns,
for any generator; and, for one with a mapping network, the Gram matrix of the few directions that
the mapping network stretches most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.tangents import all_columns, axes_at, readout_columns

__all__ = ["Spectrum", "log_singular_values", "log_volumes", "numerical_ranks"]

Function = Callable[[Tensor], Tensor]
Grams = dict[
    str, tuple[Tensor, int]
]  # space -> Gram matrices (m, c, c) float64, size of one output

ROUTES = ("auto", "exact", "mapping")
SPACES = ("pixel", "style")
MAPPING_PAYS = 512  # latent dimensions from which `auto` leaves the exact route
TOO_DEAR = 1024  # latent dimensions above which `auto` asks instead of starting the exact route
BLOCK = 2**24  # numbers of the Jacobians of one block of latents
STRIP = 2**22  # numbers that are in float64 at once
ALL_BUT_ZERO = math.log(torch.finfo(torch.float32).tiny) + 1  # of a constant generator
LEFT_OUT = 0.045  # energy left out, of that of the columns standing in: errors stay below 1e-3


@dataclass(frozen=True)
class Spectrum:
    """The largest singular values of Jacobians in one space.

    logs: (n, r) float64, falling; r is as many as were asked for, or as the shapes allow.
    tolerance: rounding error of a singular value, as a share of the largest.
    """

    logs: Tensor
    tolerance: float


def log_volumes(
    generator: BaseGenerator,
    latents: Tensor,
    *,
    top: int = 30,
    route: str = "auto",
    columns: int | None = None,
    space: str = "pixel",
    features: Function | None = None,
) -> Tensor:
    """log of the product of the `top` largest singular values of the Jacobian at each latent.

    latents (n, *latent_shape), generator in eval mode -> (n,) float64. space: 'pixel', 'style', or
    'feature', the space of `features`. For all else see `log_singular_values`.
    """
    of_features = {} if features is None else {"feature": features}
    if (space == "feature") != bool(of_features):
        raise ValueError("space 'feature' needs features (images -> features), others take none")
    spectra = log_singular_values(
        generator,
        latents,
        kept=top,
        route=route,
        columns=columns,
        spaces=[] if of_features else [space],
        features=of_features,
    )
    return spectra[space].logs.sum(1)


def numerical_ranks(logs: Tensor, tolerance: float) -> Tensor:
    """How many singular values are beyond rounding error, of those that are given.

    logs (n, r) of singular values, NaN where there is none; tolerance as of `Spectrum` -> (n,)
    int64. A constant generator has rank 0.
    """
    largest = logs[:, :1]
    beyond = (logs > largest + math.log(tolerance)) & (largest > ALL_BUT_ZERO)
    return beyond.sum(1)


def log_singular_values(
    generator: BaseGenerator,
    latents: Tensor,
    *,
    kept: int = 64,
    route: str = "auto",
    columns: int | None = None,
    spaces: Sequence[str] = ("pixel",),
    features: Mapping[str, Function] | None = None,
) -> dict[str, Spectrum]:
    """Logs of the `kept` largest singular values of the Jacobian at each latent, by space.

    latents (n, *latent_shape), generator in eval mode -> one `Spectrum` for each of the spaces and
    features. A latent's values do not depend on the others, up to rounding. `kept` is cut to the
    rank that the shapes allow. Of a latent that chooses a class, z alone counts. All spaces share
    the tangents of the generator: one sweep, several readouts.

    spaces: 'pixel', d image / d z; 'style', d image / d w at w = mapping(z), the same w for every
    layer. features: name -> images to features, d features(image) / d z.

    route: 'exact', one forward-mode column per dimension of the latent. 'mapping', only `columns`
    of them: the first right singular vectors of dw/dz, pushed through the synthesis network. By
    Cauchy interlacing these alone give a lower bound; what the directions left out would add is
    made up for by letting the columns from a quarter on stand for them (see `_stand_in`). By
    default each latent takes as many as leave out at most LEFT_OUT of the energy of those that
    stand in, but no fewer than twice `kept`: of 512, at least 81 with eight mapping layers of
    random weights, 188 with two. Style space is always exact.
    'auto', mapping for a generator with a mapping network and at least 512 latent dimensions,
    otherwise exact up to 1024 dimensions.

    A singular value below the rounding error of the largest counts as that error, so that a
    collapsed direction gives a very small volume and not minus infinity; a constant generator
    gives the log of the smallest normal number, `kept` times.

    ValueError: train mode; latents of another shape or not finite; a route, space or number that
    the generator cannot serve; latents too large for `auto`; a Jacobian that is not finite.
    """
    features = features or {}
    _check(generator, latents, kept, columns, route, spaces, features)
    route = _settled(generator, latents, route, spaces)
    precision = torch.finfo(latents.dtype)
    readouts = {name: None for name in spaces if name == "pixel"} | dict(features)
    if not len(latents):
        none = latents.new_empty(0, kept, dtype=torch.float64)
        return {name: Spectrum(none, precision.eps) for name in [*spaces, *features]}
    found: dict[str, list[Tensor]] = {name: [] for name in [*spaces, *features]}
    sizes: dict[str, int] = {}
    for block in latents.split(_block_size(generator, latents, route, columns)):
        if route == "mapping":
            grams = _mapping_grams(generator, block, readouts, columns, kept)
            grams |= _style_grams(generator, block, {}) if "style" in spaces else {}
        elif "style" in spaces:
            grams = _style_grams(generator, block, readouts)
        else:
            grams = _latent_grams(generator, block, readouts)
        for name, (gram, size) in grams.items():
            found[name].append(log_values_of_gram(gram, min(kept, size), precision))
            sizes[name] = max(size, gram.shape[-1])
    spectra = {}
    for name, parts in found.items():
        logs = torch.cat(parts)
        if not logs.isfinite().all():
            row = int((~logs.isfinite().all(1)).nonzero()[0])
            raise ValueError(f"the Jacobian at latent {row} is not finite: check the generator")
        spectra[name] = Spectrum(logs, precision.eps * sizes[name])
    return spectra


def _check(
    generator: BaseGenerator,
    latents: Tensor,
    kept: int,
    columns: int | None,
    route: str,
    spaces: Sequence[str],
    features: Mapping[str, Function],
) -> None:
    if generator.training:
        raise ValueError("volumes need a deterministic generator: call generator.eval() first")
    shape = tuple(generator.latent_shape)
    if latents.shape[1:] != shape or not latents.is_floating_point():
        raise ValueError(f"latents must be floats (n, {shape}), got {tuple(latents.shape)}")
    if not latents.isfinite().all():
        raise ValueError("latents hold NaN or infinity")
    if route not in ROUTES or not set(spaces) <= set(SPACES):
        raise ValueError(f"route must be one of {ROUTES} and spaces of {SPACES}")
    if kept < 1 or (columns is not None and columns < 1):
        raise ValueError(f"the numbers to keep must be at least 1, not {kept} and {columns}")
    if not spaces and not features or set(spaces) & set(features):
        raise ValueError("name at least one space or features, and none of them twice")


def _settled(generator: BaseGenerator, latents: Tensor, route: str, spaces: Sequence[str]) -> str:
    """The route that is taken; see `log_singular_values`."""
    size, style_alone = latents.shape[1:].numel(), list(spaces) == ["style"]
    if style_alone and route == "mapping":
        raise ValueError("the mapping route works in latent space: use route='exact' for 'style'")
    if not generator.w_space and ("style" in spaces or route == "mapping"):
        wanted = "space 'style'" if "style" in spaces else "route 'mapping'"
        raise ValueError(f"{wanted} needs a generator with a mapping network, as StyleGANs have")
    if route != "auto":
        return route
    if generator.w_space and not style_alone and size >= MAPPING_PAYS:
        return "mapping"
    if size > TOO_DEAR:
        raise ValueError(
            f"a latent of {size} numbers costs {size} passes per volume: route='exact' does them"
        )
    return "exact"


def _latent_grams(
    generator: BaseGenerator, latents: Tensor, readouts: Mapping[str, Function | None]
) -> Grams:
    """Of all columns from z."""
    stages = [generator.mapping, generator.synthesis] if generator.w_space else [generator]
    # The last number of a latent may choose a class: then it is no direction.
    axes = axes_at(latents)[: None if generator.classes is None else -1]
    swept = readout_columns(stages, list(readouts.values()), latents, axes)
    return {
        name: (gram_matrix(pushed), pushed.shape[2])
        for name, pushed in zip(readouts, swept, strict=True)
    }


def _style_grams(
    generator: BaseGenerator, latents: Tensor, readouts: Mapping[str, Function | None]
) -> Grams:
    """Of all columns from w: of style space, and by the chain rule, J_z = J_w dw/dz, of the readouts."""
    with torch.no_grad():
        styles = generator.mapping(latents)
    ends = {"style": None} | {name: one for name, one in readouts.items() if one is not None}
    swept = readout_columns([generator.synthesis], list(ends.values()), styles, axes_at(styles))
    sizes = {name: pushed.shape[2] for name, pushed in zip(ends, swept, strict=True)}
    from_w = {name: gram_matrix(pushed) for name, pushed in zip(ends, swept, strict=True)}
    turned = all_columns([generator.mapping], latents).permute(1, 2, 0).double()  # (m, w, d)
    grams = {"style": (from_w["style"], sizes["style"])}
    for name in readouts:
        end = name if name in ends else "style"  # pixels are what style space reads out
        grams[name] = (turned.mT @ from_w[end] @ turned, sizes[end])
    return grams


def _mapping_grams(
    generator: BaseGenerator,
    latents: Tensor,
    readouts: Mapping[str, Function | None],
    columns: int | None,
    kept: int,
) -> Grams:
    """Of the directions of z that the mapping stretches most, the others made up for."""
    styles, pushed, energies, counts = stretched_directions(
        generator.mapping, latents, columns, kept
    )
    swept = readout_columns([generator.synthesis], list(readouts.values()), styles, pushed)
    return {
        name: (_stand_in(gram_matrix(columns), energies, counts), columns.shape[2])
        for name, columns in zip(readouts, swept, strict=True)
    }


def _block_size(generator: BaseGenerator, latents: Tensor, route: str, columns: int | None) -> int:
    """Latents worked on at once: small generators live from large batches."""
    size = latents.shape[1:].numel()
    kept = min(size, columns or size // 4) if route == "mapping" else size
    pixels = 3 * generator.resolution**2 if generator.resolution else size
    # dw/dz and its eigenvectors count too
    return max(1, BLOCK // max(kept * pixels, 4 * size * size))


def stretched_directions(
    mapping: Function, latents: Tensor, columns: int | None, kept: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Directions of w that come of those of z which the mapping network stretches most.

    latents (m, d) -> w (m, w); directions (c, m, w), dw/dz v for the first right singular vectors v;
    energies (m, d) float64, the squared singular values of dw/dz, falling; and the columns that each
    latent asks for (m,), c the most of them.
    """
    jacobian = all_columns([mapping], latents).permute(1, 2, 0)  # (m, w, d)
    energies, vectors = torch.linalg.eigh(jacobian.mT @ jacobian)
    energies = energies.flip(-1).clamp_min(0).double()
    counts = _enough(energies, kept, columns)
    strongest = vectors[..., -int(counts.max()) :].flip(-1)
    with torch.no_grad():
        styles = mapping(latents)
    return styles, (jacobian @ strongest).permute(2, 0, 1), energies, counts


def _shares(energies: Tensor) -> tuple[Tensor, Tensor]:
    """Energies that 0, 1, ..., d columns leave out and that stand in for them: two of (m, d + 1)."""
    summed = F.pad(energies.cumsum(1), (1, 0))
    first = torch.arange(summed.shape[1], device=summed.device) // 4
    return summed[:, -1:] - summed, summed - summed[:, first]


def _enough(energies: Tensor, kept: int, columns: int | None) -> Tensor:
    """Columns that each latent takes; see `log_singular_values`: energies (m, d) -> (m,) int64."""
    points, size = energies.shape
    if columns is not None:
        return torch.full((points,), min(max(columns, kept), size), device=energies.device)
    left_out, there = _shares(energies)
    fewest = (left_out <= LEFT_OUT * there).int().argmax(1)
    return fewest.clamp_min(2 * kept).clamp_max(size)  # fewer columns than that average too little


def _stand_in(gram: Tensor, energies: Tensor, counts: Tensor) -> Tensor:
    """Let the columns from a quarter on stand for the directions that were left out.

    With C = J V of the directions taken and R of those left out, J J^T = C C^T + R R^T. What the
    synthesis network does to a weakly stretched direction hardly depends on which one it is, so
    R R^T is about the same as C C^T of the last three quarters, in proportion to the energies of
    dw/dz: those columns are scaled up. Exact where nothing was left out. Columns beyond a latent's
    own count, which others of its block asked for, are dropped, to keep it apart from the others.
    """
    left_out, there = (share.gather(1, counts[:, None]) for share in _shares(energies))
    factor = (1 + left_out / there.clamp_min(torch.finfo(there.dtype).tiny)).sqrt()
    position, counts = torch.arange(gram.shape[-1], device=gram.device), counts[:, None]
    scale = torch.where(position < counts // 4, torch.ones_like(factor), factor)
    scale = scale * (position < counts)
    return scale[:, :, None] * gram * scale[:, None]


def gram_matrix(columns: Tensor) -> Tensor:
    """Products of columns: (c, m, D) -> (m, c, c) float64, in strips of D.

    In float64, because the squares of small singular values drown in the rounding of large ones.
    """
    count, points = columns.shape[:2]
    gram = columns.new_zeros(points, count, count, dtype=torch.float64)
    for strip in columns.permute(1, 0, 2).split(max(STRIP // (count * points), 1), dim=2):
        strip = strip.double()
        gram.baddbmm_(strip, strip.mT)
    return gram


def log_values_of_gram(gram: Tensor, kept: int, precision: torch.finfo) -> Tensor:
    """Logs of the `kept` largest singular values, falling, from Gram matrices (m, c, c) -> (m, r).

    precision: of the numbers that the Gram matrix was made of; see `log_singular_values` on zeros. NaN
    where the matrix is not finite.
    """
    finite = gram.isfinite().all(-1).all(-1)[:, None]
    usable = gram.where(finite[..., None], torch.zeros_like(gram))
    eigenvalues = torch.linalg.eigvalsh(usable)
    floor = (eigenvalues[:, -1:] * precision.eps**2).clamp_min(precision.tiny**2)
    largest = eigenvalues[:, -kept:].maximum(floor).flip(1)
    return torch.where(finite, largest.log() / 2, torch.nan)
