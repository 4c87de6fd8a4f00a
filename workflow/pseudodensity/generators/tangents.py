"""Forward-mode columns of a generator's Jacobian, many directions and many latents at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jvp, vmap
from torch.overrides import TorchFunctionMode

# Output numbers of one sweep: enough columns to share the cost of the values at the point, few
# enough that their activations do not fill the memory.
SWEEP = 2**20
SMALLEST_SWEEP = 4  # columns, however large the images


class _GluAsProduct(TorchFunctionMode):
    """Spells a gated linear unit as a product: torch's own tangent of it is not vectorised."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not F.glu:
            return function(*args, **(kwargs or {}))
        values, gates = _split_in_two(*args, **(kwargs or {}))
        return values * gates.sigmoid()


def _split_in_two(input: Tensor, dim: int = -1) -> tuple[Tensor, ...]:
    return input.chunk(2, dim)


def jacobian_columns(
    function: Callable[[Tensor], Tensor], points: Tensor, directions: Tensor
) -> Tensor:
    """Directional derivatives of a function that treats the rows of its batch apart.

    points (m, *shape), directions (c, m, *shape) -> (c, m, D), D the size of one output; entry
    (j, i) is the derivative at point i along direction (j, i). Exact (forward mode), in the
    function's dtype. Parameters take no part.
    """

    def along(direction: Tensor) -> Tensor:
        return jvp(function, (points,), (direction,))[1]

    with torch.no_grad(), _GluAsProduct():
        width = function(points[:1]).numel()
        sweep = max(SWEEP // (width * len(points)), SMALLEST_SWEEP)
        columns = points.new_empty(len(directions), len(points), width)
        for part, target in zip(directions.split(sweep), columns.split(sweep), strict=True):
            target.copy_(vmap(along)(part).flatten(2))
    return columns


def all_columns(function: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """The whole Jacobian at every point: (m, *shape) -> (d, m, D), d the size of one point."""
    size = points[0].numel()
    axes = torch.eye(size, dtype=points.dtype, device=points.device)
    directions = axes.view(size, 1, *points.shape[1:]).expand(-1, *points.shape)
    return jacobian_columns(function, points, directions)
