"""A discriminator's opinion of each image alone, beside its opinion of real images."""

from __future__ import annotations

import numpy as np
import torch

from pseudodensity.columns.context import Context, clock
from pseudodensity.columns.pool import Column
from pseudodensity.generators.critic import critic_of
from pseudodensity.images.transform import to_float

NAME = "logits"
TITLE = "logits of the discriminator"
INPUTS = ("checkpoint", "data", "backbone", "auxiliary")
COVERS = "parts"
# reals: real images that calibrate it, as many at the most. auxiliary: "ratio" for the discriminator that
# was taught to tell the images of the finished generator from real ones, None for that of the training.
DEFAULTS = {"reals": 2000, "auxiliary": None}


@torch.no_grad()
def compute(context: Context, rows: range) -> Column:
    """Logits (n,) float32 of the 8-bit images, and of held-out real images; see `critic_of`.

    facts: ``how``, where those real images come from.
    """
    tuned = context.settings["auxiliary"]
    discriminator = context.auxiliary(tuned) if tuned else context.discriminator
    critic = critic_of(discriminator, context.data, context.settings["reals"], context.device)
    began = clock(context.device)
    fakes = [
        critic(to_float(images).to(context.device)).float().cpu().numpy()
        for images in context.images(rows)
    ]
    seconds = clock(context.device) - began
    reals = critic.real_logits(context.batch_size)
    return Column(np.concatenate(fakes), reals, {"how": critic.how}, seconds)
