"""Control the fidelity and the diversity of generative image models through pseudo density.

The floors of the package, ground first; imports go down this list only: idle_compiler, artifacts,
rng, runs < images < neighbors < features < density < generators < checkpoints < control.
``metrics`` stands beside them and sees only arrays. ``tables`` and ``figures`` are the roof.
"""

import os

from pseudodensity.idle_compiler import keep_compiler_idle

if os.environ.get("TORCHDYNAMO_DISABLE") == "1":
    keep_compiler_idle()
