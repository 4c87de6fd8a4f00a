"""Forward-mode columns of Jacobians, many directions and many latents at once.

A function is given as its stages (mapping network, synthesis network, extractor), and directions
are pushed through one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jvp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from pseudodensity.generators.generator import LinearisedStage

Function = Callable[[Tensor], Tensor]

# Output numbers of one sweep: enough columns to share the cost of the values at the point, few
# enough that their activations do not fill the memory.
SWEEP = 2**18
SMALLEST_SWEEP = 4  # columns, however large the images


class _Simplified(TorchFunctionMode):
    """Spells calls in parts whose tangents are cheap and vectorised; torch's own are not, or
    (attention on a CPU, memory formats) there are none."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return SIMPLE.get(function, function)(*args, **(kwargs or {}))


def _batch_norm(
    input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
) -> Tensor:
    """In eval mode a batch norm is one factor and one shift per channel."""
    if training:
        raise ValueError("batch normalisation couples the latents: call eval() on every module")
    scale = (running_var + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale
    shift = shift if bias is None else shift + bias
    shape = (-1, *[1] * (input.ndim - 2))
    return input * scale.view(shape) + shift.view(shape)


def _gated_linear_unit(input: Tensor, dim: int = -1) -> Tensor:
    values, gates = input.chunk(2, dim)
    return values * gates.sigmoid()


def _attention(*args, **kwargs) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(*args, **kwargs)


def _contiguous(input: Tensor, memory_format: torch.memory_format | None = None) -> Tensor:
    return input.contiguous()  # vmap knows no memory formats, and they change no value


SIMPLE = {
    F.glu: _gated_linear_unit,
    F.batch_norm: _batch_norm,
    F.scaled_dot_product_attention: _attention,
    Tensor.contiguous: _contiguous,
}


def _linearised(function: Function, points: Tensor) -> tuple[Tensor, Function]:
    """Values at the points (m, ...), and the map of directions (c, m, ...) to derivatives."""
    if isinstance(function, LinearisedStage):
        return function.linearised(points)

    def simplified(points: Tensor) -> Tensor:
        with _Simplified():
            return function(points)

    along = vmap(lambda direction: jvp(simplified, (points,), (direction,))[1])
    return simplified(points), along


def jacobian_columns(stages: Sequence[Function], points: Tensor, directions: Tensor) -> Tensor:
    """Directional derivatives of functions applied one after the other.

    Each stage treats the rows of its batch apart, in eval mode. points (m, *shape), directions
    (c, m, *shape) -> (c, m, D), D the size of one output: entry (j, i) is the derivative at point
    i along direction (j, i). Exact, in the functions' dtype.
    """
    return readout_columns(stages, [None], points, directions)[0]


@torch.no_grad()
def readout_columns(
    stages: Sequence[Function],
    readouts: Sequence[Function | None],
    points: Tensor,
    directions: Tensor,
) -> list[Tensor]:
    """As `jacobian_columns`, for several functions of what the stages give; None stands for itself.

    The tangents of the stages, which cost most, are those of all readouts. -> one (c, m, D) of each.
    """
    pushes = []
    for stage in stages:
        points, push = _linearised(stage, points)
        pushes.append(push)
    ends = [(points, None) if one is None else _linearised(one, points) for one in readouts]
    found = [
        points.new_empty(len(directions), len(points), values[0].numel()) for values, _ in ends
    ]
    sweeps = -(-len(directions) // max(SWEEP // points.numel(), SMALLEST_SWEEP))
    start = 0
    for part in directions.tensor_split(sweeps):
        stop = start + len(part)
        for push in pushes:
            part = push(part)
        for columns, (_, push) in zip(found, ends, strict=True):
            columns[start:stop] = (part if push is None else push(part)).flatten(2)
        start = stop
    return found


def all_columns(stages: Sequence[Function], points: Tensor) -> Tensor:
    """The whole Jacobian at every point: (m, *shape) -> (d, m, D), d the size of one point."""
    return jacobian_columns(stages, points, axes_at(points))


def axes_at(points: Tensor) -> Tensor:
    """The unit directions at every point: (m, *shape) -> (d, m, *shape), d the size of one point."""
    size = points[0].numel()
    axes = torch.eye(size, dtype=points.dtype, device=points.device)
    return axes.view(size, 1, *points.shape[1:]).expand(-1, *points.shape)
