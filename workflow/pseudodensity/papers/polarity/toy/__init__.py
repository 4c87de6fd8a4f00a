"""Generators of which everything is known, and what both algorithms draw from them. Runs as experiments."""
