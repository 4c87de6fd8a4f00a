"""The page of results: one file, read without a network, of what a run has made so far."""
