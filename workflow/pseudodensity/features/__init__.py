"""Images to features: one route for real and fake, pretrained networks and small ones trained here."""

from pseudodensity.features.build import build_extractor, load_extractor, save_extractor
from pseudodensity.features.extractor import Extractor, extract
from pseudodensity.features.training import TrainingSet, train_extractor

__all__ = [
    "Extractor",
    "TrainingSet",
    "build_extractor",
    "extract",
    "load_extractor",
    "save_extractor",
    "train_extractor",
]
