"""Density of one feature: the nearest-neighbour labels of the main paper and the network that learns them."""

from pseudodensity.density.knn import KnnDensity, knn_density, measure_knn_density
from pseudodensity.density.network import PseudoDensity

__all__ = ["KnnDensity", "PseudoDensity", "knn_density", "measure_knn_density"]
