"""Trainings and evaluations in the plane, run as experiments: unlike tables and figures they import torch."""
