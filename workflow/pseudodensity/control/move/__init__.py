"""Change one latent: latents -> latents, with gradients through generator, extractor and density."""
