"""Numbers for how well fake samples match real ones: pure functions (real, fake) -> number."""

from pseudodensity.metrics.frechet import frechet_distance
from pseudodensity.metrics.manifold import manifold_metrics

__all__ = ["frechet_distance", "manifold_metrics"]
