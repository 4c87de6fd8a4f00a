"""What is made from what: a checked config becomes artefacts with digests, and targets.

Light: every cluster job parses it, so it never imports torch. It knows no paper.
"""
