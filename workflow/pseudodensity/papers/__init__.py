"""The papers: which tables and figures each has, and the functions that make them.

A paper is a folder with ``targets.py``, whose function ``targets(plan, grid)`` yields the paper's
targets. Papers use every floor below and never each other; nothing imports them.
"""
