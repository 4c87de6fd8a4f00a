"""What every generator is, and what else it may be asked for.

An architecture is one file of this folder. It declares itself by a literal ``DECLARATION`` at its
top, which the plan reads without importing it:

- ``name``: of the architecture, in the config;
- ``prior``: ``normal`` | ``uniform``, what the numbers of a latent mean to the model;
- ``classes``: whether it is conditioned on a class, which the last number of a latent chooses;
- ``w_space``: whether it has ``mapping(z)`` -> w, ``mapping.w_avg`` and ``synthesis(w)`` -> images;
- ``normalises_z``: whether the length of a latent does not count;
- ``discriminator``: module whose ``build_discriminator`` makes it, or None;
- ``trainer``: ``module:class`` that trains it, or None;
- ``tangents``: module with tangents of its stages written out, or None;
- ``no_jacobian``: why the Jacobian of one pass is not to be had, or None;
- ``truncation``: families of truncation that it takes, the customary one first;
- ``likelihood``: whether the log-likelihood of its samples is exact;
- ``calls_per_image``: ``one`` | ``many`` calls of its network;
- ``formats``: of public files that it can be read from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from torch import Tensor, nn

__all__ = ["BaseGenerator", "LinearisedStage"]


class BaseGenerator(nn.Module):
    """Latents ``(n, *latent_shape)`` -> images ``(n, 3, R, R)`` in about [-1, 1].

    Deterministic in ``eval()``: there an image depends on its own latent only.

    latent_shape: of one latent, standard normal. resolution: R; None where the outputs are points
    in the plane or in space. couples_batch: whether an image depends on its batch in ``train()``.
    w_space, truncation: as in the declaration of its module. classes: how many classes it has, where
    the last number of a latent chooses one by its quantile; None where it has none.
    """

    latent_shape: tuple[int, ...]
    resolution: int | None = None
    couples_batch: bool = False
    w_space: bool = False
    classes: int | None = None
    truncation: Sequence[str] = ("scale", "resample")

    def scaled(self, z: Tensor, psi: float) -> Tensor:
        """Images of latents z (n, *latent_shape) scaled by psi, where their length counts."""
        return self(psi * z)

    def measure_statistics(self, batches: Iterable[Tensor]) -> None:
        """Measure on latents what layers know of their inputs, after weights were averaged.

        batches: latents (n, *latent_shape), taken one after the other. By default there is nothing
        to measure, and none is taken.
        """

    def measure_mean_w(self, z: Tensor) -> None:
        """Set the mean w, that truncation pulls towards, to that of latents z (n, *latent_shape).

        By default there is no w. Images of ``psi = 1`` do not depend on it.
        """


class LinearisedStage(nn.Module):
    """A stage of a generator (mapping or synthesis network) that has its tangents written out."""

    def linearised(self, points: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Values at points (m, ...), and the map of directions (c, m, ...) to derivatives."""
        raise NotImplementedError
