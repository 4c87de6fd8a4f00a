"""Numbers for how well fake samples match real ones: pure functions (real, fake) -> number."""

from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import Manifold, manifold_metrics

__all__ = ["Manifold", "frechet_distance", "manifold_metrics"]
