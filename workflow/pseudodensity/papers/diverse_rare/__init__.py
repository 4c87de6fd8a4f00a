"""Diverse rare sample generation with pretrained GANs (papers/004)."""
