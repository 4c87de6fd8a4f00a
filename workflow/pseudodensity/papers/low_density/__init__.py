"""What the project shows of low-density diffusion (papers/002): what guidance raises, and what it costs."""
