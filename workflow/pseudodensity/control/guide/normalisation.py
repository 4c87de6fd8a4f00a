"""The unit of a push: gradients whose largest entry is 1 (papers/002, appendix A.4)."""

from __future__ import annotations

from torch import Tensor

__all__ = ["unit_largest"]

# Below, a gradient is rounding, and is not blown up to a full push.
FLOOR = 1e-12


def unit_largest(gradient: Tensor) -> Tensor:
    """Gradients (n, ...) over the largest absolute entry of each sample; none stays none.

    The paper's algorithm writes a norm that it does not name, its appendix says l_inf. An l_2 norm would
    push less by up to the root of the number of pixels.
    """
    largest = gradient.flatten(1).abs().amax(1).clamp(min=FLOOR)
    return gradient / largest.view(-1, *[1] * (gradient.ndim - 1))
