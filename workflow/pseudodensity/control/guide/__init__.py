"""Change the sampling dynamics of a diffusion model: (x_t, t, mean, variance) -> shift."""
