"""The main paper: controlling fidelity and diversity of generative models via pseudo density."""
