"""Control the fidelity and the diversity of generative image models through pseudo density.

The floors of the package, ground first; imports go down this list only:
artifacts, rng, runs < images < neighbors < features < density < generators < checkpoints
< control. ``metrics`` stands beside them and sees only arrays. ``tables`` and ``figures``
are the roof.
"""
