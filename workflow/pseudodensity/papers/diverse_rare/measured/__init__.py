"""Experiments of diverse rare samples (papers/004)."""
