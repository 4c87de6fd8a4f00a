"""Change the weights: pre-training and importance-sampled fine-tuning (papers/000 section 5.2)."""
