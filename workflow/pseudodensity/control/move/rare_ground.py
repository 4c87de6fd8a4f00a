"""What the rare search and the pool pick share: where they look, whose features decide, and what they tell.

Both make `samples` images of each reference. The references of a pool are its own first latents; their
limits d* come from fakes of a stream of their own, among which no reference is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pseudodensity.control.choice import Made, Maker, Point, Tools
from pseudodensity.control.latent_names import names_of

if TYPE_CHECKING:
    from torch import Tensor

    from pseudodensity.control.auxiliary.latent_space import LatentSpace
    from pseudodensity.control.move.rare_search import Space

__all__ = [
    "LIMITING",
    "PER_FILE",
    "Ground",
    "all_of_references",
    "around_references",
    "rows_per_file",
    "rows_per_group",
    "with_changes",
]

# What labels of both name where it is not the default: key -> words.
LIMITING = {
    "estimator": "{}",
    "space": "in {}",
    "neighbours": "k' {}",
    "samples": "N {}",
    "manifold_k": "k {}",
    "fakes": "{} fakes",
    "distance": "{} distance",
}
PER_FILE = 2500  # images in one file of a pool: a job that is killed loses no more
FAKES = "fakes beside references"


def with_changes(what: str, point: Point, named: Mapping[str, str], defaults: Point) -> str:
    """A label: what it is, and those settings that are not the default. named: key -> words for its value."""
    changed = [
        words.format(point[key]).replace("_", " ")
        for key, words in named.items()
        if point[key] != defaults[key]
    ]
    return ", ".join([what, *changed])


def all_of_references(point: Point, images: int, repeats: int) -> int:
    """`proposals` of both: one for each image. ValueError: more neighbours than fakes."""
    if point["neighbours"] > point["fakes"]:
        raise ValueError(
            f"d* is the distance to neighbour {point['neighbours']} of {point['fakes']} fakes: lower neighbours or "
            "raise fakes"
        )
    return images * repeats


def rows_per_file(point: Point) -> int:
    """Images in one file of a pool of a point: all of some references."""
    return -(-PER_FILE // point["samples"]) * point["samples"]


def rows_per_group(point: Point) -> int:
    """Images of one reference."""
    return point["samples"]


@dataclass(frozen=True)
class Ground:
    """Where a point looks for rare images.

    space: what it asks of points, features in standard deviations of the real ones. place: where points
    are, latents or w.
    """

    space: Space
    place: LatentSpace
    context: Tools

    @classmethod
    def of(cls, context: Tools) -> Ground:
        """That of a point with ``space`` and ``manifold_k``, neighbours of the balls of the real manifold."""
        import torch

        from pseudodensity.control.auxiliary.latent_space import LatentSpace
        from pseudodensity.control.move.rare_search import Space
        from pseudodensity.control.move.real_manifold import RealManifold

        point, density = context.settings, context.feature_density
        extractor = context.search_extractor.to(context.device)
        place = LatentSpace(context.generator, point["space"])
        real = torch.from_numpy(context.search_features).to(context.device)

        def features(images: Tensor) -> Tensor:
            # Pixels beyond the range are clamped as in the image that is kept: nothing is gained there.
            return density.standardised(extractor(images.clamp(-1, 1)))

        space = Space(
            place.images,
            features,
            density.law.log_density,
            RealManifold(density.standardised(real), point["manifold_k"]),
        )
        return cls(space, place, context)

    def fakes(self, count: int) -> tuple[Tensor, Tensor]:
        """Points (m, *shape) and features (m, d) of so many fakes of the generator."""
        import torch

        from pseudodensity.rng import normal

        context, points, found = self.context, [], []
        with torch.no_grad():
            for start in range(0, count, context.batch_size):
                rows = range(start, min(start + context.batch_size, count))
                shape = context.generator.latent_shape
                latents = normal(context.seed, FAKES, rows, shape).to(context.device)
                points.append(self.place.points(latents))
                found.append(self.space.features(self.place.images(points[-1])))
        return torch.cat(points), torch.cat(found)

    def references(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (r, *latent_shape) -> their points, features (r, d) and log-densities (r,)."""
        import torch

        with torch.no_grad():
            points = self.place.points(latents)
            features = self.space.features(self.place.images(points))
            return points, features, self.space.log_density(features)

    def limits(self, features: Tensor, fakes: Tensor) -> Tensor:
        """d* (r,) of references with these features (r, d), among the features (m, d) of fakes."""
        from pseudodensity.control.move.rare_references import neighbour_distances

        point = self.context.settings
        return neighbour_distances(features, fakes, point["neighbours"], distance=point["distance"])

    def images(self, points: Tensor) -> Tensor:
        """Images of points (n, *shape)."""
        import torch

        with torch.no_grad():
            return torch.cat(
                [self.place.images(part) for part in points.split(self.context.batch_size)]
            )


def around_references(
    point: Point,
    context: Tools,
    find: Callable[[Tensor, Sequence[int]], tuple[Tensor, Mapping[str, Tensor]]],
    images: Callable[[Tensor], Tensor],
    calls: int,
    note: str = "",
) -> Maker:
    """A maker of ``samples`` images of each reference.

    Args:
        find: references (r, *latent_shape), with numbers that hang on the latents alone, to points
            (r, samples, *shape) and what is known of each sample by name, (r, samples, ...).
        images: of points (n, *shape). calls: images that the generator makes for one.
    """
    size = point["samples"]

    def make(latents: Tensor) -> Made:
        references = latents[::size]
        found, told = find(references, names_of(references))
        # The rows of a pool may end before the samples of its last reference do.
        kept = slice(len(latents))
        columns = {f"search.{name}": each.flatten(0, 1)[kept] for name, each in told.items()}
        return Made(images(found.flatten(0, 1)[kept]), columns)

    def latents(rows: Sequence[int]) -> Tensor:
        return context.latents([row // size for row in rows])

    return Maker(make, calls, {"note": note} if note else {}, size, latents)
