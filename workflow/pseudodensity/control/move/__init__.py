"""Change one latent: latents -> latents, with gradients through generator, extractor and density."""

from pseudodensity.control.move.perturb import (
    DensityObjective,
    DiscriminatorObjective,
    perturb,
    random_direction,
)
from pseudodensity.control.move.transport import (
    largest_slope,
    lipschitz_estimate,
    paper_transport_latents,
    transport_images,
    transport_latents,
)

__all__ = [
    "DensityObjective",
    "DiscriminatorObjective",
    "largest_slope",
    "lipschitz_estimate",
    "paper_transport_latents",
    "perturb",
    "random_direction",
    "transport_images",
    "transport_latents",
]
