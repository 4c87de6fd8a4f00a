"""What is computed of single image models: samples that are accepted or climb, and times."""
