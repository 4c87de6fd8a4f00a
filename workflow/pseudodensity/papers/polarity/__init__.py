"""What the project shows of polarity sampling (papers/001): its law on toys, and images by polarity."""
