"""What the job of a column has at hand: the generator, the latents and the images of a pool."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pseudodensity.artifacts import load_npy
from pseudodensity.control.auxiliary.file import load_auxiliary
from pseudodensity.control.auxiliary.workshop import Workshop
from pseudodensity.control.choice import Made, Maker
from pseudodensity.density.feature_density import FeatureDensity
from pseudodensity.density.network import PseudoDensity
from pseudodensity.features.build import load_extractor
from pseudodensity.features.extractor import Extractor
from pseudodensity.generators.checkpoint import CheckpointFile, load_checkpoint
from pseudodensity.generators.loading import open_generator
from pseudodensity.images.dataset import ImageSet, open_dataset
from pseudodensity.images.transform import to_uint8
from pseudodensity.plan.methods import method
from pseudodensity.progress import Progress
from pseudodensity.rng import normal

__all__ = ["Context", "clock"]


def clock(device: str | torch.device) -> float:
    """Seconds: on a CPU those that this process computed, which other work does not disturb; on a GPU
    wall time, after its work has ended."""
    if torch.device(device).type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)  # this one, which need not be the first
    return time.perf_counter()


@dataclass
class Context:
    """Everything a column, or a method that makes images itself, may ask for.

    Attributes:
        inputs: paths by name: checkpoint, data, backbone, extractor ... as the column's INPUTS say.
        stamp: of the checkpoint, compared when it is read.
        seed: of the latents.
        settings: of the column or of the method's point.
        stored: images of the rows, as an array or a file; None where they are made again.
        point: of the method that makes the pool's images in place of the generator, or None.
    """

    inputs: Mapping[str, Any]
    stamp: Mapping[str, Any]
    seed: int
    settings: Mapping[str, Any]
    progress: Progress
    batch_size: int = 500
    device: str = "cpu"
    stored: np.ndarray | str | Path | None = None
    point: Mapping[str, Any] | None = None

    def sharing(self, **changes: Any) -> Context:
        """A copy with other attributes, and with all that was opened so far: a generator is read once."""
        other = copy.copy(self)
        vars(other).pop("maker", None)  # it depends on the point
        vars(other).update(changes)
        return other

    @cached_property
    def generator(self) -> nn.Module:
        """The frozen generator in eval mode."""
        return open_generator(self.inputs["checkpoint"], self.stamp, self.device)

    @cached_property
    def checkpoint(self) -> CheckpointFile:
        """The checkpoint whole, with its discriminator."""
        return load_checkpoint(self.inputs["checkpoint"], self.stamp)

    @cached_property
    def backbone(self) -> Extractor | None:
        """Frozen feature network of a projected discriminator, or None."""
        path = self.inputs.get("backbone")
        return load_extractor(path) if path else None

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator as its training left it, on the device, built anew."""
        return self._workshop.discriminator()

    def auxiliary(self, name: str) -> Any:
        """An auxiliary network of the checkpoint, see `control.auxiliary`."""
        return load_auxiliary(self.inputs[name], self._workshop)

    @property
    def _workshop(self) -> Workshop:
        return Workshop(self.checkpoint, {}, self.seed, None, self.backbone, device=self.device)

    @cached_property
    def extractor(self) -> Extractor:
        """The extractor of a column of features."""
        return load_extractor(self.inputs["extractor"])

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """The extractors that the settings name, by name."""
        names = self.settings["extractors"]
        return dict(zip(names, map(load_extractor, self.inputs.get("extractors", [])), strict=True))

    @cached_property
    def steering(self) -> Extractor:
        """The extractor in whose features the pseudo density lives."""
        return load_extractor(self.inputs["steering"]).to(self.device)

    @cached_property
    def pseudo_density(self) -> PseudoDensity:
        """The pseudo density of the data set."""
        return PseudoDensity.load(self.inputs["density"]).to(self.device)

    @cached_property
    def feature_density(self) -> FeatureDensity:
        """How likely features by the extractor are, fitted to those of the real images."""
        return FeatureDensity.load(self.inputs["feature_density"], None).to(self.device)

    @cached_property
    def search_extractor(self) -> Extractor:
        """The extractor in whose features a method searches."""
        return load_extractor(self.inputs["search_extractor"])

    @cached_property
    def search_features(self) -> np.ndarray:
        """Features (n, d) float32 of the real images by the extractor that a method searches in."""
        return load_npy(self.inputs["search_features"])

    @cached_property
    def real_features(self) -> np.ndarray:
        """Features (n, d) float32 of the real images by the extractor."""
        return load_npy(self.inputs["real_features"])

    @cached_property
    def data(self) -> ImageSet:
        """The real images."""
        return open_dataset(Path(self.inputs["data"]).parent)

    def latents(self, rows: Sequence[int]) -> Tensor:
        """Latents (n, *latent_shape) float32; row j depends on rows[j] and the seed only."""
        return normal(self.seed, "latents", rows, self.generator.latent_shape).to(self.device)

    def latents_of_images(self, rows: Sequence[int]) -> Tensor:
        """What the images of some rows are made from: the latents, or those that a method draws itself."""
        return (self.maker.latents or self.latents)(rows)

    def batches(self, rows: range, group: int = 1) -> Iterator[range]:
        """Rows in batches, each a multiple of `group` until the rows end, with progress."""
        self.progress.update(0)
        size = -(-self.batch_size // group) * group
        for start in range(rows.start, rows.stop, size):
            batch = range(start, min(start + size, rows.stop))
            yield batch
            self.progress.update(batch.stop - rows.start)

    @cached_property
    def maker(self) -> Maker:
        """What makes the images of the pool."""
        if self.point is None:
            return Maker(torch.no_grad()(self.generator))
        return method(self.point["method"]).maker(self.sharing(settings=self.point))

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the pool's source: of its method, or of the training of its checkpoint."""
        if self.point is not None:
            return dict(self.maker.facts)
        is_ours = self.stamp["kind"] != "external"
        accepted = self.checkpoint.facts.get("acceptance") if is_ours else None
        return {"acceptance": accepted}

    def draw(self, rows: Sequence[int]) -> np.ndarray:
        """Images (n, 3, R, R) uint8 made from the latents."""
        return self.draw_told(rows)[0]

    def draw_told(self, rows: Sequence[int]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Those of `draw`, and by name what a method found out of each on the way, (n, ...)."""
        made = self.maker.make(self.latents_of_images(rows))
        made = made if isinstance(made, Made) else Made(made, {})
        told = {name: values.detach().cpu().numpy() for name, values in made.columns.items()}
        return to_uint8(made.images.detach()).cpu().numpy(), told

    def images(self, rows: range) -> Iterator[np.ndarray]:
        """Images (n, 3, R, R) uint8 in batches: those stored where they are, else made again."""
        kept = self.stored
        if isinstance(kept, str | Path):
            kept = load_npy(kept, mapped=True)
        whole = kept is not None and len(kept) >= len(rows)
        for batch in self.batches(rows, 1 if whole else self.maker.group):
            if whole:
                yield np.array(kept[batch.start - rows.start : batch.stop - rows.start])
            else:
                yield self.draw(batch)
