"""Public checkpoint files -> our state dicts. No code of a file is ever executed.

:func:`pseudodensity.checkpoints.convert.convert` is the entry. A published file is read as data
(``reader``), its names become ours (``stylegan``, ``projectedgan``, ``openai``), and every tensor
is matched in name and shape against the network it is for (``fit``).
"""
