"""Control the fidelity and the diversity of generative image models through pseudo density."""
