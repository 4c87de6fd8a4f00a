"""Networks that are trained for one checkpoint and stand beside it, one file each.

A method that needs more than the generator and its discriminator (a discriminator that was taught to be a
density ratio, an importance weight of latents) names such a network among the INPUTS of itself or of its
column. It is trained once per checkpoint, as a job of its own that resumes, and serves every method.

A network is a module of this package with the literal constants NAME, TITLE, SOURCE, INPUTS (what its
training reads beside the checkpoint: "data", "backbone"), DEFAULTS (its settings, ``iterations`` among
them; config ``auxiliaries`` and ``models.<name>.auxiliaries`` change them), CHOICES and LIMITS as of a
method, and the functions

``why_not(generator) -> str | None``: why a generator (its declaration) cannot have one;
``trainer(workshop) -> Trainer``: for `pseudodensity.control.train.loop.run`; ``weights_to_keep`` gives
the parts of the file;
``restore(states, workshop) -> Any``: what a column or a method computes with.
"""
