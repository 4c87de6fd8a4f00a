"""What the paper measures on images that no score says. Runs as experiments."""
