"""Log-volumes of a generator's Jacobian, which polarity sampling weighs its proposals by.

Humayun et al. 2022 (papers/001), section 3 and Algorithm 1: the product of the largest singular
values of the Jacobian. Two routes: the exact Gram matrix of forward-mode columns, for any
generator; and, for one with a mapping network, the Gram matrix of the few directions that the
mapping network stretches most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pseudodensity.generators.generator import BaseGenerator
from pseudodensity.generators.tangents import all_columns, jacobian_columns

__all__ = ["log_volumes"]

Function = Callable[[Tensor], Tensor]

ROUTES = ("auto", "exact", "mapping")
SPACES = ("pixel", "style", "feature")
MAPPING_PAYS = 512  # latent dimensions from which `auto` leaves the exact route
TOO_DEAR = 1024  # latent dimensions above which `auto` asks instead of starting the exact route
BLOCK = 2**24  # numbers of the Jacobians of one block of latents
STRIP = 2**22  # numbers that are in float64 at once
LEFT_OUT = 0.045  # energy left out, of that of the columns standing in: errors stay below 1e-3


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

    latents (n, *latent_shape), generator in eval mode -> (n,) float64. A latent's value does not
    depend on the others, up to rounding. `top` is cut to the rank that the shapes allow. Of a latent
    that chooses a class, z alone counts.

    space: 'pixel', d image / d z; 'style', d image / d w at w = mapping(z), the same w for every
    layer; 'feature', d features(image) / d z.

    route: 'exact', one forward-mode column per dimension of the latent. 'mapping', only `columns`
    of them: the first right singular vectors of dw/dz, pushed through the synthesis network. By
    Cauchy interlacing these alone give a lower bound; what the directions left out would add is
    made up for by letting the columns from a quarter on stand for them (see `_stand_in`). By
    default each latent takes as many as leave out at most LEFT_OUT of the energy of those that
    stand in, but no fewer than twice `top`: of 512, 81 with eight mapping layers of random
    weights, 188 with two.
    'auto', mapping for a generator with a mapping network and at least 512 latent dimensions,
    otherwise exact up to 1024 dimensions.

    A singular value below the rounding error of the largest counts as that error, so that a
    collapsed direction gives a very small volume and not minus infinity; a constant generator
    gives the log of the smallest normal number, `top` times.

    ValueError: train mode; latents of another shape or not finite; a route, space or number that
    the generator cannot serve; latents too large for `auto`; a Jacobian that is not finite.
    """
    _check(generator, latents, top, columns, route, space, features)
    route = _settled(generator, latents, route, space)
    if not len(latents):
        return latents.new_empty(0, dtype=torch.float64)
    after = [] if features is None else [features]
    parts = []
    for block in latents.split(_block_size(generator, latents, route, columns)):
        if route == "mapping":
            tail = [generator.synthesis, *after]
            gram = _stand_in(*mapping_gram(generator.mapping, tail, block, columns, top))
        else:
            gram = gram_matrix(_jacobian(generator, block, space, after))
        parts.append(log_volume_of_gram(gram, top, torch.finfo(latents.dtype)))
    volumes = torch.cat(parts)
    if not volumes.isfinite().all():
        row = int((~volumes.isfinite()).nonzero()[0])
        raise ValueError(f"the Jacobian at latent {row} is not finite: check the generator")
    return volumes


def _check(
    generator: BaseGenerator,
    latents: Tensor,
    top: int,
    columns: int | None,
    route: str,
    space: str,
    features: Function | None,
) -> None:
    if generator.training:
        raise ValueError("volumes need a deterministic generator: call generator.eval() first")
    shape = tuple(generator.latent_shape)
    if latents.shape[1:] != shape or not latents.is_floating_point():
        raise ValueError(f"latents must be floats (n, {shape}), got {tuple(latents.shape)}")
    if not latents.isfinite().all():
        raise ValueError("latents hold NaN or infinity")
    if route not in ROUTES or space not in SPACES:
        raise ValueError(f"route must be one of {ROUTES} and space one of {SPACES}")
    if top < 1 or (columns is not None and columns < 1):
        raise ValueError(f"top and columns must be at least 1, not {top} and {columns}")
    if (space == "feature") != (features is not None):
        raise ValueError("space 'feature' needs features (images -> features), others take none")


def _settled(generator: BaseGenerator, latents: Tensor, route: str, space: str) -> str:
    """The route that is taken; see `log_volumes`."""
    size = latents.shape[1:].numel()
    if space == "style" and route == "mapping":
        raise ValueError("the mapping route works in latent space: use route='exact' for 'style'")
    if not generator.w_space and (space == "style" or route == "mapping"):
        wanted = "space 'style'" if space == "style" else "route 'mapping'"
        raise ValueError(f"{wanted} needs a generator with a mapping network, as StyleGANs have")
    if route != "auto":
        return route
    if generator.w_space and space != "style" and size >= MAPPING_PAYS:
        return "mapping"
    if size > TOO_DEAR:
        raise ValueError(
            f"a latent of {size} numbers costs {size} passes per volume: route='exact' does them"
        )
    return "exact"


def _jacobian(
    generator: BaseGenerator, latents: Tensor, space: str, after: Sequence[Function]
) -> Tensor:
    """All columns (d, m, D) of the Jacobian of a space."""
    if space == "style":
        with torch.no_grad():
            styles = generator.mapping(latents)
        return all_columns([generator.synthesis], styles)
    stages = [generator.mapping, generator.synthesis] if generator.w_space else [generator]
    columns = all_columns([*stages, *after], latents)
    # The last number of a latent may choose a class: then it is no direction.
    return columns if generator.classes is None else columns[:-1]


def _block_size(generator: BaseGenerator, latents: Tensor, route: str, columns: int | None) -> int:
    """Latents worked on at once: small generators live from large batches."""
    size = latents.shape[1:].numel()
    kept = min(size, columns or size // 4) if route == "mapping" else size
    pixels = 3 * generator.resolution**2 if generator.resolution else size
    # dw/dz and its eigenvectors count too
    return max(1, BLOCK // max(kept * pixels, 4 * size * size))


def mapping_gram(
    mapping: Function, tail: Sequence[Function], latents: Tensor, columns: int | None, top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gram matrix of J along the directions of z that the mapping stretches most.

    latents (m, d) -> Gram (m, c, c) float64; energies (m, d) float64, the squared singular values
    of dw/dz; both in the order of falling energy; and the columns that each latent asks for (m,),
    c the most of them. `tail`: the stages from w on.
    J v = (d tail / d w) (dw/dz v): the mapping network is differentiated in full, the tail c times.
    """
    jacobian = all_columns([mapping], latents).permute(1, 2, 0)  # (m, w, d)
    energies, vectors = torch.linalg.eigh(jacobian.mT @ jacobian)
    energies = energies.flip(-1).clamp_min(0).double()
    counts = _enough(energies, top, columns)
    strongest = vectors[..., -int(counts.max()) :].flip(-1)
    with torch.no_grad():
        styles = mapping(latents)
    pushed = (jacobian @ strongest).permute(2, 0, 1)  # (c, m, w)
    return gram_matrix(jacobian_columns(tail, styles, pushed)), energies, counts


def _shares(energies: Tensor) -> tuple[Tensor, Tensor]:
    """Energies that 0, 1, ..., d columns leave out and that stand in for them: two of (m, d + 1)."""
    summed = F.pad(energies.cumsum(1), (1, 0))
    first = torch.arange(summed.shape[1], device=summed.device) // 4
    return summed[:, -1:] - summed, summed - summed[:, first]


def _enough(energies: Tensor, top: int, columns: int | None) -> Tensor:
    """Columns that each latent takes; see `log_volumes`: energies (m, d) -> (m,) int64."""
    points, size = energies.shape
    if columns is not None:
        return torch.full((points,), min(max(columns, top), size), device=energies.device)
    left_out, there = _shares(energies)
    fewest = (left_out <= LEFT_OUT * there).int().argmax(1)
    return fewest.clamp_min(2 * top).clamp_max(size)  # fewer columns than that average too little


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


def log_volume_of_gram(gram: Tensor, top: int, precision: torch.finfo) -> Tensor:
    """Sum of the logs of the `top` largest singular values, from Gram matrices (m, c, c) -> (m,).

    precision: of the numbers that the Gram matrix was made of; see `log_volumes` on zeros. NaN
    where the matrix is not finite.
    """
    finite = gram.isfinite().all(-1).all(-1)
    eigenvalues = torch.linalg.eigvalsh(gram.where(finite[:, None, None], torch.zeros_like(gram)))
    floor = (eigenvalues[:, -1:] * precision.eps**2).clamp_min(precision.tiny**2)
    eigenvalues = eigenvalues[:, -top:].maximum(floor)
    return torch.where(finite, eigenvalues.log().sum(1) / 2, torch.nan)
