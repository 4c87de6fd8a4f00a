"""Settings of a small diffusion model; one with classes is told how many, too."""

DIFFUSION = {
    "network": "small",
    "flavour": "adm",
    "channels": [8, 8],
    "blocks": 1,
    "attention_levels": [],
    "head_channels": None,
    "norm_groups": 4,
    "dropout": 0.0,
    "patch": 1,
    "schedule": "cosine",
    "prediction": "v_prediction",
    "training_steps": 20,
    "sampling_steps": 2,
    "rescale_vb": True,
}
