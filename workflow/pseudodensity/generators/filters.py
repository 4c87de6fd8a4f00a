"""FIR resampling: the binomial kernel of StyleGAN2 and the Kaiser low-pass of StyleGAN3."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Below this input width one dense matrix product per axis beats a strided depthwise convolution
# on a CPU (its backward pass above all); far above it the wasted zeros cost more than they save.
DENSE_SIZE = 64


def resample_kernel(taps: Sequence[float] = (1, 3, 3, 1)) -> Tensor:
    """Separable low-pass of two or four taps, which sums to one: (4, 4) float32.

    StyleGAN2's is binomial, [1, 3, 3, 1]; two taps are padded to four. ValueError for other counts.
    """
    if len(taps) not in (2, 4):
        raise ValueError(f"a resampling filter has 2 or 4 taps, not {list(taps)}")
    row = torch.tensor([0.0, *taps, 0.0] if len(taps) == 2 else taps, dtype=torch.float32)
    kernel = torch.outer(row, row)
    return kernel / kernel.sum()


def set_resample_filter(module: nn.Module, taps: Sequence[float]) -> None:
    """Give every resampling layer of a network the kernel of `taps`; it is stored as a buffer."""
    for name, buffer in module.named_buffers():
        if name.endswith("resample_filter"):
            buffer.copy_(resample_kernel(taps))


def kaiser_lowpass(taps: int, cutoff: float, half_width: float, rate: float) -> Tensor:
    """Kaiser-windowed sinc of `taps` coefficients that sum to one: (taps,) float32.

    `cutoff`, `half_width` (of the transition band) and `rate` share one unit, samples per image
    width (StyleGAN3, appendix C.1).
    """
    from scipy.signal import firwin  # slow to import, and StyleGAN2 designs no filter

    design = firwin(numtaps=taps, cutoff=cutoff, width=2 * half_width, fs=rate)
    return torch.as_tensor(design, dtype=torch.float32)


def blur(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Filter each channel by a symmetric (4, 4) kernel: (n, c, h, w) -> (n, c, h + 2p - 3, ...)."""
    weight = kernel.expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, padding=padding, groups=x.shape[1])


def halve(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter by a symmetric (4, 4) kernel and subsample: (n, c, h, w) -> (n, c, h / 2, w / 2)."""
    weight = kernel.expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, weight, stride=2, padding=1, groups=x.shape[1])


def double(x: Tensor, kernel: Tensor) -> Tensor:
    """Insert zeros and filter by a (4, 4) kernel that sums to one: (n, c, h, w) -> (n, c, 2h, 2w).

    One transposed convolution; the gain 4 makes up for the zeros.
    """
    weight = (kernel * 4).expand(x.shape[1], 1, -1, -1)
    return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=x.shape[1])


def upfirdn(x: Tensor, taps: Tensor, up: int, down: int, padding: tuple[int, int]) -> Tensor:
    """Insert zeros (`up`), pad, convolve with `taps` (k,), keep every `down`-th; on both axes.

    x (n, c, h, w); `padding` (before, after) counts samples at the high rate, negative crops.
    The convolution form, for sizes where a dense matrix is wasteful.
    """
    for axis in (3, 2):
        x = _upfirdn_axis(x, taps, up, down, padding, axis)
    return x


def _upfirdn_axis(
    x: Tensor, taps: Tensor, up: int, down: int, padding: tuple[int, int], axis: int
) -> Tensor:
    channels, length, k = x.shape[1], x.shape[axis], taps.numel()
    shape = (channels, 1, 1, k) if axis == 3 else (channels, 1, k, 1)
    pick = (lambda a: (1, a)) if axis == 3 else (lambda a: (a, 1))
    pad = (lambda a, b: (a, b)) if axis == 3 else (lambda a, b: (0, 0, a, b))
    before, after = padding
    if up == 1:
        weight = taps.flip(0).view(1, 1, *shape[2:]).expand(shape)
        return F.conv2d(F.pad(x, pad(before, after)), weight, stride=pick(down), groups=channels)
    weight = taps.view(1, 1, *shape[2:]).expand(shape)
    full = F.conv_transpose2d(x, weight, stride=pick(up), groups=channels)
    first = k - 1 - before
    wanted = length * up + before + after - k + 1
    full = F.pad(full, pad(-first, wanted - full.shape[axis] + first))
    return full if down == 1 else full[(..., *(slice(None, None, s) for s in pick(down)))]


def filter_index(size: int, k: int, up: int, down: int, padding: tuple[int, int]) -> Tensor:
    """Which tap stands where in the matrix form of `upfirdn`: (out, size) int64, k = "no tap"."""
    before, after = padding
    out = (size * up + before + after - k) // down + 1
    row, column = torch.arange(out)[:, None], torch.arange(size)[None, :]
    index = k - 1 - before + down * row - up * column
    return torch.where((index >= 0) & (index < k), index, k)


class Resample(nn.Module):
    """`upfirdn` of square images of one size; small sizes as one matrix product per axis.

    The taps are an argument, because public checkpoints store them as buffers of the layer.
    """

    def __init__(self, size: int, k: int, up: int, down: int, padding: tuple[int, int]):
        super().__init__()
        self.size, self.up, self.down, self.padding = size, up, down, padding
        index = filter_index(size, k, up, down, padding) if size <= DENSE_SIZE else None
        self.register_buffer("index", index, persistent=False)

    def forward(self, x: Tensor, taps: Tensor) -> Tensor:
        """(n, c, size, size), (k,) -> (n, c, out, out)."""
        if self.index is None:
            return upfirdn(x, taps, self.up, self.down, self.padding)
        matrix = self.matrix(taps)
        (n, c, size, _), out = x.shape, matrix.shape[0]
        # channels last: both products read contiguous memory and no transpose is ever copied
        x = x.permute(0, 2, 3, 1).reshape(n * size, size, c)
        x = torch.bmm(matrix.expand(n * size, -1, -1), x).view(n, size, out * c)
        x = torch.bmm(matrix.expand(n, -1, -1), x).view(n, out, out, c)
        return x.permute(0, 3, 1, 2)

    def matrix(self, taps: Tensor) -> Tensor:
        """The same along one axis as a matrix: (k,) -> (out, size)."""
        index = self.index
        if index is None:
            index = filter_index(self.size, len(taps), self.up, self.down, self.padding)
        return F.pad(taps, (0, 1))[index]
