"""Choose among proposals: each method is one log-weight and one scheme over a pool of samples."""

from pseudodensity.control.select.importance import (
    expected_acceptance,
    importance_acceptance,
    sampling_weights,
)

__all__ = ["expected_acceptance", "importance_acceptance", "sampling_weights"]
