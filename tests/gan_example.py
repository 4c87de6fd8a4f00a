"""A short recipe of a GAN, of which tests say what differs."""

RECIPE = {
    "loss": "nonsaturating",
    "batch_size": 8,
    "lr_generator": 2e-3,
    "lr_discriminator": 2e-3,
    "r1_gamma": 0,
    "r1_interval": 4,
    "path_length_weight": 0,
    "ema_half_life": 50,
    "ema_ramp_up": 0.1,
    "decay_fraction": 0,
    "augment": [],
}
