"""Generators: latents -> images, differentiable. One architecture is one file.

Every generator has ``latent_shape``, ``resolution``, ``couples_batch`` and
``forward(z (n, *latent_shape)) -> images (n, 3, R, R)`` in [-1, 1], deterministic in ``eval()``.
"""
