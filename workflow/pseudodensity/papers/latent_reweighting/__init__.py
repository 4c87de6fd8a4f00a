"""Latent reweighting (Issenhuth et al. 2022): learned weights of latents, and the samples they choose."""
