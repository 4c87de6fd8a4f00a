"""Tangents of the StyleGAN synthesis networks, written out.

Everything that depends on the point alone (activations, slopes, demodulation) is worked out once;
a batch of directions then costs little more than its convolutions. Twice as fast as torch's
forward mode through the same network, which the tests hold it against.

Shapes: points (m, ...), directions (c, m, ...).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import jacfwd, vmap

from pseudodensity.generators import stylegan2, stylegan3
from pseudodensity.generators.filters import blur, double
from pseudodensity.generators.stylegan2 import GAIN, SLOPE, bounded_lrelu, demodulation
from pseudodensity.generators.tiles import resample_scaled, slopes_of_tiles, tiles_of

__all__ = ["linearised_stylegan2", "linearised_stylegan3"]

Push = Callable[..., Tensor]


def _fold(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a linear map of single images to (c, m, ...)."""
    folded = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return function(folded).unflatten(0, x.shape[:2])


def _turned(affine: stylegan2.FullyConnected, dw: Tensor) -> Tensor:
    """Tangent of a style."""
    return F.linear(dw, affine.weight * affine.weight_gain)


def _slopes(x: Tensor, clamp: float | None) -> Tensor:
    """Derivative of `bounded_lrelu`."""
    # products of floats: those with a mask of booleans are several times slower
    slopes = (x > 0).to(x.dtype) * (1 - SLOPE) + SLOPE
    return slopes if clamp is None else slopes * (x < clamp).to(x) * (x > -clamp / SLOPE).to(x)


def _modulated(
    layer: stylegan2.SynthesisLayer | stylegan3.SynthesisLayer,
    x: Tensor,
    style: Tensor,
    gain: Tensor | float,
    convolve: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor, Push]:
    """Convolution y of the styled input, its demodulation, and (dx, dw) -> tangents of the two.

    dx comes times the style and is used up; None is an input that does not move.
    """
    x = x.contiguous(memory_format=torch.channels_last)  # as the tangents are
    scale = demodulation(layer.weight, style) * gain
    energy = layer.weight.square().sum((2, 3)).t()
    steepness = -(scale**3) / gain**2

    def push(dx: Tensor | None, dw: Tensor) -> tuple[Tensor, Tensor]:
        turned = _turned(layer.affine, dw)
        wide = turned[..., None, None]
        moved = x * wide if dx is None else dx.addcmul_(x, wide)
        dscale = (style * turned) @ energy * steepness
        return _fold(convolve, moved), dscale[..., None, None]

    return convolve(x * style[:, :, None, None]), scale[:, :, None, None], push


def _colours(
    layer: stylegan2.ToRGB | stylegan3.SynthesisLayer, x: Tensor, w: Tensor, gain: Tensor | float
) -> tuple[Tensor, Push]:
    """Colours of a map, and (dx, dw) -> their tangent."""
    factor = gain / math.sqrt(x.shape[1])
    weight = layer.weight[:, :, 0, 0]
    style = layer.affine(w) * factor
    pixels = stylegan2.modulated_colours(x, layer.weight, layer.bias, style, None)
    inside = None if layer.clamp is None else pixels.abs() < layer.clamp
    matrices = weight * style[:, None]

    def push(dx: Tensor, dw: Tensor) -> Tensor:
        count, points = dw.shape[:2]
        turned = weight * (_turned(layer.affine, dw) * factor)[:, :, None]  # (c, m, 3, channels)
        still = turned.transpose(0, 1).flatten(1, 2) @ x.flatten(2)
        still = still.view(points, count, 3, *x.shape[2:]).transpose(0, 1)
        rows = dx.permute(0, 1, 3, 4, 2).flatten(2, 3)
        moved = (rows @ matrices.mT).mT.reshape(still.shape)
        tangent = moved.add_(still)
        return tangent if inside is None else tangent * inside

    return pixels if layer.clamp is None else pixels.clamp(-layer.clamp, layer.clamp), push


def _layer2(layer: stylegan2.SynthesisLayer, x: Tensor, w: Tensor) -> tuple[Tensor, Push]:
    def convolve(x: Tensor) -> Tensor:
        if not layer.up:
            return F.conv2d(x, layer.weight, padding=1)
        x = F.conv_transpose2d(x, layer.weight.transpose(0, 1), stride=2)
        return blur(x, layer.resample_filter * 4, padding=1)

    style = layer.affine(w)
    y, scale, modulate = _modulated(layer, x, style, GAIN, convolve)
    before = torch.addcmul((layer.bias * GAIN)[:, None, None], y, scale)
    before = before + layer.noise_const * (layer.noise_strength * GAIN)
    slopes = _slopes(before, layer.clamp)
    by_y, by_scale = slopes * scale, slopes * y

    def push(dx: Tensor | None, dw: Tensor) -> Tensor:
        dy, dscale = modulate(None if dx is None else dx * style[:, :, None, None], dw)
        return dy.mul_(by_y).addcmul_(by_scale, dscale)

    return bounded_lrelu(before, layer.clamp), push


def linearised_stylegan2(
    synthesis: stylegan2.Synthesis, w: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Images (m, 3, R, R) of w (m, w_dim) in eval mode, and dw (c, m, w_dim) -> (c, m, 3, R, R)."""
    x = image = None
    steps = []
    for size in synthesis.sizes:
        block = getattr(synthesis, f"b{size}")
        if block.first:
            x = block.const.expand(len(w), -1, -1, -1)
            x, pushes = x.contiguous(memory_format=torch.channels_last), []
        else:
            x, push = _layer2(block.conv0, x, w)
            pushes = [push]
        x, push = _layer2(block.conv1, x, w)
        colours, push_colours = _colours(block.torgb, x, w, 1.0)
        image = colours if image is None else colours + double(image, block.resample_filter)
        steps.append(([*pushes, push], push_colours, block.resample_filter))

    def push_all(dw: Tensor) -> Tensor:
        dx = dimage = None
        for layers, push_colours, kernel in steps:
            for push in layers:
                dx = push(dx, dw)
            below, dimage = dimage, push_colours(dx, dw)
            if below is not None:
                dimage = dimage + _fold(lambda x, kernel=kernel: double(x, kernel), below)
        return dimage

    return image, push_all


def _layer3(
    layer: stylegan3.SynthesisLayer, x: Tensor, style: Tensor, following: Tensor
) -> tuple[Tensor, Push]:
    """A filtered layer; tangents come in times `style`, and leave times `following`.

    A factor of a channel commutes with the filters, so that it costs nothing here.
    """

    def convolve(x: Tensor) -> Tensor:
        return F.conv2d(x, layer.weight, padding=layer.k - 1)

    gain = layer.magnitude_ema.rsqrt() * GAIN
    y, scale, modulate = _modulated(layer, x, style, gain, convolve)
    before = torch.addcmul((layer.bias * GAIN)[:, None, None], y, scale)
    high = layer.up(before, layer.up_filter * layer.up_gain)
    tiles, factor = tiles_of(layer), following[:, None, None]
    slopes = _slopes(high, layer.clamp).movedim(1, -1) * factor
    by_scale = resample_scaled(y.movedim(1, -1)[None], slopes_of_tiles(slopes, tiles), tiles)
    slopes = slopes_of_tiles(slopes * scale.movedim(1, -1), tiles)

    def push(dx: Tensor, dw: Tensor) -> Tensor:
        dy, dscale = modulate(dx, dw)
        # few at once, for the cache; tiles hold less of each than the whole map's filters do
        parts = dy.movedim(2, -1).split(max(2 * layer.chunk // len(style), 1))
        tangent = torch.cat([resample_scaled(part, slopes, tiles) for part in parts])
        return tangent.addcmul_(by_scale, dscale.movedim(2, -1)).movedim(-1, 2)

    return layer.down(bounded_lrelu(high, layer.clamp), layer.down_filter), push


def _waves(waves: stylegan3.FourierInput, w: Tensor, following: Tensor) -> tuple[Tensor, Push]:
    """The input field, and dw -> its tangent times `following`: w moves it by four numbers only."""
    placement = waves.affine(w)
    moves = vmap(jacfwd(lambda row: waves.field(row[None])[0]))(placement)
    moves = moves * following[:, :, None, None, None]
    moves = moves.permute(0, 4, 2, 3, 1).contiguous()  # (m, 4, h, h, channels)

    def push(dw: Tensor) -> Tensor:
        turned = _turned(waves.affine, dw).transpose(0, 1)
        dx = (turned @ moves.flatten(2)).transpose(0, 1)
        return dx.unflatten(2, moves.shape[2:]).movedim(-1, 2)

    return waves.field(placement), push


def linearised_stylegan3(
    synthesis: stylegan3.Synthesis, w: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """As :func:`linearised_stylegan2`."""
    *layers, colours = (getattr(synthesis, name) for name in synthesis.layer_names)
    styles = [layer.affine(w) for layer in layers]
    styles.append(torch.ones_like(colours.affine(w)))  # whose push styles its input itself
    x, push_input = _waves(synthesis.input, w, styles[0])
    pushes = []
    for layer, (style, following) in zip(layers, pairwise(styles), strict=True):
        x, push = _layer3(layer, x, style, following)
        pushes.append(push)
    x, push_colours = _colours(colours, x, w, colours.magnitude_ema.rsqrt())

    def push_all(dw: Tensor) -> Tensor:
        dx = push_input(dw)
        for push in pushes:
            dx = push(dx, dw)
        return push_colours(dx, dw) * synthesis.output_scale

    return x * synthesis.output_scale, push_all
